"""Snapshots, restores and clones: storage.md 6.9."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from k8sim.api.core import Namespace, PersistentVolumeClaim
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.scheme import decode
from k8sim.api.snapshots import CLAIM_FINALIZER
from k8sim.api.storage import VolumeSnapshot, VolumeSnapshotClass, VolumeSnapshotContent
from k8sim.api.struct import replace
from k8sim.controllers.snapshot.controller import SnapshotController
from k8sim.csi.drivers import CLUSTER_BLOCK, Driver
from k8sim.sim.distributions import Constant
from tests.controllers.storage import claim, storage_class
from tests.csi.world import CSIWorld

RBD = "rbd.csi.ceph.com"
GROUP = "snapshot.storage.k8s.io"
READY = 200.0


def snapshot_class(name: str = "snap", policy: str = "Delete", default: bool = False, driver: str = RBD) -> Any:
    annotations = {"snapshot.storage.kubernetes.io/is-default-class": "true"} if default else {}
    head = {"apiVersion": f"{GROUP}/v1", "kind": "VolumeSnapshotClass", "driver": driver, "deletionPolicy": policy}
    return decode({**head, "metadata": {"name": name, "annotations": annotations}})


def snapshot(name: str = "s", claim: str = "data", cls: str | None = "snap", content: str | None = None) -> Any:
    source = {"volumeSnapshotContentName": content} if content else {"persistentVolumeClaimName": claim}
    spec = {"source": source, **({"volumeSnapshotClassName": cls} if cls else {})}
    meta = {"name": name, "namespace": "default"}
    return decode({"apiVersion": f"{GROUP}/v1", "kind": "VolumeSnapshot", "metadata": meta, "spec": spec})


def restored(
    name: str = "copy", size: str = "1Gi", source: str = "s", kind: str = "VolumeSnapshot", **spec: Any
) -> Any:
    group = {"apiGroup": GROUP} if kind == "VolumeSnapshot" else {}
    return claim(name, size, storageClassName="rbd", dataSource={**group, "kind": kind, "name": source}, **spec)


class SnapshotWorld(CSIWorld):
    """A bound claim `data` of 1Gi, classes `rbd` and `snap`."""

    def __init__(self, seed: int = 1, policy: str = "Delete", **driver: Any) -> None:
        drivers: dict[str, Driver] = {RBD: dataclasses.replace(CLUSTER_BLOCK, name=RBD, **driver)}
        super().__init__(seed, drivers)
        self.snapshots = SnapshotController(self.context)
        self.snapshots.start()
        self.add_node("n1")
        self.create(storage_class("rbd", RBD, allowVolumeExpansion=True), snapshot_class(policy=policy))
        self.create(claim(storageClassName="rbd"))
        self.run(20)
        self.handle = self.claim().spec.volume_name

    def find(self, name: str = "s") -> VolumeSnapshot | None:
        return self.server.find(VolumeSnapshot, "default", name)

    def get(self, name: str = "s") -> VolumeSnapshot:
        return self.server.get(VolumeSnapshot, "default", name)

    def contents(self) -> list[VolumeSnapshotContent]:
        return self.server.list(VolumeSnapshotContent)

    def take(self, name: str = "s") -> VolumeSnapshot:
        self.create(snapshot(name))
        self.run(self.now + READY)
        assert self.get(name).status.ready_to_use
        return self.get(name)

    def delete(self, name: str = "s") -> None:
        self.server.delete(VolumeSnapshot, "default", name)


def test_1_the_claim_is_held_from_before_the_content_until_the_snapshot_is_ready() -> None:
    world = SnapshotWorld()
    order: list[str] = []

    def on_claim(change: Any) -> None:
        held = CLAIM_FINALIZER in change.new.metadata.finalizers
        if held != (CLAIM_FINALIZER in change.old.metadata.finalizers):
            order.append("held" if held else "free")

    world.server.watch(PersistentVolumeClaim, on_claim)
    world.server.watch(VolumeSnapshotContent, lambda c: order.append("content") if c.type == "ADDED" else None)
    taken = world.take()
    assert order == ["held", "content", "free"]
    assert taken.status.restore_size == "1Gi"
    assert world.reasons("s") == ["CreatingSnapshot", "SnapshotCreated", "SnapshotReady"]


def test_2_a_pending_claim_makes_it_wait() -> None:
    world = SnapshotWorld()
    world.create(snapshot(claim="later"))
    world.run(30)
    assert "does not exist" in (world.get().status.error or {})["message"]
    world.create(claim("later", storageClassName="rbd"))
    world.run(330)
    assert world.get().status.ready_to_use
    assert world.get().status.error is None


def test_3_two_default_classes_are_an_error() -> None:
    world = SnapshotWorld()
    world.create(snapshot_class("a", default=True), snapshot_class("b", default=True), snapshot(cls=None))
    world.run(60)
    assert "2 default snapshot classes" in (world.get().status.error or {})["message"]
    assert world.contents() == []
    world.server.patch(VolumeSnapshotClass, "", "b", lambda c: with_meta(c, annotations={}))
    world.run(500)
    assert world.get().spec.volume_snapshot_class_name == "a"
    assert world.get().status.ready_to_use


def test_4_a_claim_with_an_unready_snapshot_is_only_marked() -> None:
    world = SnapshotWorld()
    world.create(snapshot())
    world.run(world.now + 3)
    world.delete_claim()
    world.run(world.now + 3)
    assert world.claim().deleting
    world.run(world.now + READY)
    assert world.find_claim() is None


def test_5_retain_keeps_content_and_snapshot_and_they_can_be_imported_again() -> None:
    world = SnapshotWorld(policy="Retain")
    world.take()
    world.delete()
    world.run(world.now + 30)
    assert world.find() is None
    (content,) = world.contents()
    handle = content.status.snapshot_handle
    assert handle is not None
    assert not world.storage.snapshots[handle].deleted
    reference = {"namespace": "default", "name": "again"}
    spec = {
        "deletionPolicy": "Retain",
        "driver": RBD,
        "volumeSnapshotRef": reference,
        "source": {"snapshotHandle": handle},
    }
    kind = {"apiVersion": f"{GROUP}/v1", "kind": "VolumeSnapshotContent"}
    world.create(decode({**kind, "metadata": {"name": "imported"}, "spec": spec}))
    world.create(snapshot("again", content="imported", cls=None))
    world.run(world.now + 30)
    assert world.get("again").status.ready_to_use
    world.create(restored(source="again"))
    world.run(world.now + 30)
    assert world.claim("copy").status.phase == "Bound"


def test_6_delete_destroys_the_snapshot_then_the_content_then_the_object() -> None:
    world = SnapshotWorld()
    world.take()
    order: list[str] = []
    world.server.watch(VolumeSnapshotContent, lambda c: order.append("content") if c.type == "DELETED" else None)
    world.server.watch(VolumeSnapshot, lambda c: order.append("snapshot") if c.type == "DELETED" else None)
    world.delete()
    world.run(world.now + 30)
    assert order == ["content", "snapshot"]
    assert all(s.deleted for s in world.storage.snapshots.values())


def test_7_the_moment_of_a_snapshot_is_its_cut_not_its_readiness() -> None:
    world = SnapshotWorld()
    world.storage.write(world.handle, 100, "n1")
    world.storage.sync(world.handle, "n1")
    world.create(snapshot())
    world.run(world.now + 8)
    created = world.get().status.creation_time
    assert created is not None
    world.storage.write(world.handle, 50, "n1")
    world.storage.sync(world.handle, "n1")
    world.run(world.now + READY)
    assert world.get().status.creation_time == created
    world.create(restored())
    world.run(world.now + 30)
    assert world.storage.disk(world.claim("copy").spec.volume_name).born_from == ((world.handle, 100),)


def test_8_a_restore_that_is_too_small_stays_pending() -> None:
    world = SnapshotWorld()
    world.take()
    world.create(restored(size="512Mi"))
    world.run(world.now + 60)
    assert world.claim("copy").status.phase == "Pending"
    assert "ProvisioningFailed" in world.reasons("copy")


def test_9_a_change_of_volume_mode_needs_an_annotation() -> None:
    world = SnapshotWorld()
    world.take()
    world.create(restored(volumeMode="Block"))
    world.run(world.now + 60)
    assert world.claim("copy").status.phase == "Pending"
    name, key = world.contents()[0].name, "snapshot.storage.kubernetes.io/allow-volume-mode-change"
    world.server.patch(
        VolumeSnapshotContent, "", name,
        lambda c: with_meta(c, annotations={**c.metadata.annotations, key: "true"}),
    )  # fmt: skip
    world.run(world.now + 300)
    assert world.claim("copy").status.phase == "Bound"


def test_10_a_snapshot_that_a_pending_claim_names_is_not_deleted() -> None:
    world = SnapshotWorld()
    world.take()
    world.create(restored(size="512Mi"))
    world.run(world.now + 5)
    world.delete()
    world.run(world.now + 100)
    assert world.find() is not None
    assert "SnapshotDeletePending" in world.reasons("s")
    world.delete_claim("copy")
    world.run(world.now + 400)
    assert world.find() is None


def test_11_a_snapshot_of_another_namespace_is_never_found() -> None:
    """The gate CrossNamespaceVolumeDataSource is off: a name means an object of the claim's own namespace."""
    world = SnapshotWorld()
    world.server.create(Namespace(metadata=ObjectMeta(name="other")))
    world.take()
    world.run(world.now + READY)
    world.create(with_meta(restored(), namespace="other"))
    world.run(world.now + 400)
    assert world.server.get(PersistentVolumeClaim, "other", "copy").status.phase == "Pending"
    assert "ProvisioningFailed" in world.reasons("copy")


