"""Two variants under the same chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest

import k8sim
from k8sim.report.comparison import compare, comparison_figure, sentences
from k8sim.runner.batch import Batch
from k8sim.runner.experiment import experiment
from k8sim.sim.units import SECOND

mpl.use("Agg")
SCENARIO = k8sim.load(Path(__file__).parents[2] / "scenarios" / "db-node-loss.yaml")


def batch(at_s: int, seed: int = 0) -> Batch:
    crash = replace(SCENARIO.timeline[0], at_ns=at_s * SECOND)
    return experiment(replace(SCENARIO, timeline=(crash,), duration_ns=400 * SECOND), 6, seed=seed)


@pytest.fixture(scope="module")
def early() -> Batch:
    return batch(100)


@pytest.fixture(scope="module")
def late() -> Batch:
    return batch(200)


def test_a_scenario_does_not_differ_from_itself(early: Batch) -> None:
    found = compare(early, early)
    assert {c.judgement for c in found if c.difference.n} == {"same"}
    (sentence,) = sentences(found, "a", "b")
    assert sentence.startswith("The same in every run: ")


def test_a_crash_a_hundred_seconds_later_is_a_hundred_seconds_shorter(early: Batch, late: Batch) -> None:
    by_name = {c.metric: c for c in compare(early, late)}
    short = by_name["db.short_s"]
    assert short.difference.value == pytest.approx(-100, abs=3)
    assert short.difference.low <= -97
    assert short.judgement == "better"
    assert by_name["db.ready_s"].judgement == "same"  # chance before the crash is the same
    told = list(sentences(list(by_name.values()), "early", "late"))
    assert any(s.startswith("db.short_s: late has ") and " less than early " in s for s in told)
    assert any("which is better" in s for s in told)


def test_the_other_way_round_is_worse(early: Batch, late: Batch) -> None:
    assert {c.metric: c.judgement for c in compare(late, early)}["db.short_s"] == "worse"


def test_other_seeds_are_no_pairs(early: Batch) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        compare(early, batch(100, seed=1))


def test_the_figure_has_a_row_a_difference(early: Batch, late: Batch) -> None:
    found = compare(early, late)
    figure = comparison_figure(found, "early", "late")
    figure.canvas.draw()
    assert len(figure.axes) == sum(c.judgement != "same" and c.difference.n > 1 for c in found)
