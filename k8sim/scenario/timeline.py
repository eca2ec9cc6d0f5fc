"""The timeline: steps, checked as far as a file can be checked before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sim.api.fielderror import path_text
from k8sim.faults.catalogue import FAULTS, Argument
from k8sim.kubectl import KubectlSyntaxError, parse
from k8sim.scenario.manifests import Manifest, flatten
from k8sim.scenario.model import Step
from k8sim.scenario.part import Part, did_you_mean
from k8sim.sim.units import format_duration

MAX_STEPS: Final = 100_000
MAX_COUNT: Final = 1_000_000
_ACTIONS: Final = ("kubectl", "apply", "evict", "fault")


def applied_manifests(part: Part | None) -> list[Manifest]:
    """The manifests of all `apply` steps, in order, not checked yet."""
    if part is None:
        return []
    return [
        manifest
        for step in part.items()
        if isinstance(step.value, dict) and step.child("apply") is not None
        for manifest in _applied(step.require("apply"))
    ]


def _applied(part: Part) -> list[Manifest]:
    document = part.document.part(part.path)
    if isinstance(part.value, list):
        return [m for i in range(len(part.value)) for m in flatten(document.part((i,)))]
    return flatten(document)


def read_timeline(part: Part | None, duration_ns: int, nodes: Mapping[str, str]) -> tuple[Step, ...]:
    """The steps in file order.

    Parameters
    ----------
    nodes
        The nodes that exist at some time, and their zones ("" for none).
    """
    if part is None:
        return ()
    items = list(part.items())
    if len(items) > MAX_STEPS:
        raise part.error(f"{len(items)} steps are too many", f"at most {MAX_STEPS}")
    return tuple(_step(item, duration_ns, nodes) for item in items)


def _step(part: Part, duration_ns: int, nodes: Mapping[str, str]) -> Step:
    fields = part.mapping()
    actions = [action for action in _ACTIONS if action in fields]
    if len(actions) != 1:
        for key in fields:
            if key != "at" and key not in _ACTIONS and not actions:
                raise part.document.error(
                    (*part.path, key),
                    f"{path_text(part.path)}: unknown action {key!r}",
                    did_you_mean(key, _ACTIONS, "a step has one of"),
                )
        said = " and ".join(actions) or "nothing"
        raise part.error(f"a step does one thing, this one says {said}", f"one of: {', '.join(_ACTIONS)}")
    action = actions[0]
    at = part.require("at", "say when: at: 20s")
    at_ns = at.duration()
    if at_ns > duration_ns:
        end = format_duration(duration_ns)
        raise at.error(f"{at.value} is after the end of the scenario ({end})", "make spec.duration longer")
    if action == "fault":
        return _fault(part, at_ns, nodes)
    part.mapping(("at", action))
    body = fields[action]
    if action == "kubectl":
        return Step(at_ns, "kubectl", command=_kubectl(body), source=part.source)
    if action == "evict":
        return Step(at_ns, "evict", pod=body.word(), source=part.source)
    objects = tuple(manifest.new_object for manifest in _applied(body))
    if not objects:
        raise body.error("there is nothing to apply")
    return Step(at_ns, "apply", objects=objects, source=part.source)


def _fault(part: Part, at_ns: int, nodes: Mapping[str, str]) -> Step:
    fields = part.mapping()
    name = fields["fault"].one_of(FAULTS, "fault")
    shape = FAULTS[name]
    usage = ", ".join(key if argument.required else f"[{key}]" for key, argument in shape.arguments.items())
    for key in fields:
        if key not in ("at", "fault", *shape.arguments):
            hint = did_you_mean(key, shape.arguments, f"arguments of {name}")
            raise part.document.error(
                (*part.path, key), f"{path_text(part.path)}: fault {name} has no argument {key!r}", hint
            )
    values: dict[str, Any] = {}
    for key, argument in shape.arguments.items():
        if key in fields:
            values[key] = read_argument(fields[key], argument, nodes)
        elif argument.required:
            raise part.error(f"fault {name} needs {key}", f"arguments of {name}: {usage}")
        else:
            values[key] = None
    return Step(at_ns, "fault", name=name, arguments=values, source=part.source)


def read_argument(part: Part, argument: Argument, nodes: Mapping[str, str]) -> Any:
    """The value of an argument of a fault."""
    if argument.type == "duration":
        return part.duration()
    if argument.type == "exit code":
        return part.integer(0, 255)
    if argument.type == "count":
        return part.integer(1, MAX_COUNT)
    if argument.type == "amount":
        return part.amount()
    if argument.type == "factor":
        return part.number(0, MAX_COUNT)
    if argument.type == "node" and part.word() not in nodes:
        raise part.error(f"there is no node {part.value!r}", did_you_mean(part.value, nodes, "nodes"))
    zones = {zone for zone in nodes.values() if zone}
    if argument.type == "zone" and part.word() not in zones:
        raise part.error(f"no node is in zone {part.value!r}", did_you_mean(part.value, zones, "zones"))
    return part.word()


def _kubectl(part: Part) -> str:
    try:
        return parse(part.word()).text
    except KubectlSyntaxError as problem:
        raise part.error(f"kubectl {part.value}: {problem.problem}", problem.hint) from None
