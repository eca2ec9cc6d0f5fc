"""Which kinds and fields of a manifest have an effect in the simulation, and which are only accepted.

The objects of `k8sim.api` declare the fields that rooms read; a field they do not declare has no effect. What is
declared ahead of the room that will read it stands in the tables below: take it out when the room is there.
"""

import typing
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

import msgspec

from k8sim.api.fielderror import FieldPath
from k8sim.api.scheme import kind_class
from k8sim.api.struct import Struct

#: Kinds of which no more counts than that they are there.
NOT_YET_KINDS: Final = frozenset(("ConfigMap", "Secret"))

#: Declared fields that nothing reads yet: kind and path as fnmatch patterns, `[]` for any item.
NOT_YET_FIELDS: Final[tuple[tuple[str, str], ...]] = (
    ("Service", "spec.externalTrafficPolicy"),  # clients come from inside
)

#: Fields without effect that need no mention: another part of the scenario stands for them, or they only describe.
UNREMARKABLE: Final = (
    "apiVersion", "kind", "metadata", "metadata.*", "status",
    "*[[]].apiVersion", "*[[]].kind", "*.metadata", "*.metadata.*", "*[[]].status",
    # spec.images says what the software does.
    "*ontainers[[]].command", "*ontainers[[]].args", "*ontainers[[]].env", "*ontainers[[]].envFrom",
    "*ontainers[[]].workingDir", "*ontainers[[]].tty", "*ontainers[[]].stdin", "*ontainers[[]].stdinOnce",
    "*ontainers[[]].terminationMessage*",
    "*.serviceAccount", "*.serviceAccountName", "*.automountServiceAccountToken", "*.imagePullSecrets",
    "*.ipFamilies", "*.ipFamilyPolicy", "*.clusterIPs",
)  # fmt: skip


def is_simulated(kind: str, api_version: str) -> bool:
    """True when objects of the kind do something here."""
    cls = kind_class(kind)
    return cls is not None and cls.api_version == api_version and kind not in NOT_YET_KINDS


def unsimulated_fields(manifest: Mapping[str, Any]) -> Iterator[tuple[str, FieldPath]]:
    """Fields of a manifest of a simulated kind that have no effect, as text (`[]` for any item) and as a path."""
    cls = kind_class(manifest["kind"])
    for text, path in _walk(manifest["kind"], cls, manifest, "", ()) if cls is not None else ():
        if not any(fnmatchcase(text, pattern) for pattern in UNREMARKABLE):
            yield text, path


def _walk(kind: str, hint: Any, value: Any, text: str, path: FieldPath) -> Iterator[tuple[str, FieldPath]]:
    if isinstance(value, Mapping) and isinstance(hint, type) and issubclass(hint, Struct):
        fields = _wire_fields(hint)
        for key, item in value.items():
            if item is None:
                continue
            here = f"{text}.{key}" if text else key
            if key not in fields or any(fnmatchcase(kind, k) and fnmatchcase(here, f) for k, f in NOT_YET_FIELDS):
                yield here, (*path, key)
            else:
                yield from _walk(kind, fields[key], item, here, (*path, key))
    elif isinstance(value, list | tuple):
        inner = (typing.get_args(hint) or (Any,))[0]
        for i, item in enumerate(value):
            yield from _walk(kind, inner, item, f"{text}[]", (*path, i))


@cache
def _wire_fields(cls: type[Struct]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.encode_name: _not_none(hints[field.name]) for field in msgspec.structs.fields(cls)}


def _not_none(hint: Any) -> Any:
    args = [arg for arg in typing.get_args(hint) if arg is not type(None)]
    return args[0] if len(args) == 1 and type(None) in typing.get_args(hint) else hint
