"""Faults of what all nodes depend on: the API server, the controllers, the image registry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from k8sim.faults.fault import Fault, FaultFailed, Program, World, argument
from k8sim.faults.leaderelection import RENEW_DEADLINE, takeover_ns

if TYPE_CHECKING:
    from k8sim.machines.registry import Registry

MANAGER: Final = "kube-controller-manager"


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
    """The kube-controller-manager ends, and another instance with empty memory leads after `for`.

    Countdowns of evictions and detachments begin anew (workloads.md 4.4, 4.6; storage.md 6.2).
    """

    name: ClassVar[str] = "controller-manager-restart"
    transient: ClassVar[bool] = True

    for_ns: int | None = argument(
        "duration",
        "how long no controller works; absent: until another has its Lease, 13 to 24 s",
        required=False,
        name="for",
    )

    def begin(self, world: World) -> None:
        manager = _manager(world)
        away = takeover_ns(world.sim.streams, MANAGER) if self.for_ns is None else self.for_ns
        world.hold("process", MANAGER, manager.stop, manager.start, away)


@dataclass(frozen=True, kw_only=True)
class APIServerOutage(Fault):
    """The API server does not answer: requests fail, watches break, leases are not renewed; containers go on.

    An outage of more than 10 s also ends the kube-controller-manager, which loses its leadership. Another instance
    leads some seconds after the API server is back; 15 s later still if it had not seen the leader's last renewal.
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
            away = takeover_ns(world.sim.streams, MANAGER, unreachable_ns=self.for_ns) - RENEW_DEADLINE
        world.later(RENEW_DEADLINE, MANAGER, _lose_leadership, world, away)


def _lose_leadership(world: World, away_ns: int | None) -> None:
    manager = _manager(world)
    world.hold("process", MANAGER, manager.stop, manager.start, away_ns)
