"""The shipped scenarios of traffic and applications come out as their descriptions say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import load
from k8sim.sim.trace import Row

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@cache
def rows_of(name: str, seed: int = 0) -> list[Row]:
    return list(Cluster(load(SCENARIOS / f"{name}.yaml"), seed=seed, keep_history=False).run().log)


def last_counts(name: str, kind: str, of: str) -> dict[str, float]:
    return dict([r for r in rows_of(name) if (r.kind, r.name, r.event) == (kind, of, "Counts")][-1].detail)


def test_sessions_outlive_a_deployment_per_version_only() -> None:
    rolling = last_counts("rainbow-deployments", "Traffic", "rolling")
    rainbow = last_counts("rainbow-deployments", "Traffic", "rainbow")
    assert 540 < rolling["cut"] < 600
    assert "cut" not in rainbow
    assert not [k for k in ("refused", "no-endpoint", "stale-address") if rainbow.get(k, 0) > 0]


@pytest.mark.parametrize(("name", "starts"), [("rabbit", False), ("parallel", False), ("published", True)])
def test_cold_start(name: str, starts: bool) -> None:
    counts = last_counts("cold-start-deadlock", "Application", name)
    assert (counts["acknowledged"] > 0) == starts


def test_an_empty_primary_loses_everything() -> None:
    (lost,) = [r for r in rows_of("empty-primary-reborn") if (r.kind, r.event) == ("Application", "Lost")]
    assert lost.detail["cause"] == "empty-primary"
    assert lost.detail["writes"] == pytest.approx(200 * 181, rel=0.01)


def test_the_second_drain_takes_a_broker_too_early() -> None:
    counts = last_counts("kafka-drain-outruns-replication", "Application", "kafka")
    assert counts["lost"] == 0
    assert counts["refused"] / 5000 == pytest.approx(30, abs=15)


def test_variables_come_with_a_start_only() -> None:
    joined = {r.name: r.t / 1e9 for r in rows_of("service-created-after-pods") if r.event == "Joined"}
    assert 30 < joined["exits-0"] < 120
    assert joined["waits-0"] > 600


@pytest.mark.parametrize("seed", [0, 1, 2])
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
