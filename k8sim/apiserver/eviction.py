"""The eviction subresource of pods: a delete that asks the disruption budgets first.

Source: pkg/registry/core/pod/storage/eviction.go; workloads.md 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from k8sim.api.core import Pod
from k8sim.api.meta import Condition, set_condition
from k8sim.api.pods import is_pod_ready, is_pod_terminal
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import Time, replace
from k8sim.apiserver.errors import ApiError, Forbidden, InternalError, TooManyRequests
from k8sim.sim.trace import NO_CAUSE

if TYPE_CHECKING:
    from k8sim.apiserver.server import APIServer

MAX_DISRUPTED_PODS: Final = 2000
_BEING_PROCESSED_RETRY_S: Final = 10

Verdict = Literal["delete", "use budget"]


def eviction_verdict(pod: Pod, budgets: Sequence[PodDisruptionBudget]) -> Verdict:
    """Decide whether a pod may be evicted, from the budgets that select it and their status as stored.

    Returns
    -------
    "delete", or "use budget": delete after taking one disruption from the only budget.

    Raises
    ------
    InternalError
        More than one budget selects the pod.
    TooManyRequests
        The budget does not allow it now; with ``retry_after_s`` if its status is not up to date.
    Forbidden
        The budget's status makes no sense.
    """
    if is_pod_terminal(pod) or pod.deleting or pod.status.phase == "Pending":
        return "delete"  # budgets do not protect it
    if not budgets:
        return "delete"
    if len(budgets) > 1:
        raise InternalError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    budget = budgets[0]
    status = budget.status
    if not is_pod_ready(pod):
        if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
            return "delete"
        if status.current_healthy >= status.desired_healthy > 0:
            return "delete"
    check_budget(budget)
    return "use budget"


def check_budget(budget: PodDisruptionBudget) -> None:
    """Raise unless the budget allows one disruption more (checkAndDecrement)."""
    status = budget.status
    if status.observed_generation < budget.metadata.generation:
        raise TooManyRequests(
            "Cannot evict pod as it would violate the pod's disruption budget.", retry_after_s=_BEING_PROCESSED_RETRY_S
        )
    if status.disruptions_allowed < 0:
        raise Forbidden(
            f'poddisruptionbudgets.policy "{budget.name}" is forbidden: pdb disruptions allowed is negative'
        )
    if len(status.disrupted_pods) > MAX_DISRUPTED_PODS:
        raise Forbidden(
            f'poddisruptionbudgets.policy "{budget.name}" is forbidden: DisruptedPods map too big - too many evictions '
            "not confirmed by PDB controller"
        )
    if status.disruptions_allowed == 0:
        raise TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.")


def refusal_cause(error: ApiError, budget: PodDisruptionBudget) -> str:
    """Return why a budget refused, as the cause in the body of the 429 says it."""
    if error.retry_after_s is not None:
        return f"The disruption budget {budget.name} is still being processed by the server."
    failed = [c for c in budget.status.conditions if c.reason == "SyncFailed"]
    if failed:
        return (
            f"The disruption budget {budget.name} does not allow evicting pods currently because it failed sync: "
            + (failed[0].message)
        )
    status = budget.status
    return (
        f"The disruption budget {budget.name} needs {status.desired_healthy} healthy pods and has "
        f"{status.current_healthy} currently"
    )


def evict(
    server: APIServer,
    namespace: str,
    name: str,
    *,
    grace_period_seconds: int | None = None,
    dry_run: bool = False,
    actor: str = "",
    cause: int = NO_CAUSE,
) -> Pod:
    """Evict a pod at one instant, so that no guard against changes meanwhile (20 attempts) is needed.

    Returns
    -------
    The pod as it was deleted or began to be. That it is accepted does not mean that the pod is gone.
    """
    pod = server.get(Pod, namespace, name)
    budgets = [
        b for b in server.list(PodDisruptionBudget, namespace) if selector_matches(b.spec.selector, pod.metadata.labels)
    ]
    verdict = eviction_verdict(pod, budgets)
    if dry_run:
        return pod
    now = Time(server.sim.clock.truncated())
    if verdict == "use budget":
        status = budgets[0].status
        status = replace(
            status,
            disruptions_allowed=status.disruptions_allowed - 1,
            disrupted_pods={**status.disrupted_pods, name: now},
        )
        server.update_status(replace(budgets[0], status=status), actor, cause)
    condition = Condition(
        type="DisruptionTarget",
        status="True",
        reason="EvictionByEvictionAPI",
        message="Eviction API: evicting",
        last_transition_time=now,
    )
    server.patch_status(
        Pod,
        namespace,
        name,
        lambda p: replace(p, status=replace(p.status, conditions=set_condition(p.status.conditions, condition))),
        actor,
        cause,
    )
    return server.delete(Pod, namespace, name, grace_period_seconds=grace_period_seconds, actor=actor, cause=cause)
