"""Field selectors: ``status.phase=Running,spec.nodeName!=node-0`` (apimachinery/pkg/fields/selector.go).

The server knows few fields of each kind: pkg/apis/core/v1/conversion.go (AddFieldLabelConversionsFor...),
pkg/registry/core/pod/strategy.go (ToSelectableFields).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import attrgetter
from typing import Final, NamedTuple

from k8sim.api.meta import Object
from k8sim.api.scheme import kind_class

_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.hostNetwork", "status.phase", "status.podIP",
        "status.nominatedNodeName",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
}  # fmt: skip
_TERM: Final = re.compile(r"\s*([\w.-]+?)\s*(==|=|!=)\s*([^,=!\s]*)\s*")


class Requirement(NamedTuple):
    """A field has a value, or has it not."""

    path: str
    equal: bool
    value: str


def parse_field_selector(text: str) -> tuple[Requirement, ...]:
    """Return what a selector asks; all of it has to be so.

    Raises
    ------
    ValueError
        The text is no selector.
    """
    found = []
    for part in text.split(",") if text else ():
        match = _TERM.fullmatch(part)
        if match is None:
            raise ValueError(f"invalid field selector {text!r}: can't understand {part!r}")
        path, sign, value = match.groups()
        found.append(Requirement(path, sign != "!=", value))
    return tuple(found)


def selectable_fields(kind: str) -> tuple[str, ...]:
    """Return the fields by which objects of a kind can be selected."""
    cls = kind_class(kind)
    of_all = ("metadata.name", "metadata.namespace") if cls is not None and cls.namespaced else ("metadata.name",)
    return (*of_all, *_OF_KIND.get(kind, ()))


def has_fields(obj: Object, requirements: tuple[Requirement, ...]) -> bool:
    """Tell whether an object is as a selector asks."""
    return all((_value(obj, r.path) == r.value) is r.equal for r in requirements)


def _value(obj: Object, path: str) -> str:
    value = attrgetter(re.sub(r"(?<=[a-z])[A-Z]+", lambda m: f"_{m[0].lower()}", path))(obj)
    return str(value).lower() if isinstance(value, bool) else str(value)
