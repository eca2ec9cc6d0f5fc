"""InterPodAffinity: pods near to or far from other pods, in both directions (plugins/interpodaffinity).

Terminating pods count until they have ended or are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from k8sim.api.core import Namespace, Node, Pod
from k8sim.api.meta import LabelSelector
from k8sim.api.selectors import selector_matches
from k8sim.scheduler.counters import Term, TermCounter, terms_of
from k8sim.scheduler.framework import (
    ASSIGNED_POD_ADD,
    ASSIGNED_POD_DELETE,
    ASSIGNED_POD_LABEL,
    MAX_NODE_SCORE,
    NODE_ADD,
    NODE_LABEL,
    SKIP,
    Code,
    Codes,
    Cycle,
    Event,
    Hint,
    Plugin,
    Scores,
    Skip,
    Slots,
    Status,
    Verdicts,
)
from k8sim.scheduler.listers import Listers
from k8sim.scheduler.nodes import NodeTable

NAME: Final = "InterPodAffinity"
STATUSES: Final = (
    Status(Code.UNRESOLVABLE, ("node(s) didn't match pod affinity rules",), NAME),
    Status(Code.UNSCHEDULABLE, ("node(s) didn't match pod anti-affinity rules",), NAME),
    Status(Code.UNSCHEDULABLE, ("node(s) didn't satisfy existing pods anti-affinity rules",), NAME),
)
_NO_AFFINITY, _ANTI_AFFINITY, _EXISTING_ANTI_AFFINITY = 1, 2, 3
_SIGN: Final = {
    "required affinity": 1,  # hardPodAffinityWeight, for terms of pods on nodes
    "preferred affinity": 1,
    "preferred anti-affinity": -1,
}


_PREFERRED: Final = ("preferred affinity", "preferred anti-affinity")


class Rules(NamedTuple):
    """A pod's own terms, and the terms of pods on nodes that select it."""

    affinity: tuple[Term, ...]
    anti_affinity: tuple[Term, ...]
    preferred: tuple[Term, ...]
    existing: tuple[TermCounter, ...]


NO_RULES: Final = Rules((), (), (), ())


def rules_for(pod: Pod, nodes: NodeTable, listers: Listers) -> Rules:
    """Gather all terms that concern a pod."""
    own = nodes.pods.terms_of(pod)
    if not own and not nodes.pods.has_terms:
        return NO_RULES
    return Rules(
        tuple([t for t in own if t.kind == "required affinity"]),
        tuple([t for t in own if t.kind == "required anti-affinity"]),
        tuple([t for t in own if t.kind in _PREFERRED]),
        tuple([c for c in nodes.pods.terms_matching(pod) if in_namespaces(c.term, pod.metadata.namespace, listers)]),
    )


def in_namespaces(term: Term, namespace: str, listers: Listers) -> bool:
    """Tell whether a term speaks of pods of a namespace."""
    if namespace in term.namespaces:
        return True
    selector = term.namespace_selector
    if selector is None:
        return False
    return _is_empty(selector) or namespace in _selected(selector, listers.namespaces())


def namespaces_of(term: Term, listers: Listers) -> tuple[str, ...] | None:
    """Return the namespaces that a term speaks of; None: all."""
    selector = term.namespace_selector
    if selector is None:
        return term.namespaces
    if _is_empty(selector):
        return None
    return tuple(dict.fromkeys((*term.namespaces, *_selected(selector, listers.namespaces()))))


def _selected(selector: LabelSelector, namespaces: Sequence[Namespace]) -> list[str]:
    return [n.name for n in namespaces if selector_matches(selector, n.metadata.labels)]


def _is_empty(selector: LabelSelector) -> bool:
    return not selector.match_labels and not selector.match_expressions


def term_selects(term: Term, pod: Pod) -> bool:
    """Tell whether a term selects a pod; a namespace selector is taken to select (namespaces' labels may change)."""
    inside = pod.namespace in term.namespaces or term.namespace_selector is not None
    return inside and selector_matches(term.selector, pod.metadata.labels)


def all_select(terms: Sequence[Term], pod: Pod) -> bool:
    """Tell whether all of some terms select a pod (podMatchesAllAffinityTerms: no terms select nothing)."""
    return bool(terms) and all(term_selects(t, pod) for t in terms)


# ---- filter ---------------------------------------------------------------------------------------------------------


def lacks_affinity(terms: Sequence[Term], cycle: Cycle) -> Codes:
    """Return 1 for nodes whose domains have no pod that all required terms select (satisfyPodAffinity).

    The first pod of a group that wants to be together may go anywhere, if it selects itself.
    """
    nodes = cycle.nodes
    counts = _selected_by_all(terms, cycle)
    labelled = np.ones(len(nodes.versions), dtype=np.bool_)
    together = np.ones(len(nodes.versions), dtype=np.bool_)
    nowhere = True
    for term in terms:
        topology = nodes.topology(term.topology_key)
        sums = topology.sums(counts)
        sums[0] = 0
        nowhere = nowhere and not sums.any()
        labelled &= topology.values > 0
        together &= sums[topology.values] > 0
    first = nowhere and all(_selects_itself(t, cycle) for t in terms)
    return (~(labelled if first else together)).astype(np.int64)


