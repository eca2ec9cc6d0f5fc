"""A small world for the scheduler's tests: an API server, nodes and a scheduler; the test plays all other parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from k8sim.api.core import Namespace, Node, NodeStatus, Pod
from k8sim.api.meta import Object, ObjectMeta
from k8sim.api.scheme import decode
from k8sim.api.struct import replace
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.recorder import Recorder
from k8sim.apiserver.server import APIServer
from k8sim.controllers.controller import ControllerContext
from k8sim.controllers.persistentvolume.controller import PersistentVolumeController
from k8sim.scheduler.scheduler import Scheduler
from k8sim.scheduler.settings import SchedulerSettings
from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


def make(text: str, **fields: object) -> Any:
    """Decode a manifest, with `%(name)s` filled in."""
    return decode(yaml.safe_load(text % fields))


def make_node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", zone: str = "", **spec: Any) -> Node:
    labels = {HOST: name, **({ZONE: zone} if zone else {}), **spec.pop("labels", {})}
    node = decode({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec})
    assert isinstance(node, Node)
    return replace(node, status=NodeStatus(capacity={"cpu": cpu, "memory": memory, "pods": pods}))


def make_pod(name: str, cpu: str = "", memory: str = "", labels: dict[str, str] | None = None, **spec: Any) -> Pod:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    container = {"name": "app", "image": "app:v1", "resources": {"requests": requests}, **spec.pop("container", {})}
    claims = spec.pop("claims", [])
    volumes = [{"name": f"v{i}", "persistentVolumeClaim": {"claimName": c}} for i, c in enumerate(claims)]
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}, **spec.pop("metadata", {})},
        "spec": {"containers": [container], "volumes": volumes, **spec},
    }
    pod = decode(manifest)
    assert isinstance(pod, Pod)
    return pod


def anti_affinity(app: str, key: str = HOST) -> dict[str, Any]:
    """Return an affinity that keeps pods of an app apart."""
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def spread(app: str, key: str = HOST, skew: int = 1, when: str = "DoNotSchedule", **more: Any) -> dict[str, Any]:
    """Return a spread constraint over pods of an app."""
    selector = {"matchLabels": {"app": app}}
    return {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when, "labelSelector": selector, **more}


class World:
    """Times are in seconds."""

    def __init__(
        self, *nodes: Node, seed: int = 1, volumes: bool = False, settings: SchedulerSettings | None = None
    ) -> None:
        streams = Streams(seed)
        self.sim = Simulation(Clock(), streams, Latencies(streams), Trace(), {})
        self.server = APIServer(self.sim)
        self.server.recorder = Recorder(self.server).record
        self.server.preload(Namespace(metadata=ObjectMeta(name="default")))
        for node in nodes:
            self.server.create(node)
        if volumes:
            context = ControllerContext(self.sim, self.server, SharedInformers(self.server, "kube-controller-manager"))
            PersistentVolumeController(context).start()
        self.scheduler = Scheduler(self.sim, self.server, SharedInformers(self.server, "kube-scheduler"), settings)
        self.scheduler.start()

    @property
    def now(self) -> float:
        return self.sim.clock.now / SECOND

    def run(self, until: float) -> None:
        self.sim.clock.run(int(until * SECOND))

    def at(self, t: float, function: Callable[..., object], *args: Any, **options: Any) -> None:
        self.sim.clock.call_at(int(t * SECOND), lambda: function(*args, **options))

    def add(self, *objects: Object) -> None:
        for obj in objects:
            self.server.create(obj)

    def pod(self, name: str) -> Pod:
        return self.server.get(Pod, "default", name)

    def node_of(self, name: str) -> str:
        return self.pod(name).spec.node_name

    def delete(self, name: str, grace: int | None = None) -> None:
        self.server.delete(Pod, "default", name, grace_period_seconds=grace)

    def finish(self, name: str, phase: str = "Succeeded") -> None:
        """The pod's kubelet says that it has ended."""
        self.server.patch_status(Pod, "default", name, lambda p: replace(p, status=replace(p.status, phase=phase)))

    def cordon(self, name: str, on: bool = True) -> None:
        self.server.patch(Node, "", name, lambda n: replace(n, spec=replace(n.spec, unschedulable=on)))

    def scheduled_at(self, name: str) -> float | None:
        """When the pod was bound last."""
        times = [t for t, n, e, _ in self.rows("Pod") if n == name and e == "Scheduled"]
        return times[-1] if times else None

    def attempts(self, name: str) -> list[float]:
        """Times of failed attempts."""
        return [t for t, n, e, _ in self.rows("Event") if n == name and e == "FailedScheduling"]

    def why(self, name: str) -> str:
        """The message of the last failed attempt."""
        messages = [d["message"] for _, n, e, d in self.rows("Event") if n == name and e == "FailedScheduling"]
        return str(messages[-1]) if messages else ""

    def rows(self, kind: str) -> list[tuple[float, str, str, dict[str, Any]]]:
        return [(r.t / SECOND, r.name, r.event, dict(r.detail)) for r in self.sim.trace if r.kind == kind]
