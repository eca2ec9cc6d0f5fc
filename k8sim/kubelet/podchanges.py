"""What of a pod, and of a change of it, gives its kubelet work (pkg/kubelet/config/config.go; node.md 1.1)."""

from __future__ import annotations

from k8sim.api.core import Pod
from k8sim.api.pods import is_mirror_pod, is_pod_ready
from k8sim.kubelet.volumespecs import used_volumes


def is_settled(pod: Pod) -> bool:
    """Tell whether a kubelet that has run as long as a pod has nothing to do for it, now or of its own accord later."""
    waits = pod.spec.active_deadline_seconds is None and not used_volumes(pod) and not is_mirror_pod(pod)
    return waits and is_pod_ready(pod) and not pod.deleting


def differs(old: Pod, new: Pod) -> bool:
    """Tell whether a change is more than one of status (podsDifferSemantically)."""
    a, b = old.metadata, new.metadata
    return (
        old.spec != new.spec
        or a.labels != b.labels
        or a.annotations != b.annotations
        or a.deletion_timestamp != b.deletion_timestamp
        or a.deletion_grace_period_seconds != b.deletion_grace_period_seconds
    )


def readiness_gates_changed(old: Pod, new: Pod) -> bool:
    """Tell whether a condition that a readiness gate names has changed."""
    gates = [g.condition_type for g in new.spec.readiness_gates]

    def values(pod: Pod) -> list[str]:
        return [c.status for g in gates for c in pod.status.conditions if c.type == g]

    return values(old) != values(new)
