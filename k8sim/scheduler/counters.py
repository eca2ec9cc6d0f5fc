"""How many pods of a kind are on each node, kept up to date pod by pod.

Two questions are answered, and neither costs more because more pods are there:

* `PodCounts.matching`: how many pods that a selector selects are on each node;
* `PodCounts.terms_matching`: which affinity terms of pods on nodes select a given pod, and how many such pods each node
  has.

Selectors are filed under one of the labels that they require, so a pod only meets those that may select it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from k8sim.api.core import Pod, PodAffinity, PodAffinityTerm
from k8sim.api.meta import LabelSelector, LabelSelectorRequirement
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import replace

if TYPE_CHECKING:
    from k8sim.scheduler.nodes import NodeInfo, Topology

Kind = Literal["required affinity", "required anti-affinity", "preferred affinity", "preferred anti-affinity"]
Label = tuple[str, str]

_MOST_COUNTERS: Final = 1024
_ANY: Final = ("", "")


class Term(NamedTuple):
    """An affinity term of a pod. Without namespaces and without namespace selector it speaks of the pod's own."""

    kind: Kind
    weight: int
    topology_key: str
    namespaces: tuple[str, ...]
    namespace_selector: LabelSelector | None
    selector: LabelSelector | None

    def key(self) -> tuple[object, ...]:
        """Return what equal terms have in common."""
        return (*self[:4], msgspec.msgpack.encode((self.namespace_selector, self.selector)))


def terms_of(pod: Pod) -> list[Term]:
    """Return all affinity terms of a pod (framework.PodInfo)."""
    affinity = pod.spec.affinity
    if affinity is None:
        return []
    return [*_terms(pod, affinity.pod_affinity, False), *_terms(pod, affinity.pod_anti_affinity, True)]


def _terms(pod: Pod, rules: PodAffinity | None, anti: bool) -> Iterator[Term]:
    if rules is None:
        return
    for term in rules.required_during_scheduling_ignored_during_execution:
        yield _term(pod, term, "required anti-affinity" if anti else "required affinity", 1)
    for weighted in rules.preferred_during_scheduling_ignored_during_execution:
        if weighted.weight:
            kind: Kind = "preferred anti-affinity" if anti else "preferred affinity"
            yield _term(pod, weighted.pod_affinity_term, kind, weighted.weight)


def _term(pod: Pod, term: PodAffinityTerm, kind: Kind, weight: int) -> Term:
    namespaces = term.namespaces
    if not namespaces and term.namespace_selector is None:
        namespaces = (pod.namespace,)
    selector = with_label_keys(term.label_selector, pod, term.match_label_keys, "In")
    selector = with_label_keys(selector, pod, term.mismatch_label_keys, "NotIn")
    return Term(kind, weight, term.topology_key, namespaces, term.namespace_selector, selector)


def with_label_keys(
    selector: LabelSelector | None, pod: Pod, keys: tuple[str, ...], operator: str
) -> LabelSelector | None:
    """Return the selector with the pod's own values of some keys required (matchLabelKeys) or ruled out."""
    labels = pod.metadata.labels
    more = tuple(LabelSelectorRequirement(key=k, operator=operator, values=(labels[k],)) for k in keys if k in labels)
    if selector is None or not more:
        return selector
    return replace(selector, match_expressions=selector.match_expressions + more)


