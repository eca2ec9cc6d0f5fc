"""Two engines, one model: every figure of every replicate equal, on campaigns at normal and at stressed rates."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.lockstep.campaign import FIGURES, NEVER, Campaign
from k8sim.lockstep.engine import Lockstep, run_lockstep
from k8sim.lockstep.reference import Reference, run_reference
from k8sim.sim.distributions import Constant, Distribution, Exponential, Lognormal, Uniform, Weibull
from k8sim.sim.units import DAY, HOUR, MINUTE, SECOND

NORMAL = Campaign(
    node_zone=(0, 1, 2, 0, 1, 2), replicas=3, horizon_ns=60 * DAY,
    start=Lognormal(5 * SECOND, 60 * SECOND), catch_up=Uniform(0, 30 * SECOND), rebuild=Exponential(2 * HOUR),
    stop=Uniform(SECOND, 20 * SECOND), attach=Uniform(SECOND, 10 * SECOND), detach=Uniform(SECOND, 10 * SECOND),
    maintenance=Uniform(5 * MINUTE, 20 * MINUTE), replace=Exponential(HOUR), restore=Exponential(4 * HOUR),
    node_outage=Lognormal(10 * MINUTE, 5 * HOUR), zone_outage=Exponential(2 * HOUR), node_life=Exponential(30 * DAY),
    zone_life=Exponential(365 * DAY), crash=Weibull.from_mean(20 * DAY, 0.8), disk_life=Exponential(500 * DAY),
    rollouts_ns=tuple(range(5 * DAY, 60 * DAY, 15 * DAY)), drain_every=Uniform(20 * DAY, 40 * DAY),
    force_delete=Exponential(2 * HOUR),
)  # fmt: skip
STRESSED = replace(
    NORMAL, node_zone=(0, 1, 2, 0, 1), horizon_ns=10 * DAY, start=Lognormal(50 * SECOND, 600 * SECOND),
    stop=Uniform(SECOND, 600 * SECOND), attach=Uniform(SECOND, 100 * SECOND), detach=Uniform(SECOND, 100 * SECOND),
    maintenance=Uniform(5 * MINUTE, 2 * HOUR), node_outage=Lognormal(20 * MINUTE, 5 * HOUR),
    node_life=Exponential(5 * HOUR), zone_life=Exponential(3 * DAY), crash=Exponential(5 * HOUR),
    disk_life=Exponential(10 * HOUR), rollouts_ns=tuple(range(HOUR, 10 * DAY, 5 * HOUR)),
    drain_every=Uniform(HOUR, 40 * HOUR),
)  # fmt: skip
BRANCHES = {
    "rollout begins", "another rollout begins", "zone returns", "zone fails", "node returns", "node fails",
    "pod dies with its node", "pod hangs in its termination", "pod starts again on its node",
    "deleted pod is confirmed by its node", "pod serves", "pod is evicted", "pod is deleted by force", "pod is gone",
    "disk is replaced", "container crashes", "copy is rebuilt", "pod waits for lower ordinals",
    "no node takes the pod", "volume is detached", "pod is placed on a node whose death is not known",
    "volume is detached by force", "pod is updated", "rollout ends", "maintenance ends",
    "drain of a dead node is put off", "drain begins", "drain waits", "maintenance begins", "drain evicts a pod",
    "the budget refuses", "disk is lost", "data are lost", "disk of a pod without a node is lost",
}  # fmt: skip


def assert_equal(campaign: Campaign, seed: int, replicates: int, chunk: int = 10_000) -> Counter[str]:
    branches: Counter[str] = Counter()
    rows, outages = [], []
    for replicate in range(replicates):
        run = Reference(campaign, seed, replicate)
        rows.append(run.run())
        branches += run.branches
        outages += run.outages_ns
    numbers = np.arange(replicates)
    parts = [run_lockstep(campaign, seed, numbers[i : i + chunk]) for i in range(0, replicates, chunk)]
    for name in FIGURES:
        expected = np.array([getattr(row, name) for row in rows])
        np.testing.assert_array_equal(np.concatenate([part.figures[name] for part in parts]), expected, name)
    assert sorted(np.concatenate([part.outages_ns for part in parts]).tolist()) == sorted(outages)
    return branches


def test_equal_at_normal_rates() -> None:
    assert_equal(NORMAL, 1, 40)


def test_equal_at_stressed_rates_where_every_branch_is_taken() -> None:
    taken = assert_equal(STRESSED, 1, 60)
    assert BRANCHES - set(taken) == set()
    assert set(taken) - BRANCHES == set()


@pytest.mark.parametrize("chunk", [1, 7, 13])
def test_any_chunk_gives_the_same(chunk: int) -> None:
    assert_equal(replace(STRESSED, horizon_ns=2 * DAY), 5, 26, chunk)


def laws(low: int, high: int) -> st.SearchStrategy[Distribution]:
    times = st.integers(low, high)
    return st.one_of(
        times.map(Constant), times.map(Exponential), times.map(lambda t: Uniform(t, 2 * t)),
        times.map(lambda t: Lognormal(t, 10 * t)), times.map(lambda t: Weibull(0.8, t)),
    )  # fmt: skip


def maybe(law: st.SearchStrategy[Distribution]) -> st.SearchStrategy[Distribution | None]:
    return st.none() | law


DELAY, OUTAGE, LIFE = laws(SECOND, 5 * MINUTE), laws(MINUTE, 4 * HOUR), laws(HOUR, 3 * DAY)

PLANS = st.sets(st.integers(0, 2 * DAY), max_size=3)


@st.composite
def campaigns(draw: st.DrawFn) -> Campaign:
    zones = draw(st.integers(1, 3))
    nodes = draw(st.integers(zones, 6))
    per_node = draw(st.integers(1, 2))
    replicas = draw(st.integers(1, min(5, nodes * per_node)))
    return Campaign(
        node_zone=tuple(n % zones for n in range(nodes)), replicas=replicas, per_node=per_node, horizon_ns=2 * DAY,
        start=draw(DELAY), catch_up=draw(DELAY), rebuild=draw(OUTAGE), stop=draw(DELAY), attach=draw(DELAY),
        detach=draw(DELAY), maintenance=draw(OUTAGE), replace=draw(OUTAGE), restore=draw(OUTAGE),
        node_outage=draw(OUTAGE), zone_outage=draw(OUTAGE), node_life=draw(maybe(LIFE)), zone_life=draw(maybe(LIFE)),
        crash=draw(maybe(LIFE)), disk_life=draw(maybe(LIFE)), rollouts_ns=tuple(sorted(draw(PLANS))),
        drain_every=draw(maybe(LIFE)), force_delete=draw(maybe(OUTAGE)),
        toleration_ns=draw(st.sampled_from([0, 30 * SECOND, 300 * SECOND, NEVER])),
        pinning=draw(st.sampled_from(["none", "zone", "node"])), ordered=draw(st.booleans()),
        max_unavailable=draw(st.integers(0, replicas)),
    )  # fmt: skip


@settings(max_examples=40)
@given(campaigns(), st.integers(0, 2**32))
def test_equal_for_any_campaign(campaign: Campaign, seed: int) -> None:
    assert_equal(campaign, seed, 4)


ROUND = st.sampled_from([Constant(0), Constant(MINUTE), Constant(5 * MINUTE), Constant(10 * MINUTE)])
LAWS = [
    "start", "catch_up", "rebuild", "stop", "attach", "detach", "maintenance", "replace", "restore", "node_outage",
    "zone_outage", "node_life", "zone_life", "crash", "disk_life", "drain_every", "force_delete",
]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(LAWS, ROUND)), st.data())
def test_equal_where_many_events_coincide(laws: dict[str, Distribution], data: st.DataObject) -> None:
    """Everything happens on the minute, at which timers end in the order of their rows."""
    lives = ("node_life", "zone_life", "crash", "disk_life", "drain_every")
    seldom = {name: Constant(data.draw(st.sampled_from([10, 20, 30, 60])) * MINUTE) for name in lives}
    rollouts = tuple(range(HOUR, 4 * HOUR, 90 * MINUTE))
    assert_equal(replace(NORMAL, horizon_ns=6 * HOUR, rollouts_ns=rollouts, **{**laws, **seldom}), 1, 2)  # type: ignore[arg-type]


def test_what_is_certain_to_follow_takes_no_step_of_its_own() -> None:
    engine = Lockstep(replace(NORMAL, disk_life=None, rollouts_ns=()), 1, np.arange(50))
    engine.begin()
    steps = 0
    while engine.step():
        steps += 1
    assert steps < 0.7 * engine.results["events"].max()


@pytest.mark.slow
@pytest.mark.long
@settings(max_examples=2_000, deadline=None)
@given(campaigns(), st.integers(0, 2**32), st.sampled_from([4, 10]))
def test_equal_for_thousands_of_campaigns(campaign: Campaign, seed: int, chunk: int) -> None:
    """Twenty thousand replicates; a step costs the same for one and for ten, so there are ten of each campaign."""
    assert_equal(campaign, seed, 10, chunk)


@pytest.mark.slow
@pytest.mark.long
def test_equal_in_tens_of_thousands_of_replicates() -> None:
    assert_equal(replace(NORMAL, horizon_ns=20 * DAY), 2, 10_000)
    assert_equal(replace(STRESSED, horizon_ns=2 * DAY), 3, 10_000)


def test_nothing_fails_and_nothing_happens() -> None:
    calm = replace(NORMAL, node_life=None, zone_life=None, crash=None, disk_life=None, rollouts_ns=(), drain_every=None)
    assert run_reference(calm, 0, 0).events == 0
    assert run_lockstep(calm, 0, np.arange(5)).figures["short_ns"].tolist() == [0] * 5


def test_availability_of_one_pod_has_its_closed_form() -> None:
    """Node loss with a constant outage shorter than the detection: A = life / (life + outage + start)."""
    alone = replace(
        NORMAL, node_zone=(0,), replicas=1, pinning="none", zone_life=None, crash=None, disk_life=None,
        rollouts_ns=(), drain_every=None, node_life=Exponential(DAY), node_outage=Constant(30 * SECOND),
        start=Constant(10 * SECOND), catch_up=Constant(0), horizon_ns=365 * DAY,
    )  # fmt: skip
    down = run_lockstep(alone, 7, np.arange(2000)).figures["down_ns"] / alone.horizon_ns
    # A node may fail again while its pod starts: of 10 s in a day, 1e-4 of the starts, far below the error here.
    expected = 40 / (DAY / SECOND + 30)
    assert abs(down.mean() - expected) < 4 * down.std() / np.sqrt(len(down))
