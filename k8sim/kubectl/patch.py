"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on plain mappings. Nothing is changed in place.

The API server applies both with github.com/evanphx/json-patch (apiserver/pkg/endpoints/handlers/patch.go).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

Json = Any


class PatchError(ValueError):
    """The patch does not fit the object."""


def merge_patch(target: Json, patch: Json) -> Json:
    """Return the target with a merge patch applied: mappings merge, null removes, all else replaces (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Json, operations: Iterable[Mapping[str, Any]]) -> Json:
    """Return the target after all operations, or raise `PatchError` with none of them applied (RFC 6902)."""
    document = copy.deepcopy(target)
    for operation in operations:
        op, path = operation["op"], _pointer(operation["path"])
        if op == "test":
            if not _equal(_get(document, path), operation["value"]):
                raise PatchError(f"testing value {operation['path']} failed")
        elif op == "remove":
            document = _remove(document, path)
        elif op == "add":
            document = _add(document, path, copy.deepcopy(operation["value"]))
        elif op == "replace":
            _get(document, path)
            document = _replace(document, path, copy.deepcopy(operation["value"]))
        else:
            source = _pointer(operation["from"])
            value = copy.deepcopy(_get(document, source))
            if op == "move":
                if path[: len(source)] == source and path != source:
                    raise PatchError(f"cannot move {operation['from']} into itself")
                document = _remove(document, source)
            document = _add(document, path, value)
    return document


def _pointer(text: str) -> list[str]:
    """Return the keys of a JSON pointer (RFC 6901)."""
    if text and not text.startswith("/"):
        raise PatchError(f"path {text!r} does not begin with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _equal(a: Json, b: Json) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


def _index(container: list[Any], key: str, *, end: bool = False) -> int:
    if end and key == "-":
        return len(container)
    if not key.isdigit() or (len(key) > 1 and key[0] == "0") or int(key) >= len(container) + end:
        raise PatchError(f"invalid array index {key}")
    return int(key)


def _child(container: Json, key: str) -> Json:
    if isinstance(container, list):
        return container[_index(container, key)]
    if not isinstance(container, Mapping) or key not in container:
        raise PatchError(f"missing path {key}")
    return container[key]


def _get(document: Json, path: list[str]) -> Json:
    for key in path:
        document = _child(document, key)
    return document


def _add(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    container, key = _get(document, path[:-1]), path[-1]
    if isinstance(container, list):
        container.insert(_index(container, key, end=True), value)
    elif isinstance(container, dict):
        container[key] = value
    else:
        raise PatchError(f"missing path {key}")
    return document


def _replace(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    container, key = _get(document, path[:-1]), path[-1]
    container[_index(container, key) if isinstance(container, list) else key] = value
    return document


def _remove(document: Json, path: list[str]) -> Json:
    if not path:
        raise PatchError("cannot remove the whole object")
    container, key = _get(document, path[:-1]), path[-1]
    _child(container, key)
    del container[_index(container, key) if isinstance(container, list) else key]
    return document
