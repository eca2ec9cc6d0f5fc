"""The verdicts of the shipped scenarios that sweep a field: what their descriptions expect."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from k8sim.lockstep.copiesof import copy_group_of
from k8sim.runner.experiment import experiment
from k8sim.runner.rare import loss_probability
from k8sim.scenario import load
from tests.runner.test_rare import YEAR_S, exact_loss

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def path(name: str) -> Path:
    return SCENARIOS / f"{name}.yaml"


def means(name: str, replicates: int, by: str) -> pd.DataFrame:
    frame = experiment(path(name), replicates).frame
    column = next(c for c in frame.columns if c.endswith(by))
    return frame.groupby(frame[column].map(str)).mean(numeric_only=True)


def test_a_short_toleration_gains_little_for_a_stateful_set() -> None:
    short_s = means("toleration-seconds", 10, "tolerationSeconds")["db.short_s"]
    assert 0.9 < short_s["30"] / short_s["300"] < 1.1


def test_three_zones_outlive_what_takes_a_single_one_down() -> None:
    downtime_s = means("replicas-and-zones", 20, "zones")["db.downtime_s"].sort_values()
    assert "b" in downtime_s.index[0]  # spread over a, b, c
    assert downtime_s.iloc[0] < downtime_s.iloc[1] / 5


def test_a_loss_costs_half_an_interval_between_backups() -> None:
    frame = experiment(path("backup-interval"), 20).frame
    by = "spec.applications[data].backup.every"
    hours = frame[by].map({"1h": 1, "4h": 4, "16h": 16})
    outages, lost = frame["data.write_outages"], frame["data.writes_lost"]
    assert ((lost > 0) == (outages > 0)).all()
    assert (lost <= hours * 36_000 * outages).all()  # never more than an interval's writes
    intervals = (lost / (hours * 36_000)).groupby(hours).sum() / outages.groupby(hours).sum()
    assert intervals.between(0.3, 0.7).all()
    assert frame["data.write_downtime_s"].eq(outages * 1800).all()


def test_three_copies_are_lost_once_in_ten_million_years() -> None:
    found = copy_group_of(load(path("rare-data-loss")))
    assert found.outside == ()
    assert found.group is not None
    estimate, _ = loss_probability(found.group, YEAR_S)
    exact = exact_loss(3, 2, 30_000, 10, 8760)
    assert exact == pytest.approx(1e-7, rel=0.03)
    assert estimate.value == pytest.approx(exact, rel=0.2)
    assert exact / exact_loss(3, 2, 30_000, 5, 8760) == pytest.approx(4, rel=0.01)
