"""What kube-controller-manager sets of the pod garbage collector."""

from __future__ import annotations

from dataclasses import dataclass

from k8sim.sim.units import SECOND


@dataclass(frozen=True)
class PodGCSettings:
    """Flags and constants of the pod garbage collector."""

    terminated_pod_gc_threshold: int = 12500
    period_ns: int = 20 * SECOND
    quarantine_ns: int = 40 * SECOND
