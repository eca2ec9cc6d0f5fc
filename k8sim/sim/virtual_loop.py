"""A periodic loop, virtual: it runs on the real loop's grid, and only when somebody may need it.

The real loop looks at everything each time, and nearly always that changes nothing. Here it is armed by whatever could
make a look matter.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sim.sim.clock import Clock


class VirtualLoop:
    """A timer on a grid that is armed on demand."""

    def __init__(self, clock: Clock, rank: int, phase_ns: int, period_ns: int, run: Callable[[], None]) -> None:
        self.phase_ns = phase_ns
        self.period_ns = period_ns
        self._clock = clock
        self._rank = rank
        self._run = run
        self._armed: int | None = None

    def arm(self, not_before_ns: int = 0) -> None:
        """See to it that the loop runs at its first time after now that is not before the given one."""
        when = self._clock.next_on_grid(self.phase_ns, self.period_ns, max(self._clock.now + 1, not_before_ns))
        if self._armed is not None and self._armed <= when:
            return
        self._armed = when
        self._clock.call_at(when, self._fire, when, rank=self._rank)

    def _fire(self, when: int) -> None:
        if self._armed == when:
            self._armed = None
            self._run()

    def disarm(self) -> None:
        """Forget the armed run."""
        self._armed = None
