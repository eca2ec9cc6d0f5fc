"""A small world for controllers' tests: a server with full admission, one program's informers, time to run."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from k8sim.api.core import Namespace, Node, NodeSpec, NodeStatus, Pod, PodIP, PodStatus
from k8sim.api.meta import Condition, ObjectMeta, set_condition
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.recorder import Recorder
from k8sim.apiserver.server import Admission, APIServer
from k8sim.apiserver.settings import WatchSettings
from k8sim.controllers.controller import Controller, ControllerContext
from k8sim.sim.clock import Clock, rank
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND


class Manager:
    """A control plane of the controllers that a test names. Times are in seconds."""

    def __init__(
        self,
        *controllers: Callable[[ControllerContext], Controller],
        seed: int = 1,
        admission: tuple[Admission, ...] = (),
        watches: WatchSettings | None = None,
    ) -> None:
        streams = Streams(seed)
        self.sim = Simulation(Clock(), streams, Latencies(streams), Trace(), {})
        self.server = APIServer(self.sim, admission, watches=watches)
        self.server.recorder = Recorder(self.server).record
        self.server.preload(Namespace(metadata=ObjectMeta(name="default")))
        self.informers = SharedInformers(self.server, "kube-controller-manager")
        self.context = ControllerContext(self.sim, self.server, self.informers)
        self.controllers = [make(self.context) for make in controllers]
        for controller in self.controllers:
            controller.start()
        self.client = Client(self.server, "test", rank("kubectl", "test"))

    @property
    def now(self) -> float:
        return self.sim.clock.now / SECOND

    def run(self, until: float) -> None:
        self.sim.clock.run(int(until * SECOND))

    def act(self, steps: Generator[Any, Any, Any]) -> None:
        self.sim.clock.spawn(steps)

    def at(self, t: float, function: Callable[..., object], *args: Any, **options: Any) -> None:
        self.sim.clock.call_at(int(t * SECOND), lambda: function(*args, **options))

    def events(self, kind: str, name: str = "", event: str = "") -> list[tuple[float, str, str, dict[str, Any]]]:
        """Rows of the trace: (t, name, event, detail)."""
        return [
            (row.t / SECOND, row.name, row.event, dict(row.detail))
            for row in self.sim.trace
            if row.kind == kind and name in ("", row.name) and event in ("", row.event)
        ]

    def add_node(self, name: str, **labels: str) -> Node:
        ready = Condition(type="Ready", status="True", last_transition_time=Time(0))
        meta = ObjectMeta(name=name, labels={k.replace("_", "/"): v for k, v in labels.items()})
        return self.server.create(Node(metadata=meta, spec=NodeSpec(), status=NodeStatus(conditions=(ready,))))

    def add_pod(self, pod: Pod, ready: bool = True, phase: str = "Running", ip: str = "10.0.0.1") -> Pod:
        """Create a pod and give it the status of one that runs."""
        self.server.create(pod)
        return self.set_pod(pod, ready=ready, phase=phase, ip=ip)

    def set_pod(self, pod: Pod, ready: bool | None = None, phase: str | None = None, ip: str | None = None) -> Pod:
        def change(p: Pod) -> Pod:
            status = p.status
            if ready is not None:
                now = Time(self.sim.clock.truncated())
                new = Condition(type="Ready", status="True" if ready else "False", last_transition_time=now)
                status = replace(status, conditions=set_condition(status.conditions, new))
            if phase is not None:
                status = replace(status, phase=phase)
            if ip is not None:
                status = replace(status, pod_ip=ip, pod_ips=(PodIP(ip=ip),) if ip else ())
            return replace(p, status=status)

        return self.server.patch_status(Pod, *pod.key, change)


def pod_status(ready: bool = True, phase: str = "Running", ip: str = "10.0.0.1") -> PodStatus:
    condition = Condition(type="Ready", status="True" if ready else "False", last_transition_time=Time(0))
    return PodStatus(phase=phase, conditions=(condition,), pod_ip=ip, pod_ips=(PodIP(ip=ip),) if ip else ())
