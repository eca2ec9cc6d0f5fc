"""From a scenario to a group of copies: what it becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sim.lockstep.copies import CopyGroup
from k8sim.lockstep.copiesof import GroupTranslation, copy_group_of
from k8sim.scenario import loads
from k8sim.sim.distributions import Exponential
from k8sim.sim.units import HOUR

TEXT = (Path(__file__).parents[2] / "scenarios" / "rare-data-loss.yaml").read_text()
COPY = "copyTime: {exponential: {mean: 10h}}"
LOSS = '{fault: disk-loss, claim: "data-db-*", every: {exponential: {mean: 30000h}}}'


def translated(old: str = "", new: str = "") -> GroupTranslation:
    assert old in TEXT
    return copy_group_of(loads(TEXT.replace(old, new, 1) if old else TEXT, "rare.yaml"))


def test_what_a_scenario_becomes() -> None:
    assert translated().group == CopyGroup(3, 2, Exponential(30_000 * HOUR), Exponential(10 * HOUR))
    one_by_one = translated(COPY, f"{COPY}, parallelCopies: 1").group
    assert one_by_one is not None
    assert one_by_one.crews == 1
    by_size = translated(COPY, "dataset: 36Gi, bandwidth: 1Mi").group
    assert by_size is not None
    assert by_size.rebuild.mean_s == pytest.approx(36 * 1024)


def test_faults_that_take_no_copy_are_named() -> None:
    found = translated(LOSS, f"{LOSS}\n    - {{fault: node-crash, every: 30d, for: 10m}}")
    assert found.group is not None
    assert any("node-crash takes no copy" in note for note in found.simplified)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (LOSS, "{fault: node-crash, every: 30d, for: 1h}", "0 rules for disk-loss"),
        (LOSS, f"{LOSS}\n    - {LOSS}", "2 rules for disk-loss"),
        (LOSS, f"{LOSS}\n    - {{fault: spot-reclaim, every: 90d}}", "spot-reclaim may take disks along"),
        ('claim: "data-db-*"', "claim: data-db-1", "disk-loss of some copies only"),
        ("fault: disk-loss,", "fault: disk-loss, shock: {probability: 0.1},", "a cause in common"),
        ("fault: disk-loss,", "fault: disk-loss, start: 1d,", "start or stop"),
        ("every: {exponential: {mean: 30000h}}", "every: 30000h", "no density"),
        (COPY, 'dataset: "0"', "copies in no time"),
        ("preset: raft", "preset: raft, shards: 4", "has shards"),
        ("  objectives:", "  timeline: [{at: 1d, evict: db-0}]\n  objectives:", "timeline: 1 steps"),
    ],
)
def test_nothing_is_dropped_silently(old: str, new: str, reason: str) -> None:
    found = translated(old, new)
    assert found.group is None
    assert any(reason in outside for outside in found.outside), found.outside
