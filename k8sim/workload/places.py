"""Where the data of a pod is: the name that the storage of the simulated world has for its volume."""

from __future__ import annotations

from k8sim.api.core import Container, PersistentVolume, PersistentVolumeClaim, Pod, Volume
from k8sim.apiserver.server import APIServer
from k8sim.kubelet.volumespecs import claim_of, directory_of, empty_dir_location
from k8sim.machines.disks import location


def layer_location(node: str, pod: Pod, identity: str) -> str:
    """Return where a container keeps what it writes outside all volumes: gone with this instance of it."""
    return f"{node}:/var/lib/containers/{pod.uid}/{identity}"


def is_layer(place: str) -> bool:
    """Tell whether a place is a container's own file system."""
    return ":/var/lib/containers/" in place


def data_volume(pod: Pod, container: Container, wanted: str = "") -> Volume | None:
    """Return the volume that has the data: the wanted one, else the first claim, else the first emptyDir or path."""
    mounted = {m.name for m in container.volume_mounts if not m.read_only} | {d.name for d in container.volume_devices}
    volumes = [v for v in pod.spec.volumes if v.name in mounted]
    if wanted:
        return next((v for v in volumes if v.name == wanted), None)
    claims = [v for v in volumes if claim_of(pod, v) is not None]
    others = [v for v in volumes if v.empty_dir is not None or v.host_path is not None]
    return next(iter([*claims, *others]), None)


def data_directory(pod: Pod, container: Container, wanted: str = "") -> str:
    """Return the directory of its volume in which a container has its data (subPath), "" for the whole."""
    volume = data_volume(pod, container, wanted)
    mounts = (m for m in container.volume_mounts if volume is not None and m.name == volume.name)
    directory = next((directory_of(m, container, pod) for m in mounts), "")
    return f"/{directory}" if directory else ""


def data_location(server: APIServer, pod: Pod, container: Container, identity: str, wanted: str = "") -> str:
    """Return where a process of a container finds its data."""
    node = pod.spec.node_name
    volume = data_volume(pod, container, wanted)
    if volume is None:
        return layer_location(node, pod, identity)
    name = claim_of(pod, volume)
    if name is not None:
        claim = server.find(PersistentVolumeClaim, pod.namespace, name)
        found = server.find(PersistentVolume, "", claim.spec.volume_name) if claim is not None else None
        return location(found, node) if found is not None else f"claim:{pod.namespace}/{name}"
    if volume.empty_dir is not None:
        return empty_dir_location(node, pod, volume.name)
    assert volume.host_path is not None
    return f"{node}:{volume.host_path.path}"
