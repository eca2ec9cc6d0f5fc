"""One node by hand: an API server, a machine, a kubelet; pods are bound to it without a scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sim.api.core import Node, Pod
from k8sim.api.meta import Condition, ObjectMeta
from k8sim.api.scheme import decode
from k8sim.apiserver.recorder import Recorder
from k8sim.apiserver.server import APIServer
from k8sim.kubelet.kubelet import Kubelet
from k8sim.kubelet.settings import KubeletSettings
from k8sim.kubelet.staticpods import static_pod
from k8sim.machines.image import ImageBehaviour, Images
from k8sim.machines.machine import Machine
from k8sim.machines.registry import Registry
from k8sim.sim.clock import Clock
from k8sim.sim.distributions import Constant
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Row, Trace
from k8sim.sim.units import SECOND

READY: dict[str, Any] = {"exec": {"command": ["check", "ready"]}, "periodSeconds": 1}


def seconds(value: float) -> int:
    return round(value * SECOND)


def image(pattern: str = "*", **times: float | None) -> ImageBehaviour:
    """A behaviour with times in seconds; None is "never"."""
    laws: dict[str, Any] = {}
    for name, value in times.items():
        if name in ("missing", "exit_code", "hooks"):
            laws[name] = value
        else:
            laws[name] = None if value is None else Constant(seconds(value))
    return ImageBehaviour(pattern, **laws)


class Bench:
    """A cluster of one node. Times are in seconds."""

    def __init__(
        self,
        *images: ImageBehaviour,
        seed: int = 1,
        settings: KubeletSettings | None = None,
        capacity: dict[str, str] | None = None,
        static_pods: tuple[dict[str, Any], ...] = (),
    ) -> None:
        clock = Clock()
        streams = Streams(seed)
        self.sim = Simulation(clock, streams, Latencies(streams), Trace(), {})
        self.clock = clock
        self.server = APIServer(self.sim)
        self.server.recorder = Recorder(self.server).record
        capacity = capacity or {"cpu": "4", "memory": "16Gi", "pods": "110"}
        node = decode(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": "node"},
                "status": {"capacity": capacity, "allocatable": capacity},
            }
        )
        assert isinstance(node, Node)
        self.server.preload(node)
        self.registry = Registry(self.sim, Images(images or (image(),)))
        self.machine = Machine(self.sim, "node", self.registry)
        static = tuple(static_pod(decode(manifest), "node") for manifest in static_pods)
        self.kubelet = Kubelet(self.sim, self.server, self.machine, settings, static_pods=static)
        self.kubelet.start()

    def pod(self, name: str = "app", /, *containers: dict[str, Any], **spec: Any) -> Pod:
        """Create a pod and bind it to the node. Containers default to one, ``app`` of image ``app:v1``."""
        complete = [{"name": f"c{i}", "image": "app:v1", **c} for i, c in enumerate(containers or ({"name": "app"},))]
        pod = decode(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {"containers": complete, **spec},
            }
        )
        assert isinstance(pod, Pod)
        return self.server.bind(self.server.create(pod), "node")

    def pod_at(self, at: float, name: str = "app", /, *containers: dict[str, Any], **spec: Any) -> None:
        """Create a pod later."""
        self.at(at, lambda: self.pod(name, *containers, **spec))

    def at(self, at: float, what: Callable[[], object]) -> None:
        """Do something at a time."""
        self.clock.call_at(seconds(at), what)

    def delete_at(self, at: float, name: str = "app", grace: int | None = None) -> None:
        """Delete a pod at a time."""
        self.at(at, lambda: self.server.delete(Pod, "default", name, grace_period_seconds=grace))

    def exit_at(self, at: float, name: str = "app", container: str | None = None, code: int = 1) -> None:
        """Let a container's process end at a time."""
        self.at(at, lambda: self.machine.exit_container(("default", name), container, code))

    def run(self, until: float) -> None:
        """Run to a time."""
        self.clock.run(seconds(until))

    def rows(self, kind: str = "Pod", name: str | None = None) -> list[Row]:
        """Rows of the trace."""
        return [r for r in self.sim.trace if r.kind == kind and (name is None or r.name == name)]

    def times(self, event: str, name: str = "app", kind: str = "Pod", **detail: Any) -> list[float]:
        """When an event happened."""
        return [
            r.t / SECOND
            for r in self.rows(kind, name)
            if r.event == event and all(r.detail.get(k) == v for k, v in detail.items())
        ]

    def time(self, event: str, name: str = "app", kind: str = "Pod", **detail: Any) -> float:
        """When an event happened first; it must have."""
        times = self.times(event, name, kind, **detail)
        assert times, (event, detail, [(r.t / SECOND, r.event, r.detail) for r in self.sim.trace if r.name == name])
        return times[0]

    def get(self, name: str = "app") -> Pod | None:
        """The stored pod."""
        return self.server.find(Pod, "default", name)

    def stored(self, name: str = "app") -> Pod:
        """The stored pod, which must be there."""
        return self.server.get(Pod, "default", name)

    def condition(self, type_: str, name: str = "app") -> Condition | None:
        """A condition of the stored pod."""
        return next((c for c in self.stored(name).status.conditions if c.type == type_), None)


def meta(name: str = "app") -> ObjectMeta:
    return ObjectMeta(name=name, namespace="default", uid=f"uid-{name}")
