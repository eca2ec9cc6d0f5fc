"""What stands behind the volumes of a pod, and what keeps them from being mounted.

Source: pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go,
pkg/volume/util/operationexecutor/operation_generator.go, pkg/volume/{volume_linux.go,csi/csi_mounter.go};
storage.md 3.5, 3.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from k8sim.api.core import Container, Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume, VolumeMount
from k8sim.api.storage import CSIDriver
from k8sim.api.volume_matching import node_affinity_fits
from k8sim.api.volumes import attachable_name
from k8sim.machines.content import View
from k8sim.machines.disks import KUBELET_PODS, TMPFS

PVC_PROTECTION: Final = "kubernetes.io/pvc-protection"
SINGLE_NODE: Final = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})


@dataclass(frozen=True)
class ClaimVolume:
    """A volume of a pod that is a claim, resolved. ``unique`` is its attachable name, None if it needs no attaching."""

    name: str
    claim: PersistentVolumeClaim
    volume: PersistentVolume
    unique: str | None
    read_only: bool


def used_volumes(pod: Pod) -> dict[str, str]:
    """Return the volumes that containers use, and how: Filesystem or Block. Others are not waited for."""
    if not pod.spec.volumes:
        return {}
    used: dict[str, str] = {}
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        used.update({d.name: "Block" for d in container.volume_devices})
        used.update({m.name: "Filesystem" for m in container.volume_mounts})
    return {v.name: used[v.name] for v in pod.spec.volumes if v.name in used}


def directory_of(mount: VolumeMount, container: Container, pod: Pod) -> str:
    """Return which directory of its volume a container mounts, "" for the whole (subPath, subPathExpr).

    Source: pkg/kubelet/kubelet_pods.go (makeMounts), pkg/kubelet/container/helpers.go (ExpandContainerVolumeMounts).
    """
    known = {"metadata.name": pod.name, "metadata.namespace": pod.namespace, "spec.nodeName": pod.spec.node_name}
    path = mount.sub_path_expr or mount.sub_path
    for variable in container.env if mount.sub_path_expr else ():
        field = ((variable.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
        value = known.get(field, str(variable.get("value") or ""))
        path = path.replace(f"$({variable.get('name')})", value)
    return path.strip("/")


def view_of(pod: Pod, name: str) -> View:
    """Return what a pod sees of one of its volumes: runtimes mount the deeper path over the other one."""
    directories: dict[str, None] = {}
    covered: list[set[str]] = []
    for container in pod.spec.containers:
        for mount in (m for m in container.volume_mounts if m.name == name):
            directory, inside = directory_of(mount, container, pod), mount.mount_path.rstrip("/") + "/"
            directories[directory] = None
            paths = (m.mount_path.rstrip("/") for m in container.volume_mounts if m.mount_path.startswith(inside))
            covered.append({f"{directory}/{path.removeprefix(inside)}".strip("/") for path in paths})
    if not covered:
        return View()
    return View(tuple(directories), tuple(sorted(set.intersection(*covered))))


def empty_dir_location(node: str, pod: Pod, name: str) -> str:
    """Return where the content of an emptyDir is: under the pod's UID, so no other pod ever sees it."""
    in_memory = any(
        v.name == name and v.empty_dir is not None and v.empty_dir.medium == "Memory" for v in pod.spec.volumes
    )
    root = TMPFS if in_memory else KUBELET_PODS
    return f"{node}:{root}/{pod.uid}/{name}"


def claim_of(pod: Pod, volume: Volume) -> str | None:
    """Return the name of the claim behind a pod's volume, None if there is none."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    return f"{pod.name}-{volume.name}" if volume.ephemeral is not None else None


def claim_problem(
    claim: PersistentVolumeClaim | None, volume: PersistentVolume | None, name: str, wanted_mode: str
) -> str | None:
    """Return what keeps the populator from taking a claim's volume for wanted, or None."""
    if claim is None:
        return f'persistentvolumeclaim "{name}" not found'
    if claim.deleting and PVC_PROTECTION not in claim.metadata.finalizers:
        return f'persistentvolumeclaim "{name}" is being deleted'
    if claim.status.phase != "Bound" or not claim.spec.volume_name:
        return f'persistentvolumeclaim "{name}" is not bound'
    if volume is None:
        return f'persistentvolume "{claim.spec.volume_name}" not found'
    if volume.spec.claim_ref is None or volume.spec.claim_ref.uid != claim.uid:
        return f'persistentvolume "{volume.name}" is bound to another claim'
    if volume.spec.volume_mode != wanted_mode:
        return f'volume "{name}" has volumeMode {volume.spec.volume_mode}, but is used as {wanted_mode}'
    return None


def mount_problem(volume: PersistentVolume, node: Node | None) -> str | None:
    """Return what makes mounting fail, as far as the API objects tell."""
    if node is not None and not node_affinity_fits(volume, node):
        return f'volume "{volume.name}" cannot be reached from node "{node.name}" (node affinity)'
    known = ("csi", "local", "host_path", "nfs", "flex_volume")
    sources = volume.spec.extra or {}
    if all(getattr(volume.spec, s) is None for s in known) and not {"fc", "iscsi"} & set(sources):
        return f'no volume plugin matched for volume "{volume.name}"'
    return None


def owns_by_walk(pod: Pod, spec: ClaimVolume, driver: CSIDriver | None, others_use_it: bool) -> bool:
    """Tell whether the kubelet walks the volume's files to give them the pod's group."""
    if pod.spec.security_context.fs_group is None or spec.read_only or spec.volume.spec.volume_mode == "Block":
        return False
    if spec.volume.spec.csi is not None:
        policy = driver.spec.fs_group_policy if driver is not None else "ReadWriteOnceWithFSType"
        if policy == "ReadWriteOnceWithFSType":
            modes = set(spec.volume.spec.access_modes)
            return bool(spec.volume.spec.csi.fs_type) and not SINGLE_NODE.isdisjoint(modes)
        return policy == "File"
    return spec.volume.spec.local is not None and not others_use_it


def resolve_claims(
    pod: Pod,
    get_claim: Callable[[str], PersistentVolumeClaim | None],
    get_volume: Callable[[str], PersistentVolume | None],
    get_driver: Callable[[str], CSIDriver | None],
) -> tuple[list[ClaimVolume], str | None]:
    """Return the pod's claims that containers use, resolved, and the first problem found."""
    used, resolved = used_volumes(pod), []
    for entry in pod.spec.volumes:
        name = claim_of(pod, entry)
        if name is None or entry.name not in used:
            continue
        claim = get_claim(name)
        volume = get_volume(claim.spec.volume_name) if claim is not None and claim.spec.volume_name else None
        problem = claim_problem(claim, volume, name, used[entry.name])
        if problem is not None or claim is None or volume is None:
            return [], problem
        source = entry.persistent_volume_claim
        read_only = source is not None and source.read_only
        resolved.append(ClaimVolume(entry.name, claim, volume, attachable_name(volume, get_driver), read_only))
    return resolved, None
