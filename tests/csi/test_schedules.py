"""Scheduled snapshots with retention: storage.md 6.7."""

from __future__ import annotations

import pytest

from k8sim.api.storage import VolumeSnapshot
from k8sim.csi.schedules import SnapshotScheduler
from k8sim.csi.schedulesettings import SnapshotSchedule, parse_schedule
from k8sim.sim.units import HOUR, MINUTE, SECOND
from tests.controllers.snapshot.test_snapshots import SnapshotWorld


def names(world: SnapshotWorld) -> list[str]:
    return sorted(s.name for s in world.server.list(VolumeSnapshot))


def run(world: SnapshotWorld, schedule: SnapshotSchedule, hours: float) -> None:
    SnapshotScheduler(world.server, [schedule]).start()
    world.run(hours * 3600)


def test_each_tick_makes_a_snapshot_and_the_oldest_go() -> None:
    world = SnapshotWorld()
    run(world, SnapshotSchedule("hourly", HOUR, snapshot_class="snap", keep=3), hours=6.5)
    assert names(world) == ["data-hourly-4", "data-hourly-5", "data-hourly-6"]


def test_retention_by_age() -> None:
    world = SnapshotWorld()
    run(world, SnapshotSchedule("hourly", HOUR, snapshot_class="snap", keep_for_ns=2 * HOUR + MINUTE), hours=6.5)
    assert names(world) == ["data-hourly-4", "data-hourly-5", "data-hourly-6"]


@pytest.mark.parametrize(("ready_only", "good_ones"), [(False, 0), (True, 2)])
def test_a_naive_retention_deletes_the_only_good_ones(ready_only: bool, good_ones: int) -> None:
    world = SnapshotWorld()
    world.storage.fail_calls(frozenset({"snapshotCut"}), "Internal")
    world.storage._outages.clear()
    schedule = SnapshotSchedule("hourly", HOUR, snapshot_class="snap", keep=2, count_ready_only=ready_only)
    SnapshotScheduler(world.server, [schedule]).start()
    world.run(2.5 * 3600)
    world.storage.fail_calls(frozenset({"snapshotCut"}), "Internal")
    world.run(6.5 * 3600)
    assert len([s for s in world.server.list(VolumeSnapshot) if s.status.ready_to_use]) == good_ones


@pytest.mark.parametrize(("consistent", "position"), [(False, 100), (True, 130)])
def test_an_application_at_rest_has_nothing_in_the_page_cache(consistent: bool, position: int) -> None:
    world = SnapshotWorld()
    world.storage.write(world.handle, 100, "n1")
    world.storage.sync(world.handle, "n1")
    world.storage.write(world.handle, 30, "n1")
    schedule = SnapshotSchedule(
        "nightly", HOUR, snapshot_class="snap", application_consistent=consistent, quiesce_ns=5 * SECOND
    )
    run(world, schedule, hours=1.2)
    (taken,) = world.storage.snapshots.values()
    assert taken.content == ((world.handle, position),)
    assert taken.quiesced == consistent


def test_a_schedule_as_a_scenario_writes_it() -> None:
    raw = {
        "name": "hourly",
        "every": "1h",
        "claims": "data-*",
        "keep": 24,
        "keepFor": "2d",
        "applicationConsistent": True,
    }
    parsed = parse_schedule(raw)
    assert parsed.every_ns == HOUR
    assert parsed.keep_for_ns == 48 * HOUR
    assert parsed.application_consistent


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"every": "1h"}, "name: missing"),
        ({"name": "x"}, "every: missing"),
        ({"name": "x", "every": "0s"}, "every: must be more than 0"),
        ({"name": "x", "every": "1h", "keep": "3"}, "keep: expected int"),
        ({"name": "x", "every": "1h", "kep": 3}, "kep: unknown field"),
        ({"name": "x", "every": "one"}, "every: "),
    ],
)
def test_a_wrong_schedule_is_refused(raw: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_schedule(raw)
