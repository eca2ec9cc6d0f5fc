"""Preemption: which pods of lower priority make way for a pod that fits nowhere (node.md 7.8).

Source: pkg/scheduler/framework/preemption/preemption.go, plugins/defaultpreemption/default_preemption.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from k8sim.api.core import Pod
from k8sim.api.pods import pod_condition
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.selectors import selector_matches
from k8sim.scheduler.framework import Code, Diagnosis, Status, count_reasons
from k8sim.scheduler.nodes import NodeInfo, NodeTable

MIN_CANDIDATE_NODES_PERCENTAGE: Final = 10
MIN_CANDIDATE_NODES_ABSOLUTE: Final = 100
DISRUPTION_TARGET: Final = "DisruptionTarget"
PREEMPTION_BY_SCHEDULER: Final = "PreemptionByScheduler"
NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
NO_VICTIMS: Final = "No preemption victims found for incoming pod"
_MAX_INT32: Final = 2**31 - 1


class Refusal(NamedTuple):
    """Why preemption does not help. ``futile``: it was tried, so that an earlier nomination is void."""

    message: str
    futile: bool


class Candidate(NamedTuple):
    """A node with the pods that would have to go, the most important first."""

    node: str
    victims: tuple[Pod, ...]
    violations: int
    """How many of them a disruption budget would protect."""


def priority_of(pod: Pod) -> int:
    """Return a pod's priority."""
    return pod.spec.priority or 0


def start_time(pod: Pod) -> int:
    """Return when a pod started; one that has not yet is the youngest."""
    started = pod.status.start_time
    return started if started is not None else 2**63


def importance(pod: Pod) -> tuple[int, int, tuple[str, str]]:
    """Sort key, the most important pod first: priority, then who started earlier (util.MoreImportantPod)."""
    return (-priority_of(pod), start_time(pod), pod.key)


def not_eligible(pod: Pod, nominated: NodeInfo | None, nominated_status: Status | None) -> str | None:
    """Return why a pod may not preempt, or None (PodEligibleToPreemptOthers)."""
    if pod.spec.preemption_policy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    if nominated is None or (nominated_status is not None and nominated_status.code == Code.UNRESOLVABLE):
        return None
    for other in nominated.pods.values():
        if priority_of(other) < priority_of(pod) and is_terminating_by_preemption(other):
            return "not eligible due to a terminating pod on the nominated node."
    return None


def is_terminating_by_preemption(pod: Pod) -> bool:
    """Tell whether a pod is on its way out because it was preempted."""
    condition = pod_condition(pod, DISRUPTION_TARGET)
    preempted = condition is not None and condition.status == "True" and condition.reason == PREEMPTION_BY_SCHEDULER
    return pod.deleting and preempted


