"""PodTopologySpread: how evenly pods are spread over zones, hosts and other topologies (plugins/podtopologyspread).

Terminating pods do not count. Pods without constraints that belong to a Service, ReplicaSet or StatefulSet are spread
softly by the system's defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from itertools import repeat
from math import log
from operator import add
from typing import Final, NamedTuple

from k8sim.api.core import Node, Pod, PodSpec, Service, TopologySpreadConstraint
from k8sim.api.meta import LabelSelector, controller_of
from k8sim.api.selectors import selector_matches
from k8sim.scheduler.counters import Counts, with_label_keys
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
    Cycle,
    Event,
    Hint,
    Plugin,
    Scores,
    Screen,
    Skip,
    Slots,
    Status,
    numbers_of,
)
from k8sim.scheduler.listers import Listers
from k8sim.scheduler.nodes import HOSTNAME, ZONE, Topology
from k8sim.scheduler.plugins.node_affinity import has_required_affinity, node_matches, requirements_key
from k8sim.scheduler.plugins.taint_toleration import tolerations_key, untolerated_taint

NAME: Final = "PodTopologySpread"
MISMATCH: Final = "node(s) didn't match pod topology spread constraints"
MISSING: Final = Status(Code.UNRESOLVABLE, (f"{MISMATCH} (missing required label)",), NAME)
SKEWED: Final = Status(Code.UNSCHEDULABLE, (MISMATCH,), NAME)


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


def eligible(constraint: Constraint, cycle: Cycle) -> list[list[int]]:
    """Return columns that are 0 for the nodes that do not count by the constraint's node affinity and taints policies.

    Mostly there are none: all nodes count.
    """
    pod, nodes = cycle.pod, cycle.nodes
    columns = []
    if constraint.honor_affinity and has_required_affinity(pod.spec):
        key = (NAME, "affinity", requirements_key(pod))
        columns.append(nodes.column(key, lambda node: int(node_matches(pod, node))))
    if constraint.honor_taints:
        tolerations = pod.spec.tolerations
        key = (NAME, "taints", tolerations_key(pod))
        columns.append(nodes.column(key, lambda node: int(untolerated_taint(node, tolerations) is None)))
    return columns


def lacking(topologies: Sequence[Topology]) -> list[list[int]]:
    """Return columns that are 0 for the nodes that lack the label of one of some topologies."""
    return [topology.values for topology in topologies if 0 in topology.sizes]


def in_all(columns: Sequence[list[int]], slots: Iterable[int]) -> list[int]:
    """Return the slots that are 0 in none of some columns."""
    left = list(slots)
    for column in columns:
        left = [slot for slot in left if column[slot]]
    return left


def sums_of(counts: Counts, columns: Sequence[list[int]], topology: Topology) -> Mapping[int, int]:
    """Add up, over each domain, the counts of the slots that are 0 in none of some columns."""
    if not columns:
        return counts.sums(topology)
    return topology.sums({slot: counts[slot] for slot in in_all(columns, counts)})


def skewed(constraint: Constraint, cycle: Cycle, topologies: Sequence[Topology]) -> Screen:
    """Judge all slots by one hard constraint (calPreFilterState and Filter).

    Parameters
    ----------
    topologies
        Those of all the pod's hard constraints: only nodes that have all of these labels count.
    """
    pod, nodes = cycle.pod, cycle.nodes
    topology = nodes.topology(constraint.key)
    columns = lacking(topologies) + eligible(constraint, cycle)
    matching = nodes.pods.matching(constraint.selector, (pod.namespace,), terminating=False)
    sums = sums_of(matching, columns, topology)
    domains = len({topology.values[slot] for slot in in_all(columns, nodes.order())} if columns else topology.sizes)
    fewest = min(sums.values(), default=0) if len(sums) == domains >= constraint.min_domains else 0
    most = constraint.max_skew + fewest - int(selector_matches(constraint.selector, pod.metadata.labels))
    rejected = {domain: SKEWED for domain, count in sums.items() if count > most}
    rejected[0] = MISSING
    return Screen(topology.values, rejected)


def spread_scores(constraints: Sequence[Constraint], cycle: Cycle, slots: Slots, require_all: bool) -> Scores | None:
    """Score nodes that passed, the fewer matching pods in their domains the better (PreScore, Score, NormalizeScore).

    Parameters
    ----------
    require_all
        Leave out nodes that lack one of the topology labels; the system's defaults do not.
    """
    topologies = [cycle.nodes.topology(c.key) for c in constraints]
    columns = lacking(topologies) if require_all else []
    judged = in_all(columns, slots)
    each = [_costs(c, topology, columns, cycle, judged) for c, topology in zip(constraints, topologies, strict=True)]
    costs = list(reduce(partial(map, add), each))  # `sum` would compensate from Python 3.12 on: other floats
    scores = normalize_spread(costs)
    if len(judged) == len(slots):
        return scores
    by_slot = dict(zip(judged, scores or [MAX_NODE_SCORE] * len(judged), strict=True))
    return [by_slot.get(slot, 0) for slot in slots]


def _costs(
    constraint: Constraint, topology: Topology, columns: list[list[int]], cycle: Cycle, slots: Slots
) -> Iterable[float]:
    """Return what each node costs by one constraint; nothing, if it lacks the label."""
    counts = cycle.nodes.pods.matching(constraint.selector, (cycle.pod.metadata.namespace,), terminating=False)
    values = topology.values
    least = float(constraint.max_skew - 1)
    if constraint.key == HOSTNAME:
        weight = log(len(slots) + 2)
        cost = {count: count * weight + least for count in {0, *counts.values()}}
        costs = map(cost.__getitem__, map(counts.get, slots, repeat(0)))
        if 0 in topology.sizes:
            return [cost if values[slot] else 0.0 for cost, slot in zip(costs, slots, strict=True)]
        return costs
    weight = log(_domains_among(topology, slots, cycle) + 2)
    sums = sums_of(counts, columns + eligible(constraint, cycle), topology)
    cost = {domain: sums.get(domain, 0) * weight + least for domain in topology.sizes}
    if 0 in cost:
        cost[0] = 0.0
    return map(cost.__getitem__, numbers_of(slots, values))


def _domains_among(topology: Topology, slots: Slots, cycle: Cycle) -> int:
    """Count the domains of some nodes; nodes without the label make up one, too."""
    if len(slots) == len(cycle.nodes.order()):
        return len(topology.sizes)
    return len({topology.values[slot] for slot in slots})


def normalize_spread(costs: Sequence[float]) -> Scores | None:
    """Turn costs into scores: the cheapest node gets the most; None if all cost the same."""
    raw = {cost: int(cost + 0.5) for cost in set(costs)}  # Go rounds halves away from zero
    highest, lowest = max(raw.values(), default=0), min(raw.values(), default=0)
    if highest == lowest:
        return None
    scores = {cost: MAX_NODE_SCORE * (highest + lowest - rounded) // highest for cost, rounded in raw.items()}
    return list(map(scores.__getitem__, costs))


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

    def concerns(self, spec: PodSpec) -> bool:
        """See `Plugin`."""
        return bool(spec.topology_spread_constraints)

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`."""
        constraints = constraints_of(cycle.pod, "DoNotSchedule")
        cycle.state[NAME] = constraints
        return None if constraints else SKIP

    def filter(self, cycle: Cycle) -> Sequence[Screen]:
        """See `Plugin`."""
        constraints: list[Constraint] = cycle.state[NAME]
        topologies = [cycle.nodes.topology(constraint.key) for constraint in constraints]
        return [skewed(constraint, cycle, topologies) for constraint in constraints]

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        own = bool(cycle.pod.spec.topology_spread_constraints)
        if own:
            constraints = constraints_of(cycle.pod, "ScheduleAnyway")
        else:
            constraints = default_constraints(cycle.pod, cycle.listers)
        return spread_scores(constraints, cycle, slots, require_all=own) if constraints else None
