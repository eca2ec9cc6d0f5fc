from __future__ import annotations

import math

import pytest

from k8sim.runner.objectives import estimate, events_of, judge
from k8sim.runner.series import Series
from k8sim.runner.statistics import Estimate
from k8sim.scenario.objectives import parse_objective


@pytest.mark.parametrize(
    ("text", "metric", "statistic", "relation", "bound", "confidence"),
    [
        ("db.availability >= 0.9995 with confidence 0.95", "db.availability", "mean", ">=", 0.9995, 0.95),
        ("db.availability >= 99.95%", "db.availability", "mean", ">=", 0.9995, 0.95),
        ("P(db.writes_lost > 0) < 1e-4", "db.writes_lost", ("P", ">", 0.0), "<", 1e-4, 0.95),
        ("p99(db.longest_outage_s)<2m", "db.longest_outage_s", 0.99, "<", 120.0, 0.95),
        ("median( web-0.restarts ) <= 1 with confidence 0.9", "web-0.restarts", 0.5, "<=", 1.0, 0.9),
    ],
)
def test_forms(text: str, metric: str, statistic: object, relation: str, bound: float, confidence: float) -> None:
    objective = parse_objective(text)
    assert (objective.metric, objective.statistic, objective.relation) == (metric, statistic, relation)
    assert objective.bound == pytest.approx(bound)
    assert objective.confidence == confidence


@pytest.mark.parametrize(
    "text",
    [
        "", "db.availability", "db.availability = 1", "availability >= fast", "P(db.lost) < 1",
        "__import__('os').system('x') > 0", "p100(x) < 1", "x < 1 with confidence 2", "x < 1 y",
        "P(x > 0 or y > 0) < 1",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_objective(text)


def interval(low: float, high: float, n: int = 10) -> Estimate:
    return Estimate((low + high) / 2, low, high, 0.95, n, "test")


def test_a_verdict_needs_the_whole_interval() -> None:
    objective = parse_objective("x >= 10")
    assert judge(objective, interval(10, 12)) == "pass"
    assert judge(objective, interval(7, 9.9)) == "fail"
    assert judge(objective, interval(9, 11)) == "undecided"
    assert judge(objective, interval(math.nan, math.nan, 0)) == "undecided"


def test_a_probability_that_was_never_seen_is_judged_by_its_upper_bound() -> None:
    objective = parse_objective("P(db.writes_lost > 0) < 0.01")

    def verdict(values: list[float]) -> str:
        series = Series("db.writes_lost", events_of([objective], "db.writes_lost"))
        series.add(values)
        return judge(objective, estimate(objective, series))

    assert verdict([0.0] * 1000) == "pass"
    assert verdict([0.0] * 100) == "undecided"
    assert verdict([0.0] * 500 + [5.0] * 500) == "fail"
