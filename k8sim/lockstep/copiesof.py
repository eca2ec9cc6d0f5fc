"""From a scenario to a `CopyGroup`, for the probability that all copies of data are lost; or what stands in the way.

The copies are those of the scenario's one application. They die by the rule ``disk-loss`` of ``failures:`` and are made
anew in the application's ``copyTime`` (or dataset over bandwidth), ``parallelCopies`` at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from k8sim.lockstep.copies import CopyGroup
from k8sim.lockstep.hazards import hazard
from k8sim.lockstep.setshape import NOTHING, Notes
from k8sim.lockstep.subset import copy_law
from k8sim.scenario.model import Scenario
from k8sim.workload.model import Application

_NO_COPY_DIES: Final = frozenset({
    "node-crash", "node-partition", "kubelet-restart", "node-slow", "container-exit", "unready", "hang", "oom-kill",
    "zone-outage", "zone-partition", "disk-slow", "storage-outage", "registry-outage", "apiserver-outage",
    "controller-manager-restart",
})  # fmt: skip
"""Faults after which everything that was on a disk is still there."""


@dataclass(frozen=True)
class GroupTranslation:
    """What a scenario is as a group of copies: of which application, why there is none, what is coarser."""

    group: CopyGroup | None
    application: Application | None = None
    outside: tuple[str, ...] = ()
    simplified: tuple[str, ...] = ()


def copy_group_of(scenario: Scenario) -> GroupTranslation:
    """Translate a scenario."""
    notes = Notes([], [])
    if len(scenario.applications) != 1:
        return GroupTranslation(None, outside=(f"{len(scenario.applications)} applications: copies are those of one",))
    application = scenario.applications[0]
    copies = application.copies or len(application.members)
    notes.unless(application.kind == "StatefulSet", "an application of a Deployment has one copy")
    notes.unless(application.shards == 1, f"applications: {application.name} has shards")
    notes.unless(copies > 1, "one copy: its loss is no rare event")
    steps = scenario.timeline
    notes.unless(not steps, f"timeline: {len(steps)} steps" + (f", the first at {steps[0].source}" if steps else ""))
    rebuild = copy_law(application)
    notes.unless(rebuild != NOTHING, f"applications: {application.name} copies in no time: set copyTime")
    _check_failures(scenario, application, notes)
    lives = [rule.every for rule in scenario.failures if rule.fault == "disk-loss"]
    for life in lives:
        try:
            hazard(life)
        except ValueError as problem:
            notes.outside.append(f"failures: disk-loss: {problem}")
    if application.backup is not None:
        notes.simplified.append("a backup prevents no loss: it is restored after one")
    if notes.outside:
        return GroupTranslation(None, application, tuple(notes.outside), tuple(notes.simplified))
    group = CopyGroup(copies, copies - 1, lives[0], rebuild, application.rules.parallel_copies or None)
    notes.simplified.append("a new disk is there at once, and its copy begins at once")
    return GroupTranslation(group, application, (), tuple(notes.simplified))


def _check_failures(scenario: Scenario, application: Application, notes: Notes) -> None:
    rules = [rule for rule in scenario.failures if rule.fault == "disk-loss"]
    notes.unless(len(rules) == 1, f"failures: {len(rules)} rules for disk-loss: copies die by exactly one")
    for rule in rules:
        claims = [f"{application.volume or '*'}-{member}" for member in application.members]
        reached = all(any(_may_match(claim, pattern) for pattern in rule.targets) for claim in claims)
        notes.unless(reached and rule.selector is None, "failures: disk-loss of some copies only")
        notes.unless(rule.shock is None, "failures: disk-loss with a cause in common: copies are independent here")
        notes.unless(rule.start_ns == 0 and rule.stop_ns is None, "failures: disk-loss with start or stop")
    for rule in scenario.failures:
        if rule.fault in _NO_COPY_DIES:
            notes.simplified.append(f"failures: {rule.fault} takes no copy, and holds none up")
        elif rule.fault != "disk-loss":
            notes.outside.append(f"failures: {rule.fault} may take disks along")


def _may_match(claim: str, pattern: str) -> bool:
    """Whether a pattern matches a claim; a leading * in the claim's name stands for whatever its volume is called."""
    if not claim.startswith("*"):
        return fnmatchcase(claim, pattern)
    return pattern == "*" or fnmatchcase(claim[1:], f"*{pattern.partition('-')[2] or pattern}")
