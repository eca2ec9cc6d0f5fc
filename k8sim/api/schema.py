"""Field names and types of the built-in kinds: can the API server decode this manifest at all.

What decoding refuses is refused here (strict field validation, kubectl's default); what validation refuses
is in `k8sim.api.validation`. The table of fields is data, made by tools/generate_kubernetes_fields.py.
"""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from k8sim.api.fielderror import FieldError, FieldPath, invalid, path_text, required
from k8sim.api.quantity import parse_quantity

#: apiVersions of which nothing is served any more, and where their kinds went.
_MOVED: Final[Mapping[str, Mapping[str, str]]] = {
    "extensions/v1beta1": {
        "Deployment": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1",
        "Ingress": "networking.k8s.io/v1", "NetworkPolicy": "networking.k8s.io/v1",
    },
    "apps/v1alpha1": {"PetSet": "apps/v1 (as StatefulSet)"},
    "batch/v2alpha1": {"CronJob": "batch/v1"},
}  # fmt: skip
_REMOVED_KINDS: Final = {
    "PodSecurityPolicy": "remove it: Pod Security Admission (labels on the Namespace) took its place in 1.25",
    "PodPreset": "remove it: it is gone since Kubernetes 1.20",
}
#: The server fills these in, though the OpenAPI document says required.
_DEFAULTED: Final = {
    ("V1RoleRef", "apiGroup"), ("V1EndpointSlice", "endpoints"), ("V1LimitRangeItem", "type"),
    ("V1StatefulSetSpec", "serviceName"),
}  # fmt: skip


