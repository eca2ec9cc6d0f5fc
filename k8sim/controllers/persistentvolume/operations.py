"""Slow operations beside the workers: one at a time per name, refused for a while after a failure.

Source: pkg/util/goroutinemap/{goroutinemap,exponentialbackoff}; storage.md 0.3.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from k8sim.apiserver.errors import ApiError
from k8sim.sim.clock import Clock, Event, Task
from k8sim.sim.units import MILLISECOND, SECOND

FIRST_BACKOFF_NS = 500 * MILLISECOND
MAX_BACKOFF_NS = 122 * SECOND

Steps = Generator[Event, Any, None]
Operation = Callable[[], Steps]


class OperationFailed(Exception):
    """An operation did not do what it was for; it may be tried again after its back-off."""


class Operations:
    """Running operations by name.

    Parameters
    ----------
    on_failure
        Called with the operation's key and the time from which it may be tried again.
    """

    def __init__(self, clock: Clock, on_failure: Callable[[str, int], None]) -> None:
        self._clock = clock
        self._on_failure = on_failure
        self._running: dict[str, Task] = {}
        self._backoff: dict[str, tuple[int, int]] = {}  # name -> (delay, not before)

    def run(self, name: str, steps: Operation) -> None:
        """Start an operation, unless it is running. In back-off, only its failure is told again."""
        if name in self._running:
            return
        _, not_before = self._backoff.get(name, (0, 0))
        if self._clock.now < not_before:
            self._on_failure(name, not_before)
            return
        self._running[name] = self._clock.spawn(self._guard(name, steps()))

    def _guard(self, name: str, steps: Steps) -> Generator[Event, Any, None]:
        yield self._clock.sleep(0)  # the goroutine starts when its caller has gone on
        try:
            yield from steps
        except (ApiError, OperationFailed):
            delay, _ = self._backoff.get(name, (0, 0))
            delay = min(2 * delay, MAX_BACKOFF_NS) or FIRST_BACKOFF_NS
            self._backoff[name] = (delay, self._clock.now + delay)
            del self._running[name]
            self._on_failure(name, self._clock.now + delay)
        else:
            self._backoff.pop(name, None)
            del self._running[name]

    def stop(self) -> None:
        """Kill whatever runs; back-offs are memory and are lost."""
        for task in self._running.values():
            task.kill()
        self._running.clear()
        self._backoff.clear()
