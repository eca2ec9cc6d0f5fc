"""The pod lifecycle event generator as virtual polling: it looks at the runtime only when something can have changed.

The real one lists all containers every second (plus the time that takes). Here a relist happens at those moments, but
only if the runtime has changed or somebody waits for the cache to be renewed; and, for a single pod, at once after a
sync that did something (PLEGOnDemandRelist).

Source: pkg/kubelet/pleg/generic.go, pkg/kubelet/container/cache.go; node.md 0.2, 1.2, 1.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from k8sim.kubelet.settings import RELIST_PERIOD
from k8sim.machines.machine import Machine
from k8sim.machines.records import EXITED, RUNNING, RuntimePodStatus
from k8sim.sim.clock import Clock, Event

EventType = Literal["ContainerStarted", "ContainerDied", "ContainerRemoved"]
OnEvents = Callable[[str, list[EventType]], None]


class PLEG:
    """The cache of what the runtime says, and the events that keep it current.

    Parameters
    ----------
    first_ns
        When the first relist is.
    relist_ns
        How long a relist takes: the period is one second more.
    on_events
        Called with (pod UID, events) for every pod that a relist finds changed.
    """

    def __init__(
        self, clock: Clock, machine: Machine, rank: int, first_ns: int, relist_ns: int, on_events: OnEvents
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._rank = rank
        self._first_ns = first_ns
        self._relist_ns = relist_ns
        self._period_ns = RELIST_PERIOD + relist_ns
        self._on_events = on_events
        self._cache: dict[str, RuntimePodStatus] = {}
        self._renewed: dict[str, int] = {}
        self._dirty: dict[str, None] = {}
        self._waiting: dict[str, tuple[int, Event]] = {}
        self._due: int | None = None
        self._stopped = False
        self._blind = False
        self._blind_from: int | None = None
        self._blind_until: int | None = None

    def get(self, uid: str) -> RuntimePodStatus:
        """Return what is known of a pod."""
        return self._cache.get(uid) or RuntimePodStatus(uid)

    def changed(self, uid: str) -> None:
        """Note that the runtime has changed for a pod: the next relist will see it."""
        self._dirty[uid] = None
        self._schedule()

    def know(self, uid: str) -> None:
        """Take over what the runtime says of a pod that has been there all along."""
        self._renew(uid)

    def newer_than(self, uid: str, since_ns: int) -> Event | None:
        """Return None if the cache was renewed after a moment, else an event to wait for (GetNewerThan)."""
        if self._renewed.get(uid, -(2**62)) > since_ns or self._last_relist() > since_ns:
            return None
        event = self._clock.event()
        self._waiting[uid] = (since_ns, event)
        self._schedule()
        return event

    def relist_soon(self, uid: str) -> None:
        """Look at one pod at once."""
        now = self._clock.now
        self._clock.call_at(now + self._relist_ns, self._relist_one, uid, now + 1, rank=self._rank)

    def runtime_stopped(self) -> None:
        """No relist succeeds from now on; if none has since the last time, it is all one."""
        if self._blind_until is None or self._last_relist() >= self._blind_until:
            self._blind_from = self._clock.now
        self._blind, self._blind_until = True, None

    def runtime_started(self) -> None:
        """Relists succeed again."""
        self._blind, self._blind_until = False, self._clock.now
        if self._dirty or self._waiting:
            self._schedule()

    def forget(self, uid: str) -> None:
        """Drop a pod that is gone."""
        self._cache.pop(uid, None)
        self._renewed.pop(uid, None)
        self._dirty.pop(uid, None)

    def stop(self) -> None:
        """The kubelet's process ends."""
        self._stopped = True

    # ---- internals ----------------------------------------------------------------------------------------------

    def _last_relist(self) -> int:
        """Return when the last relist that is over, and has succeeded, began."""
        last = self._relist_before(self._clock.now)
        blind_from, blind_until = self._blind_from, self._blind_until
        if blind_from is None or last + self._relist_ns <= blind_from or (blind_until or last + 1) <= last:
            return last
        return self._relist_before(blind_from)

    def _relist_before(self, now: int) -> int:
        """Return when the last relist that is over at a moment began."""
        now -= self._relist_ns
        if now < self._first_ns:
            return -(2**61)
        return now - (now - self._first_ns) % self._period_ns

    def _schedule(self) -> None:
        """Make sure that the next relist takes place."""
        if self._due is not None and self._due >= self._clock.now:
            return
        due = self._clock.next_on_grid(self._first_ns, self._period_ns, max(self._first_ns, self._clock.now))
        if self._due != due and not self._blind:
            self._due = due
            self._clock.call_at(due + self._relist_ns, self._relist, due, rank=self._rank)

    def _relist(self, began_ns: int) -> None:
        if self._stopped:
            return
        if self._due == began_ns:
            self._due = None
        if self._blind:
            return
        dirty, self._dirty = self._in_some_order(self._dirty), {}
        waiting, self._waiting = self._waiting, {}
        for uid, (since, event) in waiting.items():
            if since < began_ns:
                self._clock.fire(event, None, self._rank)
            else:
                self._waiting[uid] = (since, event)
        found = {}
        for uid in dirty:
            found[uid] = self._renew(uid)
        for uid, events in found.items():
            if events:
                self._on_events(uid, events)
        if self._dirty or self._waiting:
            self._schedule()

    def _in_some_order(self, pods: dict[str, None]) -> list[str]:
        """Return pods as a relist goes through them: a Go map, which begins anywhere."""
        uids = list(pods)
        if len(uids) > 1:
            first = int(self._machine.sim.streams.uniform(self._machine.name, "plegOrder") * len(uids))
            uids = uids[first:] + uids[:first]
        return uids

    def _relist_one(self, uid: str, began_ns: int) -> None:
        if self._stopped:
            return
        if self._blind:
            self._dirty[uid] = None
            return
        self._dirty.pop(uid, None)
        events = self._renew(uid)
        self._renewed[uid] = began_ns
        waiting = self._waiting.pop(uid, None)
        if waiting is not None:
            self._clock.fire(waiting[1], None, self._rank)
        if events:
            self._on_events(uid, events)

    def _renew(self, uid: str) -> list[EventType]:
        """Take over what the runtime says of a pod; return what has happened since."""
        old = self._cache.get(uid)
        new = self._machine.snapshot(uid)
        if not new.ip and old is not None and old.ip and not any(s.ready for s in new.sandboxes):
            # The address of an ended pod stays known.
            new = RuntimePodStatus(uid, new.containers, new.sandboxes, old.ip)
        if new.containers or new.sandboxes:
            self._cache[uid] = new
        else:
            self._cache.pop(uid, None)
        return _events(old or RuntimePodStatus(uid), new)


def _states(status: RuntimePodStatus) -> dict[str, str]:
    states = {}
    for container in status.containers:
        states[container.id] = container.state
    for sandbox in status.sandboxes:
        states[sandbox.id] = RUNNING if sandbox.ready else EXITED
    return states


def _events(old: RuntimePodStatus, new: RuntimePodStatus) -> list[EventType]:
    """Return the events between two looks at a pod (computeEvents): containers and sandboxes alike."""
    before, after = _states(old), _states(new)
    events: list[EventType] = []
    for id_, state in after.items():
        if before.get(id_) != state:
            if state == RUNNING:
                events.append("ContainerStarted")
            elif state == EXITED:
                events.append("ContainerDied")
    for id_, state in before.items():
        if id_ not in after:
            if state != EXITED:
                events.append("ContainerDied")
            events.append("ContainerRemoved")
    return events
