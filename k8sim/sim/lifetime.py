"""A program's own clock: what the program has set going ends with the program.

A program that is stopped leaves timers in the heap and processes that wait. Here they are bound to a lifetime: after
its end no timer acts, and no process takes another step. So no component has to ask itself whether it is still meant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sim.sim.clock import Clock, Steps, Task


class Lifetime(Clock):
    """A clock that shares time and event list with another, until `end`."""

    def __init__(self, clock: Clock) -> None:
        self.env = clock.env
        self.second_phase_ns = clock.second_phase_ns
        self._salt = clock._salt
        self.over = False
        self._tasks: dict[Task, None] = {}

    @property
    def now(self) -> int:  # type: ignore[override]
        """Now, in ns: the other clock's."""
        return self.env._now

    def call_at(self, when_ns: int, function: Callable[..., object], *args: Any, rank: int = 0) -> None:
        """Call a function at a time, if the program still lives then."""
        Clock.call_at(self, when_ns, self._act, function, args, rank=rank)

    def _act(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        if not self.over:
            function(*args)

    def spawn(self, steps: Steps) -> Task:
        """Start a process that ends with the program."""
        task = super().spawn(steps)
        if self.over:
            task.kill()
        else:
            self._tasks[task] = None
            assert task.callbacks is not None
            task.callbacks.append(self._forget)
        return task

    def _forget(self, task: Any) -> None:
        self._tasks.pop(task, None)

    def end(self) -> None:
        """End the program: kill its processes, let its timers come to nothing."""
        self.over = True
        for task in list(self._tasks):
            task.kill()
        self._tasks.clear()
