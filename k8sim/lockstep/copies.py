"""Copies of data that are lost and rebuilt, thousands of replicates in lock-step, with failures made more frequent.

`CopyGroup` says what is simulated: n copies that fail by some law, each rebuilt on its own or in turn; data are lost
when more than `tolerates` are missing at once. `simulate` runs it under hazards multiplied by theta(m) while m copies
are missing, and gives each replicate's likelihood ratio, exactly: a failure under theta counts 1/theta, an interval in
which the true hazards amount to dH counts exp((theta - 1) dH). Repairs keep their true law and their draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.hazards import Floats, Hazard, hazard
from k8sim.sim.distributions import Distribution
from k8sim.sim.streams import uniforms
from k8sim.sim.units import SECOND

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CopyGroup:
    """Copies of the same data.

    Parameters
    ----------
    copies
        How many there are.
    tolerates
        How many may be missing at once without loss (replication: copies - 1).
    life, rebuild
        How long a copy lives; how long it takes to have it again.
    crews
        How many copies are rebuilt at a time; None: all.
    """

    copies: int
    tolerates: int
    life: Distribution
    rebuild: Distribution
    crews: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.tolerates < self.copies and not (self.copies == 1 and self.tolerates == 0):
            raise ValueError(f"{self.copies} copies cannot lose {self.tolerates} and be whole")
        if self.crews is not None and self.crews < 1:
            raise ValueError("at least one crew")

    def thetas(self, bias: float, horizon_s: float) -> tuple[float, ...]:
        """Return the multipliers of the hazard while 0, 1, ... copies are missing.

        With copies missing, all failures together get `bias` times the rate of a rebuild: at that rate or above, the
        variance is infinite. With none missing, one failure is expected within the horizon.
        """
        rate, repair = 1 / self.life.mean_s, 1 / self.rebuild.mean_s
        first = max(1.0, 1 / (self.copies * rate * horizon_s)) if np.isfinite(horizon_s) else 1.0
        later = (max(1.0, bias * repair / ((self.copies - m) * rate)) for m in range(1, self.tolerates + 1))
        return (first, *later)


@dataclass(frozen=True)
class Paths:
    """What became of each replicate.

    Attributes
    ----------
    lost
        Whether data were lost.
    end_s
        When: the loss, the horizon, or the end of the cycle.
    log_weight
        Logarithm of the likelihood ratio up to there.
    failures
        How many copies failed.
    """

    lost: npt.NDArray[np.bool_]
    end_s: Floats
    log_weight: Floats
    failures: Ints


class _State:
    """Copies in rows, replicates in columns."""

    def __init__(self, group: CopyGroup, law: Hazard, seed: int, replicates: Ints) -> None:
        n, r = group.copies, len(replicates)
        self.group, self.law, self.seed, self.replicates = group, law, seed, replicates
        self.now = np.zeros(r)
        self.up = np.ones((n, r), dtype=bool)
        self.born = np.zeros((n, r))
        self.used = np.zeros((n, r))  # true hazard of the present copy up to now
        self.budget = np.zeros((n, r))  # what is left of its Exp(1), under the changed law
        self.repair = np.full((n, r), np.inf)  # when its rebuild will be done; inf: up, or waiting
        self.failed = np.full((n, r), np.inf)  # when it failed; inf: up, or being rebuilt
        self.draws = np.zeros((n, r), dtype=np.int64)
        self.log_weight = np.zeros(r)
        self.failures = np.zeros(r, dtype=np.int64)
        for copy in range(n):
            self.budget[copy] = -np.log(uniforms(seed, replicates, f"copy-{copy}", "life", self.draws[copy]))

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Leave only some replicates."""
        for name in ("now", "log_weight", "failures", "replicates"):
            setattr(self, name, getattr(self, name)[rows])
        for name in ("up", "born", "used", "budget", "repair", "failed", "draws"):
            setattr(self, name, getattr(self, name)[:, rows])

    def next_failures(self, theta: Floats) -> Floats:
        """Return when each copy would fail if theta stayed."""
        age = self.law.inverse(self.used + np.where(self.up, self.budget, 0.0) / theta)
        return np.where(self.up, np.maximum(self.born + age, self.now), np.inf)

    def advance(self, to: Floats, theta: Floats) -> None:
        """Use up hazard until a time, and account for it."""
        used = np.where(self.up, self.law.of(np.maximum(to - self.born, 0.0)), self.used)
        step = np.maximum(used - self.used, 0.0)
        self.budget = np.maximum(self.budget - theta * step, 0.0)
        self.used = used
        self.log_weight += (theta - 1) * step.sum(axis=0)
        self.now = to

    def fail(self, copy: Ints, columns: Ints, theta: Floats) -> None:
        """Lose one copy in each of some replicates."""
        self.up[copy, columns] = False
        self.failed[copy, columns] = self.now[columns]
        self.log_weight[columns] -= np.log(theta[columns])
        self.failures[columns] += 1
        self.start_rebuilds(columns)

    def restore(self, copy: Ints, columns: Ints) -> None:
        """Have one copy again in each of some replicates: new, with a budget of its own."""
        self.up[copy, columns] = True
        self.repair[copy, columns] = np.inf
        self.born[copy, columns] = self.now[columns]
        self.used[copy, columns] = 0.0
        self.draws[copy, columns] += 1
        self.budget[copy, columns] = -np.log(self._draw("life", copy, columns))
        if self.group.crews is not None:
            self.start_rebuilds(columns)

    def start_rebuilds(self, columns: Ints) -> None:
        """Give a free crew to the copy that has waited longest."""
        waiting = self.failed[:, columns]
        busy = np.isfinite(self.repair[:, columns]).sum(axis=0)
        free = np.isfinite(waiting).any(axis=0)
        if self.group.crews is not None:
            free &= busy < self.group.crews
        columns, copy = columns[free], np.argmin(waiting[:, free], axis=0)
        took = self.group.rebuild.quantiles(self._draw("rebuild", copy, columns)) / SECOND
        self.repair[copy, columns] = self.now[columns] + took
        self.failed[copy, columns] = np.inf

    def _draw(self, purpose: str, copy: Ints, columns: Ints) -> Floats:
        out = np.empty(len(columns))
        for number in range(self.group.copies):
            of = copy == number
            if of.any():
                chosen = columns[of]
                occurrence = self.draws[number, chosen]
                out[of] = uniforms(self.seed, self.replicates[chosen], f"copy-{number}", purpose, occurrence)
        return out