class Counts(dict[int, int]):
    """How many pods are on each slot where there are any; their sums by domain are kept for topologies asked for."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[Topology, tuple[int, dict[int, int]]] = {}

    def count(self, slot: int, sign: int) -> None:
        """Count a pod on a slot (sign 1), or no longer (-1)."""
        _add(self, slot, sign)
        for topology, (_, sums) in self._sums.items():
            domain = topology.values[slot]
            if domain:
                _add(sums, domain, sign)

    def sums(self, topology: Topology) -> Mapping[int, int]:
        """Return the sums over the domains of a topology, as `Topology.sums` does."""
        known = self._sums.get(topology)
        if known is None or known[0] != topology.version:
            known = self._sums[topology] = (topology.version, topology.sums(self))
        return known[1]


class PodCounter:
    """How many pods that a selector selects are on each slot. ``namespaces`` None: all."""

    __slots__ = ("counts", "label", "namespaces", "selector", "terminating")

    def __init__(self, selector: LabelSelector | None, namespaces: tuple[str, ...] | None, terminating: bool) -> None:
        self.selector = selector
        self.namespaces = namespaces
        self.terminating = terminating
        self.counts = Counts()
        self.label = _filed_under(selector)

    def selects(self, pod: Pod) -> bool:
        """Tell whether a pod counts."""
        if self.namespaces is not None and pod.metadata.namespace not in self.namespaces:
            return False
        if not self.terminating and pod.metadata.deletion_timestamp is not None:
            return False
        return selector_matches(self.selector, pod.metadata.labels)


class TermCounter:
    """How many pods with a certain affinity term are on each slot."""

    __slots__ = ("counts", "label", "term")

    def __init__(self, term: Term) -> None:
        self.term = term
        self.label = _filed_under(term.selector)
        self.counts = Counts()


class Group:
    """The pods on nodes that have a label, by UID with their slots, and the counters of selectors that require it."""

    __slots__ = ("counters", "pods")

    def __init__(self) -> None:
        self.pods: dict[str, tuple[Pod, int]] = {}
        self.counters: list[PodCounter] = []


class PodCounts:
    """Counters of the pods on nodes; `account` is told of every pod that comes or goes.

    Parameters
    ----------
    infos
        The nodes with the pods on them: searched when a selector requires a label that none has required before.
    """

    def __init__(self, infos: Mapping[str, NodeInfo]) -> None:
        self._infos = infos
        self._counters: dict[object, PodCounter] = {}
        self._groups: dict[str, dict[str, Group]] = {}
        """By key and value of a label that some selector is filed under."""
        self._unfiled: list[PodCounter] = []
        self.terms_version = 0
        """Changes with the terms that pods on nodes have, not with how many pods have them."""
        self._terms: dict[object, TermCounter] = {}
        self._filed_terms: dict[Label, dict[object, TermCounter]] = {}
        self._parsed: dict[tuple[int, str], tuple[object, list[tuple[object, Term]]]] = {}

    # ---- reads ----------------------------------------------------------------------------------------------

    def matching(self, selector: LabelSelector | None, namespaces: tuple[str, ...] | None, terminating: bool) -> Counts:
        """Return how many pods that the selector selects are on each slot, terminating ones included or not."""
        key = (namespaces, terminating, msgspec.msgpack.encode(selector))
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= _MOST_COUNTERS:
                dropped = self._counters.pop(next(iter(self._counters)))
                self._filed_with(dropped.label).remove(dropped)
            counter = self._counters[key] = PodCounter(selector, namespaces, terminating)
            self._filed_with(counter.label).append(counter)
            for pod, slot in self._candidates(counter.label):
                if counter.selects(pod):
                    counter.counts.count(slot, 1)
        return counter.counts

    def _filed_with(self, label: Label) -> list[PodCounter]:
        """Return the counters that are filed under a label."""
        return self._unfiled if label is _ANY else self._group(label).counters

    def _candidates(self, label: Label) -> Iterable[tuple[Pod, int]]:
        """Return the pods that have a label, or all."""
        return self._everywhere() if label is _ANY else self._group(label).pods.values()

    def _everywhere(self) -> Iterator[tuple[Pod, int]]:
        return ((pod, info.slot) for info in self._infos.values() for pod in info.pods.values())

    def _group(self, label: Label) -> Group:
        key, value = label
        groups = self._groups.get(key)
        if groups is None:
            groups = self._groups[key] = {}
            for pod, slot in self._everywhere():
                if key in pod.metadata.labels:
                    self._group((key, pod.metadata.labels[key])).pods[pod.metadata.uid] = (pod, slot)
        group = groups.get(value)
        if group is None:
            group = groups[value] = Group()
        return group

    @property
    def has_terms(self) -> bool:
        """Whether any pod on a node has affinity terms."""
        return bool(self._terms)

    def terms_of(self, pod: Pod) -> list[Term]:
        """Return all affinity terms of a pod."""
        return [term for _, term in self._terms_of(pod)] if pod.spec.affinity is not None else []

    def terms_matching(self, pod: Pod) -> list[TermCounter]:
        """Return the counters of all terms of pods on nodes that may select the pod; namespaces are not looked at."""
        labels = pod.metadata.labels
        found = []
        for label in (*labels.items(), _ANY):
            if label in self._filed_terms:
                found += [c for c in self._filed_terms[label].values() if selector_matches(c.term.selector, labels)]
        return found

    # ---- changes --------------------------------------------------------------------------------------------

    def account(self, pod: Pod, slot: int, sign: int) -> None:
        """Count a pod on a slot (sign 1), or no longer (-1)."""
        labels = pod.metadata.labels
        counters = self._unfiled
        for key, groups in self._groups.items():
            if key in labels:
                value = labels[key]
                group = groups[value] if value in groups else self._group((key, value))
                counters = counters + group.counters
                if sign > 0:
                    group.pods[pod.metadata.uid] = (pod, slot)
                else:
                    del group.pods[pod.metadata.uid]
                    if not group.pods and not group.counters:
                        del groups[value]
        for counter in counters:
            if counter.selects(pod):
                counter.counts.count(slot, sign)
        if pod.spec.affinity is not None:
            for what, term in self._terms_of(pod):
                self._account_term(what, term, slot, sign)

    def account_end(self, old: Pod, new: Pod, slot: int) -> None:
        """Take a pod of which nothing else has changed from those that are not terminating."""
        labels = new.metadata.labels
        counters = self._unfiled
        for key, groups in self._groups.items():
            if key in labels:
                group = groups[labels[key]]
                group.pods[new.metadata.uid] = (new, slot)
                counters = counters + group.counters
        for counter in counters:
            if not counter.terminating and counter.selects(old):
                counter.counts.count(slot, -1)

    def _account_term(self, key: object, term: Term, slot: int, sign: int) -> None:
        counter = self._terms.get(key)
        if counter is None:
            self.terms_version += 1
            counter = self._terms[key] = TermCounter(term)
            self._filed_terms.setdefault(counter.label, {})[key] = counter
        counter.counts.count(slot, sign)
        if not counter.counts:
            self.terms_version += 1
            del self._terms[key]
            del self._filed_terms[counter.label][key]
            if not self._filed_terms[counter.label]:
                del self._filed_terms[counter.label]

    def _terms_of(self, pod: Pod) -> list[tuple[object, Term]]:
        """Parse a pod's terms, once for all pods of a template that share them."""
        affinity = pod.spec.affinity
        key = (id(affinity), pod.metadata.namespace)
        known = self._parsed.get(key)
        if known is not None:
            return known[1]
        terms: list[tuple[object, Term]] = [(term.key(), term) for term in terms_of(pod)]
        if not _depends_on_labels(pod):
            if len(self._parsed) >= _MOST_COUNTERS:
                self._parsed.clear()
            self._parsed[key] = (affinity, terms)
        return terms


def _add(counts: dict[int, int], key: int, sign: int) -> None:
    count = counts.get(key, 0) + sign
    if count:
        counts[key] = count
    else:
        del counts[key]


def _filed_under(selector: LabelSelector | None) -> Label:
    """Return a label that every selected pod has; ("", "") if the selector names none."""
    if selector is None or not selector.match_labels:
        return _ANY
    return next(iter(selector.match_labels.items()))


def _depends_on_labels(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    rules = (affinity.pod_affinity, affinity.pod_anti_affinity) if affinity is not None else ()
    for rule in rules:
        if rule is not None:
            terms = [
                *rule.required_during_scheduling_ignored_during_execution,
                *(w.pod_affinity_term for w in rule.preferred_during_scheduling_ignored_during_execution),
            ]
            if any(t.match_label_keys or t.mismatch_label_keys for t in terms):
                return True
    return False
