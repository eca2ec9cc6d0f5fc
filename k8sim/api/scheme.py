"""Kinds by name, and the way between manifests (plain mappings) and typed objects.

``decode`` keeps what it does not know in ``extra``; ``encode`` puts it back, so a manifest survives a round trip.
Types are checked by `k8sim.api.schema` before; here a wrong type raises ``TypeError`` with the path.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import msgspec

from k8sim.api import apps, batch, core, discovery, policy, storage
from k8sim.api.meta import Object, ObjectMeta
from k8sim.api.struct import Struct, Time

KINDS: tuple[type[Object], ...] = (
    core.Namespace, core.Node, core.Pod, core.Service, core.PersistentVolumeClaim, core.PersistentVolume,
    core.ResourceQuota, core.LimitRange, core.ConfigMap, core.Secret,
    apps.StatefulSet, apps.ControllerRevision, apps.Deployment, apps.ReplicaSet, apps.DaemonSet,
    batch.Job, batch.CronJob,
    policy.PodDisruptionBudget, policy.PriorityClass,
    discovery.EndpointSlice,
    storage.StorageClass, storage.VolumeAttachment, storage.CSIDriver, storage.CSINode, storage.CSIStorageCapacity,
    storage.VolumeAttributesClass,
    storage.VolumeSnapshotClass, storage.VolumeSnapshot, storage.VolumeSnapshotContent,
)  # fmt: skip

SHORT_NAMES: Mapping[str, str] = {
    "ns": "Namespace", "no": "Node", "po": "Pod", "svc": "Service", "pvc": "PersistentVolumeClaim",
    "pv": "PersistentVolume", "quota": "ResourceQuota", "limits": "LimitRange", "cm": "ConfigMap",
    "sts": "StatefulSet", "deploy": "Deployment", "rs": "ReplicaSet", "ds": "DaemonSet", "cj": "CronJob",
    "pdb": "PodDisruptionBudget", "pc": "PriorityClass", "sc": "StorageClass", "vac": "VolumeAttributesClass",
    "vs": "VolumeSnapshot", "vsc": "VolumeSnapshotContent", "vsclass": "VolumeSnapshotClass",
}  # fmt: skip

_BY_KIND: dict[str, type[Object]] = {k.kind: k for k in KINDS}
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall-clock time that t = 0 is shown as."""


def kind_class(kind: str) -> type[Object] | None:
    """Return the class of a kind, or None for a kind that is not simulated."""
    return _BY_KIND.get(kind)


@cache
def resolve_kind(word: str) -> str | None:
    """Return the kind that a kubectl word names (kind, plural, singular or short name, with or without group)."""
    word = word.split(".", maxsplit=1)[0].lower()
    for k in KINDS:
        if word in (k.kind.lower(), k.plural):
            return k.kind
    return SHORT_NAMES.get(word)


def resource_name(cls: type[Object]) -> str:
    """Return a kind as kubectl prints it: ``statefulset.apps``, ``pod``."""
    group = cls.api_version.rpartition("/")[0]
    return cls.kind.lower() + (f".{group}" if group else "")


