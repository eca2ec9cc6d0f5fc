"""The clock: integer nanoseconds on SimPy, with ranked ties, callbacks, and processes that can be killed.

This is the only module that imports SimPy. Two rules:

* Two things at the same instant happen in the order of their *rank* (component, then entity), never in the order in
  which they were scheduled. SimPy's event priority carries the rank.
* Nothing is cancelled. A timer that has become pointless finds that out when it fires (its owner keeps a generation
  number), which is cheaper than any search in the heap.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappush
from typing import Any

import simpy

from k8sim.sim.ranks import rank as rank  # noqa: PLC0414  part of the clock to all who use it

Event = simpy.Event
Steps = Generator[Event, Any, Any]
"""What a process is made of: it yields events and gets their values."""


BEFORE_ALL = -1
"""A rank that no component has."""


class Task(simpy.Process):
    """A process that can be killed from outside, without a word to it (a node loses power)."""

    @property
    def alive(self) -> bool:
        """Whether the process has neither ended nor been killed."""
        return bool(self.is_alive)

    def kill(self) -> None:
        """End the process at once; its generator is closed and whatever it waited for goes on without it."""
        if not self.is_alive:
            return
        waiting: list[Any] | None = self._target.callbacks  # None once the event has been processed
        if waiting is not None and self._resume in waiting:
            waiting.remove(self._resume)
        self._generator.close()
        self._ok = True
        self._value = None
        self.env.schedule(self)


class Signal:
    """A bare event that is renewed each time it is set: waiters see the next `set`, one event object per wait."""

    __slots__ = ("_clock", "_event", "_rank")

    def __init__(self, clock: Clock, rank: int) -> None:
        self._clock = clock
        self._rank = rank
        self._event: Event | None = None

    def wait(self) -> Event:
        """Return the event of the next `set`."""
        if self._event is None:
            self._event = Event(self._clock.env)
        return self._event

    def set(self, value: object = None) -> None:
        """Wake all who wait now."""
        event, self._event = self._event, None
        if event is not None:
            event._ok = True
            event._value = value
            self._clock.env.schedule(event, priority=self._rank)  # type: ignore[arg-type]


class Clock:
    """Simulated time.

    Parameters
    ----------
    second_phase_ns
        Where the wall clock's whole seconds lie relative to t = 0, in [0, 1e9): the API stores times in whole seconds.
    tie_salt
        Any other number than 0 shuffles the ranks of ties; laws must hold for all of them.
    """

    def __init__(self, second_phase_ns: int = 0, tie_salt: int = 0) -> None:
        self.env = simpy.Environment(initial_time=0)
        self.second_phase_ns = second_phase_ns
        self._salt = (tie_salt * 0x9E3779B97F4A7C15) & ((1 << 32) - 1)

    @property
    def events_scheduled(self) -> int:
        """How many events SimPy has been given so far; asking counts as one."""
        return next(self.env._eid)

    @property
    def now(self) -> int:
        """Now, in ns."""
        now: int = self.env._now  # type: ignore[assignment]
        return now

    def truncated(self, t_ns: int | None = None) -> int:
        """Return a time cut to the wall clock's whole second, as the API server stores it (workloads 0.4)."""
        t = self.now if t_ns is None else t_ns
        return t - (t - self.second_phase_ns) % 1_000_000_000

    def sleep(self, delay_ns: int, rank: int = 0) -> Event:
        """Return an event after a delay."""
        event = Event(self.env)
        self._push(event, self.now + (delay_ns if delay_ns > 0 else 0), rank)
        return event

    def call_at(self, when_ns: int, function: Callable[..., object], *args: Any, rank: int = 0) -> None:
        """Call a function at a time (now, if that is past). Exceptions it raises end the run."""
        event = Event(self.env)
        event.callbacks = [lambda _: function(*args)]  # type: ignore[list-item]
        now = self.now
        self._push(event, when_ns if when_ns > now else now, rank)

    def _push(self, event: Event, when_ns: int, rank: int) -> None:
        """Put a triggered event into SimPy's heap: (time, priority, number, event)."""
        event._ok = True
        event._value = None
        env = self.env
        heappush(env._queue, (when_ns, rank ^ self._salt, next(env._eid), event))  # type: ignore[misc]

    def call_after(self, delay_ns: int, function: Callable[..., object], *args: Any, rank: int = 0) -> None:
        """Call a function after a delay."""
        self.call_at(self.now + delay_ns, function, *args, rank=rank)

    def spawn(self, steps: Steps) -> Task:
        """Start a process; its first step runs at this instant, before anything else that is due."""
        return Task(self.env, steps)

    def event(self) -> Event:
        """Return a bare event that somebody will `succeed`."""
        return Event(self.env)

    def fire(self, event: Event, value: object = None, rank: int = 0) -> None:
        """Trigger a bare event now; a second time is harmless."""
        if event._value is simpy.events.PENDING:
            event._ok = True
            event._value = value
            self.env.schedule(event, priority=rank ^ self._salt)  # type: ignore[arg-type]

    def signal(self, rank: int = 0) -> Signal:
        """Return a new signal."""
        return Signal(self, rank ^ self._salt)

    def run(self, until_ns: int) -> None:
        """Run up to, not including, a time."""
        stop = Event(self.env)
        stop._ok = True
        stop._value = None
        heappush(self.env._queue, (until_ns, BEFORE_ALL, next(self.env._eid), stop))  # type: ignore[misc]
        self.env.run(until=stop)

    def next_on_grid(self, phase_ns: int, period_ns: int, after_ns: int | None = None) -> int:
        """Return the first time of a periodic loop that is not before ``after_ns`` (now): a virtual poll.

        A loop that polls every ``period_ns`` from ``phase_ns`` on notices then what became true at ``after_ns``.
        """
        t = self.now if after_ns is None else after_ns
        return t + (phase_ns - t) % period_ns
