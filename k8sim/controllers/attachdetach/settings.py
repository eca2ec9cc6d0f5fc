"""What kube-controller-manager sets of the attach/detach controller."""

from __future__ import annotations

from dataclasses import dataclass

from k8sim.sim.units import MILLISECOND, MINUTE


@dataclass(frozen=True)
class AttachDetachSettings:
    """Settings of the controller (kube-controller-manager's flags, and constants of its source)."""

    reconciler_loop_period_ns: int = 100 * MILLISECOND
    reconciler_max_wait_for_unmount_duration_ns: int = 6 * MINUTE
    disable_force_detach_on_timeout: bool = False
    reconciler_sync_loop_period_ns: int = MINUTE
    desired_state_populator_sleep_period_ns: int = MINUTE
    desired_state_populator_list_pods_retry_ns: int = 3 * MINUTE
