"""``sweep:``: variants of a scenario that differ in a few fields.

    sweep:
      grid:                                          # every combination
        StatefulSet/db spec.replicas: [3, 5]
        spec.images."db:*".ready: [1s, 10s]
      zip:                                           # side by side: the first of each, the second of each, ...
        spec.cluster.kube-controller-manager.nodeMonitorGracePeriod: [50s, 20s]
        StatefulSet/db spec.template.spec.tolerations[key=node.kubernetes.io/unreachable].tolerationSeconds: [300, 30]

A field is a path into the Scenario document (``spec. ...``), or into an object: ``KIND/NAME path``, and
``KIND/NAMESPACE/NAME path`` where the name alone is not enough. ``[2]`` is an item of a list by position, ``[app]`` by
its name, ``[key=x]`` by another of its fields; a step in quotes may hold dots. A mapping without grid or zip is a grid.

Each variant is read as if its file said so, hence a wrong value is refused with the line of the sweep that holds it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from k8sim.scenario.manifests import Manifest
from k8sim.scenario.model import Scenario
from k8sim.scenario.part import Part
from k8sim.scenario.yamlsource import Document, Marks

MAX_VARIANTS: Final = 10_000
_FIELD: Final = re.compile(r"(?:(?P<kind>[A-Z]\w*)/(?:(?P<namespace>[^\s/]+)/)?(?P<name>[^\s/]+)\s+)?(?P<path>\S.*)")
_STEP: Final = re.compile(r'"(?P<quoted>[^"]+)"|\[(?P<item>[^\[\]]+)\]|(?P<word>[^.\[\]"\s]+)')
_FIXED: Final = ("sweep", "include")
_EXAMPLES: Final = 'for example spec.images."app:*".ready: [1s, 5s], or StatefulSet/web spec.replicas: [3, 5]'


@dataclass(frozen=True)
class Choice:
    """One value of one swept field, and where it stands in the file."""

    field: str
    part: Part


def read_sweep(part: Part | None) -> list[tuple[Choice, ...]]:
    """What each variant sets; one variant that sets nothing when there is no sweep."""
    if part is None:
        return [()]
    fields = part.mapping()
    if not set(fields) <= {"grid", "zip"}:
        axes = list(_grid(fields))
    else:
        axes = [*_grid(fields["grid"].mapping() if "grid" in fields else {})]
        if "zip" in fields:
            axes.append(_zip(fields["zip"]))
    _refuse_doubles(part, axes)
    variants = [
        tuple(itertools.chain(*point)) for point in itertools.islice(itertools.product(*axes), MAX_VARIANTS + 1)
    ]
    if len(variants) > MAX_VARIANTS:
        raise part.error("too many variants", f"at most {MAX_VARIANTS}")
    return variants


Axis = list[tuple[Choice, ...]]


def _grid(fields: Mapping[str, Part]) -> Iterator[Axis]:
    for field, part in fields.items():
        yield [(Choice(field, value),) for value in _values(field, part)]


def _zip(part: Part) -> Axis:
    columns = [[Choice(field, value) for value in _values(field, values)] for field, values in part.mapping().items()]
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise part.error(f"the lists are not of one length ({lengths})", "zip takes one value of each list at a time")
    return list(zip(*columns, strict=True))


def _values(field: str, part: Part) -> list[Part]:
    values = list(part.items())
    if not values:
        raise part.error("no values", _EXAMPLES)
    if steps_of(field) is None:
        raise part.error(f"{field!r} is not a field", _EXAMPLES)
    return values


def _refuse_doubles(part: Part, axes: Sequence[Axis]) -> None:
    fields = [choice.field for axis in axes for choice in axis[0]] if all(axes) else []
    for field in fields:
        if fields.count(field) > 1:
            raise part.error(f"{field!r} is swept twice", "remove one of them")


def steps_of(field: str) -> tuple[re.Match[str], list[str]] | None:
    """Split a field into the object it is of and the steps to it; None: it is no field."""
    match = _FIELD.fullmatch(field)
    if match is None:
        return None
    path, at = match["path"], 0
    steps: list[str] = []
    while at < len(path):
        if steps and path[at] == ".":
            at += 1
        step = _STEP.match(path, at)
        if step is None:
            return None
        steps.append(step["word"] or step["quoted"] or f"[{step['item']}]")
        at = step.end()
    return match, steps


def apply(choices: Sequence[Choice], root: Document, manifests: list[Manifest]) -> tuple[Document, list[Manifest]]:
    """Return the Scenario document and the manifests with the chosen values in their places."""
    manifests = list(manifests)
    for choice in choices:
        parsed = steps_of(choice.field)
        assert parsed is not None  # `read_sweep` has seen to it
        match, steps = parsed
        if match["kind"] is None:
            if steps[0] != "spec" or (len(steps) > 1 and steps[1] in _FIXED):
                raise choice.part.error(f"{choice.field!r} cannot be swept", _EXAMPLES)
            root = _with(root, steps, choice)
        else:
            index = _find(manifests, match, choice)
            manifests[index] = Manifest(_with(manifests[index].document, steps, choice))
    return root, manifests


def _find(manifests: Sequence[Manifest], match: re.Match[str], choice: Choice) -> int:
    kind, namespace, name = match["kind"], match["namespace"], match["name"]
    found = []
    for index, manifest in enumerate(manifests):
        metadata = manifest.data.get("metadata") or {}
        if manifest.data["kind"] == kind and metadata.get("name") == name:
            if namespace is None or (metadata.get("namespace") or "default") == namespace:
                found.append(index)
    if not found:
        there = sorted({f"{m.data['kind']}/{(m.data.get('metadata') or {}).get('name')}" for m in manifests})
        raise choice.part.error(
            f"{choice.field!r}: there is no {kind}/{name}", f"there are: {', '.join(there) or 'none'}"
        )
    if len(found) > 1:
        hint = f"say which: {kind}/NAMESPACE/{name}"
        raise choice.part.error(f"{choice.field!r}: several objects are called {kind}/{name}", hint)
    return found[0]


def _with(document: Document, steps: Sequence[str], choice: Choice) -> Document:
    """Return a document with one value replaced; its line is that of the value in the sweep."""
    data = deepcopy(document.data)
    place, path = data, list[str | int]()
    for step in steps[:-1]:
        key = _key(place, step, choice)
        if isinstance(place, dict) and place.get(key) is None:
            place[key] = {}
        place = place[key]
        path.append(key)
    last = _key(place, steps[-1], choice)
    place[last] = deepcopy(choice.part.value)
    marks = document.marks
    if document.file == choice.part.document.file:
        marks = _marked(marks, (*path, last), choice.part)
    return Document(document.file, document.line, data, marks)


def _key(place: Any, step: str, choice: Choice) -> Any:
    """The key or index that a step means in a mapping or list."""
    if isinstance(place, dict) and not step.startswith("["):
        return step
    if isinstance(place, list) and step.startswith("["):
        wanted = step[1:-1]
        if wanted.isdigit() and int(wanted) < len(place):
            return int(wanted)
        field, equals, value = wanted.partition("=")
        field, value = (field, value) if equals else ("name", wanted)
        for index, item in enumerate(place):
            if isinstance(item, dict) and str(item.get(field)) == value:
                return index
        raise choice.part.error(
            f"{choice.field!r}: no item {step} in the list", "by position [0], name [app] or [key=x]"
        )
    wanted = "a list, of which [0] or [name] is an item" if isinstance(place, list) else "no list and no mapping"
    raise choice.part.error(f"{choice.field!r}: what {step} should be in is {wanted}", _EXAMPLES)


def _marked(marks: Marks, path: tuple[str | int, ...], part: Part) -> Marks:
    """Marks in which everything along a path is as it was, but for its end."""
    head, rest = path[0], path[1:]
    copied = dict(marks or {})
    line = part.document.line_of(part.path)
    old = copied.get(head, (line, None))
    if rest:
        copied[head] = (old[0], _marked(old[1], rest, part))
    else:
        copied[head] = (line, part.document.part(part.path).marks)
    return copied


@dataclass(frozen=True)
class Variant:
    """One variant of a scenario.

    Parameters
    ----------
    settings
        Swept fields and their values, as the file has them.
    """

    settings: Mapping[str, Any]
    scenario: Scenario

    @property
    def label(self) -> str:
        """The settings as text; "" for a scenario that is not swept."""
        return ", ".join(f"{field}={value}" for field, value in self.settings.items())
