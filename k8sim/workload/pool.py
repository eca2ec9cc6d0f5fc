"""A pool of keep-alive connections as a fluid: where they are at any moment, in closed form between changes.

A connection lives for an exponential time (clients and servers close and reopen them), then is opened anew by a choice
among the addresses that are seen. An attempt succeeds with the probability that the chosen address answers; otherwise
the connection is missing, and another attempt follows after an exponential time. With C connections, U of them missing,
N_j at target j, q_j the chance of an attempt to get to j, p their sum, T the lifetime and r the pause:

    dU/dt   = (1-p) (C-U)/T - p U/r
    dN_j/dt = q_j [(C-U)/T + U/r] - N_j/T

Connections to a target that is no longer seen only leave it (q_j = 0): that is why endpoints that were removed keep
their traffic until connections end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

SMALL: Final = 1e-6
"""Below this a difference of exponentials is its first term: the quotient would lose its digits."""


def _exp(x: float) -> float:
    return float(np.exp(x))


def _decayed(rate: float, t: float) -> float:
    """Return the integral of exp(-rate s) for s from 0 to t."""
    return t if rate == 0.0 else -float(np.expm1(-rate * t)) / rate


@dataclass
class Pool:
    """Connections of one stream; times in s.

    Parameters
    ----------
    count
        C.
    lifetime_s, pause_s
        T (inf: connections last until they are cut) and r.
    """

    count: float
    lifetime_s: float
    pause_s: float
    missing: float = 0.0
    at: dict[str, float] = field(default_factory=dict)
    reach: dict[str, float] = field(default_factory=dict)

    @property
    def success(self) -> float:
        """Return p: the chance that an attempt succeeds."""
        return min(1.0, sum(self.reach.values()))

    def _laws(self) -> tuple[float, float]:
        """Return the rate at which U nears its limit, and the limit."""
        b, p = 1.0 / self.lifetime_s, self.success
        a = (1.0 - p) * b + p / self.pause_s
        return a, (self.count * (1.0 - p) * b / a if a > 0.0 else self.missing)

    def missing_time(self, t: float) -> float:
        """Return the integral of U over the next t: connection-seconds without a connection."""
        a, limit = self._laws()
        return limit * t + (self.missing - limit) * _decayed(a, t)

    def connection_time(self, target: str, t: float) -> float:
        """Return the integral of N_j over the next t: connection-seconds to a target."""
        a, limit = self._laws()
        b = 1.0 / self.lifetime_s
        k = 1.0 / self.pause_s - b
        age = _decayed(b, t)
        gone = t * t / 2 if b * t < SMALL else (t - age) / b
        if abs(a - b) * t >= SMALL:
            mixed = (_decayed(a, t) - age) / (b - a)
        else:
            mixed = t * t / 2 if b * t < SMALL else (age - t * _exp(-b * t)) / b
        q, over = self.reach.get(target, 0.0), self.missing - limit
        return self.at.get(target, 0.0) * age + q * ((self.count * b + limit * k) * gone + over * k * mixed)

    def copy(self) -> Pool:
        """Return the pool as it is now."""
        return replace(self, at=dict(self.at), reach=dict(self.reach))

    def advance(self, t: float) -> None:
        """Let a time pass."""
        if t <= 0.0:
            return
        a, limit = self._laws()
        b = 1.0 / self.lifetime_s
        k = 1.0 / self.pause_s - b
        over = self.missing - limit
        stay, age = _exp(-b * t), _decayed(b, t)
        mixed = stay * _decayed(a - b, t)  # the integral of exp(-b (t-s)) exp(-a s)
        for target in {**self.at, **self.reach}:
            q = self.reach.get(target, 0.0)
            gained = q * ((self.count * b + limit * k) * age + over * k * mixed)
            self.at[target] = self.at.get(target, 0.0) * stay + gained
        self.missing = limit + over * _exp(-a * t)

    def see(self, reach: Mapping[str, float]) -> None:
        """Let attempts succeed with other chances from now on."""
        self.reach = dict(reach)

    def lose(self, target: str) -> float:
        """Take away all connections to a target, and return how many; `reopen` puts them back in."""
        return self.at.pop(target, 0.0)

    def reopen(self, connections: float) -> None:
        """Let so many connections be opened anew at once."""
        for target, q in self.reach.items():
            self.at[target] = self.at.get(target, 0.0) + connections * q
        self.missing += connections * (1.0 - self.success)
