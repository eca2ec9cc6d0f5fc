"""Whole clusters for paths of loss: what their scenarios are made of, and how content gets into their volumes."""

from __future__ import annotations

import json

import yaml

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.struct import replace
from k8sim.cluster import Cluster
from k8sim.machines.disks import location
from k8sim.scenario.loader import loads
from tests.csi.scenes import SET, Scene, scene

NFS, EBS, HOST_PATH = "efs.csi.aws.com", "ebs.csi.aws.com", "kubernetes.io/host-path"
HEAD = """\
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  duration: 1h
  images: {"registry.k8s.io/*": {exit: {after: 5s}}, "*": {ready: 1s, stop: STOP}}
"""
TWO_NODES = "nodes: [{name: node, count: 2, zones: [a]}]"


def scenario_text(
    *documents: str, spec: str = "", nodes: str = TWO_NODES, steps: tuple[str, ...] = (), stop: str = "1s"
) -> str:
    """A scenario with these objects; ``spec`` is more of it, one key a line."""
    lines = [nodes, *spec.splitlines()]
    text = HEAD.replace("STOP", stop) + "".join(f"  {line}\n" for line in lines)
    text += "  timeline:\n" + "".join(f"    - {{{step}}}\n" for step in ("at: 0s, kubectl: get nodes", *steps))
    return text + "".join(f"---\n{document.strip()}\n" for document in documents)


def world(
    *documents: str,
    spec: str = "",
    nodes: str = TWO_NODES,
    steps: tuple[str, ...] = (),
    stop: str = "1s",
    seed: int = 1,
) -> Scene:
    """A cluster with these objects."""
    text = scenario_text(*documents, spec=spec, nodes=nodes, steps=steps, stop=stop)
    return Scene(Cluster(loads(text), seed=seed))


def storage_class(
    provisioner: str = EBS, name: str = "fast", mode: str = "WaitForFirstConsumer", more: str = ""
) -> str:
    return f"""
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: {name}}}
provisioner: {provisioner}
volumeBindingMode: {mode}
allowVolumeExpansion: true
{more}"""


def claim(
    name: str = "data", modes: str = "ReadWriteOnce", size: str = "10Gi", more: str = "", namespace: str = ""
) -> str:
    where = f", namespace: {namespace}" if namespace else ""
    return f"""
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}{where}}}
spec: {{accessModes: [{modes}], storageClassName: fast, resources: {{requests: {{storage: {size}}}}}{more}}}
"""


def pod(name: str = "app", volumes: str = "", mounts: str = "", more: str = "", namespace: str = "") -> str:
    """A pod that has claim `data` at /data, if nothing else is said."""
    where = f", namespace: {namespace}" if namespace else ""
    volumes = volumes or "[{name: data, persistentVolumeClaim: {claimName: data}}]"
    mounts = mounts or "volumeMounts: [{name: data, mountPath: /data}]"
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}{where}}}
spec:
  terminationGracePeriodSeconds: 10
  containers: [{{name: app, image: "app:v1", {mounts}}}]
  volumes: {volumes}
{more}"""


def stateful_set(mounts: str = "[{name: data, mountPath: /data}]", volumes: str = "", extra: str = "") -> str:
    """Set `web` of one pod, with a claim from a template."""
    text = SET.replace("REPLICAS", "1").replace("VOLUME", f"volumeMounts: {mounts}").replace("MODE", "Filesystem")
    return text.replace("SECURITY", volumes).replace("EXTRA", extra).strip().removeprefix("---")


def deployment(
    replicas: int = 1, strategy: str = "{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"
) -> str:
    """Pods that share claim `data`."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app}}
spec:
  replicas: {replicas}
  strategy: {strategy}
  selector: {{matchLabels: {{app: app}}}}
  template:
    metadata: {{labels: {{app: app}}}}
    spec:
      containers: [{{name: app, image: "app:v1", volumeMounts: [{{name: data, mountPath: /data}}]}}]
      volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]
"""


def static_volume(
    name: str, source: str, policy: str = "Retain", modes: str = "ReadWriteOnce", claimed: str = "data", more: str = ""
) -> str:
    """A volume made by hand, for one claim or for any ("")."""
    ref = f"claimRef: {{namespace: default, name: {claimed}}}" if claimed else ""
    return f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 10Gi}}
  accessModes: [{modes}]
  persistentVolumeReclaimPolicy: {policy}
  storageClassName: fast
  {ref}
  {source}
  {more}
"""


def applied(at: int, document: str) -> str:
    """A step that applies a manifest."""
    return f"at: {at}s, apply: {json.dumps(yaml.safe_load(document))}"


def csi(handle: str, driver: str = EBS) -> str:
    return f"csi: {{driver: {driver}, volumeHandle: {handle}}}"


# ---- what is in volumes ---------------------------------------------------------------------------------------------


def where(found: Scene, claim_name: str = "data-web-0", pod_name: str = "web-0") -> str:
    """Where the content of a claim's volume is."""
    return location(found.volume(claim_name), found.node_of(pod_name))


def write(found: Scene, synced: bool = True, claim_name: str = "data-web-0", pod_name: str = "web-0") -> str:
    """Let a pod have written ten bytes to the volume of a claim."""
    place, node = where(found, claim_name, pod_name), found.node_of(pod_name)
    found.storage.write(place, 10, node)
    if synced:
        found.storage.sync(place, node)
    return place


def written(found: Scene, at: float = 90, **of: str) -> Scene:
    """Let a cluster run until a time, with ten bytes in the volume then."""
    write(found.run(at), **of)  # type: ignore[arg-type]
    return found


def home(**kwargs: str) -> str:
    """The node that the pod of a scene will be on."""
    return scene(**kwargs).run(60).node_of()  # type: ignore[arg-type]


def other(node: str) -> str:
    """The other node."""
    return f"node-{1 - int(node[-1])}"


def retain(found: Scene, claim_name: str = "data-web-0") -> None:
    """Let an administrator patch a volume's policy to Retain."""

    def patched(volume: PersistentVolume) -> PersistentVolume:
        return replace(volume, spec=replace(volume.spec, persistent_volume_reclaim_policy="Retain"))

    found.server.patch(PersistentVolume, "", found.volume(claim_name).name, patched)


def strip_claim(found: Scene, name: str = "data-web-0") -> None:
    """Take the finalizers of a claim away, and delete it."""
    found.server.delete(PersistentVolumeClaim, "default", name, actor="kubectl")
    found.server.patch(
        PersistentVolumeClaim, "default", name,
        lambda c: replace(c, metadata=replace(c.metadata, finalizers=())), actor="kubectl",
    )  # fmt: skip