def test_12_an_unknown_kind_of_source_is_dropped_and_the_volume_is_empty() -> None:
    world = SnapshotWorld()
    world.create(claim("copy", storageClassName="rbd", dataSource={"kind": "Foo", "name": "x"}))
    world.run(world.now + 30)
    assert world.claim("copy").spec.data_source is None
    assert world.storage.disk(world.claim("copy").spec.volume_name).born_from == ()


def test_13_a_volume_in_use_can_be_cloned_with_what_has_reached_the_storage() -> None:
    world = SnapshotWorld()
    world.storage.write(world.handle, 100, "n1")
    world.storage.sync(world.handle, "n1")
    world.storage.write(world.handle, 20, "n1")
    world.create(restored(source="data", kind="PersistentVolumeClaim"))
    world.run(world.now + 30)
    assert world.storage.disk(world.claim("copy").spec.volume_name).born_from == ((world.handle, 100),)


def test_14_a_clone_may_have_another_class_of_the_same_driver() -> None:
    world = SnapshotWorld()
    world.create(storage_class("other", RBD))
    source = {"kind": "PersistentVolumeClaim", "name": "data"}
    world.create(claim("copy", storageClassName="other", dataSource=source))
    world.run(world.now + 30)
    assert world.claim("copy").status.phase == "Bound"


