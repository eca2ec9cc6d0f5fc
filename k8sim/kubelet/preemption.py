"""Room for critical pods: the kubelet itself ends other pods when one does not fit.

Source: pkg/kubelet/preemption/preemption.go, pkg/kubelet/pod_workers.go (killPodNow); node.md 4.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from k8sim.api.core import Pod, PodStatus
from k8sim.api.meta import Condition, set_condition
from k8sim.api.resources import CPU, MEMORY, PODS, pod_requests, qos_class
from k8sim.api.struct import replace
from k8sim.kubelet.qos import is_critical
from k8sim.sim.units import SECOND

MESSAGE: Final = "Preempted in order to admit critical pod"
REASON: Final = "Preempting"
Amounts = Mapping[str, int]


def preemptable(preemptor: Pod, pod: Pod) -> bool:
    """Tell whether a pod may have to go for another one (kubetypes.Preemptable)."""
    if is_critical(preemptor) and not is_critical(pod):
        return True
    return (preemptor.spec.priority or 0) > (pod.spec.priority or 0)


def pods_to_preempt(preemptor: Pod, pods: Iterable[Pod], lacking: Amounts) -> list[Pod] | None:
    """Return the pods whose end frees what is lacking, or None if all together do not (getPodsToPreempt).

    As few Guaranteed pods as possible, then as few Burstable ones, then as few BestEffort ones.
    """
    by_class: dict[str, list[Pod]] = {"BestEffort": [], "Burstable": [], "Guaranteed": []}
    for pod in pods:
        if preemptable(preemptor, pod):
            by_class[qos_class(pod)].append(pod)
    best_effort, burstable, guaranteed = by_class.values()
    if _without(lacking, best_effort + burstable + guaranteed):
        return None
    of_guaranteed = _closest(guaranteed, _without(lacking, best_effort + burstable))
    of_burstable = _closest(burstable, _without(lacking, best_effort + of_guaranteed))
    of_best_effort = _closest(best_effort, _without(lacking, of_burstable + of_guaranteed))
    return of_best_effort + of_burstable + of_guaranteed


def _closest(pods: list[Pod], lacking: Amounts) -> list[Pod]:
    """Return pods that free enough, each time the one that leaves least to free (getPodsToPreemptByDistance)."""
    left, chosen = list(pods), []
    while lacking:
        best = min(left, key=lambda pod: (_distance(pod, lacking), _freed(pod, MEMORY), _freed(pod, CPU)))
        left.remove(best)
        chosen.append(best)
        lacking = _without(lacking, [best])
    return chosen


def _distance(pod: Pod, lacking: Amounts) -> float:
    """Return how far a pod is from freeing all, each resource by the share that remains."""
    remaining = ((amount - _freed(pod, name)) / amount for name, amount in lacking.items())
    return sum(share**2 for share in remaining if share > 0)


def _without(lacking: Amounts, pods: list[Pod]) -> dict[str, int]:
    """Return what is still lacking once pods have gone."""
    left = {name: amount - sum(_freed(pod, name) for pod in pods) for name, amount in lacking.items()}
    return {name: amount for name, amount in left.items() if amount > 0}


def _freed(pod: Pod, resource: str) -> int:
    return 1 if resource == PODS else pod_requests(pod).get(resource, 0)


def preempted(status: PodStatus) -> PodStatus:
    """Return the status of a pod that had to go."""
    target = Condition(type="DisruptionTarget", status="True", reason="TerminationByKubelet", message=MESSAGE)
    conditions = set_condition(status.conditions, target)
    return replace(status, phase="Failed", reason=REASON, message=MESSAGE, conditions=conditions)


def patience(pod: Pod) -> int:
    """Return how long the kubelet waits for a pod to end: half as long again as its grace, 10 s at least (ns)."""
    grace = pod.spec.termination_grace_period_seconds
    return max(grace + grace // 2, 10) * SECOND
