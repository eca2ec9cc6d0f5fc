"""Testable statements of storage.md 1.12 that are about release, reclaim and protection."""

from __future__ import annotations

import pytest

from k8sim.api.core import PersistentVolume, Pod
from k8sim.api.struct import replace
from k8sim.apiserver.errors import ApiError
from tests.controllers.storage import HOST_PATH, StorageWorld, claim, pod, storage_class, volume


def bound_pair(world: StorageWorld, **spec: str) -> None:
    world.create(volume("vol", **spec))
    world.run(world.now + 0.5)
    world.create(claim(storageClassName=spec.get("storageClassName", "")))
    world.run(world.now + 0.5)
    assert world.claim().status.phase == "Bound"


def test_6_retain_releases_at_once_and_keeps_the_reference() -> None:
    world = StorageWorld()
    bound_pair(world)
    reference = world.volume("vol").spec.claim_ref
    world.delete_claim()
    world.run(1.2)
    assert world.find_claim() is None
    assert world.volume("vol").status.phase == "Released"
    assert world.volume("vol").spec.claim_ref == reference
    world.create(claim(storageClassName=""))
    world.run(40)
    assert world.claim().status.phase == "Pending"
    assert world.volume("vol").status.phase == "Released"


def test_7_a_cleared_reference_makes_it_available_and_a_waiting_claim_binds() -> None:
    world = StorageWorld()
    bound_pair(world)
    world.delete_claim()
    world.run(2)
    world.create(claim("next", storageClassName=""))
    world.run(20)
    world.server.patch(PersistentVolume, "", "vol", lambda v: replace(v, spec=replace(v.spec, claim_ref=None)))
    world.run(20.05)
    assert world.volume("vol").status.phase == "Available"
    world.run(35.2)
    assert world.claim("next").status.phase == "Bound"


def test_7b_with_only_the_uid_cleared_it_is_reserved_for_the_name() -> None:
    world = StorageWorld()
    bound_pair(world)
    world.delete_claim()
    world.run(2)

    def reserve(v: PersistentVolume) -> PersistentVolume:
        assert v.spec.claim_ref is not None
        return replace(v, spec=replace(v.spec, claim_ref=replace(v.spec.claim_ref, uid="")))

    world.server.patch(PersistentVolume, "", "vol", reserve)
    world.create(claim("other", storageClassName=""))
    world.run(20)
    assert world.volume("vol").status.phase == "Available"
    assert world.claim("other").status.phase == "Pending"
    world.create(claim(storageClassName=""))
    world.run(21)
    assert world.claim().spec.volume_name == "vol"


def test_8_a_static_volume_without_deleter_fails_and_keeps_its_data() -> None:
    world = StorageWorld()
    bound_pair(world, persistentVolumeReclaimPolicy="Delete", nfs={"server": "s", "path": "/"})  # type: ignore[arg-type]
    world.delete_claim()
    world.run(100)
    assert world.volume("vol").status.phase == "Failed"
    assert world.reasons("vol") == ["VolumeFailedDelete"]


def test_8b_a_host_path_outside_tmp_is_not_deleted() -> None:
    world = StorageWorld()
    bound_pair(world, persistentVolumeReclaimPolicy="Delete")
    world.delete_claim()
    world.run(100)
    assert world.volume("vol").status.phase == "Failed"


def test_10_a_claim_in_use_is_only_marked_and_goes_with_its_pod() -> None:
    world = StorageWorld()
    bound_pair(world)
    world.add_node("n1")
    world.create(pod(node="n1"))
    world.run(2)
    world.delete_claim()
    world.run(10)
    assert world.claim().deleting
    assert world.claim().status.phase == "Bound"
    world.server.delete(Pod, "default", "app", grace_period_seconds=0)
    world.run(10.1)
    assert world.find_claim() is None


def test_11_an_ended_pod_still_holds_its_claim() -> None:
    world = StorageWorld()
    bound_pair(world)
    world.add_pod(pod(node="n1"), phase="Succeeded")
    world.run(2)
    world.delete_claim()
    world.run(40)
    assert world.find_claim() is not None
    world.server.delete(Pod, "default", "app", grace_period_seconds=0)
    world.run(40.1)
    assert world.find_claim() is None


def test_12_an_unscheduled_pod_does_not_hold_a_claim() -> None:
    world = StorageWorld()
    bound_pair(world)
    world.create(pod())
    world.run(2)
    world.delete_claim()
    world.run(2.1)
    assert world.find_claim() is None