def test_15_a_clone_must_not_ask_for_less_than_its_source_asked_for() -> None:
    world = SnapshotWorld()
    world.create(restored(size="512Mi", source="data", kind="PersistentVolumeClaim"))
    world.run(world.now + 60)
    assert world.claim("copy").status.phase == "Pending"


def test_16_the_source_of_a_clone_stays_until_the_clone_is_bound() -> None:
    world = SnapshotWorld()
    world.sim.latencies._distributions["volumeCreate"] = Constant(9 * 10**9)
    world.create(restored(source="data", kind="PersistentVolumeClaim"))
    world.run(world.now + 4)
    world.delete_claim()
    world.run(world.now + 4)
    assert world.claim().deleting
    world.run(world.now + 200)
    assert world.claim("copy").status.phase == "Bound"
    assert world.find_claim() is None


def test_17_an_undecided_cut_holds_the_deletion_back() -> None:
    world = SnapshotWorld()
    world.storage.fail_calls(frozenset({"snapshotCut"}), "DeadlineExceeded", until_ns=int((world.now + 60) * 1e9))
    world.create(snapshot())
    world.run(world.now + 20)
    world.delete()
    world.run(world.now + 30)
    assert world.find() is not None
    world.run(world.now + 400)
    assert world.find() is None
    assert all(s.deleted for s in world.storage.snapshots.values())


