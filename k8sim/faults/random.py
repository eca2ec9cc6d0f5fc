"""Faults at random: every target has its own sequence of times between failures and of durations.

A target fails, is mended after its duration, and the time to its next failure counts from then. All numbers are
addressed by the rule, the target and how often it has failed, so that another target changes none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from k8sim.api.core import Node, PersistentVolumeClaim, Pod
from k8sim.api.meta import Object
from k8sim.apiserver.watch import Change
from k8sim.faults.catalogue import FAULTS, make_fault, target_of
from k8sim.faults.fault import FaultFailed, World
from k8sim.faults.nodes import ZONE_LABEL
from k8sim.sim.clock import rank
from k8sim.sim.distributions import Distribution
from k8sim.sim.trace import NO_CAUSE


@dataclass(frozen=True)
class Spread:
    """How a failure of a node takes others along: those with the same value of a label, each with a probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class FailureProcess:
    """A rule of ``failures:``: a fault that strikes each of its targets again and again.

    Parameters
    ----------
    fault
        Its name.
    every
        From the beginning, or the end of the last failure, to the next one of the same target.
    lasts
        How long a failure lasts; None: for ever, or the fault has no duration.
    targets
        Patterns (fnmatch) of the names of what fails; a fault of the whole cluster has none.
    arguments
        The fault's other arguments.
    spread
        Who fails with a node.
    """

    fault: str
    every: Distribution
    lasts: Distribution | None = None
    targets: tuple[str, ...] = ("*",)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    spread: Spread | None = None


def start_failures(world: World, rules: tuple[FailureProcess, ...]) -> None:
    """Let all rules act from now on."""
    seen: dict[str, int] = {}
    for rule in rules:
        seen[rule.fault] = seen.get(rule.fault, 0) + 1
        name = rule.fault if seen[rule.fault] == 1 else f"{rule.fault} #{seen[rule.fault]}"
        _Striker(world, rule, name).start()


class _Striker:
    """One rule at work."""

    def __init__(self, world: World, rule: FailureProcess, name: str) -> None:
        self._world = world
        self._rule = rule
        self._name = name
        self._target = target_of(FAULTS[rule.fault].fault)
        self._has_duration = "for" in FAULTS[rule.fault].arguments
        self._known: set[str] = set()

    def start(self) -> None:
        """Begin the sequences of all targets that there are, and of those that come."""
        world = self._world
        if self._target is None:
            self._plan("cluster", 0)
        elif self._target == "node":
            for name in world.machines:
                self._meet(name)
        elif self._target == "zone":
            for node in world.server.list(Node):
                zone = node.metadata.labels.get(ZONE_LABEL)
                if zone is not None:
                    self._meet(zone)
        else:
            kind: type[Object] = Pod if self._target == "pod" else PersistentVolumeClaim
            for obj in world.server.list(kind):
                self._meet(f"{obj.namespace}/{obj.name}")
            world.server.watch(kind, self._on_change)

    def _on_change(self, change: Change) -> None:
        if change.type == "ADDED":
            self._meet(f"{change.new.namespace}/{change.new.name}")

    def _meet(self, target: str) -> None:
        """Begin the sequence of a target; pods and claims are known by name, whichever of that name it is."""
        name = target.rpartition("/")[2]
        if target not in self._known and any(fnmatchcase(name, pattern) for pattern in self._rule.targets):
            self._known.add(target)
            self._plan(target, 0)

    def _entity(self, target: str) -> str:
        return f"failures/{self._name}/{target}"

    def _plan(self, target: str, n: int) -> None:
        clock, streams = self._world.sim.clock, self._world.sim.streams
        wait = self._rule.every.quantile(streams.uniform_at(self._entity(target), "every", n))
        clock.call_after(wait, self._strike, target, n, rank=rank("world", self._entity(target)))

    def _strike(self, target: str, n: int) -> None:
        world, rule = self._world, self._rule
        lasts = None
        if rule.lasts is not None:
            lasts = rule.lasts.quantile(world.sim.streams.uniform_at(self._entity(target), "for", n))
        for victim in (target, *self._others(target, n)):
            self._break(victim, lasts)
        if lasts is not None or not self._has_duration:
            clock = world.sim.clock
            clock.call_after(lasts or 0, self._plan, target, n + 1, rank=rank("world", self._entity(target)))

    def _others(self, target: str, n: int) -> list[str]:
        """Return the nodes that fail along with one."""
        spread, world = self._rule.spread, self._world
        node = world.server.find(Node, "", target) if spread is not None else None
        if spread is None or node is None or spread.label not in node.metadata.labels:
            return []
        value = node.metadata.labels[spread.label]
        return [
            other.name
            for other in world.server.list(Node)
            if other.name != target
            and other.name in world.machines
            and other.metadata.labels.get(spread.label) == value
            and world.sim.streams.uniform_at(f"{self._entity(target)}/{other.name}", "spread", n) < spread.probability
        ]

    def _break(self, target: str, lasts: int | None) -> None:
        arguments = dict(self._rule.arguments)
        if self._target is not None:
            arguments[self._target] = target
        if self._has_duration:
            arguments["for"] = lasts
        fault, trace = make_fault(self._rule.fault, arguments), self._world.sim.trace
        now, detail = self._world.sim.clock.now, {"target": target, "for": lasts}
        trace.fault = trace.append(now, "Fault", self._rule.fault, "Begins", detail)
        try:
            fault.begin(self._world)
        except FaultFailed as error:  # what would have failed is not there just now
            trace.append(now, "Fault", self._rule.fault, "Missed", {"target": target, "reason": str(error)})
        finally:
            trace.fault = NO_CAUSE
