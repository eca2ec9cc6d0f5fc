"""The kubelet's own settings, under the names of KubeletConfiguration, with its defaults.

Source: pkg/kubelet/apis/config/v1beta1/defaults.go; node.md 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8sim.sim.units import DAY, MILLISECOND, MINUTE, SECOND


@dataclass(frozen=True)
class KubeletSettings:
    """Settings of all kubelets of a cluster.

    Parameters
    ----------
    started_before_ns
        Age of the kubelets at t = 0. A kubelet that is younger than a probe's period delays the probe's start at
        random.
    node_status_update_frequency_ns, node_lease_duration_seconds
        The node's status is computed this often; its lease is renewed four times in its duration.
    sync_frequency_ns
        Pods are synced at least this often (plus up to half of it).
    max_container_restart_period_ns
        Longest crash-loop back-off.
    registry_pull_qps, registry_burst
        Pulls beyond this rate fail at once; 0: no limit.
    serialize_image_pulls, max_parallel_image_pulls
        One pull at a time, or how many.
    eviction_hard_bytes, eviction_soft_bytes, eviction_soft_grace_period_ns
        Memory that is to be available: below the first, pods are evicted at once; below the second (None: there is no
        such threshold) after the grace period.
    eviction_minimum_reclaim_bytes
        So much more is to be available before evictions end.
    eviction_max_pod_grace_period
        Longest grace (s) of pods that are evicted for a soft threshold.
    eviction_pressure_transition_period_ns
        A node's pressure condition is held for so long after it was last observed.
    shutdown_grace_period_ns, shutdown_grace_period_critical_pods_ns
        How long a shutdown of the machine is held up, and which part of that is for critical pods; 0: not at all.
    shutdown_grace_period_by_pod_priority
        The same by (priority, duration).
    """

    started_before_ns: int = DAY
    sync_frequency_ns: int = MINUTE
    node_status_update_frequency_ns: int = 10 * SECOND
    node_lease_duration_seconds: int = 40
    max_container_restart_period_ns: int = 300 * SECOND
    registry_pull_qps: int = 5
    registry_burst: int = 10
    serialize_image_pulls: bool = True
    max_parallel_image_pulls: int | None = None
    eviction_hard_bytes: int = 100 * 1024**2
    eviction_soft_bytes: int | None = None
    eviction_soft_grace_period_ns: int = 0
    eviction_minimum_reclaim_bytes: int = 0
    eviction_max_pod_grace_period: int = 0
    eviction_pressure_transition_period_ns: int = 5 * MINUTE
    shutdown_grace_period_ns: int = 0
    shutdown_grace_period_critical_pods_ns: int = 0
    shutdown_grace_period_by_pod_priority: tuple[tuple[int, int], ...] = ()


# What the kubelet's code fixes (pkg/kubelet/kubelet.go, pleg/generic.go, status/status_manager.go).
RELIST_PERIOD = 1 * SECOND
SYNC_TICK = 1 * SECOND
HOUSEKEEPING_PERIOD = 2 * SECOND
STATUS_RECONCILE_PERIOD = 10 * SECOND
BACK_OFF_PERIOD = 10 * SECOND
TRANSIENT_BACK_OFF_PERIOD = 1 * SECOND
MAX_BACK_OFF_WAIT = 60 * SECOND
JITTER = 0.5
VOLUME_POLL = 300 * MILLISECOND
VOLUME_TIMEOUT = 2 * MINUTE + 3 * SECOND
