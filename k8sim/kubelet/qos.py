"""Who dies first when a node runs out of memory (pkg/kubelet/qos/policy.go; node.md 4.6, 8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from k8sim.api.core import Container, Pod
from k8sim.api.pods import is_mirror_pod, is_static_pod
from k8sim.api.quantity import parse_quantity
from k8sim.api.resources import MEMORY, NON_ZERO_REQUESTS, qos_class

GUARANTEED_SCORE: Final = -997
BEST_EFFORT_SCORE: Final = 1000
SYSTEM_CRITICAL: Final = 2_000_000_000
"""Pods of this priority and above are critical (scheduling.SystemCriticalPriority)."""
SYSTEM_NODE_CRITICAL: Final = SYSTEM_CRITICAL + 1000

T = TypeVar("T")


def is_critical(pod: Pod) -> bool:
    """Tell whether the pod is critical: never evicted, admitted under pressure (kubetypes.IsCriticalPod)."""
    return (pod.spec.priority or 0) >= SYSTEM_CRITICAL or is_static_pod(pod) or is_mirror_pod(pod)


def oom_score_adj(pod: Pod, container: Container, node_memory: int) -> int:
    """Return the number that the kernel adds to a container's badness, -1000 to 1000 (GetContainerOOMScoreAdjust).

    Parameters
    ----------
    node_memory
        Memory capacity of the node in bytes.
    """
    if (pod.spec.priority or 0) >= SYSTEM_NODE_CRITICAL:
        return GUARANTEED_SCORE
    quality = qos_class(pod)
    if quality == "Guaranteed":
        return GUARANTEED_SCORE
    if quality == "BestEffort":
        return BEST_EFFORT_SCORE
    request = parse_quantity(container.resources.requests.get(MEMORY, "0"))
    score = 1000 - 1000 * request // node_memory
    # Between the guaranteed and the best-effort ones, whatever is requested.
    return max(1000 + GUARANTEED_SCORE, min(score, BEST_EFFORT_SCORE - 1))


def assumed_use(container: Container) -> int:
    """Return the memory that a container is taken to use: what it requests, or what the scheduler assumes instead."""
    return parse_quantity(container.resources.requests.get(MEMORY, "0")) or NON_ZERO_REQUESTS[MEMORY]


def oom_victim(candidates: Iterable[tuple[T, int, int]], node_memory: int) -> T | None:
    """Return what the kernel kills when the node is out of memory: (what, oom_score_adj, memory used) each.

    The badness is the memory used plus the adjustment's share of all memory (mm/oom_kill.c oom_badness).
    """
    worst: tuple[int, T] | None = None
    for what, adjustment, used in candidates:
        badness = used + adjustment * node_memory // 1000
        if worst is None or badness > worst[0]:
            worst = badness, what
    return None if worst is None else worst[1]
