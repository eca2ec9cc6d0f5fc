"""Faults inside pods: a process ends, or stops answering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from k8sim.api.core import Node, Pod
from k8sim.api.quantity import parse_quantity
from k8sim.api.resources import MEMORY
from k8sim.faults.fault import Fault, FaultFailed, World, argument
from k8sim.kubelet.qos import assumed_use, oom_score_adj, oom_victim
from k8sim.machines.answers import FOR_EVER


@dataclass(frozen=True, kw_only=True)
class ContainerExit(Fault):
    """The process of a container ends now."""

    name: ClassVar[str] = "container-exit"

    pod: str = argument("pod", "the pod")
    container: str | None = argument("name", "the container; absent: the first", required=False)
    code: int = argument("exit code", "its exit code; absent: 1", required=False, default=1)

    def begin(self, world: World) -> None:
        pod = world.pod(self.pod)
        if not world.machine(pod.spec.node_name).exit_container(pod.key, self.container, self.code):
            raise FaultFailed(f'no container of pod "{self.pod}" runs')


@dataclass(frozen=True, kw_only=True)
class OomKill(Fault):
    """The kernel kills a container that used too much memory: code 137, OOMKilled, neither hook nor SIGTERM."""

    name: ClassVar[str] = "oom-kill"

    pod: str = argument("pod", "the pod")
    container: str | None = argument("name", "the container; absent: the first", required=False)

    def begin(self, world: World) -> None:
        pod = world.pod(self.pod)
        machine = world.machine(pod.spec.node_name)
        if not machine.exit_container(pod.key, self.container, 137, "OOMKilled"):
            raise FaultFailed(f'no container of pod "{self.pod}" runs')


@dataclass(frozen=True, kw_only=True)
class NodeOom(Fault):
    """The machine is out of memory before its kubelet could evict: the kernel kills the container it likes least."""

    name: ClassVar[str] = "node-oom"

    node: str = argument("node", "the machine")

    def begin(self, world: World) -> None:
        machine = world.machine(self.node)
        node = world.server.find(Node, "", self.node)
        if node is None:
            raise FaultFailed(f'there is no node "{self.node}"')
        memory = parse_quantity(node.status.capacity.get(MEMORY, "0"))
        candidates = [
            ((pod.key, container.name), oom_score_adj(pod, container, memory), assumed_use(container))
            for pod in world.server.list(Pod)
            if pod.spec.node_name == self.node
            for container in (*pod.spec.containers, *pod.spec.init_containers)
            if machine.runs(pod.uid, container.name)
        ]
        victim = oom_victim(candidates, memory)
        if victim is None:
            raise FaultFailed(f'no container runs on "{self.node}"')
        key, name = victim
        machine.exit_container(key, name, 137, "OOMKilled")


@dataclass(frozen=True, kw_only=True)
class Unready(Fault):
    """Readiness probes of the pod fail; a pod that takes its name meanwhile is unready, too."""

    name: ClassVar[str] = "unready"

    pod: str = argument("pod", "the pod")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        until = None if self.for_ns is None else world.sim.clock.now + self.for_ns
        for machine in world.machines.values():
            machine.set_unready(world.key(self.pod), until)


@dataclass(frozen=True, kw_only=True)
class Hang(Fault):
    """Liveness and readiness probes of the pod fail; a pod that takes its name meanwhile hangs, too."""

    name: ClassVar[str] = "hang"

    pod: str = argument("pod", "the pod")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        until = None if self.for_ns is None else world.sim.clock.now + self.for_ns
        for machine in world.machines.values():
            machine.set_hang(world.key(self.pod), until)


@dataclass(frozen=True, kw_only=True)
class SlowAnswers(Fault):
    """Probes of the pod are answered only after `answer`, and fail if that is more than their timeoutSeconds allow."""

    name: ClassVar[str] = "slow-answers"

    pod: str = argument("pod", "the pod")
    answer_ns: int | None = argument("duration", "how long; absent: no answer", required=False, name="answer")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        until = None if self.for_ns is None else world.sim.clock.now + self.for_ns
        for machine in world.machines.values():
            machine.set_slow(world.key(self.pod), FOR_EVER if self.answer_ns is None else self.answer_ns, until)