@dataclass(frozen=True)
class BuiltInKind:
    """A kind that the API server itself serves."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    model: str

    @property
    def resource(self) -> str:
        """Kind and group as error messages name it: ``StatefulSet.apps``."""
        group = self.api_version.rpartition("/")[0]
        return f"{self.kind}.{group}" if group else self.kind


class NotServedError(Exception):
    """The API server knows no such kind."""

    def __init__(self, problem: str, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class _Model(NamedTuple):
    fields: dict[str, str]
    required: list[str]


class _Table(NamedTuple):
    kinds: dict[tuple[str, str], BuiltInKind]
    models: dict[str, _Model]


@cache
def _table() -> _Table:
    raw = json.loads(gzip.decompress(files("k8sim.api").joinpath("kubernetes_fields.json.gz").read_bytes()))
    kinds = {}
    for name, entry in raw["kinds"].items():
        api_version, _, kind = name.rpartition("/")
        kinds[api_version, kind] = BuiltInKind(api_version, kind, entry["plural"], entry["namespaced"], entry["type"])
    models = {name: _Model(entry["fields"], entry.get("required", [])) for name, entry in raw["types"].items()}
    return _Table(kinds, models)


def built_in_kind(api_version: str, kind: str) -> BuiltInKind | None:
    """Find a built-in kind; None for the kind of a custom resource.

    Raises
    ------
    NotServedError
        The group is the API server's own, and it does not serve this version or kind (any more).
    """
    kinds = _table().kinds
    if (found := kinds.get((api_version, kind))) is not None:
        return found
    group = api_version.rpartition("/")[0]
    own_groups = {version.rpartition("/")[0] for version, _ in kinds}
    moved = _MOVED.get(api_version, {}).get(kind)
    if moved is not None:
        raise NotServedError(f"{api_version} {kind} is no longer served by Kubernetes", f"use apiVersion: {moved}")
    if kind in _REMOVED_KINDS and (group in own_groups or api_version in _MOVED):
        raise NotServedError(f"{api_version} {kind} is no longer served by Kubernetes", _REMOVED_KINDS[kind])
    if group not in own_groups and api_version not in _MOVED and "." in group:
        return None
    versions = sorted({version for version, name in kinds if name == kind}, key=_stability)
    same_group = [version for version in versions if version.rpartition("/")[0] == group]
    if same_group:
        raise NotServedError(
            f"{api_version} {kind} is not served by Kubernetes (any more)", f"use apiVersion: {same_group[0]}"
        )
    problem = f'no matches for kind "{kind}" in version "{api_version}"'
    if versions:
        raise NotServedError(problem, f"{kind} is in apiVersion: {versions[0]}")
    similar = get_close_matches(kind, sorted({name for _, name in kinds}), 1)
    if similar:
        raise NotServedError(problem, f"did you mean {similar[0]}?")
    raise NotServedError(problem)


def _stability(api_version: str) -> tuple[bool, bool, list[int]]:
    """Stable versions first, then the newest."""
    numbers = [-int(number) for number in re.findall("[0-9]+", api_version.rpartition("/")[2])]
    return "alpha" in api_version, "beta" in api_version, numbers


def check(manifest: Mapping[str, Any], kind: BuiltInKind, known: Mapping[str, Any] | None = None) -> list[FieldError]:
    """Fields that do not exist, have the wrong type, or are missing.

    What a manifest shares with a ``known`` one, as the same object at the same place, is not looked at.

    Source: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json (strict decoding); OpenAPI `required`.
    """
    errors: list[FieldError] = []
    _Checker(kind, errors).value(kind.model, manifest, (), known)
    return errors


class _Checker:
    def __init__(self, kind: BuiltInKind, errors: list[FieldError]) -> None:
        self._kind = kind
        self._errors = errors
        self._models = _table().models

    def value(self, type_: str, value: Any, path: FieldPath, known: Any) -> None:
        """Check a value against a type of the data file. Null is the same as absent."""
        if value is None or value is known or type_ == "o":
            return None
        if type_[0] == "[":
            if not isinstance(value, list | tuple):
                return self._wrong_type(path, "a list", value)
            known_items = known if isinstance(known, list | tuple) else ()
            for i, (item, known_item) in enumerate(zip_longest(value, known_items[: len(value)])):
                if item is None and type_[1:] != "o":
                    self._wrong_type((*path, i), "an item", item)
                self.value(type_[1:], item, (*path, i), known_item)
        elif type_[0] == "{":
            if not isinstance(value, Mapping):
                return self._wrong_type(path, "a mapping", value)
            known_values = known if isinstance(known, Mapping) else {}
            for key, item in value.items():
                if item is None and type_[1:] == "q":
                    self._wrong_type((*path, key), "a quantity", item)
                self.value(type_[1:], item, (*path, key), known_values.get(key))
        elif len(type_) == 1:
            self._scalar(type_, value, path)
        elif not isinstance(value, Mapping):
            self._wrong_type(path, "a mapping", value)
        else:
            self._struct(type_, value, path, known if isinstance(known, Mapping) else {})
        return None

    def _struct(self, name: str, value: Mapping[str, Any], path: FieldPath, known: Mapping[str, Any]) -> None:
        model = self._models[name]
        for key, item in value.items():
            type_ = model.fields.get(key)
            if type_ is None:
                hint = self._hint_for_unknown(model, key)
                self._errors.append(FieldError((*path, key), "Unknown field", hint=hint))
            else:
                self.value(type_, item, (*path, key), known.get(key))
        if path[:1] == ("status",):  # the server replaces it
            return
        for key in model.required:
            if value.get(key) is None and (name, key) not in _DEFAULTED:
                self._errors.append(required((*path, key)))

    def _scalar(self, type_: str, value: Any, path: FieldPath) -> None:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        if type_ in "sty":
            if not isinstance(value, str):
                self._wrong_type(path, "a string", value, f"write it in quotes: {_quoted(value)}")
            elif type_ == "t" and not _is_time(value):
                self._wrong_type(path, "a time such as 2026-01-31T12:00:00Z", value)
        elif type_ == "i":
            if not is_int:
                hint = f"write {value} without quotes" if isinstance(value, str) and value.isdigit() else None
                self._wrong_type(path, "an integer", value, hint)
            elif not -(2**63) <= value < 2**63:
                self._errors.append(invalid(path, value, "must fit in 64 bits"))
        elif type_ == "b":
            if not isinstance(value, bool):
                self._wrong_type(path, "true or false", value)
        elif type_ == "f":
            if not is_int and not isinstance(value, float):
                self._wrong_type(path, "a number", value)
        elif type_ == "x":
            if not is_int and not isinstance(value, str):
                self._wrong_type(path, "an integer or a string", value)
            elif is_int and not -(2**31) <= value < 2**31:
                self._errors.append(invalid(path, value, "must fit in 32 bits"))
        elif type_ == "q":
            self._quantity(value, path)

    def _quantity(self, value: Any, path: FieldPath) -> None:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return self._wrong_type(path, 'a quantity such as "500m" or 16Gi', value)
        try:
            parse_quantity(value)
        except ValueError as problem:
            hint = 'a quantity is a number with an optional suffix: "500m", 2, 1.5, 16Gi, 100M'
            stripped = value.strip().upper() if isinstance(value, str) else ""
            for unit in ("K", "M", "G", "T", "P"):
                if stripped.endswith((f"{unit}B", f"{unit}IB")):
                    hint = f"write {stripped.split(unit)[0].strip()}{unit}i (powers of 1024)"
            self._errors.append(FieldError(path, "Invalid value", str(problem), value, hint=hint))
        return None

    def _wrong_type(self, path: FieldPath, expected: str, value: Any, hint: str | None = None) -> None:
        got = f"expected {expected}, got {describe(value)}"
        if isinstance(value, bool) and hint is not None:
            hint += " (YAML reads yes, no, on, off, y and n as booleans)"
        self._errors.append(FieldError(path, "Wrong type", got, hint=hint))

    def _hint_for_unknown(self, model: _Model, key: str) -> str | None:
        similar = get_close_matches(key, list(model.fields), 1, 0.75) or [
            name for name in model.fields if name.lower() == key.lower()
        ]
        if similar:
            return f"did you mean {similar[0]}?"
        home = self._home_of(key)
        if home is not None:
            return f"{key} belongs in {path_text(home)}" if home else f"{key} belongs at the top of the manifest"
        known = ", ".join(sorted(model.fields))
        return f"known fields here: {known}" if len(known) < 300 else None

    def _home_of(self, key: str) -> FieldPath | None:
        """Shallowest place in this kind that has such a field: it may be indented wrongly."""
        todo: list[tuple[FieldPath, str]] = [((), self._kind.model)]
        seen = set()
        while todo:
            path, name = todo.pop(0)
            if name in seen or len(path) > 5:
                continue
            seen.add(name)
            fields = self._models[name].fields
            if key in fields:
                return path
            for field, type_ in fields.items():
                if field in ("status", "metadata") and not path:
                    continue
                if type_.startswith("[") and len(type_) > 2:
                    todo.append(((*path, f"{field}[]"), type_[1:]))
                elif type_[0] not in "[{" and len(type_) > 1:
                    todo.append(((*path, field), type_))
        return None


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def describe(value: Any) -> str:
    """A value's type and the value, in words, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return f"a boolean ({str(value).lower()})"
    if isinstance(value, str):
        return f"a string ({_quoted(value)})"
    return f"{'an integer' if isinstance(value, int) else 'a number'} ({value})"


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    if isinstance(value, Mapping | list | tuple):
        return '"..."'
    text = str(value)
    return json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=False)
