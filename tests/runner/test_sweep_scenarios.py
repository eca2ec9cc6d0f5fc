"""The verdicts of the shipped scenarios that sweep a field: what their descriptions expect."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from k8sim.runner.experiment import experiment

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def means(name: str, replicates: int, by: str) -> pd.DataFrame:
    frame = experiment(SCENARIOS / f"{name}.yaml", replicates).frame
    column = next(c for c in frame.columns if c.endswith(by))
    return frame.groupby(frame[column].map(str)).mean(numeric_only=True)


def test_a_short_toleration_gains_little_for_a_stateful_set() -> None:
    short_s = means("toleration-seconds", 10, "tolerationSeconds")["db.short_s"]
    assert 0.9 < short_s["30"] / short_s["300"] < 1.1


def test_three_zones_outlive_what_takes_a_single_one_down() -> None:
    downtime_s = means("replicas-and-zones", 20, "zones")["db.downtime_s"].sort_values()
    assert "b" in downtime_s.index[0]  # spread over a, b, c
    assert downtime_s.iloc[0] < downtime_s.iloc[1] / 5
