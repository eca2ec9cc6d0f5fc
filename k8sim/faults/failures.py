"""Faults at random: each target has its own sequence of times between failures and of durations.

A target fails, is mended after its duration, and the time to its next failure counts from then. A rule with a *shock*
has one sequence for all its targets (or one for each group): a shared cause, that hits each of them with a probability.
All numbers are addressed by the rule, the target and how often it has happened, so that another target changes none of
them; and each sequence is one timer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from k8sim.api.core import Node, PersistentVolumeClaim, Pod
from k8sim.api.meta import LabelSelector, Object, controller_of
from k8sim.api.selectors import selector_matches
from k8sim.faults.catalogue import FAULTS, make_fault, target_of
from k8sim.faults.fault import FaultFailed, World
from k8sim.faults.nodes import ZONE_LABEL
from k8sim.sim.distributions import Distribution
from k8sim.sim.ranks import rank
from k8sim.sim.trace import NO_CAUSE

if TYPE_CHECKING:
    from k8sim.apiserver.watch import Change
    from k8sim.machines.machine import Machine

_RANDOM_NAMES = ("ReplicaSet", "DaemonSet", "Job")

EVERYTHING = ""
"""The group of all targets."""


@dataclass(frozen=True)
class Spread:
    """How a failure of a node takes others along: those with the same value of a label, each with a probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Shock:
    """A shared cause: it hits each target with a probability. With a label there is one for each of its values."""

    probability: float
    per: str = ""


@dataclass(frozen=True)
class FailureProcess:
    """A rule of ``failures:``: a fault that strikes each of its targets again and again.

    Parameters
    ----------
    fault
        Its name.
    every
        From the beginning, or the end of the last failure, to the next one of the same target; with a shock from one
        shock to the next.
    lasts
        How long a failure lasts; None: for ever, unless the fault ends by itself or has no duration.
    targets
        Patterns (fnmatch) of the names of what fails; a fault of the whole cluster has none.
    arguments
        The fault's other arguments.
    spread
        Who fails with a node.
    selector
        Of the labels of what fails (nodes, pods, claims), as they are when it first appears.
    shock
        All targets have one cause in common.
    start_ns, stop_ns
        Failures begin between these times only.
    name
        Names the rule's streams; by default the fault's name, with a number from the second rule on.
    """

    fault: str
    every: Distribution
    lasts: Distribution | None = None
    targets: tuple[str, ...] = ("*",)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    spread: Spread | None = None
    selector: LabelSelector | None = None
    shock: Shock | None = None
    start_ns: int = 0
    stop_ns: int | None = None
    name: str = ""


def _gone_for_good(obj: Object) -> bool:
    """Tell whether nothing of an object's name will come again: its controller draws names at random."""
    owner = controller_of(obj)
    return owner is not None and owner.kind in _RANDOM_NAMES


def start_failures(world: World, rules: tuple[FailureProcess, ...]) -> None:
    """Let all rules act from now on."""
    seen: dict[str, int] = {}
    for rule in rules:
        seen[rule.fault] = seen.get(rule.fault, 0) + 1
        numbered = rule.fault if seen[rule.fault] == 1 else f"{rule.fault} #{seen[rule.fault]}"
        _Striker(world, rule, rule.name or numbered).start()