def test_13_a_bound_volume_is_only_marked() -> None:
    world = StorageWorld()
    bound_pair(world)
    world.delete_volume("vol")
    world.run(30)
    assert world.volume("vol").deleting
    assert world.volume("vol").status.phase == "Bound"
    assert world.claim().status.phase == "Bound"
    world.delete_claim()
    world.run(30.2)
    assert world.find_volume("vol") is None


def test_19_a_volume_of_a_claim_that_was_never_restored_is_released_and_deleted() -> None:
    world = StorageWorld()
    reference = {"namespace": "default", "name": "data", "uid": "of-another-life"}
    world.create(
        volume(
            "vol",
            claimRef=reference,
            persistentVolumeReclaimPolicy="Delete",
            hostPath={"path": "/tmp/hostpath_pv/x"},
            annotations={"pv.kubernetes.io/provisioned-by": HOST_PATH},
        )
    )
    world.run(31)
    assert world.find_volume("vol") is None


@pytest.mark.parametrize("seed", range(8))
def test_a_provisioned_volume_goes_at_once_or_after_a_lost_race_at_the_resync(seed: int) -> None:
    world = StorageWorld(seed)
    world.create(storage_class(), claim(storageClassName="std"))
    world.run(1)
    name = world.claim().spec.volume_name
    world.delete_claim()
    gone_by = [t for t in (1.2, world.next_resync(1.6) + 0.2) if world.run(t) is None and not world.find_volume(name)]  # type: ignore[func-returns-value]
    assert gone_by


def test_the_race_for_the_last_finalizer_is_lost_sometimes() -> None:
    late = 0
    for seed in range(30):
        world = StorageWorld(seed)
        world.create(storage_class(), claim(storageClassName="std"))
        world.run(1)
        name = world.claim().spec.volume_name
        world.delete_claim()
        world.run(1.3)
        late += world.find_volume(name) is not None
    assert 0 < late < 30


def test_retain_by_edit_while_bound_prevents_deletion() -> None:
    world = StorageWorld()
    world.create(storage_class(), claim(storageClassName="std"))
    world.run(1)
    name = world.claim().spec.volume_name
    world.server.patch(
        PersistentVolume, "", name,
        lambda v: replace(v, spec=replace(v.spec, persistent_volume_reclaim_policy="Retain")),
    )  # fmt: skip
    world.run(2)
    assert "kubernetes.io/pv-controller" not in world.volume(name).metadata.finalizers
    world.delete_claim()
    world.run(60)
    assert world.volume(name).status.phase == "Released"


def test_recycle_scrubs_with_a_pod_and_makes_it_available() -> None:
    world = StorageWorld()
    bound_pair(world, persistentVolumeReclaimPolicy="Recycle")
    world.delete_claim()
    world.run(1.2)
    recycler = world.server.get(Pod, "default", "recycler-for-vol")
    assert recycler.spec.active_deadline_seconds == 60
    world.set_pod(recycler, phase="Succeeded")
    world.run(2)
    assert world.server.find(Pod, "default", "recycler-for-vol") is None
    assert world.volume("vol").status.phase == "Available"
    assert world.volume("vol").spec.claim_ref is None
    assert "VolumeRecycled" in world.reasons("vol")


def test_a_failed_recycler_is_tried_again() -> None:
    world = StorageWorld()
    bound_pair(world, persistentVolumeReclaimPolicy="Recycle")
    world.delete_claim()
    world.run(1.2)
    world.set_pod(world.server.get(Pod, "default", "recycler-for-vol"), phase="Failed")
    world.run(1.4)
    assert world.volume("vol").status.phase == "Failed"
    world.run(20)
    world.set_pod(world.server.get(Pod, "default", "recycler-for-vol"), phase="Succeeded")
    world.run(21)
    assert world.volume("vol").status.phase == "Available"


def test_a_claim_can_grow_only_if_its_class_allows_it_now() -> None:
    world = StorageWorld()
    world.create(storage_class(), claim(storageClassName="std"))
    world.run(1)
    bigger = claim(size="2Gi").spec.resources
    grown = replace(world.claim(), spec=replace(world.claim().spec, resources=bigger))
    with pytest.raises(ApiError, match="only dynamically provisioned pvc can be resized"):
        world.server.update(grown)
    world.server.patch(type(storage_class()), "", "std", lambda c: replace(c, allow_volume_expansion=True))
    assert world.server.update(grown).spec.resources == bigger
