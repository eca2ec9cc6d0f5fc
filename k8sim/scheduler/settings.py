"""What KubeSchedulerConfiguration sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class QueueSettings:
    """Names and defaults of KubeSchedulerConfiguration and of the queue's own constants."""

    pod_initial_backoff_ns: int = 1 * _SECOND_NS
    pod_max_backoff_ns: int = 10 * _SECOND_NS
    pod_max_in_unschedulable_pods_ns: int = 300 * _SECOND_NS
    flush_unschedulable_period_ns: int = 30 * _SECOND_NS


@dataclass(frozen=True)
class SchedulerSettings(QueueSettings):
    """What KubeSchedulerConfiguration sets of what is simulated (apis/config/v1/defaults.go).

    ``percentage_of_nodes_to_score`` 0: by the size of the cluster. ``kube_api_qps`` and ``kube_api_burst`` limit the
    scheduler's requests: Kubernetes' defaults are 50 and 100, the recorded clusters' were raised, None is no limit.
    """

    bind_timeout_ns: int = 600 * _SECOND_NS
    percentage_of_nodes_to_score: int = 0
    kube_api_qps: float | None = None
    kube_api_burst: int = 100
