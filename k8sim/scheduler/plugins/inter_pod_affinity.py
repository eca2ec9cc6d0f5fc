"""InterPodAffinity: pods near to or far from other pods, in both directions (plugins/interpodaffinity).

Terminating pods count until they have ended or are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from k8sim.api.core import Namespace, Node, Pod
from k8sim.api.meta import LabelSelector
from k8sim.api.selectors import selector_matches
from k8sim.scheduler.counters import Counts, Term, TermCounter, terms_of
from k8sim.scheduler.framework import (
    ASSIGNED_POD_ADD,
    ASSIGNED_POD_DELETE,
    ASSIGNED_POD_LABEL,
    MAX_NODE_SCORE,
    NODE_ADD,
    NODE_LABEL,
    SKIP,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Scores,
    Screen,
    Skip,
    Slots,
    Status,
)
from k8sim.scheduler.listers import Listers
from k8sim.scheduler.nodes import NodeTable

NAME: Final = "InterPodAffinity"
NO_AFFINITY: Final = Status(Code.UNRESOLVABLE, ("node(s) didn't match pod affinity rules",), NAME)
ANTI_AFFINITY: Final = Status(Code.UNSCHEDULABLE, ("node(s) didn't match pod anti-affinity rules",), NAME)
EXISTING_ANTI_AFFINITY: Final = Status(
    Code.UNSCHEDULABLE, ("node(s) didn't satisfy existing pods anti-affinity rules",), NAME
)
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


def lacks_affinity(terms: Sequence[Term], cycle: Cycle) -> list[Screen]:
    """Reject nodes whose domains have no pod that all required terms select (satisfyPodAffinity).

    The first pod of a group that wants to be together may go anywhere, if it selects itself.
    """
    counts = _selected_by_all(terms, cycle)
    topologies = [cycle.nodes.topology(term.topology_key) for term in terms]
    sums = [counts.sums(topology) for topology in topologies]
    if not any(sums) and all(_selects_itself(t, cycle) for t in terms):
        return [Screen(topology.values, {0: NO_AFFINITY}) for topology in topologies]
    return [
        Screen(topology.values, {domain: NO_AFFINITY for domain in topology.sizes if domain not in together})
        for topology, together in zip(topologies, sums, strict=True)
    ]


def _selected_by_all(terms: Sequence[Term], cycle: Cycle) -> Counts:
    """Count pods that all terms select: those of the first term, less those that another does not select."""
    counts = cycle.nodes.pods.matching(terms[0].selector, namespaces_of(terms[0], cycle.listers), terminating=True)
    if len(terms) == 1:
        return counts
    exact = Counts()
    for slot in counts:
        for pod in cycle.nodes.infos[slot].pods.values():
            if all(
                in_namespaces(t, pod.namespace, cycle.listers) and selector_matches(t.selector, pod.metadata.labels)
                for t in terms
            ):
                exact.count(slot, 1)
    return exact


def _selects_itself(term: Term, cycle: Cycle) -> bool:
    pod = cycle.pod
    return in_namespaces(term, pod.namespace, cycle.listers) and selector_matches(term.selector, pod.metadata.labels)


def crowded(counts: Counts, topology_key: str, nodes: NodeTable, status: Status) -> Screen:
    """Reject nodes in a domain where any pod is counted; nodes without the label have no domain."""
    topology = nodes.topology(topology_key)
    return Screen(topology.values, dict.fromkeys(counts.sums(topology), status))


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

    def _rules(self, cycle: Cycle) -> Rules:
        """Return the terms that concern the pod as the table is now: preemption tries things out."""
        version = cycle.nodes.pods.terms_version
        known: tuple[int, Rules] | None = cycle.state.get(NAME)
        if known is None or known[0] != version:
            known = cycle.state[NAME] = (version, rules_for(cycle.pod, cycle.nodes, cycle.listers))
        return known[1]

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`."""
        rules = self._rules(cycle)
        if rules.affinity or rules.anti_affinity:
            return None
        return None if any(c.term.kind == "required anti-affinity" for c in rules.existing) else SKIP

    def filter(self, cycle: Cycle) -> Sequence[Screen]:
        """See `Plugin`."""
        rules = self._rules(cycle)
        screens = lacks_affinity(rules.affinity, cycle) if rules.affinity else []
        for term in rules.anti_affinity:
            counts = cycle.nodes.pods.matching(term.selector, namespaces_of(term, cycle.listers), terminating=True)
            screens.append(crowded(counts, term.topology_key, cycle.nodes, ANTI_AFFINITY))
        for counter in rules.existing:
            if counter.term.kind == "required anti-affinity":
                screens.append(crowded(counter.counts, counter.term.topology_key, cycle.nodes, EXISTING_ANTI_AFFINITY))
        return screens

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        rules = self._rules(cycle)
        weighted = [
            (t, cycle.nodes.pods.matching(t.selector, namespaces_of(t, cycle.listers), terminating=True))
            for t in rules.preferred
        ]
        weighted += [(c.term, c.counts) for c in rules.existing if c.term.kind in _SIGN]
        if not weighted:
            return None
        total = [0] * len(slots)
        for term, counts in weighted:
            topology = cycle.nodes.topology(term.topology_key)
            weight = _SIGN[term.kind] * term.weight
            worth = {domain: weight * count for domain, count in counts.sums(topology).items()}
            values = topology.values
            total = [score + worth.get(values[slot], 0) for score, slot in zip(total, slots, strict=True)]
        lowest, highest = min(total), max(total)
        if lowest == highest:
            return None
        span = float(highest - lowest)
        return [int(float(MAX_NODE_SCORE) * ((score - lowest) / span)) for score in total]
