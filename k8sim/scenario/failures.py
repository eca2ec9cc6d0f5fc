"""``failures:``: the faults of a timeline as random processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from k8sim.faults.catalogue import FAULTS, FaultShape, target_of
from k8sim.faults.random import FailureProcess, Spread
from k8sim.scenario.part import Part, did_you_mean
from k8sim.scenario.timeline import read_argument
from k8sim.sim.units import MILLISECOND

_EXAMPLE: Final = "{fault: node-crash, node: 'db-*', every: {exponential: {mean: 30d}}, for: 10m}"


def read_failures(part: Part | None, folder: Path, nodes: Mapping[str, str]) -> tuple[FailureProcess, ...]:
    """The rules in file order.

    Parameters
    ----------
    nodes
        Names of the nodes that exist at some time, and their zones.
    """
    return tuple(_rule(item, folder, nodes) for item in part.items()) if part else ()


def _rule(part: Part, folder: Path, nodes: Mapping[str, str]) -> FailureProcess:
    name = part.require("fault", f"write for example {_EXAMPLE}").one_of(FAULTS, "fault")
    shape = FAULTS[name]
    target = target_of(shape.fault)
    spread = ("spread",) if target == "node" else ()
    fields = part.mapping(("fault", "every", *shape.arguments, *spread))
    often = part.require("every", "say how often each fails: every: {exponential: {mean: 30d}}")
    every = often.distribution(folder)
    if every.quantile(0.5) < MILLISECOND:
        raise often.error(f"{often.value!r} is too often", "half of the times are less than 1ms")
    if target in ("node", "zone") and target in fields:
        _refuse_unmatched(fields[target], target, nodes if target == "node" else _zones(nodes))
    return FailureProcess(
        fault=name,
        every=every,
        lasts=fields["for"].distribution(folder) if "for" in fields else None,
        targets=_patterns(fields[target]) if target is not None and target in fields else ("*",),
        arguments=_arguments(part, fields, shape, target),
        spread=_spread(fields["spread"]) if "spread" in fields else None,
    )


def _refuse_unmatched(part: Part, what: str, known: Collection[str]) -> None:
    for pattern in _patterns(part):
        if not any(fnmatchcase(word, pattern) for word in known):
            raise part.error(f"no {what} matches {pattern!r}", did_you_mean(pattern, known, f"{what}s"))


def _zones(nodes: Mapping[str, str]) -> list[str]:
    return sorted({zone for zone in nodes.values() if zone})


def _patterns(part: Part) -> tuple[str, ...]:
    if isinstance(part.value, list):
        return tuple(item.word() for item in part.items())
    return (part.word(),)


def _arguments(part: Part, fields: dict[str, Part], shape: FaultShape, target: str | None) -> dict[str, Any]:
    """The arguments that are the same each time."""
    values: dict[str, Any] = {}
    for key, argument in shape.arguments.items():
        if key in (target, "for"):
            continue
        if key in fields:
            values[key] = read_argument(fields[key], argument, {})
        elif argument.required:
            raise part.error(f"fault {shape.fault.name} needs {key}", argument.meaning)
    return values


def _spread(part: Part) -> Spread:
    part.mapping(("label", "probability"))
    label = part.require("label", "which nodes are near: label: topology.kubernetes.io/zone").word()
    probability = part.require("probability", "how likely each of them fails, too: probability: 0.1")
    value = probability.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise probability.error(f"{value!r} is not a probability", "a number from 0 to 1")
    return Spread(label, float(value))
