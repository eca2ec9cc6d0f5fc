"""What a disruption budget counts and allows.

Source: pkg/controller/disruption/disruption.go,
staging/src/k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go; workloads.md 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from k8sim.api.core import Pod
from k8sim.api.meta import Condition, OwnerReference, controller_of, set_condition
from k8sim.api.pods import is_pod_ready
from k8sim.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from k8sim.api.struct import IntOrString, Time, replace

DELETION_TIMEOUT_NS = 120 * 1_000_000_000
"""How long a pod whose eviction was granted counts as disrupted although it is not terminating."""

DISRUPTION_ALLOWED = "DisruptionAllowed"


class Tally:
    """The pods that a budget selects, counted as they change: who is healthy, who owns how many."""

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self._healthy: dict[str, None] = {}
        self._owners: dict[OwnerReference | None, int] = {}
        self._owners_changes = 0

    def put(self, pod: Pod) -> bool:
        """Add or replace a pod; tell whether anything that a budget counts has changed."""
        old = self.pods.get(pod.metadata.name)
        self.pods[pod.metadata.name] = pod
        changed = old is None
        if old is None or old.metadata.owner_references is not pod.metadata.owner_references:
            if old is not None:
                self._disown(old)
                changed = True
            owner = controller_of(pod)
            if owner not in self._owners:
                self._owners[owner] = 0
                self._owners_changes += 1
            self._owners[owner] += 1
        healthy = is_pod_ready(pod) and pod.metadata.deletion_timestamp is None
        if healthy != (pod.metadata.name in self._healthy):
            changed = True
            if healthy:
                self._healthy[pod.metadata.name] = None
            else:
                del self._healthy[pod.metadata.name]
        return changed

    def remove(self, name: str) -> None:
        """Remove a pod."""
        pod = self.pods.pop(name, None)
        if pod is not None:
            self._healthy.pop(name, None)
            self._disown(pod)

    def _disown(self, pod: Pod) -> None:
        owner = controller_of(pod)
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]
            self._owners_changes += 1

    def counts(self, pods_count: bool) -> tuple[int, int, int]:
        """Return what a status depends on: healthy pods, all pods if their number counts, changes among owners."""
        return len(self._healthy), len(self.pods) if pods_count else 0, self._owners_changes

    def owners(self) -> list[OwnerReference]:
        """Return the distinct controllers of the pods."""
        return [owner for owner in self._owners if owner is not None]

    def has_unmanaged(self) -> bool:
        """Tell whether a pod has no controller."""
        return None in self._owners

    def current_healthy(self, disrupted: Iterable[str]) -> int:
        """Count pods that are Ready, not terminating, and not about to be evicted (countHealthyPods)."""
        return len(self._healthy) - sum(name in self._healthy for name in disrupted)


class Seen(NamedTuple):
    """What a status without disrupted pods is made of, and the status: from the same the same would be made again.

    ``scales`` tells how often a workload's size had changed, ``counts`` is what `Tally.counts` said.
    """

    spec: PodDisruptionBudgetSpec
    generation: int
    scales: int
    counts: tuple[int, int, int]
    status: PodDisruptionBudgetStatus


def scaled_value(value: IntOrString, total: int) -> int:
    """Return a number, or a percentage of the total rounded up (intstr.GetScaledValueFromIntOrPercent)."""
    if isinstance(value, int):
        return value
    percent = int(value.removesuffix("%"))
    return -(-percent * total // 100)


def needs_scale(pdb: PodDisruptionBudget) -> bool:
    """Tell whether the budget counts what the pods' controllers want, and not the pods themselves."""
    return pdb.spec.max_unavailable is not None or isinstance(pdb.spec.min_available, str)


def expected_and_desired(pdb: PodDisruptionBudget, pod_count: int, scale: int) -> tuple[int, int]:
    """Return expectedPods and desiredHealthy (getExpectedPodCount).

    Parameters
    ----------
    pod_count
        Matching pods, whatever their state.
    scale
        Sum of the replicas that the distinct controllers of the pods want.
    """
    spec = pdb.spec
    if spec.max_unavailable is not None:
        return scale, max(0, scale - scaled_value(spec.max_unavailable, scale))
    if isinstance(spec.min_available, str):
        return scale, scaled_value(spec.min_available, scale)
    if spec.min_available is not None:
        return pod_count, spec.min_available
    return 0, 0


class Disrupted(NamedTuple):
    """Who is about to be evicted: the entries to keep, those that have run out, when to look again."""

    keep: Mapping[str, Time]
    expired: tuple[str, ...]
    recheck_at_ns: int | None


def build_disrupted_pod_map(pdb: PodDisruptionBudget, pods: Mapping[str, Pod], now_ns: int) -> Disrupted:
    """Clean up the entries that evictions left (buildDisruptedPodMap): by name, not by UID."""
    keep: dict[str, Time] = {}
    expired = []
    recheck: int | None = None
    for name, since in pdb.status.disrupted_pods.items():
        pod = pods.get(name)
        if pod is None or pod.deleting:
            continue
        end = since + DELETION_TIMEOUT_NS
        if end < now_ns:
            expired.append(name)
            continue
        keep[name] = since
        recheck = end if recheck is None else min(recheck, end)
    return Disrupted(keep, tuple(expired), recheck)


def budget_status(
    pdb: PodDisruptionBudget,
    current_healthy: int,
    desired_healthy: int,
    expected: int,
    disrupted: Mapping[str, Time],
    now: Time,
) -> PodDisruptionBudgetStatus:
    """Return the new status (updatePdbStatus). Nothing is allowed while nothing is expected."""
    allowed = max(0, current_healthy - desired_healthy) if expected > 0 else 0
    state, reason = ("True", "SufficientPods") if allowed > 0 else ("False", "InsufficientPods")
    return PodDisruptionBudgetStatus(
        observed_generation=pdb.metadata.generation,
        disrupted_pods=disrupted,
        disruptions_allowed=allowed,
        current_healthy=current_healthy,
        desired_healthy=desired_healthy,
        expected_pods=expected,
        conditions=_conditions(pdb, state, reason, "", now),
    )


def fail_safe(pdb: PodDisruptionBudget, message: str, now: Time) -> PodDisruptionBudgetStatus:
    """Return the status after a failed calculation: nothing is allowed, all else stays."""
    conditions = _conditions(pdb, "False", "SyncFailed", message, now)
    return replace(pdb.status, disruptions_allowed=0, conditions=conditions)


def _conditions(pdb: PodDisruptionBudget, state: str, reason: str, message: str, now: Time) -> tuple[Condition, ...]:
    condition = Condition(
        type=DISRUPTION_ALLOWED,
        status=state,
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=pdb.metadata.generation,
    )
    return set_condition(pdb.status.conditions, condition)
