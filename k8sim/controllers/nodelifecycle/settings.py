"""What kube-controller-manager sets of the node lifecycle controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class NodeLifecycleSettings:
    """Flags of kube-controller-manager."""

    node_monitor_period_ns: int = 5 * _SECOND_NS
    node_monitor_grace_period_ns: int = 50 * _SECOND_NS
    node_startup_grace_period_ns: int = 60 * _SECOND_NS
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    large_cluster_size_threshold: int = 50
    unhealthy_zone_threshold: float = 0.55
