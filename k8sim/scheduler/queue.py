"""The scheduling queue: pods that wait to be scheduled, and what makes them be tried again.

* *activeQ*: ready to be tried, by priority, then by the time they were queued.
* *backoffQ*: something has happened that may help, but their back-off is not over; taken anyway when activeQ is empty.
  Pods that failed by an error have a back-off queue of their own, which is never taken early.
* *unschedulable*: tried in vain; moved when an event may help by the judgement of a plug-in that rejected them, or
  after five minutes.
* *gated*: held until their scheduling gates are gone.

A pod that is being tried is *in flight*: what happens meanwhile is remembered and weighed when it comes back. Times are
given from outside: the queue has no clock.

Source: pkg/scheduler/backend/queue/{scheduling_queue,active_queue,backoff_queue}.go; node.md 7.1, storage.md 2.7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Final, Literal

from k8sim.api.core import Pod
from k8sim.scheduler.framework import POD_GATES_ELIMINATED, WILDCARD, Event
from k8sim.scheduler.profile import Interested
from k8sim.scheduler.settings import QueueSettings

SECOND: Final = 1_000_000_000
Place = Literal["", "active", "backoff", "error", "unschedulable", "gated", "in flight"]
NO_CAUSE: Final = -1


class QueuedPod:
    """A pod that waits, with the history of its attempts."""

    __slots__ = (
        "attempts",
        "backoff_until",
        "cause",
        "errors",
        "failures",
        "place",
        "plugins",
        "pod",
        "since",
        "ticket",
    )

    def __init__(self, pod: Pod, now: int, cause: int = NO_CAUSE) -> None:
        self.pod = pod
        self.since = now
        """When it was queued, or came back from its last attempt."""
        self.attempts = 0
        self.failures = 0
        """Attempts that found it unschedulable."""
        self.errors = 0
        """Errors in a row."""
        self.plugins: tuple[str, ...] = ()
        """Who rejected it."""
        self.backoff_until: int | None = None
        self.place: Place = ""
        self.ticket = 0
        """Number of its valid entry in a heap; others are stale."""
        self.cause = cause
        """Trace row because of which it is to be tried (again)."""

    @property
    def priority(self) -> int:
        """The pod's priority."""
        return self.pod.spec.priority or 0


Entry = tuple[int, int, int, tuple[str, str], int, QueuedPod]
"""(back-off's end, -priority, since, key, ticket, pod)."""


