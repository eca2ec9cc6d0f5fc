"""Faults of machines and of their connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from k8sim.faults.fault import Fault, World, argument


@dataclass(frozen=True, kw_only=True)
class NodeCrash(Fault):
    """Power loss: kubelet and containers are gone at once; after `for` the machine boots, with no containers."""

    name: ClassVar[str] = "node-crash"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        machine = world.machine(self.node)
        machine.crash()
        world.later(self.for_ns, machine.boot_up)


@dataclass(frozen=True, kw_only=True)
class NodePartition(Fault):
    """The kubelet cannot reach the API server; its containers go on."""

    name: ClassVar[str] = "node-partition"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        machine = world.machine(self.node)
        machine.partition()
        world.later(self.for_ns, machine.heal)


@dataclass(frozen=True, kw_only=True)
class KubeletRestart(Fault):
    """The kubelet restarts; its containers go on."""

    name: ClassVar[str] = "kubelet-restart"

    node: str = argument("node", "the machine")

    def begin(self, world: World) -> None:
        world.machine(self.node).restart_kubelet()
