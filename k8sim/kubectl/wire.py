"""Changes of typed objects that are written as changes of their plain form: what a PATCH request does in the server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from k8sim.api.apps import ControllerRevision
from k8sim.api.fielderror import FieldError
from k8sim.api.meta import Object
from k8sim.api.schema import BuiltInKind, built_in_kind, check
from k8sim.api.scheme import decode, encode
from k8sim.api.struct import replace
from k8sim.apiserver.errors import ApiError, BadRequest, Invalid
from k8sim.kubectl.patch import PatchError, json_patch, merge_patch
from k8sim.kubectl.strategic import strategic_merge

T = TypeVar("T", bound=Object)
Change = Callable[[dict[str, Any]], dict[str, Any]]


class UnsupportedMediaType(ApiError):
    """415: the server does not know how to merge this patch."""

    code = 415
    reason = "UnsupportedMediaType"


def patch_change(kind: type[Object], type_: str, document: Any) -> Change:
    """Return the change that a patch of a type ("strategic", "merge", "json") makes.

    Raises
    ------
    UnsupportedMediaType
        A strategic merge patch of a custom resource, whose lists have no merge keys.
    """
    if type_ == "json":
        return partial(json_patch, operations=document)
    if type_ == "merge":
        return partial(merge_patch, patch=document)
    if built_in_kind(kind.api_version, kind.kind) is None:
        accepted = "application/json-patch+json, application/merge-patch+json"
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )
    return partial(strategic_merge, patch=document, kind=kind.kind)


def rewritten(obj: T, change: Change, warn: Callable[[str], None] | None = None) -> T:
    """Return the object after a change of its plain form.

    A field that the kind does not have is dropped, with a warning, as the API server does by default.

    Raises
    ------
    Invalid
        The patch does not fit the object.
    BadRequest
        The result cannot be decoded.
    """
    before = encode(obj, time=int)
    try:
        after = change(before)
    except PatchError as error:
        raise Invalid(f"The request is invalid: {error}") from None
    kind = built_in_kind(obj.api_version, obj.kind)
    if kind is not None and after != before:
        after = _checked(kind, before, after, warn)
    try:
        new = decode({**after, "apiVersion": obj.api_version, "kind": obj.kind})
    except (TypeError, AttributeError, ValueError) as error:
        raise _not_decoded(obj, str(error)) from None
    if isinstance(obj, ControllerRevision) and isinstance(new, ControllerRevision):
        new = replace(new, data=obj.data)  # immutable, and kept in its typed form
    return new  # type: ignore[return-value]


def _checked(
    kind: BuiltInKind, before: dict[str, Any], after: dict[str, Any], warn: Callable[[str], None] | None
) -> dict[str, Any]:
    errors = check(after, kind, known=before)
    if not errors:
        return after
    old = {str(error) for error in check(before, kind)}
    new = [error for error in errors if str(error) not in old]
    wrong = [error for error in new if error.reason in ("Wrong type", "Invalid value")]
    if wrong:
        raise _not_decoded(decode(before), str(wrong[0]))
    for error in new:
        if error.reason == "Unknown field":
            after = _without(after, error)
            if warn is not None:
                warn(str(error))
    return after


def _without(value: Any, error: FieldError) -> Any:
    """Return the plain object without the field that an error names."""

    def prune(value: Any, path: tuple[str | int, ...]) -> Any:
        key, rest = path[0], path[1:]
        if isinstance(value, list):
            return [prune(v, rest) if i == key else v for i, v in enumerate(value)]
        return {k: prune(v, rest) if k == key else v for k, v in value.items() if k != key or rest}

    return prune(value, error.path)


def _not_decoded(obj: Object, problem: str) -> BadRequest:
    version = obj.api_version.rpartition("/")[2]
    return BadRequest(f'{obj.kind} in version "{version}" cannot be handled as a {obj.kind}: {problem}')
