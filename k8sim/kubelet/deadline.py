"""The deadline after which an active pod fails (pkg/kubelet/active_deadline.go; node.md 4.11)."""

from __future__ import annotations

from k8sim.api.core import Pod, PodStatus
from k8sim.sim.units import SECOND

REASON = "DeadlineExceeded"
MESSAGE = "Pod was active on the node longer than the specified deadline"


def deadline_ns(pod: Pod, status: PodStatus) -> int | None:
    """Return when the pod's deadline is, counted from its start on the node; None without one."""
    seconds = pod.spec.active_deadline_seconds
    if seconds is None or status.start_time is None:
        return None
    return status.start_time + seconds * SECOND


def past_active_deadline(pod: Pod, status: PodStatus, now_ns: int) -> tuple[str, str] | None:
    """Return reason and message if the pod is past its deadline."""
    deadline = deadline_ns(pod, status)
    return None if deadline is None or now_ns < deadline else (REASON, MESSAGE)
