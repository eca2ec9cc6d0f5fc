"""Which pods nobody will ever confirm the end of, and which ended ones are too many.

Source: pkg/controller/podgc/gc_controller.go; workloads.md 4.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from k8sim.api.core import Node, Pod
from k8sim.api.meta import Condition, condition_of, set_condition
from k8sim.api.pods import is_pod_terminal
from k8sim.api.struct import Time, replace

OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
_SECOND_NS: Final = 1_000_000_000


def is_out_of_service(node: Node) -> bool:
    """Tell whether a node is not Ready and somebody has said that it is off for good."""
    if not node.spec.taints:
        return False
    ready = condition_of(node.status.conditions, "Ready")
    down = ready is None or ready.status != "True"
    return down and any(t.key == OUT_OF_SERVICE for t in node.spec.taints)


def excess_terminated(pods: Iterable[Pod], threshold: int) -> Sequence[Pod]:
    """Return the ended pods beyond the threshold: evicted ones first, then the oldest, then by name."""
    ended = [p for p in pods if is_pod_terminal(p)]
    excess = len(ended) - threshold
    if threshold <= 0 or excess <= 0:
        return ()
    ended.sort(key=lambda p: (p.status.reason != "Evicted", p.metadata.creation_timestamp or 0, p.namespace, p.name))
    return ended[:excess]


def failed(pod: Pod, node_gone: bool, now: Time) -> Pod:
    """Return the pod as Failed; if its node is gone it says so (markFailedAndDeletePodWithCondition)."""
    status = replace(pod.status, phase="Failed")
    if node_gone:
        condition = Condition(
            type="DisruptionTarget",
            status="True",
            reason="DeletionByPodGC",
            message="PodGC: node no longer exists",
            last_transition_time=now,
        )
        status = replace(status, conditions=set_condition(status.conditions, condition))
    return replace(pod, status=status)
