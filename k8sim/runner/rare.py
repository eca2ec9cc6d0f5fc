"""Rare events: one in a million and below, by importance sampling; refused where the estimate cannot be trusted.

Failures are made more frequent and each replicate counts with its likelihood ratio, so the estimate is unbiased. It can
still be wrong with confidence: when the ratios degenerate, the few replicates that carry the expectation are not among
those that were run. Three gates detect that, and without all of them there is no estimate:

1. the mean likelihood ratio over *all* replicates is 1 within 4 of its standard errors, and known within 10 %;
2. the effective sample size (sum w)^2 / sum w^2 is at least 0.5 % of the replicates;
3. so is, of the losses alone, at least 100.

Goyal et al. (1992), "A unified framework for simulating Markovian models of highly dependable systems"; Nicola,
Shahabuddin and Nakayama (2001), "Techniques for fast simulation of models of highly dependable systems".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from k8sim.lockstep.copies import CopyGroup, Paths, simulate
from k8sim.lockstep.hazards import Floats, hazard
from k8sim.runner.statistics import Estimate
from k8sim.sim.normal import normal_quantile

DEFAULT_BIAS: Final = 0.3
CHUNK: Final = 20_000
MAX_RATIO_ERROR: Final = 0.1
MIN_EFFECTIVE_SHARE: Final = 0.005
MIN_EFFECTIVE_LOSSES: Final = 100


class Untrustworthy(Exception):
    """An estimate that has not passed the gates."""


@dataclass
class Gate:
    """Sums over weighted replicates, and what they say about whether to trust them."""

    n: int = 0
    sum_w: float = 0.0
    sum_w2: float = 0.0
    sum_x: float = 0.0
    sum_x2: float = 0.0
    losses: int = 0

    def add(self, paths: Paths) -> None:
        """Add replicates."""
        w = np.exp(paths.log_weight)
        x = np.where(paths.lost, w, 0.0)
        self.n += len(w)
        self.sum_w += float(w.sum())
        self.sum_w2 += float((w * w).sum())
        self.sum_x += float(x.sum())
        self.sum_x2 += float((x * x).sum())
        self.losses += int(paths.lost.sum())

    @property
    def mean_ratio(self) -> float:
        """Mean likelihood ratio."""
        return self.sum_w / self.n

    @property
    def ratio_error(self) -> float:
        """Standard error of the mean likelihood ratio."""
        return _error(self.n, self.sum_w, self.sum_w2)

    @property
    def effective_share(self) -> float:
        """Effective sample size over the number of replicates."""
        return self.sum_w**2 / self.sum_w2 / self.n if self.sum_w2 else 0.0

    @property
    def effective_losses(self) -> float:
        """Effective number of losses."""
        return self.sum_x**2 / self.sum_x2 if self.sum_x2 else 0.0

    def problems(self) -> list[str]:
        """Say what is wrong with the sample; nothing: it may be trusted."""
        found = []
        if abs(self.mean_ratio - 1) > 4 * self.ratio_error or self.ratio_error > MAX_RATIO_ERROR:
            found.append(f"the mean likelihood ratio is {self.mean_ratio:.4f} ± {self.ratio_error:.4f} instead of 1")
        if self.effective_share < MIN_EFFECTIVE_SHARE:
            found.append(f"the effective sample size is {self.effective_share:.3%} of the replicates")
        if self.effective_losses < MIN_EFFECTIVE_LOSSES:
            found.append(f"only {self.effective_losses:.0f} effective losses were seen")
        return found

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """Return the probability of loss.

        Raises
        ------
        Untrustworthy
            A gate has failed.
        """
        if problems := self.problems():
            advice = "lower the bias, shorten the horizon or use more replicates (for exponential lives: mttdl)"
            raise Untrustworthy(f"no estimate: {'; '.join(problems)}; {advice}")
        p = self.sum_x / self.n
        spread = normal_quantile(0.5 + confidence / 2) * _error(self.n, self.sum_x, self.sum_x2)
        return Estimate(p, max(p - spread, 0.0), p + spread, confidence, self.n, "importance sampling")


def _error(n: int, total: float, squares: float) -> float:
    mean = total / n
    return math.sqrt(max(squares / n - mean * mean, 0.0) / max(n - 1, 1))


def loss_probability(
    group: CopyGroup,
    horizon_s: float,
    *,
    seed: int = 0,
    replicates: int = 1_000_000,
    bias: float = DEFAULT_BIAS,
    relative_error: float = 0.1,
    confidence: float = 0.95,
) -> tuple[Estimate, Gate]:
    """Estimate the probability that data are lost within a horizon.

    Parameters
    ----------
    replicates
        At most; chunks are run until the half-width is `relative_error` of the estimate and all gates are passed.
    bias
        Rate of all failures together, while copies are missing, over the rate of a rebuild; below 0.5.

    Raises
    ------
    Untrustworthy
        A gate failed in the end.
    """
    if not 0 < bias <= 0.5:
        raise ValueError("a bias above 0.5 has a variance that explodes (infinite from 1 on)")
    gate = Gate()
    thetas = group.thetas(bias, horizon_s)
    while gate.n < replicates:
        numbers = np.arange(gate.n, min(gate.n + CHUNK, replicates))
        gate.add(simulate(group, thetas, horizon_s, seed, numbers))
        if not gate.problems():
            estimate = gate.estimate(confidence)
            if estimate.half_width <= relative_error * estimate.value:
                return estimate, gate
    return gate.estimate(confidence), gate


def mttdl(
    group: CopyGroup, *, seed: int = 0, replicates: int = 200_000, bias: float = DEFAULT_BIAS, confidence: float = 0.95
) -> Estimate:
    """Estimate the mean time to data loss, in s, as E[length of a cycle] / P(loss in a cycle).

    A cycle goes from all copies up to all copies up again, or to a loss. With exponential lives it begins anew each
    time; numerator (true law) and denominator (importance sampling) are estimated from different replicates.

    Raises
    ------
    Untrustworthy
        A gate failed; or lives have a memory, so that cycles are not alike.
    """
    if not hazard(group.life).memoryless:
        raise Untrustworthy("no estimate: with lives that are not exponential, cycles are not alike")
    gate = Gate()
    thetas = group.thetas(bias, math.inf)
    lengths: list[Floats] = []
    for first in range(0, replicates, CHUNK):
        numbers = np.arange(first, min(first + CHUNK, replicates))
        gate.add(simulate(group, thetas, math.inf, seed, numbers, cycle=True))
        plain = simulate(group, [1.0] * len(thetas), math.inf, seed, numbers + replicates, cycle=True)
        lengths.append(plain.end_s)
    p = gate.estimate(confidence)
    length = np.concatenate(lengths)
    error = _error(gate.n, gate.sum_x, gate.sum_x2) / p.value
    whole = math.hypot(error, float(length.std(ddof=1) / length.mean()) / math.sqrt(len(length)))
    value = float(length.mean()) / p.value
    spread = normal_quantile(0.5 + confidence / 2) * whole * value
    return Estimate(value, value - spread, value + spread, confidence, gate.n, "ratio of cycles")
