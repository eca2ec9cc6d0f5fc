"""The periodic resync, virtual: it happens on the real loop's grid, and only when somebody may need it.

The real controller looks at every claim and volume every 15 s. Nearly always that changes nothing; here the loop is
armed by whatever could make it matter: a sync or operation that failed, a volume or class that waiting claims might
use.

Source: pkg/controller/volume/persistentvolume/pv_controller_base.go (resync); storage.md 1.3.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sim.sim.clock import Clock


class Resync:
    """A timer on a grid that is armed on demand."""

    def __init__(self, clock: Clock, rank: int, phase_ns: int, period_ns: int, run: Callable[[], None]) -> None:
        self._clock = clock
        self._rank = rank
        self.phase_ns = phase_ns
        self._period = period_ns
        self._run = run
        self._armed: int | None = None

    def arm(self, not_before_ns: int = 0) -> None:
        """See to it that the loop runs at its first time after now that is not before the given one."""
        when = self._clock.next_on_grid(self.phase_ns, self._period, max(self._clock.now + 1, not_before_ns))
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
