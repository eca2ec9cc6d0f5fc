"""The policy and scheduling groups: PodDisruptionBudget, PriorityClass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from k8sim.api.meta import Condition, LabelSelector, Object
from k8sim.api.struct import IntOrString, Struct, Time


class PodDisruptionBudgetSpec(Struct, frozen=True):
    """How many pods may be disrupted by choice. A None selector matches nothing, an empty one everything."""

    min_available: IntOrString | None = None
    max_unavailable: IntOrString | None = None
    selector: LabelSelector | None = None
    unhealthy_pod_eviction_policy: str | None = None


class PodDisruptionBudgetStatus(Struct, frozen=True):
    """What the disruption controller counted."""

    observed_generation: int = 0
    disrupted_pods: Mapping[str, Time] = msgspec.field(default_factory=dict)
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: tuple[Condition, ...] = ()


class PodDisruptionBudget(Object, frozen=True):
    """A budget that the eviction API honours."""

    api_version: ClassVar[str] = "policy/v1"
    kind: ClassVar[str] = "PodDisruptionBudget"
    plural: ClassVar[str] = "poddisruptionbudgets"

    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()


class PriorityClass(Object, frozen=True):
    """A named priority."""

    api_version: ClassVar[str] = "scheduling.k8s.io/v1"
    kind: ClassVar[str] = "PriorityClass"
    plural: ClassVar[str] = "priorityclasses"
    namespaced: ClassVar[bool] = False

    value: int = 0
    global_default: bool = False
    preemption_policy: str = "PreemptLowerPriority"
