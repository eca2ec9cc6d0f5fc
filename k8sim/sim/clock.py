"""The clock: integer nanoseconds on SimPy, with ranked ties, callbacks, and processes that can be killed.

This is the only module that imports SimPy. Four rules:

* Two things at the same instant happen in the order of their *rank* (component, then entity), never in the order in
  which they were scheduled. SimPy's event priority carries the rank.
* A call at a time is not an event: it lies in SimPy's event list itself, as (time, rank, number, function, arguments)
  beside events, (time, rank, number, event, None). Most of what happens is such calls; an event object for each would
  cost more than the list.
* Of the entries that something makes, the first waits beside the list until the next is taken out. For a heap, that
  exchange is half the work of an entry put in and one taken out, and next to none if the new one comes first.
* Nothing is cancelled. A timer that has become pointless finds that out when it fires (its owner keeps a generation
  number), which is cheaper than any search in the heap.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush, heappushpop
from typing import Any

import simpy
from simpy.events import NORMAL, PENDING

from k8sim.sim.ranks import rank as rank  # noqa: PLC0414  part of the clock to all who use it

Event = simpy.Event
Steps = Generator[Event, Any, Any]
"""What a process is made of: it yields events and gets their values."""

Entry = tuple[int, int, int, Any, tuple[Any, ...] | None]

BEFORE_ALL = -1
"""A rank that no component has."""


class Environment(simpy.Environment):
    """SimPy's environment, with entries of the event list as they are here.

    Attributes
    ----------
    scheduled
        How many entries there have been: the number of the next one, which decides between those of the same rank.
    entries, waiting
        SimPy's event list, and the entry that waits beside it.
    """

    _now: int

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self.scheduled = 0
        self.entries: list[Entry] = self._queue  # type: ignore[assignment]
        self.waiting: Entry | None = None

    def schedule(self, event: Event, priority: int = NORMAL, delay: int = 0) -> None:  # type: ignore[override]
        """Enter an event that SimPy or a process triggers."""
        self.scheduled = 1 + (number := self.scheduled)
        entry = (self._now + delay, priority, number, event, None)
        if self.waiting is None:
            self.waiting = entry
        else:
            heappush(self.entries, entry)


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


class Course:
    """Steps that are gone by calls: no process, which would be an event itself, and two more to begin and to end."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def go_on(self, _: Event | None = None) -> None:
        """Go as far as can be gone now."""
        try:
            callbacks: list[Any] | None = None  # what an event wakes; None once it has happened
            while callbacks is None:
                callbacks = next(self._steps).callbacks
        except StopIteration:
            return
        callbacks.append(self.go_on)


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
            self._clock.env.schedule(event, self._rank)


