"""Which pods a ReplicaSet deletes first.

Source: pkg/controller/controller_utils.go (ActivePodsWithRanks), replica_set.go (getPodsToDelete); workloads.md 2.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cmp_to_key

from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_active, pod_condition

DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def pods_to_delete(pods: Sequence[Pod], related: Iterable[Pod], count: int, now_ns: int) -> list[Pod]:
    """Choose pods to delete.

    Parameters
    ----------
    pods
        The active pods of the ReplicaSet.
    related
        The pods of all ReplicaSets of the same Deployment: a pod with many of them on its node goes earlier.
    """
    if count >= len(pods):
        return list(pods)
    on_node = Counter(p.spec.node_name for p in related if is_pod_active(p))

    def compare(a: Pod, b: Pod) -> int:
        return _compare(a, b, on_node, now_ns)

    return sorted(pods, key=cmp_to_key(compare))[:count]


def _compare(a: Pod, b: Pod, on_node: Counter[str], now_ns: int) -> int:
    """Return a negative number if ``a`` goes before ``b``."""
    ready_a, ready_b = _ready_since(a), _ready_since(b)
    steps = (
        bool(a.spec.node_name) - bool(b.spec.node_name),
        _PHASES.get(a.status.phase, 0) - _PHASES.get(b.status.phase, 0),
        (ready_a is not None) - (ready_b is not None),
        _deletion_cost(a) - _deletion_cost(b),
        on_node[b.spec.node_name] - on_node[a.spec.node_name],
    )
    for step in steps:
        if step:
            return step
    if ready_a is not None and ready_b is not None and ready_a != ready_b:
        return _age_buckets(ready_a, ready_b, now_ns) or _by_uid(a, b)
    restarts = _max_restarts(b) - _max_restarts(a)
    if restarts:
        return restarts
    created_a, created_b = a.metadata.creation_timestamp or 0, b.metadata.creation_timestamp or 0
    if created_a != created_b:
        return _age_buckets(created_a, created_b, now_ns) or _by_uid(a, b)
    return 0


def _ready_since(pod: Pod) -> int | None:
    condition = pod_condition(pod, "Ready")
    if condition is None or condition.status != "True":
        return None
    return condition.last_transition_time or 0


def _deletion_cost(pod: Pod) -> int:
    try:
        return int(pod.metadata.annotations.get(DELETION_COST_ANNOTATION, "0"))
    except ValueError:
        return 0


def _age_buckets(a_ns: int, b_ns: int, now_ns: int) -> int:
    """Compare ages by powers of two, the younger first (logarithmicRankDiff)."""
    return max(now_ns - a_ns, 0).bit_length() - max(now_ns - b_ns, 0).bit_length()


def _by_uid(a: Pod, b: Pod) -> int:
    return (a.uid > b.uid) - (a.uid < b.uid)


def _max_restarts(pod: Pod) -> int:
    return max((s.restart_count for s in pod.status.container_statuses), default=0)
