"""Losses, absences and leaks of volumes as frames, and what the summary says of them."""

from __future__ import annotations

import math
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from k8sim.cluster import Cluster
from k8sim.machines.losses import LOSS_PATHS
from k8sim.metrics.losspaths import loss_paths
from k8sim.metrics.storagecost import leaked_storage
from k8sim.metrics.volumes import inaccessibility, losses
from k8sim.report.summary import summary
from k8sim.result import Result
from k8sim.scenario.loader import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@cache
def run(name: str) -> Result:
    return Cluster(load(SCENARIOS / f"{name}.yaml")).run()


def said(result: Result) -> str:
    out = StringIO()
    Console(file=out, width=200).print(summary(result))
    return out.getvalue()


def test_a_volume_destroyed_and_one_kept_for_nobody() -> None:
    result = run("reclaim-retain-or-delete")
    frame = losses(result)
    assert frame[["volume", "event", "fate", "path"]].values.tolist() == [
        ["pv:data-lost-0:1", "Destroyed", "lost", "L10"]
    ]
    away = inaccessibility(result)
    assert away[["volume", "path"]].values.tolist() == [["pv:data-kept-0:1", "L19"]]
    (absence,) = away.to_dict("records")
    assert math.isnan(absence["end_s"])
    assert absence["duration_s"] == pytest.approx(600 - absence["start_s"])
    leaks = {row["name"]: row for row in leaked_storage(result).to_dict("records")}
    kept = leaks["pv:data-kept-0:1"]
    assert kept["what"] == "released volume"
    assert kept["gib_hours"] == pytest.approx(10 * (600 - kept["since_s"]) / 3600)
    assert leaks["pv:data-lost-0:1"]["until_s"] < 240, "it was Released only until it was destroyed"
    text = said(result)
    assert "1 volume lost: a claim is deleted, policy Delete (L10)" in text
    assert "1 still at the end: a claim is deleted, policy Retain (L19)" in text
    assert "GiB-hours (1 released volume)" in text


def test_every_path_has_its_row_whether_it_happened_or_not() -> None:
    frame = loss_paths(run("reclaim-retain-or-delete"))
    assert frame["path"].tolist() == list(LOSS_PATHS)
    happened = frame[frame.times > 0].set_index("path")
    assert happened.times.to_dict() == {"L10": 1, "L19": 1}
    assert happened.away_s["L10"] == 0
    assert happened.away_s["L19"] == pytest.approx(inaccessibility(run("reclaim-retain-or-delete")).duration_s.sum())


def test_what_a_restored_volume_lacks_is_told_in_time() -> None:
    """A snapshot every hour, the disk dies 59 minutes after the last one (storage.md 9.5, statement 12)."""
    cluster = Cluster(load(SCENARIOS / "restore-from-snapshot.yaml"))
    cluster.sim.clock.run(50 * 60 * 10**9)
    (line,) = cluster.storage.disks
    (node,) = cluster.storage.disks[line].attached
    for hours in (0.9, 2.5):
        cluster.sim.clock.run(int(hours * 3600 * 10**9))
        cluster.storage.write(line, 10, node)
        cluster.storage.sync(line, node)
    frame = losses(cluster.run()).set_index("path")
    assert frame.bytes.to_dict() == {"disk-loss": 10, "L28": 0}, "counted once: when the disk went"
    assert frame.rpo_s["L28"] == pytest.approx(59 * 60, abs=5)


def test_an_absence_that_ends() -> None:
    away = {row["volume"]: row for row in inaccessibility(run("six-minute-detach")).to_dict("records")}
    assert away["pv:data-on-0-0:1"]["duration_s"] == pytest.approx(450, abs=30)
    assert losses(run("six-minute-detach")).empty


def test_nothing_is_said_where_nothing_happened() -> None:
    result = run("sidecar-shutdown-order")
    assert losses(result).empty
    assert inaccessibility(result).empty
    assert leaked_storage(result).empty
    assert "Storage" not in said(result)
