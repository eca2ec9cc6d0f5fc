"""PodTopologySpread: how evenly pods are spread over zones, hosts and other topologies (plugins/podtopologyspread).

Terminating pods do not count. Pods without constraints that belong to a Service, ReplicaSet or StatefulSet are spread
softly by the system's defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from k8sim.api.core import Node, Pod, Service, TopologySpreadConstraint
from k8sim.api.meta import LabelSelector, controller_of
from k8sim.api.selectors import selector_matches
from k8sim.scheduler.counters import with_label_keys
from k8sim.scheduler.framework import (
    ASSIGNED_POD_ADD,
    ASSIGNED_POD_DELETE,
    ASSIGNED_POD_LABEL,
    MAX_NODE_SCORE,
    NODE_ADD,
    NODE_DELETE,
    NODE_LABEL,
    NODE_TAINT,
    POD_LABEL,
    SKIP,
    Code,
    Codes,
    Cycle,
    Event,
    Hint,
    Mask,
    Plugin,
    Scores,
    Skip,
    Slots,
    Status,
    Verdicts,
)
from k8sim.scheduler.listers import Listers
from k8sim.scheduler.nodes import HOSTNAME, ZONE, Topology
from k8sim.scheduler.plugins.node_affinity import has_required_affinity, node_matches, requirements_key
from k8sim.scheduler.plugins.taint_toleration import tolerations_key, untolerated_taint

NAME: Final = "PodTopologySpread"
MISMATCH: Final = "node(s) didn't match pod topology spread constraints"
STATUSES: Final = (
    Status(Code.UNRESOLVABLE, (f"{MISMATCH} (missing required label)",), NAME),
    Status(Code.UNSCHEDULABLE, (MISMATCH,), NAME),
)
_MISSING, _SKEWED = 1, 2


class Constraint(NamedTuple):
    """A spread constraint with its effective selector."""

    key: str
    max_skew: int
    selector: LabelSelector | None
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False


def constraints_of(pod: Pod, when_unsatisfiable: str) -> list[Constraint]:
    """Return the pod's own constraints of a sort: DoNotSchedule or ScheduleAnyway."""
    return [_parse(c, pod) for c in pod.spec.topology_spread_constraints if c.when_unsatisfiable == when_unsatisfiable]


def _parse(constraint: TopologySpreadConstraint, pod: Pod) -> Constraint:
    return Constraint(
        constraint.topology_key,
        constraint.max_skew,
        with_label_keys(constraint.label_selector, pod, constraint.match_label_keys, "In"),
        constraint.min_domains if constraint.min_domains is not None else 1,
        constraint.node_affinity_policy == "Honor",
        constraint.node_taints_policy == "Honor",
    )


def default_constraints(pod: Pod, listers: Listers) -> list[Constraint]:
    """Return the system's soft constraints for a pod that a service selects or a controller owns, else none."""
    selector = default_selector(pod, listers.services_of(pod), _owner_selector(pod, listers))
    return [Constraint(HOSTNAME, 3, selector), Constraint(ZONE, 5, selector)] if selector is not None else []


def default_selector(pod: Pod, services: Sequence[Service], owner: LabelSelector | None) -> LabelSelector | None:
    """Merge the selectors of the pod's services and owner (helper.DefaultSelector); None if there are none."""
    labels: dict[str, str] = {}
    for service in services:
        labels.update(service.spec.selector)
    if owner is not None:
        labels.update(owner.match_labels)
    expressions = owner.match_expressions if owner is not None else ()
    return LabelSelector(match_labels=labels, match_expressions=expressions) if labels or expressions else None


def _owner_selector(pod: Pod, listers: Listers) -> LabelSelector | None:
    owner = controller_of(pod)
    return listers.owner_selector(owner.kind, pod.metadata.namespace, owner.name) if owner is not None else None


def eligible(constraint: Constraint, cycle: Cycle) -> Mask | None:
    """Tell which nodes count by the constraint's policies on node affinity and taints; None: all."""
    pod, nodes = cycle.pod, cycle.nodes
    mask: Mask | None = None
    if constraint.honor_affinity and has_required_affinity(pod):
        key = (NAME, "affinity", requirements_key(pod))
        mask = nodes.column(key, lambda node: int(node_matches(pod, node))) != 0
    if constraint.honor_taints:
        tolerations = pod.spec.tolerations
        key = (NAME, "taints", tolerations_key(pod))
        tolerated = nodes.column(key, lambda node: int(untolerated_taint(node, tolerations) is None)) != 0
        mask = tolerated if mask is None else mask & tolerated
    return mask


def skewed(constraint: Constraint, cycle: Cycle, labelled: Mask) -> Codes:
    """Judge all slots by one hard constraint (calPreFilterState and Filter).

    Parameters
    ----------
    labelled
        The nodes that have the keys of all the pod's hard constraints: only those count.
    """
    pod = cycle.pod
    topology = cycle.nodes.topology(constraint.key)
    counted = labelled
    mask = eligible(constraint, cycle)
    if mask is not None:
        counted = counted & mask
    domain = np.where(counted, topology.values, 0)
    matching = cycle.nodes.pods.matching(constraint.selector, (pod.namespace,), terminating=False)
    sums = np.bincount(domain, matching, len(topology.codes) + 1).astype(np.int64)
    exists = np.bincount(domain, minlength=len(topology.codes) + 1) > 0
    exists[0] = False
    sums[0] = 0
    fewest = int(sums[exists].min(initial=np.iinfo(np.int64).max)) if exists.any() else 0
    if int(exists.sum()) < constraint.min_domains:
        fewest = 0
    itself = int(selector_matches(constraint.selector, pod.metadata.labels))
    sums[~exists] = 0
    codes: Codes = np.where(sums[topology.values] + itself - fewest > constraint.max_skew, _SKEWED, 0)
    codes[topology.values == 0] = _MISSING
    return codes