def format_time(t_ns: int) -> str:
    """Return a moment of simulated time as RFC 3339 in whole seconds, as the API shows it."""
    return (EPOCH + timedelta(seconds=t_ns // 1_000_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> int:
    """Return the simulated time in ns of an RFC 3339 text."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((moment - EPOCH) / timedelta(microseconds=1)) * 1000


Decoder = Callable[[Any, str], Any]


def _scalar(want: type, say: str) -> Decoder:
    def read(value: Any, path: str) -> Any:
        if want is float and isinstance(value, int):
            return float(value)
        if not isinstance(value, want) or (want is int and isinstance(value, bool)):
            raise TypeError(f"{path}: expected {say}, got {value!r}")
        return value

    return read


def _text(value: Any, path: str) -> str:
    """Read a string; numbers (quantities, resourceVersion) become text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{path}: expected a string, got {value!r}")
    return str(value)


def _text_of_map(value: Any, path: str) -> str:
    """Read a value of a map of strings: null is the empty one, as Go's encoding/json has it."""
    return "" if value is None else _text(value, path)


def _time(value: Any, path: str) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        value = value.isoformat()
    try:
        return parse_time(value)
    except (ValueError, AttributeError, TypeError):
        raise TypeError(f"{path}: expected a time, got {value!r}") from None


def _int(value: Any, path: str) -> int:
    if isinstance(value, str) and value.isdigit():  # resourceVersion is text on the wire
        return int(value)
    result: int = _scalar(int, "an integer")(value, path)
    return result


_MAPPING = (dict, Mapping)
"""For `isinstance`, which answers faster for a dict than an abstract class does."""


@cache
def _decoder(annotation: Any) -> Decoder:
    origin = typing.get_origin(annotation)
    args = typing.get_args(annotation)
    if annotation is Time:
        return _time
    if annotation is Any:
        return lambda value, path: value
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in args if a is not type(None)]
        if set(inner) == {int, str}:
            return lambda value, path: value if isinstance(value, int) else _text(value, path)
        read = _decoder(inner[0])
        return lambda value, path: None if value is None else read(value, path)
    if origin is tuple:
        item = _decoder(args[0])

        def read_list(value: Any, path: str) -> tuple[Any, ...]:
            if value is None:
                return ()
            if not isinstance(value, list | tuple):
                raise TypeError(f"{path}: expected a list, got {value!r}")
            return tuple(item(v, f"{path}[{i}]") for i, v in enumerate(value))

        return read_list
    if origin is not None and issubclass(origin, Mapping):
        item = _text_of_map if args[1] is str else _decoder(args[1])

        def read_map(value: Any, path: str) -> dict[str, Any]:
            if value is None:
                return {}
            if not isinstance(value, _MAPPING):
                raise TypeError(f"{path}: expected a mapping, got {value!r}")
            return {str(k): item(v, f"{path}.{k}") for k, v in value.items()}

        return read_map
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return _struct_decoder(annotation)
    if annotation is str:
        return _text
    if annotation is int:
        return _int
    if annotation is bool:
        return _scalar(bool, "true or false")
    return _scalar(float, "a number")


@cache
def _fields(cls: type[Struct]) -> dict[str, tuple[str, Any]]:
    """Return wire name -> (attribute, annotation) of a struct."""
    hints = typing.get_type_hints(cls)
    return {f.encode_name: (f.name, hints[f.name]) for f in msgspec.structs.fields(cls) if f.name != "extra"}


@cache
def _struct_decoder(cls: type[Struct]) -> Decoder:
    fields = {wire: (attribute, _decoder(hint)) for wire, (attribute, hint) in _fields(cls).items()}
    top = ("apiVersion", "kind") if issubclass(cls, Object) else ()

    def read(value: Any, path: str) -> Struct:
        if value is None:
            return cls()
        if not isinstance(value, _MAPPING):
            raise TypeError(f"{path}: expected a mapping, got {value!r}")
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, v in value.items():
            if key in top:
                continue
            field = fields.get(key)
            if field is None:
                extra[key] = v
            elif v is not None:
                known[field[0]] = field[1](v, f"{path}.{key}" if path else key)
        return cls(**known, extra=extra or None)

    return read


def decode(manifest: Mapping[str, Any]) -> Object:
    """Return the typed object of a manifest of a simulated kind.

    Raises
    ------
    KeyError
        The kind is not simulated.
    TypeError
        A field has the wrong type; the message begins with its path.
    """
    result: Object = _struct_decoder(_BY_KIND[manifest["kind"]])(manifest, "")
    return result


def decode_part(cls: type[Struct], value: Any, path: str = "") -> Any:
    """Return the typed form of a part of a manifest (a pod template, a selector)."""
    return _struct_decoder(cls)(value, path)


class _Field(NamedTuple):
    """How a field of a struct is written."""

    wire: str
    attribute: str
    hint: Any
    is_text: bool
    """Whether an empty text is left out."""
    is_optional: bool
    """Whether an empty struct is kept, because it differs from none."""


@cache
def _written(cls: type[Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(wire, attribute, hint, hint is str, type(None) in typing.get_args(hint))
        for wire, (attribute, hint) in _fields(cls).items()
    )


@cache
def _item_hint(hint: Any, position: int) -> Any:
    """Return what the items of a tuple (position 0) or the values of a mapping (1) are."""
    arguments = typing.get_args(hint)
    return arguments[position] if len(arguments) > position else Any


def _encode(value: Any, hint: Any, time: Callable[[int], Any]) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return time(value) if _is_time(hint) else value
    if isinstance(value, Struct):
        return _encode_struct(value, time)
    if isinstance(value, tuple | list):
        item = _item_hint(hint, 0)
        return [_encode(v, item, time) for v in value]
    if isinstance(value, dict):
        item = _item_hint(hint, 1)
        return {k: v if isinstance(v, str) else _encode(v, item, time) for k, v in value.items()}
    return value


def _encode_struct(value: Struct, time: Callable[[int], Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in _written(type(value)):
        v = getattr(value, field.attribute)
        if not v and (v is None or isinstance(v, tuple | dict) or (field.is_text and v == "")):
            continue
        encoded = v if type(v) is str else _encode(v, field.hint, time)
        if encoded or encoded != {} or field.is_optional or not isinstance(v, Struct):
            out[field.wire] = encoded
    out.update(value.extra or {})
    return _metadata(out) if isinstance(value, ObjectMeta) else out


@cache
def _is_time(hint: Any) -> bool:
    return hint is Time or Time in typing.get_args(hint)


def _metadata(out: dict[str, Any]) -> dict[str, Any]:
    """Return metadata as the API shows it: versions are text, and what is not stored (a template) has none."""
    version = out.pop("resourceVersion")
    if not version:
        return {key: value for key, value in out.items() if key != "generation"}
    return {**out, "resourceVersion": str(version)}


def encode(obj: Object, time: Callable[[int], Any] = format_time) -> dict[str, Any]:
    """Return the manifest of an object, as ``kubectl get -o yaml`` would show it.

    ``time`` writes moments; with ``int`` the manifest decodes to exactly the same object.
    """
    return {"apiVersion": obj.api_version, "kind": obj.kind, **_encode(obj, type(obj), time)}


def encode_part(value: Struct) -> dict[str, Any]:
    """Return the plain form of a part of an object."""
    result: dict[str, Any] = _encode(value, type(value), format_time)
    return result
