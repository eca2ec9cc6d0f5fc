"""Verdicts on a scenario's objectives: a gate for CI.

An objective passes when its whole confidence interval is on the right side, fails when all of it is on the wrong side,
and is undecided in between: more replicates decide it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from k8sim.runner.series import Event, Series
from k8sim.runner.statistics import Estimate, Values
from k8sim.scenario.objectives import Objective

Verdict = Literal["pass", "fail", "undecided", "not measured"]

_RELATIONS: Final[Mapping[str, Callable[[npt.ArrayLike, float], npt.NDArray[np.bool_]]]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """An objective, the figure it is about, and the verdict; ``variant`` says of which variant ("": the only one)."""

    variant: str
    objective: Objective
    estimate: Estimate | None
    verdict: Verdict


def events_of(objectives: Iterable[Objective], metric: str) -> dict[str, Event]:
    """Return what has to be counted of a metric for objectives that ask how often something happens."""
    events: dict[str, Event] = {}
    for objective in objectives:
        if objective.metric == metric and isinstance(objective.statistic, tuple):
            _, relation, threshold = objective.statistic
            events[objective.text] = _event(relation, threshold)
    return events


def _event(relation: str, threshold: float) -> Event:
    def happens(values: Values) -> npt.NDArray[np.bool_]:
        return _RELATIONS[relation](values, threshold)

    return happens


def estimate(objective: Objective, series: Series) -> Estimate:
    """Estimate an objective's figure from its metric's values; the series must know the objective's event."""
    if objective.statistic == "mean":
        return series.mean(objective.confidence)
    if isinstance(objective.statistic, float):
        return series.quantile(objective.statistic, objective.confidence)
    return series.event(objective.text, objective.confidence)


def judge(objective: Objective, figure: Estimate) -> Verdict:
    """Decide by where the confidence interval lies."""
    holds = _COMPARE[objective.relation]
    ends = holds(figure.low, objective.bound), holds(figure.high, objective.bound)
    if figure.n == 0 or ends[0] != ends[1]:
        return "undecided"
    return "pass" if ends[0] else "fail"
