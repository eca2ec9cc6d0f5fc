"""Planned rollouts: from steps of a timeline to a campaign, and through both engines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from k8sim.lockstep.campaign import FIGURES, Campaign
from k8sim.lockstep.engine import run_lockstep
from k8sim.lockstep.reference import Reference
from k8sim.lockstep.subset import Translation, campaign_of
from k8sim.runner.experiment import experiment
from k8sim.scenario import loads
from k8sim.sim.units import DAY, MINUTE
from tests.lockstep.test_subset import TEXT

PLAN = """
    - {at: 30d, kubectl: set image statefulset/db db=db:v2}
    - {at: 31d, kubectl: rollout status statefulset/db}
    - {at: 40d, kubectl: "set image statefulset/db *=db:v2"}
    - {at: 60d, kubectl: rollout restart statefulset db -n default}
"""


def planned(steps: str = PLAN, *changes: tuple[str, str]) -> Translation:
    text = TEXT.replace("  operators:", f"  timeline:{steps}  operators:")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return campaign_of(loads(text, "campaign.yaml"))


def campaign(translation: Translation) -> Campaign:
    assert translation.campaign is not None, translation.outside
    return translation.campaign


def test_steps_that_change_the_template_are_rollouts() -> None:
    """The same image again changes nothing, and looking on does not either."""
    translation = planned()
    assert campaign(translation).rollouts_ns == (30 * DAY, 60 * DAY)
    assert any("rollout" in note for note in translation.simplified)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("set image statefulset/other db=db:v2", "timeline: 1 steps, the first at campaign"),
        ("set image statefulset/db other=db:v2", "timeline: 1 steps"),
        ("rollout restart statefulset/db -n elsewhere", "timeline: 1 steps"),
        ("rollout undo statefulset/db", "timeline: 1 steps"),
        ("scale statefulset/db --replicas=5", "timeline: 1 steps"),
        ("set image statefulset/db db=slow:v1", "timeline: an image that behaves otherwise, slow:v1 (campaign.yaml"),
    ],
)
def test_other_steps_are_outside(step: str, reason: str) -> None:
    slow = ('images: {"*"', 'images: {"slow:*": {ready: 1h}, "*"')
    translation = planned(f"\n    - {{at: 30d, kubectl: {step}}}\n", slow)
    assert translation.campaign is None
    assert any(found.startswith(reason) for found in translation.outside), translation.outside


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [("{type: OnDelete}", "OnDelete"), ("{type: RollingUpdate, rollingUpdate: {partition: 1}}", "a partition")],
)
def test_sets_that_do_not_roll_are_outside_if_a_rollout_is_planned(strategy: str, reason: str) -> None:
    strange = ("  replicas: 3", f"  replicas: 3\n  updateStrategy: {strategy}")
    assert planned(PLAN, strange).outside == (f"updateStrategy: {reason}",)
    assert planned("\n    - {at: 1d, kubectl: get pods}\n", strange).campaign is not None


def test_two_rollouts_within_a_second_are_outside() -> None:
    twice = "\n    - {at: 1d, kubectl: rollout restart sts/db}\n" * 2
    assert planned(twice).outside == ("timeline: two rollouts within a second",)


def test_a_calm_rollout_replaces_all_pods_one_after_the_other() -> None:
    calm = {"node_life": None, "zone_life": None, "crash": None, "disk_life": None, "drain_every": None}
    model = replace(campaign(planned()), **calm)  # type: ignore[arg-type]
    figures = run_lockstep(model, 1, np.arange(20)).figures
    assert figures["updated"].tolist() == figures["replaced"].tolist() == [6] * 20
    assert figures["outages"].tolist() == [0] * 20
    assert np.all(figures["short_ns"] < 6 * 2 * MINUTE)


def test_both_engines_roll_and_drain_alike_from_a_file() -> None:
    model = replace(campaign(planned()), horizon_ns=90 * DAY)
    runs = [Reference(model, 3, replicate) for replicate in range(12)]
    rows = [run.run() for run in runs]
    outcome = run_lockstep(model, 3, np.arange(12))
    for name in FIGURES:
        assert outcome.figures[name].tolist() == [getattr(row, name) for row in rows], name
    taken = {branch for run in runs for branch in run.branches}
    assert {"rollout begins", "pod is updated", "rollout ends", "drain evicts a pod"} <= taken


def test_the_metric_of_updates() -> None:
    scenario = replace(loads(TEXT.replace("  operators:", f"  timeline:{PLAN}  operators:")), duration_ns=90 * DAY)
    batch = experiment(scenario, 10)
    assert batch.choice.engine == "lockstep"
    assert batch.frame["db.updates"].tolist() == [6] * 10
