"""Whole clusters with a StatefulSet on attached volumes."""

from __future__ import annotations

from typing import Any

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.cluster import Cluster
from k8sim.scenario.loader import loads
from k8sim.sim.trace import Row
from k8sim.sim.units import SECOND

HEAD = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: scene}}
spec:
  duration: {duration}s
  nodes: [{{name: node, count: {nodes}, zones: [a]}}]
  images: {{"app:*": {{stop: 1s}}}}
  latencies: {{{latencies}}}
  {cluster}
  timeline:
    - {{at: 0s, kubectl: "get nodes"}}
{timeline}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: fast}}
provisioner: {provisioner}
allowVolumeExpansion: true
volumeBindingMode: WaitForFirstConsumer
"""

SET = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80, name: web}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  EXTRA
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
        - {name: app, image: "app:v1", VOLUME}
      SECURITY
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        volumeMode: MODE
        storageClassName: fast
        resources: {requests: {storage: 10Gi}}
"""


def scene(
    *timeline: str,
    duration: float = 1000,
    nodes: int = 2,
    replicas: int = 1,
    provisioner: str = "ebs.csi.aws.com",
    latencies: str = "",
    security: str = "",
    block: bool = False,
    extra: str = "",
    cluster: str = "",
    seed: int = 1,
) -> Scene:
    steps = "".join(f"    - {{{step}}}\n" for step in timeline)
    text = HEAD.format(
        duration=duration, nodes=nodes, latencies=latencies, cluster=cluster, timeline=steps, provisioner=provisioner
    )
    use = (
        "volumeDevices: [{name: data, devicePath: /dev/x}]"
        if block
        else "volumeMounts: [{name: data, mountPath: /data}]"
    )
    manifest = (
        SET.replace("REPLICAS", str(replicas))
        .replace("VOLUME", use)
        .replace("SECURITY", security)
        .replace("EXTRA", extra)
    )
    text += manifest.replace("MODE", "Block" if block else "Filesystem")
    return Scene(Cluster(loads(text), seed=seed))


class Scene:
    """A cluster under test. Times are in seconds."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.server = cluster.server
        self.storage = cluster.storage

    def run(self, until: float) -> Scene:
        self.cluster.sim.clock.run(int(until * SECOND))
        return self

    def rows(self, kind: str, name: str = "", event: str = "") -> list[Row]:
        return [r for r in self.cluster.sim.trace if r.kind == kind and name in ("", r.name) and event in ("", r.event)]

    def when(self, kind: str, name: str, event: str, after: float = 0, **detail: Any) -> float:
        """The first time of an event after a time."""
        for r in self.rows(kind, name, event):
            if r.t >= after * SECOND and all(r.detail.get(k) == v for k, v in detail.items()):
                return r.t / SECOND
        raise AssertionError(f"no {kind} {name} {event} after {after}")

    def happened(self, kind: str, name: str, event: str, after: float = 0) -> bool:
        return any(r.t >= after * SECOND for r in self.rows(kind, name, event))

    def claim(self, name: str = "data-web-0") -> PersistentVolumeClaim:
        return self.server.get(PersistentVolumeClaim, "default", name)

    def volume(self, claim: str = "data-web-0") -> PersistentVolume:
        return self.server.get(PersistentVolume, "", self.claim(claim).spec.volume_name)

    def pod(self, name: str = "web-0") -> Pod:
        return self.server.get(Pod, "default", name)

    def node_of(self, name: str = "web-0") -> str:
        return self.pod(name).spec.node_name
