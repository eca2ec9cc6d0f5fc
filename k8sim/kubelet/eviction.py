"""Node-pressure eviction: what the kubelet does when its node runs short of memory, disk or process IDs.

Every 10 s the signals are looked at; here only while a machine is under pressure, and for the time for which the
node's condition is held afterwards. One pod at most is evicted each time, with a grace of 1 s (for a soft threshold
with the longest that is configured); its object stays, Failed.

A pressure that is felt rejects pods at once, but the scheduler hears of it only with the node's next status, up to 10 s
later (kubernetes/kubernetes#78416). A StatefulSet whose pod comes back to the node meanwhile deletes and creates it
without any back-off, some 30 times a second (kubernetes/kubernetes#89067, open): as real as it is ugly.

Source: pkg/kubelet/eviction/{eviction_manager,helpers}.go; node.md 4.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from k8sim.api.core import Pod, PodStatus
from k8sim.api.meta import Condition, set_condition
from k8sim.api.resources import MEMORY, pod_non_zero_requests, pod_requests, qos_class
from k8sim.api.struct import replace
from k8sim.kubelet.admission import Rejection, tolerates
from k8sim.kubelet.grid import Grid
from k8sim.kubelet.nodestatus import NodeStatus
from k8sim.kubelet.podworkers import PodWorkers, Update
from k8sim.kubelet.qos import is_critical
from k8sim.kubelet.settings import KubeletSettings
from k8sim.kubelet.thresholds import Threshold, Thresholds, memory_thresholds
from k8sim.machines.answers import FOR_EVER
from k8sim.machines.machine import Machine
from k8sim.machines.pressure import CONDITION_OF, SIGNALS
from k8sim.sim.clock import Clock
from k8sim.sim.streams import Streams
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import MINUTE, SECOND

PERIOD: Final = 10 * SECOND
VOLUME_STATS_PERIOD: Final = MINUTE
GRACE_S: Final = 1
TAINT_OF: Final[Mapping[str, str]] = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "MemoryPressure": ("KubeletHasInsufficientMemory", "KubeletHasSufficientMemory"),
    "DiskPressure": ("KubeletHasDiskPressure", "KubeletHasNoDiskPressure"),
    "PIDPressure": ("KubeletHasInsufficientPID", "KubeletHasSufficientPID"),
}
DISRUPTION_TARGET: Final = Condition(type="DisruptionTarget", status="True", reason="TerminationByKubelet")


def rank(signal: str, pods: Iterable[Pod], usage: Callable[[Pod], int]) -> list[Pod]:
    """Return the pods in the order in which they are evicted (rankMemoryPressure, rankDiskPressure, rankPIDPressure).

    Parameters
    ----------
    usage
        Memory (or disk, or processes) that a pod uses.
    """

    def key(pod: Pod) -> tuple[int, int, int]:
        used, priority = usage(pod), pod.spec.priority or 0
        if signal != "memory":
            return (0, priority, -used)
        excess = used - pod_requests(pod).get(MEMORY, 0)
        return (0 if excess > 0 else 1, priority, -excess)

    return sorted((p for p in pods if not is_critical(p)), key=key)


def assumed_memory(pod: Pod) -> int:
    """Return what a pod is taken to use: what it requests, or 200 MiB for a container that requests nothing."""
    return pod_non_zero_requests(pod).get(MEMORY, 0)


def rejects(pod: Pod, conditions: Iterable[str]) -> Rejection | None:
    """Return why a node under pressure does not take a pod (the eviction manager's Admit)."""
    held = list(conditions)
    if not held or is_critical(pod):
        return None
    if held == ["MemoryPressure"] and (qos_class(pod) != "BestEffort" or tolerates(pod, TAINT_OF["MemoryPressure"])):
        return None
    return Rejection("Evicted", f"The node had condition: [{', '.join(held)}].")


def evicted(status: PodStatus, message: str) -> PodStatus:
    """Return the status of an evicted pod."""
    conditions = set_condition(status.conditions, replace(DISRUPTION_TARGET, message=message))
    return replace(status, phase="Failed", reason="Evicted", message=message, conditions=conditions)


class EvictionManager:
    """Watches one machine's pressures.

    Parameters
    ----------
    rounds
        When the signals are looked at: every 10 s.
    active_pods
        Returns the pods that the kubelet runs.
    """

    def __init__(
        self,
        clock: Clock,
        rank: int,
        machine: Machine,
        rounds: Grid,
        workers: PodWorkers,
        node_status: NodeStatus,
        active_pods: Callable[[], list[Pod]],
        record: Callable[[Pod, str, str, str], None],
        streams: Streams,
        settings: KubeletSettings,
    ) -> None:
        self._held_for = settings.eviction_pressure_transition_period_ns
        self._max_grace_s = settings.eviction_max_pod_grace_period
        self._memory = Thresholds(memory_thresholds(settings), settings.eviction_minimum_reclaim_bytes)
        self._streams = streams
        self._clock = clock
        self._rank = rank
        self._machine = machine
        self._rounds = rounds
        self._workers = workers
        self._node_status = node_status
        self._active_pods = active_pods
        self._record = record
        self._last_seen: dict[str, int] = {}
        self._due: int | None = None
        self._stopped = False

    def stop(self) -> None:
        """The kubelet's process ends."""
        self._stopped = True

    def pressure_changed(self) -> None:
        """Look at the signals at the next round."""
        due = self._rounds.next(self._clock.now)
        if self._due is None:
            self._due = due
            self._clock.call_at(due, self._synchronize, rank=self._rank)

    def admit(self, pod: Pod) -> Rejection | None:
        """Return why a pod is not taken under the present conditions."""
        return rejects(pod, self._held()) if self._last_seen else None

    def _held(self) -> list[str]:
        now = self._clock.now
        return [c for c in TAINT_OF if c in self._last_seen and now - self._last_seen[c] < self._held_for]

    def _synchronize(self) -> None:
        """Update the node's conditions, and evict one pod (synchronize)."""
        self._due = None
        if self._stopped:
            return
        now = self._clock.now
        threshold = self._memory.observe(self._available_memory(now), now)
        pressures = self._machine.pressures
        signals = [s for s in SIGNALS if (self._memory.any_met if s == "memory" else pressures.active(s, now))]
        for signal in signals:
            self._last_seen[CONDITION_OF[signal]] = now
        self._report(self._held())
        for signal in signals:
            if signal != "memory":
                self._evict(signal)
                break
            if threshold is not None:
                self._evict(signal, threshold)
                break
        if self._last_seen:
            self._look_again(now, signals)

    def _available_memory(self, now_ns: int) -> int:
        pressures = self._machine.pressures
        if not pressures.active("memory", now_ns):
            return FOR_EVER
        return pressures.available("memory", now_ns) or 0

    def _look_again(self, now_ns: int, signals: list[str]) -> None:
        """Come back in the next round under pressure, else when the first condition is no longer held."""
        ends = min(self._last_seen.values()) + self._held_for
        when = now_ns + 1 if signals else max(ends, now_ns + 1)
        self._due = self._rounds.next(when)
        self._clock.call_at(self._due, self._synchronize, rank=self._rank)

    def _report(self, held: list[str]) -> None:
        for condition in list(self._last_seen):
            here = condition in held
            if not here:
                del self._last_seen[condition]
            reason = REASONS[condition][0 if here else 1]
            self._node_status.set_condition(
                Condition(type=condition, status="True" if here else "False", reason=reason)
            )

    def _evict(self, signal: str, threshold: Threshold | None = None) -> None:
        for pod in rank(signal, self._active_pods(), assumed_memory):
            worker = self._workers.get(pod.uid)
            if worker is None or worker.termination_requested:
                continue
            message = f"The node was low on resource: {SIGNALS[signal]}."
            grace = GRACE_S
            if threshold is not None and not threshold.hard:
                grace = min(self._max_grace_s, pod.spec.termination_grace_period_seconds)
            self._evict_pod(pod, message, self._machine.pressures.row(signal), grace)
            self._machine.pressures.evicted(signal, assumed_memory(pod))
            return

    def _evict_pod(self, pod: Pod, message: str, cause: int, grace_s: int = GRACE_S) -> None:
        self._record(pod, "Warning", "Evicted", message)
        end = partial(evicted, message=message)
        self._workers.update_pod(Update("kill", pod, cause, grace_override=grace_s, status_function=end))

    def volume_exceeds_limit(self, pod: Pod, message: str) -> None:
        """Evict a pod for what a volume of it holds, in the first round after that has been measured anew.

        Volumes are measured once a minute, each pod's at a time of its own (localStorageEviction).
        """
        phase = self._streams.uniform_ns(pod.uid, "volume stats phase", 0, VOLUME_STATS_PERIOD)
        measured = self._clock.next_on_grid(phase, VOLUME_STATS_PERIOD)
        due = self._rounds.next(measured + 1)
        self._clock.call_at(due, self._evict_for_volume, pod, message, rank=self._rank)

    def _evict_for_volume(self, pod: Pod, message: str) -> None:
        worker = self._workers.get(pod.uid)
        if not self._stopped and worker is not None and not worker.termination_requested and not is_critical(pod):
            self._evict_pod(pod, message, NO_CAUSE)
