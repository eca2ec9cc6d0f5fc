"""Graceful node shutdown: the kubelet holds up a shutdown of its machine while it stops pods, group by group.

It does so only if it is configured to (`shutdownGracePeriod`); otherwise a shutdown just ends everything.

Source: pkg/kubelet/nodeshutdown/nodeshutdown_manager.go, nodeshutdown_manager_linux.go; node.md 4.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from k8sim.api.core import Pod, PodStatus
from k8sim.api.meta import Condition, set_condition
from k8sim.api.struct import replace
from k8sim.kubelet.admission import Rejection
from k8sim.kubelet.nodestatus import NodeStatus
from k8sim.kubelet.podworkers import PodWorkers, Update
from k8sim.kubelet.qos import SYSTEM_CRITICAL
from k8sim.kubelet.settings import KubeletSettings
from k8sim.kubelet.waiting import first_of
from k8sim.sim.clock import Clock, Steps
from k8sim.sim.units import SECOND

REASON: Final = "Terminated"
MESSAGE: Final = "Pod was terminated in response to imminent node shutdown."
NOT_READY: Final = Condition(type="Ready", status="False", reason="KubeletNotReady", message="node is shutting down")
REJECTION: Final = Rejection("NodeShutdown", "Pod was rejected as the node is shutting down.")


@dataclass(frozen=True)
class Group:
    """Pods of a range of priorities, and the time that they get together."""

    priority: int
    grace_ns: int


def shutdown_groups(settings: KubeletSettings) -> tuple[Group, ...]:
    """Return the groups in the order of their end; none: the feature is off (migrateConfig)."""
    if settings.shutdown_grace_period_by_pod_priority:
        return tuple(Group(p, g) for p, g in sorted(settings.shutdown_grace_period_by_pod_priority))
    total, critical = settings.shutdown_grace_period_ns, settings.shutdown_grace_period_critical_pods_ns
    if total <= 0:
        return ()
    return (Group(0, total - critical), Group(SYSTEM_CRITICAL, critical))


def group_pods(groups: Sequence[Group], pods: Sequence[Pod]) -> list[list[Pod]]:
    """Distribute pods over the groups: each goes to the one with the highest priority that is not above its own."""
    result: list[list[Pod]] = [[] for _ in groups]
    for pod in pods:
        priority = pod.spec.priority or 0
        index = max((i for i, g in enumerate(groups) if g.priority <= priority), default=0)
        result[index].append(pod)
    return result


def terminated(status: PodStatus) -> PodStatus:
    """Return the status of a pod that had to go with its node."""
    target = Condition(type="DisruptionTarget", status="True", reason="TerminationByKubelet", message=MESSAGE)
    conditions = set_condition(status.conditions, target)
    return replace(status, phase="Failed", reason=REASON, message=MESSAGE, conditions=conditions)


class NodeShutdown:
    """The shutdown manager of one kubelet process."""

    def __init__(
        self,
        clock: Clock,
        rank: int,
        settings: KubeletSettings,
        workers: PodWorkers,
        node_status: NodeStatus,
        active_pods: Callable[[], list[Pod]],
    ) -> None:
        self._clock = clock
        self._rank = rank
        self._groups = shutdown_groups(settings)
        self._workers = workers
        self._node_status = node_status
        self._active_pods = active_pods
        self.shutting_down = False

    @property
    def enabled(self) -> bool:
        """Whether the kubelet holds up a shutdown at all."""
        return bool(self._groups)

    def admit(self, pod: Pod) -> Rejection | None:
        """Return why a pod is not taken while the node goes down."""
        return REJECTION if self.shutting_down else None

    def shut_down(self, power_off: Callable[[], None]) -> Steps:
        """Stop all pods, then let the machine go (processShutdownEvent)."""
        self.shutting_down = True
        self._node_status.set_condition(NOT_READY, at_once=True)
        for group, pods in zip(self._groups, group_pods(self._groups, self._active_pods()), strict=True):
            if not pods:
                continue
            deadline = self._clock.now + group.grace_ns
            for pod in pods:
                grace = min(pod.spec.termination_grace_period_seconds, group.grace_ns // SECOND)
                self._workers.update_pod(Update("kill", pod, grace_override=grace, status_function=terminated))
            for pod in pods:
                finished = self._workers.finished(pod.uid)
                if finished is not None and self._clock.now < deadline:
                    yield first_of(self._clock, self._rank, finished, until_ns=deadline)
        self._clock.call_after(0, power_off, rank=self._rank)
