"""Scenarios of storage and of a pod's life: each file's verdict holds, read from the trace."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from k8sim.cluster import Cluster
from k8sim.result import Result
from k8sim.scenario.loader import load
from k8sim.sim.trace import Row
from k8sim.sim.units import HOUR, MINUTE, SECOND

SCENARIOS = Path(__file__).parents[2] / "scenarios"
MINE = (
    "reclaim-retain-or-delete", "zone-pinned-volume", "six-minute-detach", "scale-to-zero-with-retention-delete",
    "restore-from-snapshot", "claim-deleted-while-in-use", "liveness-kills-recovery", "grace-too-short",
    "sidecar-shutdown-order", "registry-outage-crash", "oom-loop", "slow-answers-kill",
)  # fmt: skip


def cluster_of(name: str, seed: int = 0) -> Cluster:
    return Cluster(load(SCENARIOS / f"{name}.yaml"), seed=seed)


@cache
def run(name: str, seed: int = 0) -> Result:
    return cluster_of(name, seed).run()


def rows(result: Result, kind: str, event: str, name: str = "", **detail: Any) -> list[Row]:
    return [
        r
        for r in result.log
        if r.kind == kind
        and r.event == event
        and name in ("", r.name)
        and all(r.detail.get(k) == v for k, v in detail.items())
    ]


def times(result: Result, kind: str, event: str, name: str, **detail: Any) -> list[float]:
    return [r.t / SECOND for r in rows(result, kind, event, name, **detail)]


def lost(result: Result) -> list[str]:
    return [str(r.detail["path"]) for r in rows(result, "Volume", "Destroyed")]


@pytest.mark.parametrize("name", MINE)
def test_each_says_what_to_expect_where_it_is_told_and_has_nothing_without_effect(name: str) -> None:
    scenario = load(SCENARIOS / f"{name}.yaml")
    assert "Expected: " in scenario.description
    assert "https://" in scenario.description
    assert not scenario.not_simulated


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reclaim_policies(seed: int) -> None:
    result = run("reclaim-retain-or-delete", seed)
    assert lost(result) == ["L10"]
    assert rows(result, "Volume", "Destroyed")[0].t > 3 * MINUTE, "the running pods held the claims"
    assert [r.detail["path"] for r in rows(result, "Volume", "Inaccessible")] == ["L19"]
    assert [v.status.phase for v in result.objects(kind="pv")] == ["Released"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_zonal_volume_keeps_its_pod_pending(seed: int) -> None:
    result = run("zone-pinned-volume", seed)
    assert not lost(result)
    (stuck,) = {r.name for r in rows(result, "Pod", "Unschedulable") if r.t > 2 * MINUTE}
    (bound,) = [t for t in times(result, "Pod", "Scheduled", stuck) if t > 120]
    assert 720 < bound < 730
    assert rows(result, "Pod", "Scheduled", stuck)[-1].detail["node"] == "node-1"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_six_minutes_to_detach_or_a_taint(seed: int) -> None:
    result = run("six-minute-detach", seed)
    by_force = rows(result, "Volume", "Detaching", forced="timeout")
    assert [round(r.t / SECOND) for r in by_force] == [540]
    assert any(r.name == "on-0-0" for r in rows(result, "Event", "FailedAttachVolume"))
    (back,) = [t for t in times(result, "Pod", "Ready", "on-0-0") if t > 60]
    assert 540 < back < 600
    (moved,) = [t for t in times(result, "Pod", "Ready", "on-1-0") if t > 60]
    assert 180 < moved < 240


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scaling_to_zero_destroys_with_retention_delete(seed: int) -> None:
    result = run("scale-to-zero-with-retention-delete", seed)
    assert lost(result) == ["L14"] * 3
    assert len(rows(result, "Volume", "Made")) == 6
    assert not [r for r in rows(result, "Volume", "Made") if "from" in r.detail], "the new ones are empty"


def test_a_restored_volume_lacks_what_came_after_the_snapshot() -> None:
    cluster = cluster_of("restore-from-snapshot")
    clock, storage = cluster.sim.clock, cluster.storage
    clock.run(30 * SECOND)
    (line,) = storage.disks
    (node,) = storage.disks[line].attached
    for _ in range(179):  # one unit a minute, synced as a database does
        clock.run(clock.now + MINUTE)
        storage.write(line, 1, node)
        storage.sync(line, node)
    assert storage.disks[line].lost == "disk-loss", "the last minute was not written: the disk had gone"
    result = cluster.run()
    (made,) = [r for r in rows(result, "Volume", "Made") if "from" in r.detail]
    (behind,) = rows(result, "Volume", "Behind")
    assert (behind.detail["path"], behind.detail["source_lost"]) == ("L28", "disk-loss")
    ((_, position),) = made.detail["from"]  # type: ignore[misc]
    assert position == 119, "what had been written two hours in, when the second snapshot was cut"
    assert storage.surviving(line) == 119
    assert [round(t) for t in times(result, "Pod", "Phase", "restored", phase="Running")] != []
    assert made.t > 3 * HOUR


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_claim_that_goes_under_its_pod(seed: int) -> None:
    result = run("claim-deleted-while-in-use", seed)
    assert lost(result) == ["L10", "L10"]
    (back,) = [t for t in times(result, "Pod", "Ready", "db-0") if t > 120]
    assert back < 150
    assert [c.name for c in result.objects(kind="pvc")] == ["data-db-0"]
    last = [o for o in result.objects(kind="pods") if o.name.startswith("wiki")]
    assert [p.spec.node_name for p in last] == [""], "Pending for ever"  # type: ignore[attr-defined]


def test_a_liveness_probe_that_kills_a_recovery() -> None:
    result = run("liveness-kills-recovery")
    assert len(rows(result, "Container", "Exited", "prometheus-0")) >= 15
    assert not rows(result, "Pod", "Ready", "prometheus-0")
    (ready,) = times(result, "Pod", "Ready", "cured-0")
    assert 240 < ready < 270
    assert not rows(result, "Container", "Exited", "cured-0")


def test_answers_that_take_longer_than_the_probes_wait() -> None:
    result = run("slow-answers-kill")
    ends = times(result, "Container", "Exited", "store-0")
    assert 620 <= ends[0] <= 600 + 32 + 2
    assert len(ends) >= 4
    assert 840 <= times(result, "Pod", "Ready", "store-0")[-1] <= 840 + 120
    assert len(times(result, "Pod", "Ready", "store-0")) == 2
    assert not rows(result, "Container", "Exited", "patient-0")
    assert not rows(result, "Pod", "NotReady", "patient-0")


def test_a_grace_shorter_than_the_stop() -> None:
    result = run("grace-too-short")
    for name, code, after in (("short", 137, 30), ("hooked", 137, 60), ("long", 0, 45)):
        for ordinal in range(3):
            pod = f"{name}-{ordinal}"
            (told,), (end,) = times(result, "Pod", "Terminating", pod)[:1], rows(result, "Container", "Exited", pod)
            assert end.detail["code"] == code
            assert after <= end.t / SECOND - told < after + 1


def test_a_sidecar_outlives_the_application() -> None:
    result = run("sidecar-shutdown-order")

    def end(pod: str, container: str) -> float:
        return times(result, "Container", "Exited", pod, container=container)[0]

    assert end("beside", "app") - end("beside", "proxy") == pytest.approx(19, abs=0.1)
    assert end("sidecar", "proxy") - end("sidecar", "app") == pytest.approx(1, abs=0.1)
    assert times(result, "Container", "Started", "sidecar", container="app")[0] >= 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_registry_outage_hits_the_image_that_is_pulled_each_time(seed: int) -> None:
    result = run("registry-outage-crash", seed)
    assert times(result, "Pod", "Ready", "pinned")[-1] < 125
    assert 21 * 60 < times(result, "Pod", "Ready", "latest")[-1] < 27 * 60


def test_a_process_that_is_killed_for_its_memory_again_and_again() -> None:
    result = run("oom-loop")
    kills = rows(result, "Pod", "Exited", "cache-2", reason="OOMKilled")
    assert len(kills) >= 12
    ready, away = times(result, "Pod", "Ready", "cache-2"), times(result, "Pod", "NotReady", "cache-2")
    up = sum(b - a for a, b in zip(ready[1:], away[1:], strict=False))
    assert up / 3540 == pytest.approx(1 / 6, abs=0.04)
    assert not rows(result, "Container", "Exited", "cache-0")
