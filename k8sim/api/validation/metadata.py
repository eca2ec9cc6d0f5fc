"""Metadata, and label selectors.

Source: staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go, .../apis/meta/v1/validation/validation.go.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, forbidden, invalid, required
from k8sim.api.meta import LabelSelector
from k8sim.api.scheme import decode_part
from k8sim.api.selectors import selector_matches
from k8sim.api.validation.names import (
    check_labels,
    dns_label,
    dns_label_1035,
    dns_subdomain,
    each,
    label_value,
    qualified_name,
)

_NAME_RULES: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "Namespace": dns_label,
    "Service": dns_label_1035,
    "StatefulSet": dns_label,
}
#: Kinds whose names may be any path segment.
_FREE_NAMES: Final = frozenset(
    ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "CertificateSigningRequest", "EndpointSlice")
)
_MAX_ANNOTATION_BYTES: Final = 256 * 1024


def check_metadata(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check the metadata of a new object."""
    metadata = manifest.get("metadata") or {}
    kind = manifest["kind"]
    path: FieldPath = ("metadata",)
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    if not name and not prefix:
        yield required((*path, "name"), "name or generateName is required")
    elif name:
        yield from each((*path, "name"), name, name_problems(kind, name))
    if metadata.get("namespace"):
        yield from each((*path, "namespace"), metadata["namespace"], dns_label(metadata["namespace"]))
    yield from check_labels(metadata.get("labels"), (*path, "labels"))
    yield from check_annotations(metadata.get("annotations"), (*path, "annotations"))
    for i, finalizer in enumerate(metadata.get("finalizers") or ()):
        yield from each((*path, "finalizers"), finalizer, qualified_name(finalizer), i)
    owners = metadata.get("ownerReferences") or ()
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        yield invalid((*path, "ownerReferences"), list(owners), "Only one reference can have Controller set to true")


def name_problems(kind: str, name: str) -> list[str]:
    """What is wrong with the name of an object of a kind."""
    if kind in _FREE_NAMES:
        return [f"may not contain '{c}'" for c in "/%" if c in name]
    return _NAME_RULES.get(kind, dns_subdomain)(name)


def check_annotations(annotations: Mapping[str, str] | None, path: FieldPath) -> Iterator[FieldError]:
    """Check annotations: keys as labels' keys in lower case, values free but not endless."""
    size = 0
    for key, value in (annotations or {}).items():
        yield from each(path, key, qualified_name(key.lower()), key)
        size += len(key) + len(value or "")
    if size > _MAX_ANNOTATION_BYTES:
        yield FieldError(path, "Invalid value", f"may not be more than {_MAX_ANNOTATION_BYTES} bytes")


def check_label_selector(selector: Mapping[str, Any] | None, path: FieldPath) -> Iterator[FieldError]:
    """Check a label selector."""
    if not selector:
        return
    yield from check_labels(selector.get("matchLabels"), (*path, "matchLabels"))
    for i, expression in enumerate(selector.get("matchExpressions") or ()):
        yield from _check_requirement(expression, (*path, "matchExpressions", i))


def _check_requirement(expression: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    operator, values = expression.get("operator"), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required((*path, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden((*path, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        yield invalid((*path, "operator"), operator, "not a valid selector operator")
    key = expression.get("key") or ""
    yield from each((*path, "key"), key, qualified_name(key))
    for i, value in enumerate(values):
        yield from each((*path, "values", i), value, label_value(value))


def selector_is_empty(selector: Mapping[str, Any]) -> bool:
    """True for a selector that selects everything."""
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def manifest_selector_matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """True when labels are as a selector, given as in a manifest, wants them."""
    return selector_matches(decode_part(LabelSelector, selector), labels)