def test_18_a_content_deleted_by_hand_waits_for_its_snapshot() -> None:
    world = SnapshotWorld()
    world.take()
    world.server.delete(VolumeSnapshotContent, "", world.contents()[0].name)
    world.run(world.now + 300)
    assert world.contents()[0].deleting
    assert not any(s.deleted for s in world.storage.snapshots.values())


def test_a_snapshot_outlives_its_claim_unless_the_driver_ties_it() -> None:
    for survives in (True, False):
        world = SnapshotWorld(snapshots_survive_volume=survives)
        world.take()
        world.delete_claim()
        world.run(world.now + 60)
        assert world.storage.disk(world.handle).lost == "L10"
        assert [s.deleted for s in world.storage.snapshots.values()] == [not survives]


def test_a_driver_without_snapshots_never_answers() -> None:
    world = SnapshotWorld(snapshots=False)
    world.create(snapshot())
    world.run(world.now + 600)
    assert not world.get().status.ready_to_use


@pytest.mark.parametrize("code", ["Internal", "Unavailable"])
def test_a_failed_cut_is_tried_again_and_told_once(code: str) -> None:
    world = SnapshotWorld()
    world.storage.fail_calls(frozenset({"snapshotCut"}), code, until_ns=int((world.now + 60) * 1e9))
    world.create(snapshot())
    world.run(world.now + 59)
    assert code in (world.get().status.error or {})["message"]
    world.run(world.now + 400)
    assert world.get().status.ready_to_use
    assert world.get().status.error is None


def test_the_provisioner_holds_the_snapshot_while_it_restores() -> None:
    world = SnapshotWorld()
    world.take()
    held: list[bool] = []
    finalizer = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"
    world.server.watch(VolumeSnapshot, lambda c: held.append(finalizer in c.new.metadata.finalizers))
    world.create(restored())
    world.run(world.now + 60)
    assert held[:1] == [True]
    assert held[-1] is False


def test_the_request_of_a_restore_may_be_larger() -> None:
    world = SnapshotWorld()
    world.take()
    world.create(restored(size="5Gi"))
    world.run(world.now + 60)
    assert world.claim("copy").status.capacity == {"storage": "5Gi"}
    assert replace(world.get(), status=world.get().status) == world.get()


def test_6_3_a_content_that_refers_to_another_snapshot_is_refused_and_a_missing_one_awaited() -> None:
    world = SnapshotWorld()
    world.create(snapshot("s", content="imported", cls=None))
    world.run(world.now + 5)
    assert "SnapshotContentMissing" in world.reasons("s")
    spec = {
        "driver": RBD,
        "deletionPolicy": "Retain",
        "source": {"snapshotHandle": "known-to-the-administrator"},
        "volumeSnapshotRef": {"namespace": "default", "name": "another"},
    }
    head = {"apiVersion": f"{GROUP}/v1", "kind": "VolumeSnapshotContent", "metadata": {"name": "imported"}}
    world.create(decode({**head, "spec": spec}))
    world.run(world.now + 60)
    assert "SnapshotContentMisbound" in world.reasons("s")
    assert not world.get().status.ready_to_use
    assert CLAIM_FINALIZER not in world.claim().metadata.finalizers
