"""The shipped scenarios of traffic and applications come out as their descriptions say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import load
from k8sim.sim.trace import Row

SEEDS = pytest.mark.parametrize("seed", [0, 1, 2])
SCENARIOS = Path(__file__).parents[2] / "scenarios"


@cache
def rows_of(name: str, seed: int = 0) -> list[Row]:
    return list(Cluster(load(SCENARIOS / f"{name}.yaml"), seed=seed, keep_history=False).run().log)


def last_counts(name: str, kind: str, of: str, seed: int = 0) -> dict[str, float]:
    return dict([r for r in rows_of(name, seed) if (r.kind, r.name, r.event) == (kind, of, "Counts")][-1].detail)


@SEEDS
def test_sessions_outlive_a_deployment_per_version_only(seed: int) -> None:
    rolling = last_counts("rainbow-deployments", "Traffic", "rolling", seed)
    rainbow = last_counts("rainbow-deployments", "Traffic", "rainbow", seed)
    assert 540 < rolling["cut"] < 600
    assert "cut" not in rainbow
    assert not [k for k in ("refused", "no-endpoint", "stale-address") if rainbow.get(k, 0) > 0]


@pytest.mark.parametrize(("name", "starts"), [("rabbit", False), ("parallel", False), ("published", True)])
def test_cold_start(name: str, starts: bool) -> None:
    counts = last_counts("cold-start-deadlock", "Application", name)
    assert (counts["acknowledged"] > 0) == starts


@SEEDS
def test_an_empty_primary_loses_everything(seed: int) -> None:
    (lost,) = [r for r in rows_of("empty-primary-reborn", seed) if (r.kind, r.event) == ("Application", "Lost")]
    assert lost.detail["cause"] == "empty-primary"
    assert lost.detail["writes"] == pytest.approx(200 * 181, rel=0.01)


@SEEDS
def test_the_second_drain_takes_a_broker_too_early(seed: int) -> None:
    counts = last_counts("kafka-drain-outruns-replication", "Application", "kafka", seed)
    assert counts["lost"] == 0
    assert counts["refused"] / 5000 == pytest.approx(30, abs=15)


@SEEDS
def test_variables_come_with_a_start_only(seed: int) -> None:
    joined = {r.name: r.t / 1e9 for r in rows_of("service-created-after-pods", seed) if r.event == "Joined"}
    assert 30 < joined["exits-0"] < 120
    assert joined["waits-0"] > 600


@SEEDS
def test_a_failover_loses_what_the_lag_was(seed: int) -> None:
    rows = rows_of("async-failover-loses-writes", seed)
    (lost,) = [r for r in rows if (r.kind, r.event) == ("Application", "Lost")]
    assert (lost.detail["cause"], lost.detail["writes"]) == ("failover", pytest.approx(500))
    counts = last_counts("async-failover-loses-writes", "Application", "pg", seed)
    assert 20 * 1000 <= counts["refused"] <= 30 * 1000


@SEEDS
def test_a_budget_keeps_the_quorum_through_a_drain(seed: int) -> None:
    """Without one the drain takes two of three: refused until both are back, instead of one election."""
    bare, guarded = (last_counts("etcd-quorum-under-drain", "Application", n, seed) for n in ("bare", "guarded"))
    assert bare["lost"] == guarded["lost"] == 0
    assert bare["refused"] > 10 * guarded["refused"]


@SEEDS
def test_the_patterns_of_a_graceful_shutdown(seed: int) -> None:
    lost = {}
    for name in ("exits", "sleeps", "drains"):
        counts = last_counts("graceful-shutdown-compared", "Traffic", name, seed)
        lost[name] = sum(counts.get(o, 0) for o in ("refused", "no-endpoint", "stale-address", "unanswered", "cut"))
    assert lost["exits"] > 20
    assert lost["sleeps"] == lost["drains"] == 0


@SEEDS
def test_leaders_that_are_cut_off(seed: int) -> None:
    rows = rows_of("isolated-leaders", seed)
    lost = {r.name: (r.detail["cause"], r.detail["writes"]) for r in rows if r.event == "Lost"}
    assert {*lost} == {"pg", "redis"}
    assert lost["redis"] == ("split-brain", pytest.approx(50 * 240 + 100 * 0.1))
    cause, writes = lost["pg"]
    assert cause == "failover"
    assert 50 * 20 < writes < 50 * 30 + 100 * 0.1
    back = next(r.t for r in rows if (r.name, r.event) == ("etcd", "WritesAvailable") and r.t > 300e9)
    assert 1 < back / 1e9 - 300 < 2
    assert [(r.name, r.event) for r in rows if r.event in ("TwoLeaders", "OneLeader")] == [
        ("redis", "TwoLeaders"), ("redis", "OneLeader"),
    ]  # fmt: skip