def spread_scores(constraints: Sequence[Constraint], cycle: Cycle, slots: Slots, require_all: bool) -> Scores:
    """Score nodes that passed, the fewer matching pods in their domains the better (PreScore, Score, NormalizeScore).

    Parameters
    ----------
    require_all
        Leave out nodes that lack one of the topology labels; the system's defaults do not.
    """
    topologies = [cycle.nodes.topology(c.key) for c in constraints]
    left_out: Mask | None = None
    counted: Mask | None = None
    if require_all:
        counted = np.logical_and.reduce([t.values > 0 for t in topologies])
        left_out = ~counted[slots]
    total: npt.NDArray[np.float64] = np.zeros(len(slots))
    for constraint, topology in zip(constraints, topologies, strict=True):
        values = topology.values[slots]
        matching = cycle.nodes.pods.matching(constraint.selector, (cycle.pod.namespace,), terminating=False)
        if constraint.key == HOSTNAME:
            size = len(slots) - (int(left_out.sum()) if left_out is not None else 0)
            counts = matching[slots].astype(np.float64)
        else:
            size = _domains_among(topology, values if left_out is None else values[~left_out], cycle)
            mask = _both(counted, eligible(constraint, cycle))
            counts = topology.sums(matching if mask is None else matching * mask)[values]
        cost = counts * log(size + 2) + (constraint.max_skew - 1)
        total += np.where(values > 0, cost, 0.0) if 0 in topology.sizes else cost
    raw = (total + 0.5).astype(np.int64)  # Go rounds halves away from zero
    return normalize_spread(raw, left_out)


def _domains_among(topology: Topology, values: Codes, cycle: Cycle) -> int:
    """Count the domains of some nodes; nodes without the label make up one, too."""
    if len(values) == len(cycle.nodes.order()):
        return len(topology.sizes)
    return int(np.count_nonzero(np.bincount(values)))


def _both(a: Mask | None, b: Mask | None) -> Mask | None:
    return b if a is None else a if b is None else a & b


def normalize_spread(raw: Scores, left_out: Mask | None) -> Scores:
    """Turn costs into scores: the cheapest node gets the most; nodes that are left out get 0."""
    judged = raw if left_out is None else raw[~left_out]
    if len(judged) == 0:
        return np.zeros(len(raw), dtype=np.int64)
    highest, lowest = int(judged.max()), int(judged.min())
    if highest == 0:
        scores: Scores = np.full(len(raw), MAX_NODE_SCORE, dtype=np.int64)
    else:
        scores = MAX_NODE_SCORE * (highest + lowest - raw) // highest
    if left_out is not None:
        scores[left_out] = 0
    return scores


# ---- hints ----------------------------------------------------------------------------------------------------------


def after_pod_change(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    """Hint: a pod that a hard constraint counts came or went, or began or ceased to count."""
    some = new or old
    assert some is not None
    if some.namespace != pod.namespace and some.uid != pod.uid:
        return False
    constraints = constraints_of(pod, "DoNotSchedule")
    if old is not None and new is not None:
        return any(
            selector_matches(c.selector, old.metadata.labels) != selector_matches(c.selector, new.metadata.labels)
            for c in constraints
        )
    return any(selector_matches(c.selector, some.metadata.labels) for c in constraints)


def after_node_change(pod: Pod, old: Node | None, new: Node | None) -> bool:
    """Hint: the domains have changed."""
    constraints = constraints_of(pod, "DoNotSchedule")
    was = old is not None and all(c.key in old.metadata.labels for c in constraints)
    now = new is not None and all(c.key in new.metadata.labels for c in constraints)
    if was != now:
        return True
    if old is None or new is None or not now:
        return False
    if any(old.metadata.labels[c.key] != new.metadata.labels[c.key] for c in constraints):
        return True
    return old.spec.taints != new.spec.taints and any(c.honor_taints for c in constraints)


class PodTopologySpread(Plugin):
    """See the module."""

    name = NAME
    weight = 2

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {
            ASSIGNED_POD_ADD: after_pod_change,
            ASSIGNED_POD_DELETE: after_pod_change,
            ASSIGNED_POD_LABEL: after_pod_change,
            POD_LABEL: after_pod_change,
            NODE_ADD: after_node_change,
            NODE_DELETE: after_node_change,
            NODE_LABEL: after_node_change,
            NODE_TAINT: after_node_change,
        }

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`."""
        if not cycle.pod.spec.topology_spread_constraints:
            return SKIP
        constraints = constraints_of(cycle.pod, "DoNotSchedule")
        cycle.state[NAME] = constraints
        return None if constraints else SKIP

    def filter(self, cycle: Cycle) -> Verdicts | None:
        """See `Plugin`."""
        constraints: list[Constraint] = cycle.state[NAME]
        labelled = np.ones(len(cycle.nodes.versions), dtype=np.bool_)
        for constraint in constraints:
            labelled &= cycle.nodes.topology(constraint.key).values > 0
        codes: Codes = np.zeros(len(labelled), dtype=np.int64)
        for constraint in constraints:
            codes = np.where(codes == 0, skewed(constraint, cycle, labelled), codes)
        return Verdicts(codes, STATUSES)

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        own = bool(cycle.pod.spec.topology_spread_constraints)
        if own:
            constraints = constraints_of(cycle.pod, "ScheduleAnyway")
        else:
            constraints = default_constraints(cycle.pod, cycle.listers)
        return spread_scores(constraints, cycle, slots, require_all=own) if constraints else None
