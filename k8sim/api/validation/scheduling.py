"""The parts of a pod that the scheduler reads, and nodes' taints.

Source: pkg/apis/core/validation/validation.go.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from k8sim.api.fielderror import FieldError, FieldPath, duplicate, forbidden, invalid, required, unsupported
from k8sim.api.validation.metadata import check_label_selector
from k8sim.api.validation.names import check_labels, dns_subdomain, each, label_value, one_of, qualified_name

EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def check_taints(taints: Sequence[Mapping[str, Any]] | None, path: FieldPath) -> Iterator[FieldError]:
    """Check the taints of a node: one for each key and effect."""
    seen = set()
    for i, taint in enumerate(taints or ()):
        here: FieldPath = (*path, i)
        key, effect = taint.get("key") or "", taint.get("effect") or ""
        yield from each((*here, "key"), key, qualified_name(key))
        yield from each((*here, "value"), taint.get("value"), label_value(taint.get("value") or ""))
        yield from one_of(effect, (*here, "effect"), *EFFECTS, needed=True)
        if (key, effect) in seen:
            yield duplicate(here, dict(taint))
        seen.add((key, effect))


def check_tolerations(tolerations: Sequence[Mapping[str, Any]] | None, path: FieldPath) -> Iterator[FieldError]:
    """Check tolerations."""
    for i, toleration in enumerate(tolerations or ()):
        here: FieldPath = (*path, i)
        key, operator = toleration.get("key"), toleration.get("operator") or "Equal"
        value, effect = toleration.get("value") or "", toleration.get("effect")
        if key:
            yield from each((*here, "key"), key, qualified_name(key))
        elif operator != "Exists":
            yield invalid(
                (*here, "operator"),
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        if operator == "Equal":
            yield from each((*here, "operator"), value, label_value(value))
        elif operator == "Exists":
            if value:
                yield invalid((*here, "operator"), value, "value must be empty when `operator` is 'Exists'")
        else:
            yield unsupported((*here, "operator"), operator, ("Equal", "Exists"))
        yield from one_of(effect, (*here, "effect"), *EFFECTS)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid((*here, "effect"), effect or "", "effect must be 'NoExecute' when `tolerationSeconds` is set")


def check_affinity(affinity: Mapping[str, Any] | None, path: FieldPath) -> Iterator[FieldError]:
    """Check node affinity, pod affinity and pod anti-affinity."""
    affinity = affinity or {}
    node = affinity.get("nodeAffinity") or {}
    here: FieldPath = (*path, "nodeAffinity")
    needed = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    if needed is not None:
        yield from check_node_selector(needed, (*here, "requiredDuringSchedulingIgnoredDuringExecution"))
    for i, term in enumerate(node.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        at: FieldPath = (*here, "preferredDuringSchedulingIgnoredDuringExecution", i)
        yield from _check_weight(term, at)
        yield from _check_node_selector_term(term.get("preference") or {}, (*at, "preference"))
    for kind in ("podAffinity", "podAntiAffinity"):
        yield from _check_pod_affinity(affinity.get(kind) or {}, (*path, kind))


def _check_pod_affinity(affinity: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    field = "requiredDuringSchedulingIgnoredDuringExecution"
    for i, term in enumerate(affinity.get(field) or ()):
        yield from _check_pod_affinity_term(term, (*path, field, i))
    field = "preferredDuringSchedulingIgnoredDuringExecution"
    for i, term in enumerate(affinity.get(field) or ()):
        at: FieldPath = (*path, field, i)
        yield from _check_weight(term, at)
        yield from _check_pod_affinity_term(term.get("podAffinityTerm") or {}, (*at, "podAffinityTerm"))


def _check_weight(term: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    if not 1 <= term["weight"] <= 100:
        yield invalid((*path, "weight"), term["weight"], "must be in the range 1-100")


def _check_pod_affinity_term(term: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    yield from check_label_selector(term.get("labelSelector"), (*path, "labelSelector"))
    yield from check_label_selector(term.get("namespaceSelector"), (*path, "namespaceSelector"))
    if not term.get("topologyKey"):
        yield required((*path, "topologyKey"), "can not be empty")
    else:
        yield from each((*path, "topologyKey"), term["topologyKey"], qualified_name(term["topologyKey"]))


def check_node_selector(selector: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    """Check a node selector: terms of which one must match."""
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        yield required((*path, "nodeSelectorTerms"), "must have at least one node selector term")
    for i, term in enumerate(terms):
        yield from _check_node_selector_term(term, (*path, "nodeSelectorTerms", i))


def _check_node_selector_term(term: Mapping[str, Any], path: FieldPath) -> Iterator[FieldError]:
    for field in ("matchExpressions", "matchFields"):
        for i, expression in enumerate(term.get(field) or ()):
            at: FieldPath = (*path, field, i)
            operator, values = expression.get("operator"), expression.get("values") or ()
            if operator in ("In", "NotIn"):
                if not values:
                    yield required((*at, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
            elif operator in ("Exists", "DoesNotExist"):
                if values:
                    yield forbidden(
                        (*at, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    )
            elif operator in ("Gt", "Lt"):
                if len(values) != 1:
                    yield required((*at, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'")
            else:
                yield invalid((*at, "operator"), operator, "not a valid selector operator")
            key = expression.get("key") or ""
            yield from each((*at, "key"), key, qualified_name(key))


def check_spread_constraints(constraints: Sequence[Mapping[str, Any]] | None, path: FieldPath) -> Iterator[FieldError]:
    """Check topology spread constraints: one for each key and effect."""
    seen = set()
    for i, constraint in enumerate(constraints or ()):
        here: FieldPath = (*path, i)
        key, unsatisfiable = constraint.get("topologyKey") or "", constraint.get("whenUnsatisfiable") or ""
        if constraint["maxSkew"] <= 0:
            yield invalid((*here, "maxSkew"), constraint["maxSkew"], "must be greater than zero")
        if not key:
            yield required((*here, "topologyKey"), "can not be empty")
        yield from one_of(unsatisfiable, (*here, "whenUnsatisfiable"), "DoNotSchedule", "ScheduleAnyway", needed=True)
        domains = constraint.get("minDomains")
        if domains is not None:
            if domains <= 0:
                yield invalid((*here, "minDomains"), domains, "must be greater than zero")
            if unsatisfiable != "DoNotSchedule":
                yield invalid(
                    (*here, "minDomains"), domains, "can only use minDomains if whenUnsatisfiable=DoNotSchedule"
                )
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            yield from one_of(constraint.get(field), (*here, field), "Honor", "Ignore")
        yield from check_label_selector(constraint.get("labelSelector"), (*here, "labelSelector"))
        if (key, unsatisfiable) in seen:
            yield duplicate((*here, "{topologyKey, whenUnsatisfiable}"), f"{{{key}, {unsatisfiable}}}")
        seen.add((key, unsatisfiable))


def check_node(manifest: Mapping[str, Any]) -> Iterator[FieldError]:
    """Check a node."""
    yield from check_taints((manifest.get("spec") or {}).get("taints"), ("spec", "taints"))


def validate_node_group(
    name: str, labels: Mapping[str, str], zones: Sequence[str], taints: Sequence[Mapping[str, Any]]
) -> list[FieldError]:
    """Check what a scenario's shorthand says about nodes, as if they were Node objects."""
    errors = list(each(("name",), name, dns_subdomain(f"{name}-0")))
    errors += check_labels(labels, ("labels",))
    for i, zone in enumerate(zones):
        errors += each(("zones", i), zone, label_value(zone))
    errors += check_taints(taints, ("taints",))
    return errors
