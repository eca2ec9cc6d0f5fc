"""What storage costs, and what is paid for without use, in whole clusters."""

from __future__ import annotations

import pytest

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import with_meta
from k8sim.api.storage import VolumeSnapshotContent
from k8sim.api.struct import replace
from k8sim.metrics.storagecost import leaked_storage, paid_for, wasted
from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.reclaim import recycled
from tests.storage.losspaths.scenes import applied, claim, csi, retain, static_volume, storage_class, world
from tests.storage.losspaths.snapshots import database, snapshot

Found = list[tuple[str, float, float]]


def leaks(found: Scene, end_s: float) -> Found:
    """What, GiB, and for how many seconds, as it is at some time."""
    return [
        (w.what, w.size / 2**30, round((w.until_ns - w.since_ns) / 1e9))
        for w in wasted(found.cluster.sim.trace, int(end_s * 1e9))
    ]


def given_up(policy: str) -> Scene:
    """A set and its claim are deleted at 120 s and 140 s."""
    found = scene("at: 120s, kubectl: delete statefulset web", "at: 140s, kubectl: delete pvc data-web-0").run(60)
    if policy == "Retain":
        retain(found)
    return found.run(800)


def test_a_released_volume_costs_until_somebody_takes_it() -> None:
    kept = given_up("Retain")
    assert leaks(kept, 800) == [("released volume", 10, pytest.approx(660, abs=2))]
    (volume,) = kept.server.list(PersistentVolume)
    kept.server.patch(
        PersistentVolume, "", volume.name, lambda v: replace(v, spec=replace(v.spec, claim_ref=None)), "kubectl"
    )
    kept.run(900)
    assert leaks(kept, 3600) == [("released volume", 10, pytest.approx(660, abs=2))], "Available is no leak"


def test_a_volume_that_grows_after_its_release_costs_more_from_then_on() -> None:
    """The claim is deleted while the storage system is at work for it."""
    steps = ("at: 120s, kubectl: delete statefulset web", "at: 140s, kubectl: delete pvc data-web-0")
    kept = scene(*steps, latencies="volumeExpand: 30s").run(60)
    retain(kept)
    kept.run(130)
    kept.server.patch(PersistentVolumeClaim, "default", "data-web-0", larger, actor="kubectl")
    kept.run(800)
    grown = kept.when("Volume", "", "Grown")
    assert 155 < grown < 165
    first, second = leaks(kept, 800)
    assert (first[:2], second[:2]) == (("released volume", 20), ("released volume", 10))
    assert second[2] == pytest.approx(grown - 140, abs=2)
    assert first[2] == pytest.approx(800 - grown, abs=2)


def larger(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    resources = replace(claim.spec.resources, requests={"storage": "20Gi"})
    return replace(claim, spec=replace(claim.spec, resources=resources))


def test_a_deleted_volume_costs_until_it_is_destroyed() -> None:
    ((what, size, seconds),) = leaks(given_up("Delete"), 800)
    assert (what, size) == ("released volume", 10)
    assert seconds < 60


def test_a_volume_made_by_hand_has_its_capacity() -> None:
    assert leaks(recycled("Retain"), 400) == [("released volume", 10, pytest.approx(280, abs=2))]


def test_a_volume_that_cannot_be_deleted_is_a_failed_one() -> None:
    documents = (static_volume("v", "iscsi: {targetPortal: p, iqn: i, lun: 0}", "Delete"), claim())
    failed = world(storage_class(), *documents, steps=("at: 100s, kubectl: delete pvc data",)).run(300)
    assert leaks(failed, 300)[0] == ("failed volume", 10, pytest.approx(200, abs=1))


def test_an_orphaned_volume_costs_until_an_object_has_it_again() -> None:
    found = scene().run(60)
    name, handle = found.volume().name, found.volume().name
    found.server.patch(PersistentVolume, "", name, lambda v: with_meta(v, finalizers=()))
    found.server.delete(PersistentVolume, "", name, actor="kubectl")
    found.run(160)
    assert leaks(found, 160) == [("orphaned volume", 10, 100)]
    again = world(
        storage_class(), static_volume("raw", csi("h"), claimed=""),
        steps=("at: 100s, kubectl: delete pv raw", applied(200, static_volume("anew", csi("h"), claimed=""))),
    ).run(50)  # fmt: skip
    again.storage.write("h", 10, "node-0")
    again.run(300)
    assert leaks(again, 300) == [("orphaned volume", 10, pytest.approx(100, abs=1))]
    assert handle not in {w.name for w in wasted(again.cluster.sim.trace, 1)}


def test_a_volume_for_which_no_object_was_written_is_orphaned_from_its_beginning() -> None:
    """CreateVolume takes longer than its caller waits, and the claim takes another volume meanwhile."""
    step = applied(2, static_volume("by-hand", csi("h"), claimed=""))
    slow = "latencies: {volumeCreate: 20s}"
    late = world(storage_class(mode="Immediate"), claim(), spec=slow, steps=(step,)).run(300)
    assert leaks(late, 300) == [("orphaned volume", 10, 280)]


@pytest.mark.parametrize(("content_too", "what"), [(False, "released snapshot"), (True, "orphaned snapshot")])
def test_snapshots_that_are_kept_for_nobody(content_too: bool, what: str) -> None:
    kept = database(snapshot(60), "at: 200s, kubectl: delete volumesnapshot data", policy="Retain").run(200.5)
    if content_too:
        (content,) = kept.server.list(VolumeSnapshotContent)
        kept.server.delete(VolumeSnapshotContent, "", content.name, actor="kubectl")
    kept.run(500)
    assert leaks(kept, 500)[0][:2] == (what, 10)
    deleted = database(snapshot(60), "at: 200s, kubectl: delete volumesnapshot data", policy="Delete").run(500)
    assert leaks(deleted, 500) == []


def test_all_storage_is_paid_for_by_size_and_time() -> None:
    """A volume of 10Gi that grows to 20Gi after a while, and a snapshot of it."""
    patch = "{spec: {resources: {requests: {storage: 20Gi}}}}"
    found = database(snapshot(1000), f"at: 1800s, kubectl: 'patch pvc data -p \"{patch}\"'").run(3600)
    paid = {(p.what, p.size // 2**30): p.gib_hours for p in paid_for(found.cluster.sim.trace, 3600 * 10**9)}
    assert paid == {
        ("volume", 10): pytest.approx(5, rel=0.01),
        ("volume", 20): pytest.approx(10, rel=0.01),
        ("snapshot", 10): pytest.approx(10 * 2600 / 3600, rel=0.01),
    }


def test_frames_show_public_names() -> None:
    steps = ("at: 120s, kubectl: delete statefulset web", "at: 140s, kubectl: delete pvc data-web-0")
    assert leaked_storage(scene(*steps).cluster.run())["name"].tolist() == ["pv:data-web-0:1"]
