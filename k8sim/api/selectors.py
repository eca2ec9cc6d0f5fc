"""Label and node selectors (apimachinery/pkg/labels, component-helpers/scheduling/corev1/nodeaffinity)."""

from __future__ import annotations

from collections.abc import Mapping

from k8sim.api.core import Node, NodeSelector, NodeSelectorTerm
from k8sim.api.meta import LabelSelector, LabelSelectorRequirement


def requirement_matches(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    """Tell whether labels meet one requirement; a missing key meets NotIn and DoesNotExist only."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                have, want = int(value or ""), int(requirement.values[0])
            except (ValueError, IndexError):
                return False
            return have > want if requirement.operator == "Gt" else have < want
    return False


def labels_match(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Tell whether labels contain all wanted pairs (a service's or a node selector's simple form)."""
    return wanted.items() <= labels.items()


def selector_matches(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Tell whether a selector selects labels: None selects nothing, an empty selector everything."""
    if selector is None:
        return False
    if not labels_match(selector.match_labels, labels):
        return False
    return not selector.match_expressions or all(requirement_matches(r, labels) for r in selector.match_expressions)


def node_term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """Tell whether a node meets one term; an empty term matches nothing."""
    if not term.match_expressions and not term.match_fields:
        return False
    if not all(requirement_matches(r, node.metadata.labels) for r in term.match_expressions):
        return False
    fields = {"metadata.name": node.name}
    return all(requirement_matches(r, fields) for r in term.match_fields)


def node_selector_matches(selector: NodeSelector | None, node: Node) -> bool:
    """Tell whether a node meets any term of a node selector (None: no constraint)."""
    return selector is None or any(node_term_matches(t, node) for t in selector.node_selector_terms)
