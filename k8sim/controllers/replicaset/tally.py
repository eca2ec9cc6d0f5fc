"""A ReplicaSet's pods, counted as they change, so that a sync costs what has changed and not what there is."""

from __future__ import annotations

from heapq import heappop, heappush

from k8sim.api.apps import ReplicaSet
from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_terminal, pod_condition
from k8sim.api.selectors import labels_match

SECOND_NS = 1_000_000_000


class Counted:
    """What one pod counts as. ``known`` is what its former version counted as for the same ReplicaSet."""

    __slots__ = ("active", "available", "available_ns", "fully_labeled", "pod", "ready", "terminating")

    def __init__(self, pod: Pod, rs: ReplicaSet, known: Counted | None = None) -> None:
        self.pod = pod
        deleting = pod.metadata.deletion_timestamp is not None
        terminal = is_pod_terminal(pod)
        self.active = not deleting and not terminal
        self.terminating = deleting and not terminal
        self.fully_labeled: bool
        if known is not None and known.active and known.pod.metadata.labels is pod.metadata.labels:
            self.fully_labeled = self.active and known.fully_labeled
        else:
            self.fully_labeled = self.active and labels_match(rs.spec.template.metadata.labels, pod.metadata.labels)
        condition = pod_condition(pod, "Ready") if self.active else None
        self.ready = condition is not None and condition.status == "True"
        self.available_ns: int | None = None
        self.available = False
        if condition is not None and self.ready:
            since = condition.last_transition_time
            if rs.spec.min_ready_seconds == 0:
                self.available_ns = 0
            elif since is not None:
                self.available_ns = since + rs.spec.min_ready_seconds * SECOND_NS

    def counts_like(self, other: Counted) -> bool:
        """Tell whether the ReplicaSet sees no difference: most new versions of a pod are of this kind."""
        return (
            self.active == other.active
            and self.terminating == other.terminating
            and self.fully_labeled == other.fully_labeled
            and self.ready == other.ready
            and self.available_ns == other.available_ns
        )


class Tally:
    """Counts over the pods that a ReplicaSet has claimed.

    Attributes
    ----------
    active, terminating, fully_labeled, ready, available
        Terminating pods are those not yet in a terminal phase; the others are counted among active pods only.
    settled
        The version of the ReplicaSet for which a sync found that nothing is to be done; None once a count has changed.
    """

    def __init__(self, rs: ReplicaSet) -> None:
        self.rs = rs
        self.now_ns = 0
        self.settled: ReplicaSet | None = None
        self.active = self.terminating = self.fully_labeled = self.ready = self.available = 0
        self._pods: dict[str, Counted] = {}
        self._maturing: list[tuple[int, str]] = []

    def active_pods(self) -> list[Pod]:
        """The pods that count, in order of arrival."""
        return [c.pod for c in self._pods.values() if c.active]

    def refitted(self, rs: ReplicaSet) -> Tally:
        """Return the tally for another version of the ReplicaSet."""
        old = self.rs.spec
        if old.min_ready_seconds == rs.spec.min_ready_seconds and old.template.metadata == rs.spec.template.metadata:
            self.rs = rs
            return self
        fresh = Tally(rs)
        fresh.now_ns = self.now_ns
        for counted in self._pods.values():
            fresh.put(counted.pod)
        return fresh

    def put(self, pod: Pod) -> None:
        """Take a pod in, or a new version of it."""
        name = pod.metadata.name
        old = self._pods.pop(name, None)
        counted = Counted(pod, self.rs, old)
        if old is not None:
            if old.counts_like(counted):
                old.pod = pod
                self._pods[name] = old  # at the end, as any version that arrives
                return
            self._count(old, -1)
        self._pods[name] = counted
        due = counted.available_ns
        counted.available = due is not None and due <= self.now_ns
        if due is not None and not counted.available:
            heappush(self._maturing, (due, name))
        self._count(counted, 1)

    def remove(self, name: str) -> None:
        """Let a pod go."""
        counted = self._pods.pop(name, None)
        if counted is not None:
            self._count(counted, -1)

    def next_available_ns(self) -> int | None:
        """Return when the next Ready pod becomes available, None if none waits for that."""
        while self._maturing:
            due, name = self._maturing[0]
            counted = self._pods.get(name)
            if counted is not None and not counted.available and counted.available_ns == due:
                return due
            heappop(self._maturing)
        return None

    def advance(self, now_ns: int) -> None:
        """Let time pass: Ready pods become available after minReadySeconds."""
        self.now_ns = now_ns
        if not self._maturing:
            return
        while (due := self.next_available_ns()) is not None and due <= now_ns:
            _, name = heappop(self._maturing)
            self._pods[name].available = True
            self.available += 1
            self.settled = None

    def _count(self, counted: Counted, step: int) -> None:
        self.settled = None
        self.active += step * counted.active
        self.terminating += step * counted.terminating
        self.fully_labeled += step * counted.fully_labeled
        self.ready += step * counted.ready
        self.available += step * counted.available