def num_candidates(nodes: int) -> int:
    """Return how many candidates are enough."""
    return min(max(nodes * MIN_CANDIDATE_NODES_PERCENTAGE // 100, MIN_CANDIDATE_NODES_ABSOLUTE), nodes)


def split_by_violation(pods: Sequence[Pod], budgets: Iterable[PodDisruptionBudget]) -> tuple[list[Pod], list[Pod]]:
    """Tell pods whose eviction a budget would refuse from the others (filterPodsWithPDBViolation)."""
    budgets = list(budgets)
    allowed = [budget.status.disruptions_allowed for budget in budgets]
    violating: list[Pod] = []
    others: list[Pod] = []
    for pod in pods:
        refused = False
        for i, budget in enumerate(budgets):
            if not _covers(budget, pod) or pod.name in budget.status.disrupted_pods:
                continue
            allowed[i] -= 1
            refused = refused or allowed[i] < 0
        (violating if refused else others).append(pod)
    return violating, others


def _covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    selector = budget.spec.selector
    if selector is None or not (selector.match_labels or selector.match_expressions):
        return False  # here an empty selector protects nothing
    return (
        bool(pod.metadata.labels)
        and budget.namespace == pod.namespace
        and selector_matches(selector, pod.metadata.labels)
    )


def select_victims_on_node(
    pod: Pod,
    info: NodeInfo,
    table: NodeTable,
    budgets: Iterable[PodDisruptionBudget],
    why_not: Callable[[], Status | None],
    latest: Callable[[Pod], Pod],
) -> Candidate | Status:
    """Find the fewest, least important pods whose removal makes the pod fit on a node (SelectVictimsOnNode).

    Parameters
    ----------
    why_not
        Judges the node as the table has it now: None if the pod fits. The table is left as it was found, but for the
        status of pods that were tried out.
    latest
        Returns a pod with its present status, which tells when it started: the table may have an older one.
    """
    potential = sorted((latest(p) for p in info.pods.values() if priority_of(p) < priority_of(pod)), key=importance)
    if not potential:
        return Status(Code.UNRESOLVABLE, (NO_VICTIMS,), "DefaultPreemption")
    away = list(potential)
    for other in away:
        table.remove_pod(other.uid, info.name)
    try:
        status = why_not()
        if status is not None:
            return status
        violations = 0
        for group, protected in zip(split_by_violation(potential, budgets), (True, False), strict=True):
            for other in group:
                table.add_pod(other, info.name)
                if why_not() is None:
                    away.remove(other)
                else:
                    table.remove_pod(other.uid, info.name)
                    violations += protected
        return Candidate(info.name, tuple(away), violations)
    finally:
        for other in away:
            table.add_pod(other, info.name)


def pick_one_node(candidates: Sequence[Candidate]) -> Candidate:
    """Choose the candidate whose victims are missed least (pickOneNodeForPreemption); the first of equal ones."""

    def cost(candidate: Candidate) -> tuple[int, int, int, int, int]:
        priorities = [priority_of(p) for p in candidate.victims]
        highest = max(priorities, default=0)
        earliest = min((start_time(p) for p in candidate.victims if priority_of(p) == highest), default=0)
        return (
            candidate.violations,
            highest,
            sum(p + _MAX_INT32 + 1 for p in priorities),
            len(priorities),
            -earliest,
        )

    return min(candidates, key=cost)


def find_candidate(
    pod: Pod,
    table: NodeTable,
    diagnosis: Diagnosis,
    nominated: str,
    budgets: Sequence[PodDisruptionBudget],
    offset: Callable[[int], int],
    why_not: Callable[[NodeInfo], Status | None],
    latest: Callable[[Pod], Pod] = lambda pod: pod,
) -> Candidate | Refusal:
    """Return where preemption would make room for a pod, or why nowhere (Evaluator.Preempt).

    Parameters
    ----------
    nominated
        The node that the pod has been nominated for already, "" if none.
    offset
        Draws where among n nodes the search begins.
    why_not
        Judges a node as the table has it now.
    latest
        Returns a pod of the table with its present status.
    """
    status_of = {slot: status for status, slots in diagnosis.statuses for slot in slots}
    info = table.by_name.get(nominated)
    reason = not_eligible(pod, info, status_of.get(info.slot) if info is not None else None)
    if reason is not None:
        return Refusal(f"preemption: {reason}", futile=False)
    potential = [slot for slot, status in status_of.items() if status.code == Code.UNSCHEDULABLE]
    candidates: list[Candidate] = []
    failures: list[tuple[tuple[str, ...], int]] = []
    if not table.has_pods_below(priority_of(pod)):  # the usual case: no need to look at any node
        failures = [((NO_VICTIMS,), len(potential))] if potential else []
        potential = []
    enough = num_candidates(len(potential))
    begin = offset(len(potential)) if potential else 0
    for slot in potential[begin:] + potential[:begin]:
        node = table.infos[slot]
        judge = partial(why_not, node)
        found = select_victims_on_node(pod, node, table, budgets, judge, latest)
        if isinstance(found, Status):
            failures.append((found.reasons, 1))
        else:
            candidates.append(found)
            if len(candidates) >= enough:
                break
    if candidates:
        return pick_one_node(candidates)
    others = diagnosis.nodes - sum(n for _, n in failures)
    if others:
        failures.append(((NOT_HELPFUL,), others))
    return Refusal(f"preemption: 0/{diagnosis.nodes} nodes are available: {count_reasons(failures)}.", futile=True)
