"""``objectives:``: what a scenario promises, in one line each, as text that is parsed and never evaluated as code.

::

db.availability >= 0.9995 with confidence 0.95      the mean over the replicates
p99(db.longest_outage_s) < 2m                        a quantile over the replicates
P(db.writes_lost > 0) < 1e-4                         how often something happens
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from k8sim.sim.units import SECOND, parse_duration

Relation = Literal["<", "<=", ">", ">="]

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
    """One parsed objective.

    Parameters
    ----------
    statistic
        "mean", a quantile in [0, 1], or ("P", relation, threshold).
    file, line
        Where it stands; "": in a program.
    """

    text: str
    metric: str
    statistic: Literal["mean"] | float | tuple[Literal["P"], str, float]
    relation: Relation
    bound: float
    confidence: float = 0.95
    file: str = field(default="", compare=False)
    line: int | None = field(default=None, compare=False)


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
    confidence = 0.95 if part["confidence"] is None else parse_number(part["confidence"])
    if not 0.5 <= confidence < 1:
        raise ValueError(f"a confidence is at least 0.5 and below 1, not {part['confidence']}")
    relation = cast("Relation", part["relation"])
    bound = parse_number(part["bound"])
    if part["event"] is not None:
        threshold = parse_number(part["threshold"])
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


def parse_number(text: str) -> float:
    """Read a number, a percentage or a duration (in s)."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        pass
    try:
        return parse_duration(text) / SECOND
    except ValueError:
        raise ValueError(f"{text!r} is neither a number, a percentage nor a duration") from None