def _selected_by_all(terms: Sequence[Term], cycle: Cycle) -> Codes:
    """Count pods that all terms select: those of the first term, less those that another does not select."""
    counts = cycle.nodes.pods.matching(terms[0].selector, namespaces_of(terms[0], cycle.listers), terminating=True)
    if len(terms) == 1:
        return counts
    exact: Codes = np.zeros(len(counts), dtype=np.int64)
    for slot in np.flatnonzero(counts).tolist():
        for pod in cycle.nodes.infos[slot].pods.values():
            exact[slot] += all(
                in_namespaces(t, pod.namespace, cycle.listers) and selector_matches(t.selector, pod.metadata.labels)
                for t in terms
            )
    return exact


def _selects_itself(term: Term, cycle: Cycle) -> bool:
    pod = cycle.pod
    return in_namespaces(term, pod.namespace, cycle.listers) and selector_matches(term.selector, pod.metadata.labels)


def crowded(counts: Codes, topology_key: str, nodes: NodeTable) -> Codes:
    """Return 1 for nodes in a domain where any pod is counted; nodes without the label have no domain."""
    topology = nodes.topology(topology_key)
    sums = topology.sums(counts)
    sums[0] = 0
    return (sums[topology.values] > 0).astype(np.int64)


# ---- hints ----------------------------------------------------------------------------------------------------------


def after_pod_change(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    """Hint: the affinity may have what it wants, or the anti-affinity, one's own or the other's, nothing any more."""
    own = terms_of(pod)
    affinity = [t for t in own if t.kind == "required affinity"]
    anti = [t for t in own if t.kind == "required anti-affinity"]
    if old is not None and new is not None:
        if not all_select(affinity, old) and all_select(affinity, new):
            return True
        return all_select(anti, old) and not all_select(anti, new)
    if new is not None:
        return all_select(affinity, new)
    assert old is not None
    theirs = [t for t in terms_of(old) if t.kind == "required anti-affinity"]
    return any(term_selects(t, old) for t in anti) or any(term_selects(t, pod) for t in theirs)


def after_node_change(pod: Pod, old: Node | None, new: Node) -> bool:
    """Hint: a node with a topology label that a required term speaks of."""
    return any(t.topology_key in new.metadata.labels for t in terms_of(pod) if t.kind.startswith("required"))


class InterPodAffinity(Plugin):
    """See the module."""

    name = NAME
    weight = 2

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {
            ASSIGNED_POD_ADD: after_pod_change,
            ASSIGNED_POD_DELETE: after_pod_change,
            ASSIGNED_POD_LABEL: after_pod_change,
            NODE_ADD: after_node_change,
            NODE_LABEL: after_node_change,
        }

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`."""
        rules = cycle.state[NAME] = rules_for(cycle.pod, cycle.nodes, cycle.listers)
        if rules.affinity or rules.anti_affinity:
            return None
        return None if any(c.term.kind == "required anti-affinity" for c in rules.existing) else SKIP

    def filter(self, cycle: Cycle) -> Verdicts | None:
        """See `Plugin`."""
        rules = rules_for(cycle.pod, cycle.nodes, cycle.listers)  # as the table is now: preemption tries things out
        codes: Codes = np.zeros(len(cycle.nodes.versions), dtype=np.int64)
        if rules.affinity:
            codes = lacks_affinity(rules.affinity, cycle)
        for term in rules.anti_affinity:
            counts = cycle.nodes.pods.matching(term.selector, namespaces_of(term, cycle.listers), terminating=True)
            hit = crowded(counts, term.topology_key, cycle.nodes)
            codes = np.where((codes == 0) & (hit != 0), _ANTI_AFFINITY, codes)
        for counter in rules.existing:
            if counter.term.kind == "required anti-affinity":
                hit = crowded(counter.counts, counter.term.topology_key, cycle.nodes)
                codes = np.where((codes == 0) & (hit != 0), _EXISTING_ANTI_AFFINITY, codes)
        return Verdicts(codes, STATUSES)

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        rules: Rules = cycle.state[NAME]
        if rules is NO_RULES:
            return None
        total: Codes = np.zeros(len(slots), dtype=np.int64)
        weighted: list[tuple[Term, Codes]] = [
            (t, cycle.nodes.pods.matching(t.selector, namespaces_of(t, cycle.listers), terminating=True))
            for t in rules.preferred
        ]
        weighted += [(c.term, c.counts) for c in rules.existing if c.term.kind in _SIGN]
        for term, counts in weighted:
            topology = cycle.nodes.topology(term.topology_key)
            sums = topology.sums(counts)
            sums[0] = 0
            total += _SIGN[term.kind] * term.weight * sums[topology.values[slots]].astype(np.int64)
        lowest, highest = int(total.min()), int(total.max())
        if lowest == highest:
            return None
        return (float(MAX_NODE_SCORE) * ((total - lowest) / float(highest - lowest))).astype(np.int64)
