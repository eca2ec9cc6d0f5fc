"""Faults of what all nodes depend on: the API server, the controllers, the image registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from k8sim.faults.fault import Fault, FaultFailed, Program, World, argument
from k8sim.machines.machine import Machine
from k8sim.machines.registry import Registry
from k8sim.sim.units import SECOND

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
        for registry in registries:
            registry.available = False
            world.later(self.for_ns, setattr, registry, "available", True)


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
        manager.stop()
        world.later(self.for_ns, manager.start)


@dataclass(frozen=True, kw_only=True)
class APIServerOutage(Fault):
    """The API server does not answer: requests fail, watches break, leases are not renewed; containers go on.

    An outage of more than 10 s also restarts the kube-controller-manager, which loses its leadership; it is back with
    the API server (in a real cluster its own crash back-off may add to that).
    """

    name: ClassVar[str] = "apiserver-outage"

    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        cut = [machine for machine in world.machines.values() if machine.connected]
        for machine in cut:
            machine.partition()
        world.server.go_down()
        manager = world.controller_manager
        if manager is not None and (self.for_ns is None or self.for_ns > RENEW_DEADLINE):
            world.later(RENEW_DEADLINE, manager.stop)
        else:
            manager = None
        world.later(self.for_ns, _come_back, world, cut, manager)


def _come_back(world: World, cut: list[Machine], manager: Program | None) -> None:
    world.server.come_back()
    for machine in cut:
        machine.heal()
    if manager is not None:
        retry = int(world.sim.streams.uniform("kube-controller-manager", "leaderElection") * RETRY_PERIOD)
        world.later(retry, manager.start)
