"""One metric over many replicates, in bounded memory.

Up to `EXACT` replicates all values are kept, and every figure comes from them. Beyond, only what fits into a few
kilobytes: moments, and a histogram whose bins are `BIN` wide relative to their values. Then the interval of a mean is
the normal one with Johnson's correction for skewness, and a quantile is right within half a bin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from k8sim.runner.statistics import Estimate, Values, mean, probability, quantile
from k8sim.sim.normal import normal_quantile

EXACT: Final = 50_000
BIN: Final = 0.01
_SIGN: Final = 32
"""Numbers of bins have fewer bits than this."""

Event = Callable[[Values], npt.NDArray[np.bool_]]


class LogHistogram:
    """Counts of values in bins of equal relative width; zeros and negative values have bins of their own."""

    def __init__(self, width: float = BIN) -> None:
        self._log = math.log1p(width)
        self._counts: dict[tuple[int, int], int] = {}
        self.n = 0

    def add(self, values: npt.ArrayLike) -> None:
        """Count values; NaN is left out."""
        x = np.asarray(values, dtype=np.float64)
        x = x[~np.isnan(x)]
        if not len(x):
            return
        signs = np.sign(x).astype(np.int64)
        with np.errstate(divide="ignore"):
            bins = np.where(signs != 0, np.floor(np.log(np.abs(x)) / self._log), 0).astype(np.int64)
        keys, counts = np.unique((signs << _SIGN) + bins, return_counts=True)  # one number sorts faster than two
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            sign = (key + (1 << _SIGN - 1)) >> _SIGN
            pair = sign, key - (sign << _SIGN)
            self._counts[pair] = self._counts.get(pair, 0) + count
        self.n += len(x)

    def bins(self) -> list[tuple[float, float, int]]:
        """Return (from, to, count) of the bins that hold something, in order of their values."""
        out = []
        for (sign, index), count in self._counts.items():
            ends = sign * math.exp(index * self._log), sign * math.exp((index + 1) * self._log)
            out.append((min(ends), max(ends), count))
        return sorted(out)

    def quantile(self, q: float) -> float:
        """Return the middle of the bin in which a share q of all values is reached."""
        seen = 0
        for low, high, count in self.bins():
            seen += count
            if seen >= q * self.n:
                return (low + high) / 2
        return math.nan


class Series:
    """Values of one metric, added replicate by replicate, always in the same order.

    Parameters
    ----------
    name
        Names the stream of bootstrap resamples.
    events
        What must be counted beyond `EXACT` values, by name.
    """

    def __init__(self, name: str, events: dict[str, Event] | None = None) -> None:
        self.name = name
        self.n = 0
        self._values: list[Values] | None = []
        self._moments = np.zeros(4)  # n, mean, sum of squares and of cubes about it
        self._histogram = LogHistogram()
        self._events = events or {}
        self._seen = dict.fromkeys(self._events, 0)

    def add(self, values: Sequence[float] | Values) -> None:
        """Add the values of further replicates; NaN: not defined there."""
        x = np.asarray(values, dtype=np.float64)
        self.n += len(x)
        if self._values is None:
            self._sum_up(x)
            return
        self._values.append(x)
        if self.n > EXACT:
            kept, self._values = self._values, None
            for part in kept:
                self._sum_up(part)

    def _sum_up(self, x: Values) -> None:
        """Keep of values what fits into a few kilobytes."""
        x = x[~np.isnan(x)]
        if not len(x):
            return
        for name, event in self._events.items():
            self._seen[name] += int(event(x).sum())
        self._histogram.add(x)
        m = float(x.mean())
        d = x - m
        self._moments = _joined(self._moments, np.array([len(x), m, float((d * d).sum()), float((d**3).sum())]))

    @property
    def values(self) -> Values:
        """All values.

        Raises
        ------
        ValueError
            There are more than `EXACT`.
        """
        if self._values is None:
            raise ValueError(f"{self.name}: of more than {EXACT} replicates the values are not kept in memory")
        return np.concatenate(self._values) if self._values else np.empty(0)

    @property
    def exact(self) -> bool:
        """Whether all values are kept."""
        return self._values is not None

    def mean(self, confidence: float = 0.95) -> Estimate:
        """Estimate the mean."""
        if self.exact:
            return mean(self.values, self.name, confidence)
        n, m, m2, m3 = self._moments.tolist()
        variance = m2 / (n - 1)
        if variance == 0:
            return Estimate(m, m, m, confidence, int(n), "constant")
        # Johnson (1978), Modified t tests and confidence intervals for asymmetrical populations.
        z, shift = normal_quantile(0.5 + confidence / 2), m3 / n / (6 * variance * n)
        spread = z * math.sqrt(variance / n)
        return Estimate(m, m + shift - spread, m + shift + spread, confidence, int(n), "johnson")

    def quantile(self, q: float, confidence: float = 0.95) -> Estimate:
        """Estimate a quantile."""
        if self.exact:
            return quantile(self.values, q, confidence)
        n = self._histogram.n
        spread = normal_quantile(0.5 + confidence / 2) * math.sqrt(q * (1 - q) / n)
        value, low, high = (self._histogram.quantile(min(max(p, 0.0), 1.0)) for p in (q, q - spread, q + spread))
        return Estimate(value, low, high, confidence, n, "histogram")

    def event(self, name: str, confidence: float = 0.95) -> Estimate:
        """Estimate how likely an event is."""
        if self.exact:
            x = self.values
            x = x[~np.isnan(x)]
            return probability(int(self._events[name](x).sum()), len(x), confidence)
        return probability(self._seen[name], int(self._moments[0]), confidence)


def _joined(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Moments of two samples together (Pébay 2008)."""
    n = a[0] + b[0]
    d = b[1] - a[1]
    mean = a[1] + d * b[0] / n
    m2 = a[2] + b[2] + d * d * a[0] * b[0] / n
    m3 = a[3] + b[3] + d**3 * a[0] * b[0] * (a[0] - b[0]) / n**2 + 3 * d * (a[0] * b[2] - b[0] * a[2]) / n
    return np.array([n, mean, m2, m3])
