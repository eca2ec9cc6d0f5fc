"""A correction of manifests: fields that are set or removed, and objects that are added or removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import yaml

from k8sim.lint.workload import Path, Ref, ref_of
from k8sim.scenario.model import Scenario


@dataclass(frozen=True)
class Edit:
    """A field gets a value; None: it is removed. A step that is the length of its list adds an item."""

    ref: Ref
    path: Path
    value: Any

    def line(self, scenario: Scenario) -> str:
        """The edit as a sweep names a field: ``StatefulSet/db spec.template...: value``."""
        manifest = next(m for m in scenario.objects if self.ref.names(m, scenario.namespace))
        text = "(remove)" if self.value is None else flow(self.value)
        return f"{self.ref.kind}/{self.ref.name} {_field(manifest, self.path)}: {text}"


@dataclass(frozen=True)
class Fix:
    """All that is to be changed."""

    edits: tuple[Edit, ...] = ()
    added: tuple[Mapping[str, Any], ...] = ()
    removed: tuple[Ref, ...] = ()

    def apply(self, scenario: Scenario) -> Scenario:
        """Return the scenario with the corrected manifests."""
        objects = []
        for manifest in scenario.objects:
            if ref_of(manifest, scenario.namespace) in self.removed:
                continue
            mine = [edit for edit in self.edits if edit.ref.names(manifest, scenario.namespace)]
            corrected = _copy(manifest) if mine else manifest
            for edit in mine:
                _set(corrected, edit.path, edit.value)
            objects.append(corrected)
        return replace(scenario, objects=(*objects, *self.added), object_sources=())

    def lines(self, scenario: Scenario) -> list[str]:
        """What it does to a scenario's manifests, a line each."""
        removed = [f"remove {ref.kind}/{ref.name}" for ref in self.removed]
        added = [f"add {flow(manifest)}" for manifest in self.added]
        return [*(edit.line(scenario) for edit in self.edits), *removed, *added]


class _Plain(yaml.SafeDumper):
    """Writes out again what comes again."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    text: str = yaml.dump(value, Dumper=_Plain, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").strip()


def _copy(value: Any) -> Any:
    """Copy a manifest; what a YAML alias repeats becomes a part of its own."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _set(place: Any, path: Path, value: Any) -> None:
    for step, following in pairwise(path):
        if isinstance(place, list) and step == len(place):
            place.append({})
        elif not isinstance(place, list) and place.get(step) is None:
            place[step] = [] if isinstance(following, int) else {}
        place = place[step]
    last = path[-1]
    if isinstance(place, list) and last == len(place):
        place.append(value)
    elif value is None:
        place.pop(last, None)
    else:
        place[last] = value


def _field(manifest: Any, path: Path) -> str:
    """Write a path; items of lists by name where they have one."""
    text, place = "", manifest
    for step in path:
        inside = isinstance(place, list) and isinstance(step, int) and step < len(place)
        place = place[step] if inside else place.get(step) if isinstance(place, Mapping) else None
        if isinstance(step, int):
            name = place.get("name") if isinstance(place, Mapping) else None
            text += f"[{name or step}]"
        else:
            text += f".{step}" if text else step
    return text