class Clock:
    """Simulated time.

    Parameters
    ----------
    second_phase_ns
        Where the wall clock's whole seconds lie relative to t = 0, in [0, 1e9): the API stores times in whole seconds.
    tie_salt
        Any other number than 0 shuffles the ranks of ties; laws must hold for all of them.

    Attributes
    ----------
    now
        Now, in ns; a plain attribute, because everything asks for it. A `Lifetime` has to look it up, so that the
        methods here ask SimPy's environment.
    """

    def __init__(self, second_phase_ns: int = 0, tie_salt: int = 0) -> None:
        self.env = Environment()
        self.now = 0
        self.second_phase_ns = second_phase_ns
        self._salt = (tie_salt * 0x9E3779B97F4A7C15) & ((1 << 32) - 1)

    @property
    def events_scheduled(self) -> int:
        """How many events and calls there have been so far, with those to come."""
        return self.env.scheduled

    def truncated(self, t_ns: int | None = None) -> int:
        """Return a time cut to the wall clock's whole second, as the API server stores it (workloads 0.4)."""
        t = self.env._now if t_ns is None else t_ns
        return t - (t - self.second_phase_ns) % 1_000_000_000

    def sleep(self, delay_ns: int, rank: int = 0) -> Event:
        """Return an event after a delay."""
        env = self.env
        event = Event(env)
        event._ok = True
        event._value = None
        when_ns = env._now + (delay_ns if delay_ns > 0 else 0)
        env.scheduled = 1 + (number := env.scheduled)
        entry = (when_ns, rank ^ self._salt, number, event, None)
        if env.waiting is None:
            env.waiting = entry
        else:
            heappush(env.entries, entry)
        return event

    def call_at(self, when_ns: int, function: Callable[..., object], *args: Any, rank: int = 0) -> None:
        """Call a function at a time (now, if that is past). Exceptions it raises end the run."""
        env = self.env
        now = env._now
        env.scheduled = 1 + (number := env.scheduled)
        entry = (when_ns if when_ns > now else now, rank ^ self._salt, number, function, args)
        if env.waiting is None:
            env.waiting = entry
        else:
            heappush(env.entries, entry)

    def call_after(self, delay_ns: int, function: Callable[..., object], *args: Any, rank: int = 0) -> None:
        """Call a function after a delay."""
        self.call_at(self.now + delay_ns, function, *args, rank=rank)

    def call_now(self, function: Callable[[], object], rank: int) -> None:
        """Call a function at this instant, in the turn of its rank; a `Lifetime` calls it after its end, too."""
        env = self.env
        env.scheduled = 1 + (number := env.scheduled)
        entry = (env._now, rank ^ self._salt, number, function, ())
        if env.waiting is None:
            env.waiting = entry
        else:
            heappush(env.entries, entry)

    def call_first(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function at this instant, before anything else that is due: when a process begins."""
        self.call_at(self.now, function, *args, rank=self._salt)

    def spawn(self, steps: Steps) -> Task:
        """Start a process; its first step runs at this instant, before anything else that is due."""
        return Task(self.env, steps)

    def carry_out(self, steps: Steps) -> None:
        """Begin steps at once whose end nobody waits for; they ask for no event's value, and none of theirs fails."""
        Course(steps).go_on()

    def event(self) -> Event:
        """Return a bare event that somebody will `succeed`."""
        return Event(self.env)

    def fire(self, event: Event, value: object = None, rank: int = 0) -> None:
        """Trigger a bare event now; a second time is harmless."""
        if event._value is PENDING:
            event._ok = True
            event._value = value
            self.env.schedule(event, rank ^ self._salt)

    def signal(self, rank: int = 0) -> Signal:
        """Return a new signal."""
        return Signal(self, rank ^ self._salt)

    def forget(self) -> None:
        """Forget all that is due: it will not run any more."""
        self.env.entries.clear()
        self.env.waiting = None

    def run(self, until_ns: int) -> None:
        """Run up to, not including, a time. Runs do not nest, and none follows one that an error has ended."""
        env = self.env
        entries = env.entries
        stop = object()
        env.scheduled = 1 + (number := env.scheduled)
        heappush(entries, (until_ns, BEFORE_ALL, number, stop, None))
        while True:
            waiting = env.waiting
            if waiting is None:
                now, _, _, what, arguments = heappop(entries)
            else:
                env.waiting = None
                now, _, _, what, arguments = heappushpop(entries, waiting)
            self.now = env._now = now
            if arguments is not None:
                what(*arguments)
            elif what is stop:
                return
            else:  # an event, as in `simpy.Environment.step`
                callbacks, what.callbacks = what.callbacks, None
                for callback in callbacks:
                    callback(what)
                if not what._ok and not hasattr(what, "_defused"):
                    raise what._value  # a process has failed, and nobody waited for it

    def next_on_grid(self, phase_ns: int, period_ns: int, after_ns: int | None = None) -> int:
        """Return the first time of a periodic loop that is not before ``after_ns`` (now): a virtual poll.

        A loop that polls every ``period_ns`` from ``phase_ns`` on notices then what became true at ``after_ns``.
        """
        t = self.now if after_ns is None else after_ns
        return t + (phase_ns - t) % period_ns
