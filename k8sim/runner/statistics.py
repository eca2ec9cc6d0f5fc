"""Figures from many runs, each with an interval suited to what it is.

* A probability: Wilson's score interval; with no event seen, the exact upper bound 1 - alpha^(1/n) ("rule of three").
* A mean of something that may be very skewed (downtime, writes lost): the bootstrap-t interval, whose resamples are
  keyed by the metric's name, so that a report is the same on every machine and for any number of workers.
* A difference between two variants under common random numbers: the same of the paired differences, and how much
  smaller their variance is than that of two independent samples.

Everything takes plain float arrays, one value a replicate, NaN where the metric is not defined in that replicate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from k8sim.sim.normal import normal_quantile
from k8sim.sim.streams import uniforms

Values = npt.NDArray[np.float64]
RESAMPLES = 999
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval.

    Attributes
    ----------
    value, low, high
        The estimate and the bounds of its interval.
    confidence
        Coverage of the interval, e.g. 0.95.
    n
        How many replicates have the metric.
    method
        How the interval was made: "wilson", "zero events", "bootstrap-t", "constant", "none" (one replicate).
    """

    value: float
    low: float
    high: float
    confidence: float
    n: int
    method: str

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


def probability(events: int, n: int, confidence: float = 0.95) -> Estimate:
    """Estimate a probability from how often something happened.

    Wilson (1927); for 0 and n events the exact one-sided bound (Clopper and Pearson 1934) at the same confidence.
    """
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, confidence, 0, "none")
    if not 0 <= events <= n:
        raise ValueError(f"{events} events of {n}")
    if events in (0, n):
        bound = -math.expm1(math.log1p(-confidence) / n)
        low, high = (0.0, bound) if events == 0 else (1.0 - bound, 1.0)
        return Estimate(events / n, low, high, confidence, n, "zero events")
    z = normal_quantile(0.5 + confidence / 2)
    p = events / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(p, max(0.0, centre - spread), min(1.0, centre + spread), confidence, n, "wilson")


def mean(values: npt.ArrayLike, name: str, confidence: float = 0.95) -> Estimate:
    """Estimate a mean with a bootstrap-t interval (Efron and Tibshirani 1993, chapter 12).

    Parameters
    ----------
    name
        Names the stream of the resamples.
    """
    x = _defined(values)
    n = len(x)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, confidence, 0, "none")
    centre = float(x.mean())
    if n == 1:
        return Estimate(centre, -math.inf, math.inf, confidence, 1, "none")
    error = float(x.std(ddof=1)) / math.sqrt(n)
    if error == 0.0:
        return Estimate(centre, centre, centre, confidence, n, "constant")
    t = _bootstrap_t(x, name)
    alpha = (1 - confidence) / 2
    # Resamples that missed every value but one say that the interval is open there; between them and others there is
    # nothing to interpolate.
    upper, lower = np.quantile(t, [1 - alpha, alpha], method="inverted_cdf" if np.isinf(t).any() else "linear")
    return Estimate(centre, centre - float(upper) * error, centre - float(lower) * error, confidence, n, "bootstrap-t")


def quantile(values: npt.ArrayLike, q: float, confidence: float = 0.95) -> Estimate:
    """Estimate a quantile with the distribution-free interval between two order statistics.

    The ranks come from the normal approximation of the binomial law of how many values lie below the quantile.
    """
    x = np.sort(_defined(values))
    n = len(x)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, confidence, 0, "none")
    z = normal_quantile(0.5 + confidence / 2)
    spread = z * math.sqrt(n * q * (1 - q))
    low, high = math.floor(n * q - spread), math.ceil(n * q + spread)
    return Estimate(
        float(np.quantile(x, q)),
        float(x[low - 1]) if low >= 1 else -math.inf,
        float(x[high]) if high < n else math.inf,
        confidence,
        n,
        "order statistics",
    )


@dataclass(frozen=True)
class Difference:
    """Variant minus base, replicate by replicate.

    ``variance_reduction`` is the variance that independent samples of the same size would have, over that of the paired
    differences: how many times fewer replicates common random numbers need.
    """

    estimate: Estimate
    variance_reduction: float


def paired_difference(base: npt.ArrayLike, variant: npt.ArrayLike, name: str, confidence: float = 0.95) -> Difference:
    """Estimate the mean difference of two variants that saw the same chance."""
    a, b = np.asarray(base, dtype=np.float64), np.asarray(variant, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} replicates cannot be paired")
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    estimate = mean(b - a, name, confidence)
    if len(a) < 2:
        return Difference(estimate, math.nan)
    apart, paired = float(a.var(ddof=1) + b.var(ddof=1)), float((b - a).var(ddof=1))
    if paired == 0.0:
        return Difference(estimate, math.nan if apart == 0.0 else math.inf)
    return Difference(estimate, apart / paired)


def _defined(values: npt.ArrayLike) -> Values:
    x = np.asarray(values, dtype=np.float64)
    return x[~np.isnan(x)]


def _bootstrap_t(x: Values, name: str) -> Values:
    """Return the studentised means of `RESAMPLES` resamples."""
    n = len(x)
    out = np.empty(RESAMPLES)
    at_once = max(1, _CHUNK // n)
    for first in range(0, RESAMPLES, at_once):
        rows = np.arange(first, min(first + at_once, RESAMPLES))
        draws = uniforms(0, rows[:, None], name, "bootstrap", np.arange(n)[None, :])
        sample = x[(draws * n).astype(np.int64)]
        deviation = sample.std(axis=1, ddof=1) / math.sqrt(n)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (sample.mean(axis=1) - x.mean()) / deviation
        out[rows] = np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return out
