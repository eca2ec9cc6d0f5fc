"""How long calls to storage systems take, and which of them fail."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

from k8sim.sim.distributions import Distribution

if TYPE_CHECKING:
    from k8sim.sim.simulation import Simulation

FOR_EVER: Final = 2**62
NODE_CALLS: Final = frozenset({"volumeStage", "volumeUnstage", "volumePublish", "volumeUnpublish", "volumeNodeExpand"})
"""Calls that a machine answers itself: they fail only when a fault names them."""


class StorageCalls:
    """Calls by the drivers' names; "" stands for every driver."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.laws: dict[tuple[str, str], Distribution] = {}  # (driver, call): what a scenario says of one driver
        self._outages: list[tuple[str, frozenset[str], str, int]] = []
        self._slow: list[tuple[str, float, int]] = []

    def draw(self, driver: str, call: str, entity: str) -> int:
        """Draw the time of a call: by the driver's own law if it has one, else by the named latency."""
        law = self.laws.get((driver, call))
        if law is None:
            drawn = self.sim.latencies.draw(call, entity)
        else:
            drawn = law.quantile(self.sim.streams.uniform(entity, call))
        return int(drawn * self.slowness(driver)) if self._slow else drawn

    def slow_down(self, factor: float, until_ns: int = FOR_EVER, driver: str = "") -> None:
        """Let calls that begin before some time take longer; "" is every driver."""
        self._slow.append((driver, factor, until_ns))

    def slowness(self, driver: str) -> float:
        """Return how many times as long as usual a call takes now."""
        now = self.sim.clock.now
        self._slow[:] = [s for s in self._slow if s[2] > now]
        return prod(factor for wanted, factor, _ in self._slow if wanted in ("", driver))

    def fail_calls(self, calls: frozenset[str], code: str, until_ns: int = FOR_EVER, driver: str = "") -> None:
        """Let calls fail with a code until some time; "" is every driver, no calls every one but those of nodes."""
        self._outages.append((driver, calls, code, until_ns))

    def failure_of(self, driver: str, call: str) -> str:
        """Return the code with which a call fails now, "" if it does not."""
        now = self.sim.clock.now
        self._outages[:] = [o for o in self._outages if o[3] > now]
        for wanted, calls, code, _ in self._outages:
            if wanted in ("", driver) and (call in calls or (not calls and call not in NODE_CALLS)):
                return code
        return ""
