"""How long a stop may take (pkg/kubelet/pod_workers.go, kuberuntime_container.go; node.md 1.2, 3.3, 4.2)."""

from __future__ import annotations

from k8sim.api.core import Container, Pod
from k8sim.kubelet.actions import KillReason
from k8sim.sim.units import SECOND

MINIMUM_GRACE_S = 2
"""SIGKILL never follows SIGTERM sooner (minimumGracePeriodInSeconds)."""


def effective_grace_period(current: int, pod: Pod, override: int | None) -> int:
    """Return the grace of a terminating pod; 0 as ``current`` means not set yet (calculateEffectiveGracePeriod).

    It can only shrink: the object's own, then an override of the kubelet; without either the spec's; at least 1.
    """
    grace = current
    own = pod.metadata.deletion_grace_period_seconds
    for wish in (own, override):
        if wish is not None and (grace == 0 or wish < grace):
            grace = wish
    if grace == 0:
        grace = pod.spec.termination_grace_period_seconds
    return max(grace, 1)


def container_grace_period(pod: Pod, container: Container, reason: KillReason) -> int:
    """Return the grace of one container's kill (setTerminationGracePeriod)."""
    own = pod.metadata.deletion_grace_period_seconds
    if own is not None:
        return own
    probe = {"Startup": container.startup_probe, "Liveness": container.liveness_probe, "": None}[reason]
    if probe is not None and probe.termination_grace_period_seconds is not None:
        return probe.termination_grace_period_seconds
    return pod.spec.termination_grace_period_seconds


def after(grace_s: int, used_ns: int) -> int:
    """Return what is left of a grace period; time used counts in whole seconds, rounded down."""
    return grace_s - used_ns // SECOND


def stop_timeout(grace_s: int) -> int:
    """Return the time between SIGTERM and SIGKILL."""
    return max(grace_s, MINIMUM_GRACE_S)
