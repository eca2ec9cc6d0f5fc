"""Verdicts on a scenario's objectives: a gate for CI.

An objective passes when its whole confidence interval is on the right side, fails when all of it is on the wrong side,
and is undecided in between: more replicates decide it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from k8sim.runner.statistics import Estimate, mean, probability, quantile
from k8sim.scenario.objectives import Objective

Verdict = Literal["pass", "fail", "undecided"]

_RELATIONS: Final[Mapping[str, Callable[[npt.ArrayLike, float], npt.NDArray[np.bool_]]]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def estimate(objective: Objective, values: npt.ArrayLike) -> Estimate:
    """Estimate an objective's figure from one value a replicate (NaN: not defined there)."""
    x = np.asarray(values, dtype=np.float64)
    x = x[~np.isnan(x)]
    if objective.statistic == "mean":
        return mean(x, objective.metric, objective.confidence)
    if isinstance(objective.statistic, float):
        return quantile(x, objective.statistic, objective.confidence)
    _, relation, threshold = objective.statistic
    return probability(int(_RELATIONS[relation](x, threshold).sum()), len(x), objective.confidence)


def judge(objective: Objective, figure: Estimate) -> Verdict:
    """Decide by where the confidence interval lies."""
    holds = _COMPARE[objective.relation]
    ends = holds(figure.low, objective.bound), holds(figure.high, objective.bound)
    if figure.n == 0 or ends[0] != ends[1]:
        return "undecided"
    return "pass" if ends[0] else "fail"
