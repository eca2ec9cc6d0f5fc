"""The Scenario document, but for its timeline and its includes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from k8sim.api.feature_gates import FEATURE_GATES
from k8sim.api.fielderror import FieldError
from k8sim.api.quantity import parse_quantity
from k8sim.api.validation import validate_node_group
from k8sim.kubelet.allocatable import RESERVABLE, node_allocatable
from k8sim.machines.image import ImageBehaviour
from k8sim.scenario.model import DEFAULT_CAPACITY, NodeGroup, NotSimulated
from k8sim.scenario.objectives import Objective, parse_objective
from k8sim.scenario.part import Part, did_you_mean
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.latencies import LATENCIES
from k8sim.sim.units import DAY, parse_duration

MAX_NODES: Final = 20_000
MAX_DURATION: Final = 36_500 * DAY
MAX_REPLICATES: Final = 10_000_000
MAX_SEED: Final = 2**63 - 1

SPEC_KEYS: Final = (
    "description", "duration", "seed", "replicates", "namespace", "include", "nodes", "featureGates",
    "images", "timeline", "cluster", "latencies", "failures", "applications", "traffic", "objectives",
    "sweep", "nodeUpgrades", "operators",
)  # fmt: skip
_ZERO: Final = Constant(0)


def read_nodes(part: Part | None, eviction_hard_bytes: int) -> tuple[NodeGroup, ...]:
    """The node groups; of those that say what is ``reserved`` the kubelet's threshold takes something, too.

    Raises
    ------
    ScenarioError
        Two nodes of one name, or more than 20 000.
    """
    groups: list[NodeGroup] = []
    total = 0
    for item in part.items() if part else ():
        group = _node_group(item, eviction_hard_bytes)
        total += group.count
        if total > MAX_NODES:
            raise item.error(f"{total} nodes are too many", f"at most {MAX_NODES} nodes can be simulated")
        for earlier in groups:
            if earlier.name == group.name:
                raise item.require("name").error(f"a second group called {group.name!r}", "rename one")
        groups.append(group)
    return tuple(groups)


def _node_group(part: Part, eviction_hard_bytes: int) -> NodeGroup:
    fields = part.mapping(("name", "count", "capacity", "reserved", "labels", "zones", "taints", "staticPods"))
    name = part.require("name", "write for example {name: node, count: 3}").word()
    capacity = {**DEFAULT_CAPACITY, **_amounts(fields.get("capacity"))}
    allocatable = None
    if "reserved" in fields:
        reserved = _amounts(fields["reserved"], RESERVABLE)
        allocatable = node_allocatable(capacity, reserved, eviction_hard_bytes)
    labels = {k: v.text() for k, v in fields["labels"].mapping().items()} if "labels" in fields else {}
    zones = tuple(zone.word() for zone in fields["zones"].items()) if "zones" in fields else ()
    taints = tuple(_taint(taint) for taint in fields["taints"].items()) if "taints" in fields else ()
    count = fields["count"].integer(0, 10**18) if "count" in fields else 1
    group = NodeGroup(name, count, capacity, labels, zones, taints, allocatable=allocatable)
    for problem in validate_node_group(name, labels, zones, taints):
        raise _at(part, problem)
    return group


def _amounts(part: Part | None, known: Sequence[str] | None = None) -> dict[str, str]:
    if part is None:
        return {}
    return {resource: _quantity(amount) for resource, amount in part.mapping(known).items()}


def _at(part: Part, problem: FieldError) -> Exception:
    path = (*part.path, *problem.path, *(() if problem.key is None else (problem.key,)))
    inner = FieldError((*part.path, *problem.path), problem.reason, problem.detail, problem.value)
    return part.document.error(path, inner.message, problem.hint)


def _quantity(part: Part) -> str:
    if isinstance(part.value, bool) or not isinstance(part.value, str | int | float):
        part.text()
    try:
        amount = parse_quantity(part.value)
    except ValueError as problem:
        raise part.error(f"{part.value!r}: {problem}", 'write for example "4", 500m or 16Gi') from None
    if amount < 0:
        raise part.error(f"{part.value!r} must not be negative")
    return str(part.value)


def _taint(part: Part) -> dict[str, Any]:
    fields = part.mapping(("key", "value", "effect", "timeAdded"))
    part.require("key")
    part.require("effect")
    return {key: field.text() for key, field in fields.items()}


def read_feature_gates(part: Part | None) -> tuple[dict[str, bool], list[NotSimulated]]:
    """The gates as set, and which of them the simulator keeps at their default all the same."""
    gates: dict[str, bool] = {}
    ignored: list[NotSimulated] = []
    if part is None:
        return gates, ignored
    if isinstance(part.value, str):
        settings = [(part, *_gate_setting(part, text)) for text in part.value.split(",") if text.strip()]
    else:
        settings = [(item, name, item.flag()) for name, item in part.mapping().items()]
    for place, name, state in settings:
        gate = FEATURE_GATES.get(name)
        if gate is None:
            hint = did_you_mean(name, FEATURE_GATES, "known gates")
            raise place.error(f"unknown feature gate {name!r}", hint)
        if gate.locked and state != gate.default:
            default = str(gate.default).lower()
            raise place.error(f"cannot set feature gate {name} to {str(state).lower()}, feature is locked to {default}")
        if state != gate.default and not gate.honoured:
            what = f"feature gate {name}={str(state).lower()}"
            ignored.append(NotSimulated(what, "only the default is simulated", place.source))
        gates[name] = state
    return gates, ignored


def _gate_setting(part: Part, text: str) -> tuple[str, bool]:
    name, equals, value = text.strip().partition("=")
    if not equals or value.strip().lower() not in ("true", "false"):
        raise part.error(f"{text.strip()!r} is not a setting", "write A=true,B=false, or a mapping")
    return name.strip(), value.strip().lower() == "true"


def read_images(part: Part | None, folder: Path) -> tuple[ImageBehaviour, ...]:
    """How the software in images behaves; the first pattern that matches counts."""
    return tuple(_image(pattern, item, folder) for pattern, item in part.mapping().items()) if part else ()


_IMAGE_KEYS = (
    "pull", "missing", "moves", "start", "started", "ready", "alive", "hang", "answer", "exit", "stop", "hooks",
)  # fmt: skip


def _image(pattern: str, part: Part, folder: Path) -> ImageBehaviour:
    fields = part.mapping(_IMAGE_KEYS)

    def time(key: str) -> Distribution:
        return fields[key].distribution(folder) if key in fields else _ZERO

    def time_or_never(key: str) -> Distribution | None:
        return fields[key].distribution_or_never(folder) if key in fields else _ZERO

    exit_after, exit_code, exit_reason = _exit(fields["exit"], folder) if "exit" in fields else (None, 0, "")
    return ImageBehaviour(
        pattern=pattern,
        pull=time("pull"),
        missing=fields["missing"].flag() if "missing" in fields else False,
        start=time("start"),
        started=time_or_never("started"),
        ready=time_or_never("ready"),
        alive=time_or_never("alive"),
        hang=fields["hang"].distribution_or_never(folder) if "hang" in fields else None,
        answer=time_or_never("answer"),
        exit_after=exit_after,
        exit_code=exit_code,
        exit_reason=exit_reason,
        stop=time_or_never("stop"),
        hooks=_hooks(fields["hooks"], folder) if "hooks" in fields else {},
        moves=_moves(fields["moves"]) if "moves" in fields else (),
    )


def _exit(part: Part, folder: Path) -> tuple[Distribution, int, str]:
    fields = part.mapping(("after", "code", "reason"))
    after = part.require("after", "write for example exit: {after: 20s, code: 1}").distribution(folder)
    reason = fields["reason"].one_of(("OOMKilled",), "reason") if "reason" in fields else ""
    usual = 137 if reason else 0
    return after, fields["code"].integer(0, 255) if "code" in fields else usual, reason


def _moves(part: Part) -> tuple[tuple[int, str], ...]:
    moves = []
    for moment, image in part.mapping().items():
        try:
            moves.append((parse_duration(moment), image.text()))
        except ValueError:
            raise image.error(f"{moment!r} is not a time", "write for example moves: {10m: app:v2}") from None
    return tuple(sorted(moves))


def _hooks(part: Part, folder: Path) -> dict[str, Distribution]:
    return {name: hook.distribution(folder) for name, hook in part.mapping(("postStart", "preStop")).items()}


def read_latencies(part: Part | None, folder: Path) -> dict[str, Distribution]:
    """The named delays that are set."""
    if part is None:
        return {}
    return {name: item.distribution(folder) for name, item in part.mapping(LATENCIES).items()}


def read_objectives(part: Part | None) -> tuple[Objective, ...]:
    """What the scenario promises, a list of texts."""
    return tuple(_objective(item) for item in part.items()) if part else ()


def _objective(part: Part) -> Objective:
    try:
        objective = parse_objective(part.text())
        return replace(objective, file=part.source.file, line=part.source.line)
    except ValueError as problem:
        raise part.error(str(problem)) from None
