"""NodeAffinity: nodeSelector and required terms filter, preferred terms score (plugins/nodeaffinity)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

import msgspec

from k8sim.api.core import Node, Pod, PodSpec, PreferredSchedulingTerm
from k8sim.api.selectors import labels_match, node_selector_matches, node_term_matches
from k8sim.scheduler.framework import (
    NODE_ADD,
    NODE_LABEL,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Scores,
    Slots,
    Status,
    normalize,
)
from k8sim.scheduler.nodes import NodeInfo

REJECTED: Final = Status(Code.UNRESOLVABLE, ("node(s) didn't match Pod's node affinity/selector",), "NodeAffinity")


def has_required_affinity(spec: PodSpec) -> bool:
    """Tell whether a pod asks for particular nodes."""
    affinity = spec.affinity.node_affinity if spec.affinity else None
    required = affinity is not None and affinity.required_during_scheduling_ignored_during_execution is not None
    return bool(spec.node_selector) or required


def node_matches(pod: Pod, node: Node) -> bool:
    """Tell whether a node meets the pod's nodeSelector and required affinity (nodeaffinity.GetRequiredNodeAffinity)."""
    spec = pod.spec
    if spec.node_selector and not labels_match(spec.node_selector, node.metadata.labels):
        return False
    affinity = spec.affinity.node_affinity if spec.affinity else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    return node_selector_matches(required, node)


def requirements_key(pod: Pod) -> bytes:
    """Return what pods with equal node requirements have in common."""
    affinity = pod.spec.affinity
    return msgspec.msgpack.encode((pod.spec.node_selector, affinity.node_affinity if affinity else None))


def preferred_terms(pod: Pod) -> tuple[PreferredSchedulingTerm, ...]:
    """Return the preferred terms."""
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    return affinity.preferred_during_scheduling_ignored_during_execution if affinity else ()


def preference(terms: tuple[PreferredSchedulingTerm, ...], node: Node) -> int:
    """Return the sum of the weights of the terms that the node meets; an empty term is met by none."""
    return sum(t.weight for t in terms if t.weight and node_term_matches(t.preference, node))


def after_node_change(pod: Pod, old: Node | None, new: Node) -> bool:
    """Hint: a node has come to match."""
    return node_matches(pod, new) and (old is None or not node_matches(pod, old))


class NodeAffinity(Plugin):
    """See the module."""

    name = "NodeAffinity"
    weight = 2
    local = True

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {NODE_ADD: after_node_change, NODE_LABEL: after_node_change}

    def concerns(self, spec: PodSpec) -> bool:
        """See `Plugin`."""
        return has_required_affinity(spec)

    def signature(self, pod: Pod) -> Hashable:
        """See `Plugin`."""
        return requirements_key(pod)

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`."""
        assert info.node is not None
        return None if node_matches(cycle.pod, info.node) else REJECTED

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        terms = preferred_terms(cycle.pod)
        if not terms:
            return None
        key = (self.name, msgspec.msgpack.encode(terms))
        values = cycle.nodes.column(key, lambda node: preference(terms, node))
        return normalize([values[slot] for slot in slots])