class SchedulingQueue:
    """See the module.

    Parameters
    ----------
    interested
        For each event the plug-ins whose rejected pods it may help.
    second_phase_ns
        Where whole seconds of the wall clock lie: back-offs end at whole seconds.
    held
        Tells whether events are not to move a pod: its preemption is being carried out (PreEnqueue of
        DefaultPreemption).
    """

    def __init__(
        self,
        interested: Interested,
        settings: QueueSettings | None = None,
        second_phase_ns: int = 0,
        held: Callable[[Pod], bool] = lambda pod: False,
    ) -> None:
        self.settings = settings or QueueSettings()
        self._phase = second_phase_ns
        self._held = held
        self._interested = interested
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[Entry] = []
        self._backoff: list[Entry] = []
        self._error: list[Entry] = []
        self._unschedulable: dict[str, QueuedPod] = {}
        self._rejected_by: dict[str, dict[str, QueuedPod]] = {}
        self._flights: dict[str, list[tuple[Event, Any, Any, int]]] = {}
        self._tickets = 0

    # ---- reads ----------------------------------------------------------------------------------------------

    def get(self, uid: str) -> QueuedPod | None:
        """Return what is known of a waiting pod."""
        return self._pods.get(uid)

    def __len__(self) -> int:
        return len(self._pods)

    def place(self, uid: str) -> Place:
        """Return where a pod waits, "" if it does not."""
        queued = self._pods.get(uid)
        return queued.place if queued is not None else ""

    # ---- in and out -----------------------------------------------------------------------------------------

    def add(self, pod: Pod, now: int, cause: int = NO_CAUSE) -> None:
        """Queue a new pod."""
        queued = self._pods[pod.metadata.uid] = QueuedPod(pod, now, cause)
        self._to_active(queued)

    def pop(self, now: int) -> QueuedPod | None:
        """Take the next pod to try: the first of activeQ, else the first of backoffQ; None if there is none."""
        if not self._active and not self._backoff:
            return None
        queued = self._pop(self._active, "active") or self._pop(self._backoff, "backoff")
        if queued is not None:
            queued.attempts += 1
            queued.backoff_until = None
            queued.plugins = ()
            queued.place = "in flight"
            self._flights[queued.pod.metadata.uid] = []
        return queued

    def done(self, uid: str) -> None:
        """The pod has got a node (or is gone): it no longer waits."""
        self._flights.pop(uid, None)
        queued = self._pods.get(uid)
        if queued is not None and queued.place == "in flight":
            del self._pods[uid]

    def fail(self, queued: QueuedPod, plugins: Sequence[str], now: int) -> None:
        """Take a pod back whose attempt failed, by an error if no plug-in is named (AddUnschedulableIfNotPresent)."""
        uid = queued.pod.uid
        events = self._flights.pop(uid, [])
        if queued.place not in ("in flight", ""):
            return
        self._pods[uid] = queued
        queued.since = now
        queued.plugins = tuple(plugins)
        queued.backoff_until = None
        if not plugins:
            queued.errors += 1
            self._requeue(queued, now)
            return
        queued.failures += 1
        queued.errors = 0
        for event, old, new, cause in events if not self._held(queued.pod) else ():
            if self._may_help(queued, event, old, new):
                queued.cause = cause
                self._requeue(queued, now)
                return
        queued.place = "unschedulable"
        self._unschedulable[uid] = queued
        for plugin in queued.plugins:
            self._rejected_by.setdefault(plugin, {})[uid] = queued

    def update(self, old: Pod, new: Pod, events: Sequence[Event], now: int, cause: int = NO_CAUSE) -> None:
        """Take a new version of a waiting pod; a change of its own may make it worth another attempt."""
        queued = self._pods.get(new.uid)
        if queued is None:
            self.add(new, now, cause)
            return
        queued.pod = new
        if queued.place == "in flight":
            self._flights[new.uid].extend((event, old, new, cause) for event in events)
        elif queued.place == "gated":
            if not new.spec.scheduling_gates:
                self._leave(queued)
                queued.cause = cause
                self._requeue(queued, now)
        elif queued.place == "unschedulable":
            if any(self._may_help(queued, event, old, new) for event in events):
                self._leave(queued)
                queued.cause = cause
                self._requeue(queued, now)
        elif queued.place == "active" and (old.spec.priority or 0) != (new.spec.priority or 0):
            self._to_active(queued)

    def delete(self, uid: str) -> None:
        """Forget a pod that is gone; one in flight is let go by its cycle."""
        queued = self._pods.get(uid)
        if queued is not None and queued.place != "in flight":
            self._leave(queued)
            del self._pods[uid]

    def activate(self, uid: str, now: int, cause: int = NO_CAUSE) -> None:
        """Move a pod to activeQ, without back-off."""
        queued = self._pods.get(uid)
        if queued is not None and queued.place in ("unschedulable", "backoff"):
            self._leave(queued)
            queued.cause = cause
            self._to_active(queued)

    # ---- events ---------------------------------------------------------------------------------------------

    def move_all(
        self,
        event: Event,
        old: Any,
        new: Any,
        now: int,
        cause: int = NO_CAUSE,
        eligible: Callable[[Pod], bool] | None = None,
    ) -> None:
        """Something happened: try again the pods that it may help (MoveAllToActiveOrBackoffQueue).

        Only pods rejected by plug-ins that registered for the event are looked at.
        """
        interested = self._interested.get(event)
        if not interested:
            return
        for flight in self._flights.values():
            flight.append((event, old, new, cause))
        for plugin, hint in interested:
            for queued in list(self._rejected_by.get(plugin, {}).values()):
                pod = queued.pod
                if (eligible is None or eligible(pod)) and hint(pod, old, new) and not self._held(pod):
                    self._leave(queued)
                    queued.cause = cause
                    self._requeue(queued, now)

    def is_of_interest(self, event: Event) -> bool:
        """Tell whether any plug-in registered for the event and any pod could be moved by it."""
        return event in self._interested and bool(self._unschedulable or self._flights)

    def _may_help(self, queued: QueuedPod, event: Event, old: Any, new: Any) -> bool:
        if event in (WILDCARD, POD_GATES_ELIMINATED):
            return True
        for plugin, hint in self._interested.get(event, ()):
            if plugin in queued.plugins and hint(queued.pod, old, new):
                return True
        return False

    # ---- time -----------------------------------------------------------------------------------------------

    def next_flush(self, flush_phase_ns: int) -> int | None:
        """Return when `flush` has something to do next, or None.

        Back-offs are flushed at whole seconds, once their second is over; pods that were unschedulable for too long in
        a scan every 30 s, whose phase is ``flush_phase_ns``.
        """
        if not self._backoff and not self._error and not self._unschedulable:
            return None
        times = []
        for heap, place in ((self._backoff, "backoff"), (self._error, "error")):
            self._drop_stale(heap, place)
            if heap:
                times.append(heap[0][0] + SECOND)
        for queued in self._unschedulable.values():  # the first one has been there for longest
            over = queued.since + self.settings.pod_max_in_unschedulable_pods_ns + 1
            times.append(over + (flush_phase_ns - over) % self.settings.flush_unschedulable_period_ns)
            break
        return min(times, default=None)

    def flush(self, now: int) -> None:
        """Move pods whose back-off is over to activeQ, and those that were unschedulable for too long."""
        window = self._second(now)
        for heap, place in ((self._backoff, "backoff"), (self._error, "error")):
            self._drop_stale(heap, place)
            while heap and heap[0][0] < window:
                self._to_active(heappop(heap)[5])
                self._drop_stale(heap, place)
        limit = self.settings.pod_max_in_unschedulable_pods_ns
        for queued in list(self._unschedulable.values()):
            if now - queued.since <= limit:
                break
            self._leave(queued)
            self._requeue(queued, now)

    def _second(self, t: int) -> int:
        return t - (t - self._phase) % SECOND

    def backoff_until(self, queued: QueuedPod) -> int | None:
        """Return the end of the pod's back-off, cut to the whole second; None if it has failed never yet."""
        count = queued.errors or queued.failures
        if count == 0:
            return None
        if queued.backoff_until is None:
            settings = self.settings
            delay = settings.pod_initial_backoff_ns
            for _ in range(1, count):
                if delay > settings.pod_max_backoff_ns - delay:
                    delay = settings.pod_max_backoff_ns
                    break
                delay += delay
            queued.backoff_until = self._second(queued.since + delay)
        return queued.backoff_until

    # ---- moves ----------------------------------------------------------------------------------------------

    def _requeue(self, queued: QueuedPod, now: int) -> None:
        until = self.backoff_until(queued)
        if until is None or until < self._second(now):
            self._to_active(queued)
        elif queued.plugins:
            self._push(self._backoff, queued, "backoff", until)
        else:
            self._push(self._error, queued, "error", until)

    def _to_active(self, queued: QueuedPod) -> None:
        if queued.pod.spec.scheduling_gates:
            queued.place = "gated"
        else:
            self._push(self._active, queued, "active", 0)

    def _push(self, heap: list[Entry], queued: QueuedPod, place: Place, until: int) -> None:
        self._tickets += 1
        queued.ticket = self._tickets
        queued.place = place
        heappush(heap, (until, -queued.priority, queued.since, queued.pod.key, queued.ticket, queued))

    def _pop(self, heap: list[Entry], place: Place) -> QueuedPod | None:
        self._drop_stale(heap, place)
        return heappop(heap)[5] if heap else None

    def _drop_stale(self, heap: list[Entry], place: str) -> None:
        while heap and (heap[0][5].ticket != heap[0][4] or heap[0][5].place != place):
            heappop(heap)

    def _leave(self, queued: QueuedPod) -> None:
        """Take a pod out of wherever it waits; heap entries go stale."""
        uid = queued.pod.uid
        if self._unschedulable.pop(uid, None) is not None:
            for plugin in queued.plugins:
                self._rejected_by[plugin].pop(uid, None)
        queued.place = ""
        queued.ticket = 0
