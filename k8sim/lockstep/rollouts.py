"""Planned rollouts: steps of a timeline that give a StatefulSet a new revision, as a campaign has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

from k8sim.api.apps import StatefulSet
from k8sim.kubectl.command import Command, ImageChange, Target
from k8sim.kubectl.grammar import SetImageOptions
from k8sim.kubectl.parser import parse
from k8sim.lockstep.setshape import Notes
from k8sim.machines.image import ImageBehaviour, Images
from k8sim.scenario.model import Scenario, Step
from k8sim.sim.units import SECOND

_LOOKS_ONLY: Final = frozenset({"get", "rollout history", "rollout status", "wait"})


def planned_rollouts(scenario: Scenario, the_set: StatefulSet, notes: Notes) -> tuple[int, ...]:
    """Return when the set gets a new revision: by `kubectl set image` or `kubectl rollout restart`.

    An image that is there already starts no rollout; one that behaves otherwise is outside, for a campaign has one
    law for every start. Other steps are outside, unless they only look.
    """
    others = list[Step]()
    planned = list[int]()
    image = the_set.spec.template.spec.containers[0].image
    for step in sorted(scenario.timeline, key=lambda step: step.at_ns):
        command = parse(step.command) if step.action == "kubectl" else None
        if command is not None and command.verb in _LOOKS_ONLY:
            continue
        if command is None or not _is_about(command, the_set, scenario.namespace):
            others.append(step)
        elif command.verb == "rollout restart":
            planned.append(step.at_ns)
        elif (new := _image(command, the_set, image)) is None:
            others.append(step)
        elif new != image:
            alike = _behaviour(scenario, new) == _behaviour(scenario, image)
            notes.unless(alike, f"timeline: an image that behaves otherwise, {new} ({step.source})")
            planned.append(step.at_ns)
            image = new
    where = f", the first at {others[0].source}" if others else ""
    notes.unless(not others, f"timeline: {len(others)} steps{where}")
    if planned:
        notes.outside += _unusual(the_set, planned)
        notes.simplified.append("timeline: each rollout replaces all pods, also one that takes back what has not ended")
        if the_set.spec.pod_management_policy == "Parallel":
            notes.simplified.append(
                "timeline: a rollout waits until all pods serve, also with podManagementPolicy Parallel"
            )
    return tuple(planned)


def _is_about(command: Command, the_set: StatefulSet, namespace: str) -> bool:
    """Whether a command changes the template of that set, and of nothing else."""
    there = command.options.namespace or namespace
    target = Target("StatefulSet", the_set.name)
    return (
        command.verb in ("set image", "rollout restart")
        and command.targets == (target,)
        and there == (the_set.namespace or namespace)
    )


def _image(command: Command, the_set: StatefulSet, image: str) -> str | None:
    """Return the image of the set's container afterwards; None: kubectl finds no such container."""
    assert isinstance(command.options, SetImageOptions)
    container = the_set.spec.template.spec.containers[0].name
    changes: tuple[ImageChange, ...] = command.arguments
    for change in changes:
        if change.container not in ("*", container):
            return None
        image = change.image
    return image


def _behaviour(scenario: Scenario, image: str) -> ImageBehaviour:
    return replace(Images(scenario.images).of(image), pattern="")


def _unusual(the_set: StatefulSet, planned: list[int]) -> Iterator[str]:
    strategy = the_set.spec.update_strategy
    if strategy.type not in ("", "RollingUpdate"):
        yield f"updateStrategy: {strategy.type}"
    if strategy.rolling_update is not None and strategy.rolling_update.partition:
        yield "updateStrategy: a partition"
    if any(later - earlier < SECOND for earlier, later in pairwise(planned)):
        yield "timeline: two rollouts within a second"
