"""Which engine runs what, and why; both engines of campaigns give the same tables, on any number of workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from k8sim.runner.engines import OutsideSubset, choose_engine
from k8sim.runner.experiment import Until, experiment
from k8sim.scenario import load, loads
from k8sim.scenario.loader import loads_variants
from k8sim.scenario.model import Scenario
from k8sim.scenario.objectives import parse_objective
from k8sim.sim.units import DAY
from tests.lockstep.test_subset import TEXT

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SWEPT = TEXT.replace("  applications:", "  sweep: {StatefulSet/db spec.replicas: [3, 5]}\n  applications:")


@pytest.fixture(scope="module")
def campaign() -> Scenario:
    return replace(loads(TEXT), duration_ns=60 * DAY)


def test_auto_picks_lockstep_for_long_runs_in_its_subset_and_says_so(campaign: Scenario) -> None:
    choice = choose_engine([campaign], "auto")
    assert (choice.engine, choice.why) == ("lockstep", "60d, and in its subset")
    assert any("readinessProbe" in note for note in choice.simplified)
    short = choose_engine([replace(campaign, duration_ns=DAY)], "auto")
    assert (short.engine, short.why) == ("simpy", "runs of less than 30d are simulated in full")
    crash = choose_engine([load(SCENARIOS / "db-node-loss.yaml")], "auto")
    assert crash.engine == "simpy"
    assert "timeline: 2 steps" in crash.why


def test_what_is_asked_for_counts(campaign: Scenario) -> None:
    losses = replace(campaign, duration_ns=DAY, objectives=(parse_objective("P(db.data_losses > 0) < 0.1"),))
    choice = choose_engine([losses], "auto")
    assert (choice.engine, choice.why) == ("lockstep", "an objective only it can measure")
    writes = replace(campaign, objectives=(parse_objective("P(data.writes_lost > 0) < 0.1"),))
    assert choose_engine([writes], "auto").why == "outside the subset of lockstep: data.writes_lost is not counted"
    assert choose_engine([campaign], "auto", ["db.rollouts"]).engine == "simpy"
    assert choose_engine([campaign, writes], "auto").engine == "simpy"  # one engine for all variants


def test_a_campaign_that_is_none_is_refused_with_all_reasons(campaign: Scenario) -> None:
    for engine in ("lockstep", "reference"):
        with pytest.raises(OutsideSubset) as error:
            choose_engine([load(SCENARIOS / "db-node-loss.yaml")], engine)
        assert len(error.value.reasons) == 2
    with pytest.raises(ValueError, match="there are: auto, simpy"):
        choose_engine([campaign], "fast")


def test_lockstep_and_its_reference_give_the_same_table(campaign: Scenario) -> None:
    fast = experiment(campaign, 24, engine="lockstep")
    slow = experiment(campaign, 24, engine="reference")
    assert (fast.choice.engine, slow.choice.engine) == ("lockstep", "reference")
    pd.testing.assert_frame_equal(fast.frame, slow.frame)
    assert fast.frame["db.pods"].sum() > 24 * 3
    assert fast.results[0].histograms["db.outage_s"].bins() == slow.results[0].histograms["db.outage_s"].bins()


def test_any_shards_and_workers_give_the_same(tmp_path: Path) -> None:
    variants = [replace(v, scenario=replace(v.scenario, duration_ns=40 * DAY)) for v in loads_variants(SWEPT)]
    whole = experiment(variants, 30, engine="lockstep").frame
    pd.testing.assert_frame_equal(experiment(variants, 30, jobs=2, engine="lockstep").frame, whole)
    experiment(variants, 10, engine="lockstep", folder=tmp_path)
    resumed = experiment(variants, 30, engine="lockstep", folder=tmp_path, resume=True)
    pd.testing.assert_frame_equal(resumed.frame, whole)
    assert list(whole.groupby("StatefulSet/db spec.replicas")["db.pods"].min() >= [3, 5]) == [True, True]


def test_outages_belong_to_their_replicates(campaign: Scenario) -> None:
    batch = experiment(campaign, 200, engine="lockstep", until=Until("db.short_s", 1e9))
    assert batch.replicates == 50
    stressed = replace(campaign, failures=tuple(replace(r, every=r.every.__class__(DAY)) for r in campaign.failures))
    full = experiment(stressed, 50, engine="lockstep")
    assert full.results[0].histograms["db.outage_s"].n == int(full.frame["db.outages"].sum()) > 50
    assert np.all(full.frame["db.longest_outage_s"] <= full.frame["db.downtime_s"])
