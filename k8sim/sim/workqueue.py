"""A controller's work queue: keys, deduplicated, at most one worker per key, with delays and back-off.

Source: client-go/util/workqueue (queue.go, delaying_queue.go, default_rate_limiters.go); workloads.md 0.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeVar

from k8sim.sim.clock import Clock, Event, Steps
from k8sim.sim.tokenbucket import TokenBucket
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import MILLISECOND, SECOND


class Actor(Protocol):
    """Who carries out syncs. ``cause`` is the row that it reacts to."""

    cause: int


K = TypeVar("K", bound=Hashable)
A = TypeVar("A", bound=Actor)
E = TypeVar("E", bound=Exception)


class WorkQueue(Generic[K]):
    """Keys that need a sync, each with the trace row that asked for it first.

    Parameters
    ----------
    base_delay_ns, max_delay_ns
        Back-off of a failing key: base x 2^n, capped (5 ms and 1000 s unless the controller sets its own).

    Attributes
    ----------
    keys
        Those that can be had now.
    idle
        How to wake the workers that wait for a key; the one that has waited for longest comes first.
    """

    def __init__(
        self, clock: Clock, rank: int, base_delay_ns: int = 5 * MILLISECOND, max_delay_ns: int = 1000 * SECOND
    ) -> None:
        self.clock = clock
        self._rank = rank
        self._base = base_delay_ns
        self._max = max_delay_ns
        self.keys: deque[K] = deque()
        self._dirty: dict[K, int] = {}
        self._processing: dict[K, None] = {}
        self.idle: list[Callable[[], None]] = []
        self._hired = self._workers = 0
        self._failures: dict[K, int] = {}
        self._due: dict[K, int] = {}
        self._bucket: TokenBucket | None = None

    def add(self, key: K, cause: int = NO_CAUSE) -> None:
        """Ask for a sync of the key; while it is being processed, one more run follows."""
        if key in self._dirty:
            return
        self._dirty[key] = cause
        if key in self._processing:
            return
        self._append(key)

    def _append(self, key: K) -> None:
        """Queue a key, and wake the worker that has been idle for longest."""
        self.keys.append(key)
        if self._hired < self._workers:
            self.clock.call_after(0, self._hire, self._hired, rank=self._rank)
            self._hired += 1
        elif self.idle:
            self.clock.call_now(self.idle.pop(0), self._rank)

    def employ(self, hire: Callable[[int], object], workers: int) -> None:
        """Let workers begin, as processes do: at this instant. One for whom there is no key begins when there is.

        Parameters
        ----------
        hire
            Makes the worker of a number begin. Most workers of most controllers never get a key.
        """
        self.clock.call_first(self._begin, hire, workers)

    def _begin(self, hire: Callable[[int], object], workers: int) -> None:
        self._hire, self._workers = hire, workers
        self._hired = min(len(self.keys), workers)
        for number in range(self._hired):
            hire(number)

    def add_after(self, key: K, delay_ns: int, cause: int = NO_CAUSE) -> None:
        """Ask for a sync after a delay; of several delayed requests of a key the earliest counts."""
        if delay_ns <= 0:
            self.add(key, cause)
            return
        due = self.clock.now + delay_ns
        pending = self._due.get(key)
        if pending is not None and pending <= due:
            return
        self._due[key] = due
        self.clock.call_at(due, self._fire, key, due, cause, rank=self._rank)

    def _fire(self, key: K, due: int, cause: int) -> None:
        if self._due.get(key) == due:
            del self._due[key]
            self.add(key, cause)

    def add_rate_limited(self, key: K, cause: int = NO_CAUSE) -> None:
        """Ask for a sync after the key's back-off: base x 2^failures, or the shared bucket (10/s, burst 100)."""
        n = self._failures.get(key, 0)
        self._failures[key] = n + 1
        delay = min(self._base << n, self._max) if n < 40 else self._max
        if self._bucket is None:
            self._bucket = TokenBucket(10, 100)
        self.add_after(key, max(delay, self._bucket.reserve(self.clock.now)), cause)

    def failures(self, key: K) -> int:
        """Return how often the key has failed in a row."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Reset the key's back-off after a success."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self) -> tuple[K, int]:
        """Return the next key and the row that asked for it; call `done` when its sync has ended."""
        key = self.keys.popleft()
        cause = self._dirty.pop(key)
        self._processing[key] = None
        return key, cause

    def done(self, key: K, succeeded: bool = False) -> None:
        """Say that the key's sync has ended; a success resets its back-off. A request that came meanwhile is queued."""
        if succeeded and self._failures:
            self._failures.pop(key, None)
        self._processing.pop(key, None)
        if key in self._dirty:
            self._append(key)


class Worker(Generic[K, A, E]):
    """Syncs one key of a queue after the other.

    It is no process of the clock's, to which each key would be an event, and each step two generators more: it is
    called when there is a key, and when what its sync waits for has happened.

    Parameters
    ----------
    sync
        Syncs a key in steps; it asks for no event's value, and no event that it waits for fails. None says that the
        sync has ended already: most find that nothing is to be done.
    failures, fail
        Errors that end a sync without a success, and what is then done about the key.
    """

    __slots__ = ("_client", "_fail", "_failures", "_key", "_queue", "_steps", "_stopped", "_sync")

    def __init__(
        self,
        queue: WorkQueue[K],
        client: A,
        sync: Callable[[K, A], Steps | None],
        failures: tuple[type[E], ...],
        fail: Callable[[K, E, A], None],
    ) -> None:
        self._queue = queue
        self._client = client
        self._sync = sync
        self._failures = failures
        self._fail = fail
        self._key: K
        self._steps: Steps | None = None
        self._stopped = False

    def begin(self) -> None:
        """Look for keys at this instant, before anything else that is due, as a process begins."""
        self._queue.clock.call_first(self._work)

    def stop(self) -> None:
        """End at once, with what is under way; a queue's workers end together."""
        self._stopped = True
        self._queue.idle.clear()
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def _work(self, _: Event | None = None) -> None:
        """Go on with the sync that was under way, then sync keys, until one has to wait or there is none."""
        queue, steps = self._queue, self._steps
        while not self._stopped:
            event: Any = None  # what the sync waits for
            try:
                if steps is None:
                    if not queue.keys:
                        queue.idle.append(self._work)
                        return
                    self._key, self._client.cause = queue.take()
                    steps = self._steps = self._sync(self._key, self._client)
                if steps is not None:
                    event = next(steps, None)  # an end that raises nothing costs less
                    while event is not None and event.callbacks is None:  # it has happened
                        event = next(steps, None)
            except self._failures as error:
                self._fail(self._key, error, self._client)
                queue.done(self._key)
            else:
                if event is not None:
                    event.callbacks.append(self._work)
                    return
                queue.done(self._key, True)
            steps = self._steps = None
