"""Objectives of a scenario: a gate for CI, in one line each.

    db.availability >= 0.9995 with confidence 0.95      the mean over the replicates
    p99(db.longest_outage_s) < 2m                        a quantile over the replicates
    P(db.writes_lost > 0) < 1e-4                         how often something happens

An objective passes when its whole confidence interval is on the right side, fails when all of it is on the wrong side,
and is undecided in between: more replicates decide it. The text is parsed by this grammar and nothing else; it is never
evaluated as code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

import numpy as np
import numpy.typing as npt

from k8sim.runner.statistics import Estimate, mean, probability, quantile
from k8sim.sim.units import SECOND, parse_duration

Verdict = Literal["pass", "fail", "undecided"]
Relation = Literal["<", "<=", ">", ">="]

_RELATIONS: Final[Mapping[str, Callable[[npt.ArrayLike, float], npt.NDArray[np.bool_]]]] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_METRIC: Final = r"[A-Za-z_][\w./*-]*"
_BOUND: Final = r"[^\s()]+"
_FORM: Final = re.compile(
    rf"""\s*(?:
        P\(\s*(?P<event>{_METRIC})\s*(?P<when>[<>]=?|==|!=)\s*(?P<threshold>{_BOUND})\s*\)
      | (?P<function>mean|median|p\d+(?:\.\d+)?)\(\s*(?P<inner>{_METRIC})\s*\)
      | (?P<metric>{_METRIC})
    )\s*(?P<relation>[<>]=?)\s*(?P<bound>{_BOUND})
    (?:\s+with\s+confidence\s+(?P<confidence>\S+))?\s*""",
    re.VERBOSE,
)
EXAMPLES: Final = "for example: db.availability >= 0.9995 with confidence 0.95, or P(db.writes_lost > 0) < 1e-4"


@dataclass(frozen=True)
class Objective:
    """One parsed objective. ``statistic`` is "mean", a quantile in [0, 1], or ("P", relation, threshold)."""

    text: str
    metric: str
    statistic: Literal["mean"] | float | tuple[Literal["P"], str, float]
    relation: Relation
    bound: float
    confidence: float = 0.95

    def estimate(self, values: npt.ArrayLike) -> Estimate:
        """Estimate the objective's figure from one value a replicate (NaN: not defined there)."""
        x = np.asarray(values, dtype=np.float64)
        x = x[~np.isnan(x)]
        if self.statistic == "mean":
            return mean(x, self.metric, self.confidence)
        if isinstance(self.statistic, float):
            return quantile(x, self.statistic, self.confidence)
        _, relation, threshold = self.statistic
        return probability(int(_RELATIONS[relation](x, threshold).sum()), len(x), self.confidence)

    def judge(self, estimate: Estimate) -> Verdict:
        """Decide by where the confidence interval lies."""
        holds = _COMPARE[self.relation]
        ends = holds(estimate.low, self.bound), holds(estimate.high, self.bound)
        if estimate.n == 0 or ends[0] != ends[1]:
            return "undecided"
        return "pass" if ends[0] else "fail"


def parse_objective(text: str) -> Objective:
    """Parse one objective.

    Raises
    ------
    ValueError
        The text is none; the message says what was expected.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an objective; {EXAMPLES}")
    part = match.groupdict()
    confidence = 0.95 if part["confidence"] is None else _number(part["confidence"])
    if not 0.5 <= confidence < 1:
        raise ValueError(f"a confidence is at least 0.5 and below 1, not {part['confidence']}")
    relation = cast("Relation", part["relation"])
    bound = _number(part["bound"])
    if part["event"] is not None:
        threshold = _number(part["threshold"])
        return Objective(text, part["event"], ("P", part["when"], threshold), relation, bound, confidence)
    if part["function"] is None:
        return Objective(text, part["metric"], "mean", relation, bound, confidence)
    return Objective(text, part["inner"], _statistic(part["function"]), relation, bound, confidence)


def _statistic(function: str) -> Literal["mean"] | float:
    if function == "mean":
        return "mean"
    if function == "median":
        return 0.5
    q = float(function[1:]) / 100
    if not 0 < q < 1:
        raise ValueError(f"{function} is no quantile; p50 to p99.9 are")
    return q


def _number(text: str) -> float:
    """Read a number, a percentage or a duration (in s)."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        pass
    try:
        return parse_duration(text) / SECOND
    except ValueError:
        raise ValueError(f"{text!r} is neither a number, a percentage nor a duration") from None
