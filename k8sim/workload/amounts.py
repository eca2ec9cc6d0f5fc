"""How much: requests and writes as integers of a thousand millionth, so that sums are exact.

A rate is in such units per second. What flows in a time is a pure function of the flow's beginning, so that it does not
matter at how many moments somebody looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

UNIT: Final = 1_000_000_000
"""One request, one write."""
SECOND: Final = 1_000_000_000


def grown(rate: int, time_ns: int) -> int:
    """Return what flows at a rate in a time."""
    return rate * time_ns // SECOND


def time_for(amount: int, rate: int) -> int:
    """Return the time after which at least an amount has flowed."""
    return -(-amount * SECOND // rate)


def whole(amount: int) -> float:
    """Return an amount in requests or writes."""
    return amount / UNIT


def share_out(amount: int, weights: Sequence[Fraction]) -> list[int]:
    """Split an amount by weights that add up to 1; the parts add up to the amount (largest remainder first)."""
    exact = [amount * w for w in weights]
    parts = [int(e) for e in exact]
    rest = amount - sum(parts)
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[:rest]:
        parts[i] += 1
    return parts


class Flow:
    """An amount that grows at a rate, which changes now and then; what it was at past moments is remembered.

    Parameters
    ----------
    memory_ns
        How far back somebody may ask.
    """

    __slots__ = ("_memory_ns", "_rates", "_times", "_totals")

    def __init__(self, start_ns: int, memory_ns: int = 0) -> None:
        self._memory_ns = memory_ns
        self._times = [start_ns]
        self._totals = [0]
        self._rates = [0]

    @property
    def rate(self) -> int:
        """The rate now."""
        return self._rates[-1]

    def at(self, t_ns: int) -> int:
        """Return the amount at a moment; before the flow began (or before what is remembered) it stands still."""
        for i in range(len(self._times) - 1, -1, -1):
            if t_ns >= self._times[i]:
                return self._totals[i] + grown(self._rates[i], t_ns - self._times[i])
        return self._totals[0]

    def change(self, now_ns: int, rate: int) -> None:
        """Let the flow have another rate from now on."""
        if rate == self._rates[-1]:
            return
        total = self.at(now_ns)
        if self._times[-1] == now_ns:
            self._rates[-1] = rate
            return
        self._times.append(now_ns)
        self._totals.append(total)
        self._rates.append(rate)
        while len(self._times) > 1 and self._times[1] <= now_ns - self._memory_ns:
            del self._times[0], self._totals[0], self._rates[0]
