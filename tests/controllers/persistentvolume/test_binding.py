"""Testable statements of storage.md 1.12 that are about binding."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import with_meta
from k8sim.api.storage import StorageClass
from k8sim.api.struct import replace
from k8sim.apiserver.watch import Change
from tests.controllers.storage import NO_PROVISIONER, StorageWorld, claim, pod, storage_class, volume


def clear_claim_ref(world: StorageWorld, name: str) -> None:
    world.server.patch(PersistentVolume, "", name, lambda v: replace(v, spec=replace(v.spec, claim_ref=None)))


def test_1_the_smallest_volume_is_bound_in_four_writes() -> None:
    world = StorageWorld()
    world.create(volume("ten", "10Gi"), volume("five", "5Gi"))
    world.run(1)
    writes: list[tuple[str, str]] = []

    def note(change: Change) -> None:
        old, new = change.old, change.new
        if old is not None and change.actor == "persistentvolume-binder":
            writes.append((new.kind, "status" if old.status != new.status else "spec"))  # type: ignore[attr-defined]

    world.server.watch(PersistentVolume, note)
    world.server.watch(PersistentVolumeClaim, note)
    world.create(claim(size="3Gi"))
    world.run(2)
    assert world.claim().spec.volume_name == "five"
    assert world.claim().status.capacity == {"storage": "5Gi"}
    assert writes == [
        ("PersistentVolume", "spec"), ("PersistentVolume", "status"),
        ("PersistentVolumeClaim", "spec"), ("PersistentVolumeClaim", "status"),
    ]  # fmt: skip


def test_2_a_large_volume_of_a_poorer_group_of_modes_wins() -> None:
    world = StorageWorld()
    world.create(volume("a", "5Gi", "ReadWriteOnce ReadOnlyMany"), volume("b", "10Gi"))
    world.run(1)
    world.create(claim())
    world.run(2)
    assert world.claim().spec.volume_name == "b"


@pytest.mark.parametrize("seed", range(3))
def test_3_a_new_volume_wakes_no_claim_before_the_resync(seed: int) -> None:
    world = StorageWorld(seed)
    world.create(claim())
    world.at(3, lambda: world.create(volume("late")))
    expected = world.next_resync(3)
    world.run(3.1)
    assert world.volume("late").status.phase == "Available"
    world.run(expected - 0.01)
    assert world.claim().status.phase == "Pending"
    world.run(expected + 0.2)
    assert world.claim().status.phase == "Bound"


def test_4_the_default_class_is_given_to_old_claims_without_class_only() -> None:
    world = StorageWorld()
    world.create(claim("nil"), claim("none", storageClassName=""))
    world.at(1, lambda: world.create(storage_class("c", default=True)))
    world.run(1 + 15.2)
    assert world.claim("nil").spec.storage_class_name == "c"
    assert world.claim("nil").status.phase == "Bound"
    assert world.claim("none").spec.storage_class_name == ""
    assert world.claim("none").status.phase == "Pending"


def test_4b_a_fitting_volume_without_class_comes_before_the_default_class() -> None:
    world = StorageWorld()
    world.create(volume("plain"), claim("nil"))
    world.run(20)
    world.create(storage_class("c", default=True))
    assert world.claim("nil").spec.storage_class_name is None
    assert world.claim("nil").spec.volume_name == "plain"


def test_5_of_two_defaults_the_newer_one_counts_at_admission() -> None:
    world = StorageWorld()
    world.at(1, lambda: world.create(storage_class("a", default=True)))
    world.at(2.5, lambda: world.create(storage_class("z", default=True)))
    world.at(4, lambda: world.create(claim()))
    world.run(4.5)
    assert world.claim().spec.storage_class_name == "z"


def test_5b_equally_old_defaults_go_by_name() -> None:
    world = StorageWorld()
    world.create(storage_class("z", default=True), storage_class("a", default=True), claim())
    assert world.claim().spec.storage_class_name == "a"


def test_14_a_claim_whose_volume_vanishes_is_lost_at_once() -> None:
    world = StorageWorld()
    world.create(volume("vol"), claim())
    world.run(1 + world.next_resync(0))
    world.server.patch(PersistentVolume, "", "vol", lambda v: with_meta(v, finalizers=()))
    world.delete_volume("vol")
    start = world.now
    world.run(start + 0.1)
    assert world.claim().status.phase == "Lost"
    assert world.claim().status.capacity == {}
    assert "ClaimLost" in world.reasons()


def test_15_a_lost_claim_binds_again_when_its_volume_comes_back() -> None:
    world = StorageWorld()
    world.create(volume("vol"), claim())
    world.run(1 + world.next_resync(0))
    world.server.patch(PersistentVolume, "", "vol", lambda v: with_meta(v, finalizers=()))
    world.delete_volume("vol")
    start = world.now
    world.run(start + 0.1)
    world.create(volume("vol"))
    world.run(start + 31)  # both workers write the volume's phase: whoever loses leaves the claim to the next resync
    assert world.claim().status.phase == "Bound"
    assert world.claim().status.capacity == {"storage": "1Gi"}


def test_16_a_delayed_claim_that_names_its_volume_needs_no_pod() -> None:
    world = StorageWorld()
    world.create(storage_class("late", NO_PROVISIONER, volumeBindingMode="WaitForFirstConsumer"))
    world.create(volume("vol", storageClassName="late"), claim(storageClassName="late", volumeName="vol"))
    world.run(16)
    assert world.claim().status.phase == "Bound"


def test_16b_a_delayed_claim_waits_for_a_pod() -> None:
    world = StorageWorld()
    world.create(storage_class("late", NO_PROVISIONER, volumeBindingMode="WaitForFirstConsumer"))
    world.create(volume("vol", storageClassName="late"))
    world.run(1)
    world.create(claim(storageClassName="late"))
    world.run(40)
    assert world.claim().status.phase == "Pending"
    assert world.reasons() == ["WaitForFirstConsumer"]


def test_17_a_class_without_provisioner_fails_to_provision() -> None:
    world = StorageWorld()
    world.create(storage_class("static", NO_PROVISIONER), claim(storageClassName="static"))
    world.run(31)
    assert world.claim().status.phase == "Pending"
    assert set(world.reasons()) == {"ProvisioningFailed"}


def test_18_of_two_claims_one_gets_the_volume() -> None:
    world = StorageWorld()
    world.create(volume("vol"), claim("a"), claim("b"))
    world.run(31)
    assert sorted(world.claim(n).status.phase for n in "ab") == ["Bound", "Pending"]


def mismatched(**changes: Any) -> dict[str, Any]:
    return {"name": "vol", "size": "5Gi", "storageClassName": "x", **changes}


@pytest.mark.parametrize(
    "spec",
    [
        mismatched(size="1Gi"),
        mismatched(storageClassName="y"),
        mismatched(volumeMode="Block"),
        mismatched(modes="ReadOnlyMany"),
    ],
)
def test_a_claim_that_names_an_unfit_volume_stays_pending(spec: dict[str, Any]) -> None:
    world = StorageWorld()
    world.create(volume(**spec))
    world.run(1)
    world.create(claim(size="2Gi", storageClassName="x", volumeName="vol"))
    world.run(16)
    assert world.claim().status.phase == "Pending"
    assert world.reasons() == ["VolumeMismatch"]


def test_pre_bound_both_ways_nothing_is_checked() -> None:
    world = StorageWorld()
    reference = {"namespace": "default", "name": "data"}
    world.create(volume("vol", "1Gi", claimRef=reference))
    world.run(1)
    world.create(claim(size="9Gi", storageClassName="other", volumeName="vol"))
    world.run(2)
    assert world.claim().status.phase == "Bound"


def test_a_volume_reserved_for_another_claim_is_left_alone() -> None:
    world = StorageWorld()
    world.create(volume("vol", claimRef={"namespace": "default", "name": "theirs"}))
    world.run(1)
    world.create(claim())
    world.run(31)
    assert world.claim().status.phase == "Pending"
    world.create(claim("theirs"))
    world.run(32)
    assert world.claim("theirs").status.phase == "Bound"


def test_a_wiped_claim_ref_is_repaired_at_the_resync() -> None:
    world = StorageWorld()
    world.create(volume("vol"), claim())
    world.run(20)
    clear_claim_ref(world, "vol")
    world.run(20.1)
    assert world.volume("vol").status.phase == "Available"
    world.run(36)
    assert world.volume("vol").status.phase == "Bound"
    assert world.volume("vol").spec.claim_ref is not None


def test_a_claim_bound_to_a_larger_volume_shows_its_capacity() -> None:
    world = StorageWorld()
    world.create(volume("vol", "10Gi"))
    world.run(1)
    world.create(claim(size="5Gi"))
    world.run(2)
    assert world.claim().status.capacity == {"storage": "10Gi"}
    assert world.claim().spec.resources.requests == {"storage": "5Gi"}


def test_in_tree_provisioning_binds_by_the_volumes_claim_ref() -> None:
    world = StorageWorld()
    world.create(storage_class(), claim(storageClassName="std"))
    world.run(1)
    made = world.volume(f"pvc-{world.claim().uid}")
    assert made.status.phase == world.claim().status.phase == "Bound"
    assert made.metadata.finalizers == ("kubernetes.io/pv-controller", "kubernetes.io/pv-protection")
    assert made.metadata.annotations["pv.kubernetes.io/provisioned-by"] == "kubernetes.io/host-path"
    assert world.reasons() == ["ProvisioningSucceeded"]


def test_delayed_provisioning_starts_with_the_selected_node() -> None:
    world = StorageWorld()
    world.add_node("n1")
    world.create(storage_class(volumeBindingMode="WaitForFirstConsumer"), claim(storageClassName="std"), pod())
    world.run(1)
    assert world.claim().status.phase == "Pending"
    assert world.reasons() == ["WaitForPodScheduled"] or world.reasons() == ["WaitForFirstConsumer"]
    annotations = {"volume.kubernetes.io/selected-node": "n1"}
    world.server.patch(
        PersistentVolumeClaim, "default", "data",
        lambda c: with_meta(c, annotations={**c.metadata.annotations, **annotations}),
    )  # fmt: skip
    world.run(2)
    assert world.claim().status.phase == "Bound"


def test_provisioning_for_a_node_that_is_gone_asks_for_another() -> None:
    world = StorageWorld()
    world.create(storage_class(volumeBindingMode="WaitForFirstConsumer"))
    world.create(claim(storageClassName="std", annotations={"volume.kubernetes.io/selected-node": "gone"}))
    world.run(1)
    assert "volume.kubernetes.io/selected-node" not in world.claim().metadata.annotations


def test_an_external_provisioner_is_told_to_begin() -> None:
    world = StorageWorld()
    world.create(storage_class(provisioner="ebs.csi.aws.com"), claim(storageClassName="std"))
    world.run(1)
    assert world.claim().metadata.annotations["volume.kubernetes.io/storage-provisioner"] == "ebs.csi.aws.com"
    assert world.reasons() == ["ExternalProvisioning"]


def test_a_class_that_comes_late_is_noticed_at_the_resync() -> None:
    world = StorageWorld()
    world.create(claim(storageClassName="std"))
    world.at(1, lambda: world.create(storage_class()))
    resync = world.next_resync(1.01)
    world.run(resync - 0.01)
    assert world.claim().status.phase == "Pending"
    assert world.reasons() == ["ProvisioningFailed"]
    world.run(resync + 0.2)
    assert world.claim().status.phase == "Bound"


def test_nothing_ticks_when_all_is_settled() -> None:
    world = StorageWorld()
    world.create(volume("vol"), claim(), claim("waits", "9Gi"))
    world.run(100)
    before = world.sim.clock.events_scheduled
    world.run(10_000)
    assert world.sim.clock.events_scheduled <= before + 3


def test_default_class_marks_can_be_moved() -> None:
    world = StorageWorld()
    world.create(storage_class("a", default=True))
    world.server.patch(StorageClass, "", "a", lambda c: with_meta(c, annotations={}))
    world.create(claim())
    assert world.claim().spec.storage_class_name is None
