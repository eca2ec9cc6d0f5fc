"""``failures:``: the faults of a timeline as random processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from k8sim.api.meta import LabelSelector
from k8sim.faults.catalogue import FAULTS, FaultShape, target_of
from k8sim.faults.failures import FailureProcess, Shock, Spread
from k8sim.kubectl.selector import parse_selector
from k8sim.scenario.part import Part, did_you_mean
from k8sim.scenario.timeline import read_argument
from k8sim.sim.units import MILLISECOND

_ANY: Final = ("name", "start", "stop")
_BY_TARGET: Final[Mapping[str, tuple[str, ...]]] = {
    "node": ("selector", "shock", "spread"),
    "pod": ("selector", "shock"),
    "claim": ("selector", "shock"),
    "zone": ("shock",),
}
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
    fields = part.mapping(("fault", "every", *shape.arguments, *_ANY, *_BY_TARGET.get(target or "", ())))
    often = part.require("every", "say how often each fails: every: {exponential: {mean: 30d}}")
    every = often.distribution(folder)
    if every.quantile(0.5) < MILLISECOND:
        raise often.error(f"{often.value!r} is too often", "half of the times are less than 1ms")
    if target in ("node", "zone") and target in fields:
        refuse_unmatched(fields[target], target, nodes if target == "node" else _zones(nodes))
    if "shock" in fields and "spread" in fields:
        raise fields["spread"].error("a shock does not spread", "leave out one of shock and spread")
    start, stop = (fields[key].duration() if key in fields else None for key in ("start", "stop"))
    if start is not None and stop is not None and stop < start:
        raise fields["stop"].error("stop is before start")
    return FailureProcess(
        fault=name,
        every=every,
        lasts=fields["for"].distribution(folder) if "for" in fields else None,
        targets=read_patterns(fields[target]) if target is not None and target in fields else ("*",),
        arguments=_arguments(part, fields, shape, target),
        spread=_spread(fields["spread"]) if "spread" in fields else None,
        selector=read_selector(fields["selector"]) if "selector" in fields else None,
        shock=_shock(fields["shock"]) if "shock" in fields else None,
        start_ns=start or 0,
        stop_ns=stop,
        name=fields["name"].word() if "name" in fields else "",
    )


def refuse_unmatched(part: Part, what: str, known: Collection[str]) -> None:
    """Raise for a pattern that matches nothing."""
    for pattern in read_patterns(part):
        if not any(fnmatchcase(word, pattern) for word in known):
            raise part.error(f"no {what} matches {pattern!r}", did_you_mean(pattern, known, f"{what}s"))


def _zones(nodes: Mapping[str, str]) -> list[str]:
    return sorted({zone for zone in nodes.values() if zone})


def read_patterns(part: Part) -> tuple[str, ...]:
    """A pattern, or a list of them."""
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


def read_selector(part: Part) -> LabelSelector:
    """A selector as kubectl takes it."""
    try:
        return parse_selector(part.word())
    except ValueError as problem:
        raise part.error(str(problem), 'as kubectl takes it: selector: "app=db,tier in (a, b)"') from None


def _spread(part: Part) -> Spread:
    part.mapping(("label", "probability"))
    label = part.require("label", "which nodes are near: label: topology.kubernetes.io/zone").word()
    return Spread(label, _probability(part, "how likely each of them fails, too: probability: 0.1"))


def _shock(part: Part) -> Shock:
    fields = part.mapping(("probability", "per"))
    probability = _probability(part, "how likely each is hit: probability: 0.1")
    return Shock(probability, fields["per"].word() if "per" in fields else "")


def _probability(part: Part, hint: str) -> float:
    probability = part.require("probability", hint)
    value = probability.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise probability.error(f"{value!r} is not a probability", "a number from 0 to 1")
    return float(value)