class _Striker:
    """One rule at work. A source is what has a sequence of its own: a target, or a shock's group of targets."""

    def __init__(self, world: World, rule: FailureProcess, name: str) -> None:
        self._world = world
        self._rule = rule
        self._name = name
        self._target = target_of(FAULTS[rule.fault].fault)
        shape = FAULTS[rule.fault]
        self._ends = rule.lasts is not None or shape.fault.transient or "for" not in shape.arguments
        self._sources: dict[str, dict[str, None]] = {}

    # ---- who can fail -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin the sequences of all targets that there are, and of those that come."""
        world = self._world
        if self._target is None:
            self._meet("cluster", {})
        elif self._target in ("node", "zone"):
            world.machines.meet(self._meet_machine)
        else:
            kind: type[Object] = Pod if self._target == "pod" else PersistentVolumeClaim
            for obj in world.server.list(kind):
                self._meet(f"{obj.namespace}/{obj.name}", obj.metadata.labels)
            world.server.watch(kind, self._on_change)

    def _on_change(self, change: Change) -> None:
        target = f"{change.new.namespace}/{change.new.name}"
        if change.type == "ADDED":
            self._meet(target, change.new.metadata.labels)
        elif change.type == "DELETED" and _gone_for_good(change.new):
            for targets in self._sources.values():
                targets.pop(target, None)

    def _meet_machine(self, name: str, machine: Machine) -> None:
        node = self._world.server.find(Node, "", name)
        labels = node.metadata.labels if node is not None else {}
        if self._target == "node":
            self._meet(name, labels)
        elif ZONE_LABEL in labels:
            self._meet(labels[ZONE_LABEL], {})

    def _meet(self, target: str, labels: Mapping[str, str]) -> None:
        """Take in a target; pods and claims are known by name, whichever of that name it is."""
        rule, name = self._rule, target.rpartition("/")[2]
        if not any(fnmatchcase(name, pattern) for pattern in rule.targets):
            return
        if rule.selector is not None and not selector_matches(rule.selector, labels):
            return
        source = target
        if rule.shock is not None:
            source = labels.get(rule.shock.per, "") if rule.shock.per else EVERYTHING
        if source not in self._sources:
            self._sources[source] = {}
            self._plan(source, 0, max(0, rule.start_ns - self._world.sim.clock.now))
        self._sources[source][target] = None

    # ---- when ---------------------------------------------------------------------------------------------------

    def _entity(self, source: str) -> str:
        return f"failures/{self._name}/{source}"

    def _draw(self, entity: str, purpose: str, n: int) -> float:
        return self._world.sim.streams.uniform_at(entity, purpose, n)

    def _plan(self, source: str, n: int, after_ns: int = 0) -> None:
        clock, entity = self._world.sim.clock, self._entity(source)
        when = clock.now + after_ns + self._rule.every.quantile(self._draw(entity, "every", n))
        if self._rule.stop_ns is None or when <= self._rule.stop_ns:
            clock.call_at(when, self._strike, source, n, rank=rank("world", entity))

    def _strike(self, source: str, n: int) -> None:
        if self._rule.shock is not None:
            self._shock(source, n, self._rule.shock)
            return
        if not self._sources[source]:
            return
        lasts = self._duration(source, n)
        for victim in (source, *self._others(source, n)):
            self._break(victim, lasts, self._begin_row(victim, lasts))
        if self._ends:
            self._plan(source, n + 1, lasts or 0)

    def _shock(self, source: str, n: int, shock: Shock) -> None:
        """Let a shared cause hit who it hits. Each has its own duration; the next shock does not wait for them."""
        trace, now = self._world.sim.trace, self._world.sim.clock.now
        entity = self._entity(source)
        hit = [t for t in self._sources[source] if self._draw(f"{entity}/{t}", "hit", n) < shock.probability]
        row = trace.append(now, "Fault", self._rule.fault, "Shock", {"source": self._name, "group": source, "hit": hit})
        for victim in hit:
            lasts = self._duration(f"{source}/{victim}", n)
            self._break(victim, lasts, self._begin_row(victim, lasts, row))
        self._plan(source, n + 1)

    def _duration(self, source: str, n: int) -> int | None:
        lasts = self._rule.lasts
        return None if lasts is None else lasts.quantile(self._draw(self._entity(source), "for", n))

    # ---- what ---------------------------------------------------------------------------------------------------

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
            and self._draw(f"{self._entity(target)}/{other.name}", "spread", n) < spread.probability
        ]

    def _begin_row(self, target: str, lasts: int | None, cause: int = NO_CAUSE) -> int:
        trace, detail = self._world.sim.trace, {"target": target, "for": lasts}
        return trace.append(self._world.sim.clock.now, "Fault", self._rule.fault, "Begins", detail, cause)

    def _break(self, target: str, lasts: int | None, row: int) -> None:
        arguments = dict(self._rule.arguments)
        if self._target is not None:
            arguments[self._target] = target
        if lasts is not None:
            arguments["for"] = lasts
        fault, trace = make_fault(self._rule.fault, arguments), self._world.sim.trace
        trace.fault = row
        try:
            fault.begin(self._world)
        except FaultFailed as error:  # what would have failed is not there just now
            detail = {"target": target, "reason": str(error)}
            trace.append(self._world.sim.clock.now, "Fault", self._rule.fault, "Missed", detail)
        finally:
            trace.fault = NO_CAUSE
