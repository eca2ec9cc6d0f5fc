"""Metrics against runs whose numbers are known, and against the definitions."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path

import pandas as pd
import pytest

from k8sim.cluster import Cluster
from k8sim.metrics import Metrics
from k8sim.metrics.intervals import share_above
from k8sim.metrics.losspaths import loss_paths
from k8sim.metrics.pods import disruption_cause
from k8sim.metrics.storagecost import leaked_storage, storage_cost
from k8sim.metrics.table import DEFINITIONS
from k8sim.metrics.volumes import inaccessibility, losses
from k8sim.result import Result
from k8sim.scenario import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@cache
def result_of(name: str) -> Result:
    return Cluster(load(SCENARIOS / f"{name}.yaml"), keep_history=False).run()


@cache
def metrics_of(name: str) -> Metrics:
    return Metrics.of(result_of(name))


def one(frame: pd.DataFrame, column: str, **where: object) -> float:
    found = frame
    for key, value in where.items():
        found = found[found[key] == value]
    assert len(found) == 1, found
    return float(found[column].iloc[0])


def test_share_of_a_time_above_a_count() -> None:
    steps = [(10, 1), (20, 3), (30, 2), (40, 3)]
    assert share_above(steps, 3, 10, 50) == pytest.approx(20 / 40)
    assert share_above(steps, 1, 0, 50) == pytest.approx(40 / 50)
    assert share_above([], 1, 0, 50) == 0


def test_who_asks_decides_what_a_disruption_is() -> None:
    assert disruption_cause("kubectl", "EvictionByEvictionAPI") == ("voluntary", "eviction")
    assert disruption_cause("tainteviction", "DeletionByTaintManager") == ("involuntary", "taint")
    assert disruption_cause("statefulset-controller", "") == ("voluntary", "rollout or scaling")


FRAMES = [name for name, value in vars(Metrics).items() if isinstance(value, cached_property) and name[0] != "_"]
OF_VOLUMES = {
    "losspaths.loss_paths": loss_paths,
    "volumes.losses": losses,
    "volumes.inaccessibility": inaccessibility,
    "storagecost.leaked_storage": leaked_storage,
    "storagecost.storage_cost": storage_cost,
}


def test_the_table_has_every_frame_and_nothing_else() -> None:
    named = {d.frame for d in DEFINITIONS}
    assert named == {*FRAMES, *OF_VOLUMES, "figures"}
    assert set(Metrics.table().columns) == {"frame", "column", "unit", "meaning"}
    assert len(Metrics.table()) == len(DEFINITIONS)


def test_every_column_of_every_frame_is_defined_and_every_definition_is_there() -> None:
    result = result_of("async-failover-loses-writes")
    frames = {name: getattr(metrics_of("async-failover-loses-writes"), name) for name in FRAMES}
    frames.update((name, function(result)) for name, function in OF_VOLUMES.items())
    for name, frame in frames.items():
        defined = {c.strip() for d in DEFINITIONS if d.frame == name for c in d.column.split(",")}
        columns = set(frame.columns)
        assert defined <= columns
        assert columns - defined <= {"namespace", "name", "inc", "shard", "application"}, name


def test_what_is_measured_in_a_unit_says_so() -> None:
    for d in DEFINITIONS:
        assert d.meaning, d
        for column in d.column.split(","):
            if column.strip().endswith("_s"):
                assert d.unit == "s", d


def test_a_failover_with_lag() -> None:
    m = metrics_of("async-failover-loses-writes")
    assert one(m.losses, "writes", application="pg") == pytest.approx(500)
    (outage,) = m.outages[m.outages.what == "writes"].to_dict("records")
    assert outage["reason"] == "no leader"
    assert outage["cause"].startswith("node-crash")
    assert outage["chain"].startswith("Step node-crash Begins > Container pg-0 Lost")
    assert 20 <= outage["duration_s"] <= 30
    up = one(m.availability, "availability", kind="Application", what="writes")
    assert up == pytest.approx(1 - outage["duration_s"] / (1200 - 14.479), abs=1e-4)
    assert list(m.disruptions[["type", "cause"]].iloc[0]) == ["involuntary", "node lost"]


def test_acknowledged_is_surviving_plus_lost_in_the_frame_too() -> None:
    for name in ("async-failover-loses-writes", "empty-primary-reborn", "etcd-quorum-under-drain"):
        writes = metrics_of(name).writes
        assert len(writes) > 2
        assert (writes.acknowledged - writes.surviving - writes.lost).abs().max() < 1e-6


def test_ready_and_in_sync_are_two_clocks() -> None:
    """The drained broker is Ready half a minute before it is in sync: in between the next one is drained."""
    clocks = metrics_of("kafka-drain-outruns-replication").clocks
    mine = clocks[(clocks.member == "kafka-0") & (clocks.start_s > 310)]
    ready = mine[mine.clock == "ready"].start_s.iloc[0]
    in_sync = mine[mine.clock == "in-sync"].start_s.iloc[0]
    assert in_sync - ready > 20


def test_requests_in_are_the_sum_of_outcomes() -> None:
    requests = metrics_of("graceful-shutdown-compared").requests
    outcomes = [c for c in requests.columns if c not in ("namespace", "stream", "time_s")]
    offered = 100 * (requests.time_s - 30).clip(lower=0)
    assert (requests[outcomes].sum(axis=1) - offered).abs().max() < 1e-3
    last = requests.groupby("stream").last()
    lost = last[["refused", "stale-address", "cut", "no-endpoint"]].sum(axis=1)
    assert lost["exits"] > 20
    assert lost["sleeps"] == lost["drains"] == 0


def test_drains_and_who_held_them_up() -> None:
    commands = metrics_of("etcd-quorum-under-drain").commands.set_index("step")
    assert sorted(commands.blocked_by[[1, 2]]) in (["", "guarded"], ["guarded", "guarded"])
    assert max(commands.duration_s[[1, 2]]) > 30


def test_phases_are_there() -> None:
    phases = metrics_of("async-failover-loses-writes").phases
    known = phases.groupby("phase").duration_s.mean()
    assert {"schedule", "start", "ready", "detect", "attach", "catch up", "pull"} <= set(known.index)
    assert 35 < known["detect"] < 60