def simulate(
    group: CopyGroup, thetas: Sequence[float], horizon_s: float, seed: int, replicates: Ints, *, cycle: bool = False
) -> Paths:
    """Run replicates until data are lost, or until the horizon, or (cycle) until all copies are there again.

    Parameters
    ----------
    thetas
        Multipliers of the hazard while 0, 1, ... copies are missing; all 1: the true law.
    """
    state = _State(group, hazard(group.life), seed, replicates)
    total = len(replicates)
    place = np.arange(total)
    out = Paths(np.zeros(total, bool), np.full(total, horizon_s), np.zeros(total), np.zeros(total, np.int64))
    multipliers = np.array([*thetas, 1.0])
    while len(place):
        missing = group.copies - state.up.sum(axis=0)
        theta = multipliers[missing]
        failures = state.next_failures(theta)
        times = np.concatenate([failures, state.repair])
        which = np.argmin(times, axis=0)
        when = times[which, np.arange(len(place))]
        over = when >= horizon_s
        state.advance(np.minimum(when, horizon_s), theta)
        fails, returns = ~over & (which < group.copies), ~over & (which >= group.copies)
        state.fail(which[fails], np.flatnonzero(fails), theta)
        state.restore(which[returns] - group.copies, np.flatnonzero(returns))
        missing = group.copies - state.up.sum(axis=0)
        lost = fails & (missing > group.tolerates)
        ended = over | lost
        if cycle:
            ended |= returns & (missing == 0)
        if ended.any():
            there = place[ended]
            out.lost[there], out.end_s[there] = lost[ended], state.now[ended]
            out.log_weight[there], out.failures[there] = state.log_weight[ended], state.failures[ended]
            place = place[~ended]
            state.keep(~ended)
    return out
