"""Faults of what all nodes depend on: the API server, the controllers, the image registry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from k8sim.faults.fault import Fault, FaultFailed, Program, World, argument
from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    from k8sim.machines.registry import Registry

RENEW_DEADLINE = 10 * SECOND
"""Without the API server for so long, a leader gives up and its process ends (component-base leader election)."""
RETRY_PERIOD = 2 * SECOND


@dataclass(frozen=True, kw_only=True)
class RegistryOutage(Fault):
    """The image registry does not answer: every pull fails, also the check of an image that is on the node."""

    name: ClassVar[str] = "registry-outage"

    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        registries: list[Registry] = []
        for machine in world.machines.values():
            if all(machine.registry is not known for known in registries):
                registries.append(machine.registry)
        for i, registry in enumerate(registries):
            end = partial(setattr, registry, "available", True)
            world.hold("registry", str(i), partial(setattr, registry, "available", False), end, self.for_ns)


def _manager(world: World) -> Program:
    if world.controller_manager is None:
        raise FaultFailed("there is no kube-controller-manager")
    return world.controller_manager


@dataclass(frozen=True, kw_only=True)
class ControllerManagerRestart(Fault):
    """The kube-controller-manager ends, and a new process with empty memory starts after `for`.

    Countdowns of evictions and detachments begin anew (workloads.md 4.4, 4.6; storage.md 6.2).
    """

    name: ClassVar[str] = "controller-manager-restart"

    for_ns: int = argument(
        "duration", "how long no controller works; absent: 0s", required=False, default=0, name="for"
    )

    def begin(self, world: World) -> None:
        manager = _manager(world)
        world.hold("process", "kube-controller-manager", manager.stop, manager.start, self.for_ns)


@dataclass(frozen=True, kw_only=True)
class APIServerOutage(Fault):
    """The API server does not answer: requests fail, watches break, leases are not renewed; containers go on.

    An outage of more than 10 s also restarts the kube-controller-manager, which loses its leadership; it is back with
    the API server (in a real cluster its own crash back-off may add to that).
    """

    name: ClassVar[str] = "apiserver-outage"

    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        world.hold("process", "kube-apiserver", world.server.go_down, world.server.come_back, self.for_ns)
        for node, machine in world.machines.items():
            world.hold("link", node, machine.partition, machine.heal, self.for_ns)
        if world.controller_manager is None or (self.for_ns is not None and self.for_ns <= RENEW_DEADLINE):
            return
        away = None
        if self.for_ns is not None:
            retry = int(world.sim.streams.uniform("kube-controller-manager", "leaderElection") * RETRY_PERIOD)
            away = self.for_ns - RENEW_DEADLINE + retry
        world.later(RENEW_DEADLINE, "kube-controller-manager", _lose_leadership, world, away)


def _lose_leadership(world: World, away_ns: int | None) -> None:
    manager = _manager(world)
    world.hold("process", "kube-controller-manager", manager.stop, manager.start, away_ns)
