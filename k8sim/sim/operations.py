"""Slow operations beside a loop: one at a time per name, refused for a while after a failure.

Source: pkg/util/goroutinemap/{goroutinemap,exponentialbackoff}, pkg/volume/util/nestedpendingoperations;
storage.md 0.3.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from k8sim.sim.clock import Clock, Event, Task
from k8sim.sim.units import MILLISECOND, SECOND

FIRST_BACKOFF_NS: Final = 500 * MILLISECOND
MAX_BACKOFF_NS: Final = 122 * SECOND

Steps = Generator[Event, Any, None]
Failures = tuple[type[Exception], ...]
Operation = Callable[[], Steps]


class OperationFailed(Exception):
    """An operation did not do what it was for; it may be tried again after its back-off."""


class Operations:
    """Running operations by name. Different kinds of one name exclude each other, and have back-offs of their own.

    Parameters
    ----------
    failures
        Exceptions that count as failure, besides `OperationFailed`.
    on_end
        Called when an operation has ended, with its name and the time from which it may be tried again: now after a
        success, the end of its back-off after a failure. Called too when an operation is refused for its back-off.
    """

    def __init__(
        self,
        clock: Clock,
        failures: tuple[type[Exception], ...],
        on_end: Callable[[str, int, bool], None],
        rank: int = 0,
    ) -> None:
        self._clock = clock
        self._failures: Failures = (*failures, OperationFailed)
        self._on_end = on_end
        self._rank = rank
        self._running: dict[str, Task] = {}
        self._backoff: dict[tuple[str, str], tuple[int, int]] = {}  # (name, kind) -> (delay, not before)

    def is_running(self, name: str) -> bool:
        """Tell whether an operation of that name is under way."""
        return name in self._running

    def retry_at(self, name: str, kind: str = "") -> int:
        """Return the time from which an operation may be tried: in the past unless it failed."""
        return self._backoff.get((name, kind), (0, 0))[1]

    def run(self, name: str, steps: Operation, kind: str = "") -> None:
        """Start an operation, unless one of that name is running, or this kind of it is in back-off."""
        if name in self._running:
            return
        if self._clock.now < self.retry_at(name, kind):
            self._on_end(name, self.retry_at(name, kind), False)
            return
        self._running[name] = self._clock.spawn(self._guard(name, kind, steps()))

    def _guard(self, name: str, kind: str, steps: Steps) -> Steps:
        yield self._clock.sleep(0, self._rank)  # the goroutine starts when its caller has gone on
        try:
            yield from steps
        except self._failures:
            delay, _ = self._backoff.get((name, kind), (0, 0))
            delay = min(2 * delay, MAX_BACKOFF_NS) or FIRST_BACKOFF_NS
            self._backoff[name, kind] = (delay, self._clock.now + delay)
            del self._running[name]
            self._on_end(name, self._clock.now + delay, False)
        else:
            self._backoff.pop((name, kind), None)
            del self._running[name]
            self._on_end(name, self._clock.now, True)

    def stop(self) -> None:
        """Kill whatever runs; back-offs are memory and are lost."""
        for task in self._running.values():
            task.kill()
        self._running.clear()
        self._backoff.clear()
