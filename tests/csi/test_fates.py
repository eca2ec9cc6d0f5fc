"""What becomes of content, and by which path: storage.md 9.2, 9.5.

Each path is provoked through a whole cluster in `tests/storage`; here is what those tests do not ask.
"""

from __future__ import annotations

import pytest

from k8sim.api.core import Namespace, PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import ObjectMeta, OwnerReference, with_meta
from k8sim.csi.fates import VolumeFates, deletion_path
from k8sim.csi.reach import VolumeReach
from k8sim.machines.disks import location
from k8sim.metrics.storagecost import wasted
from tests.controllers.snapshot.test_snapshots import SnapshotWorld
from tests.controllers.storage import claim, storage_class, volume
from tests.csi.scenes import Scene, scene
from tests.csi.world import EBS, CSIWorld


def paths(scene: Scene | CSIWorld, event: str) -> list[str]:
    sim = scene.cluster.sim if isinstance(scene, Scene) else scene.sim
    return [str(r.detail["path"]) for r in sim.trace if r.kind == "Volume" and r.event == event and "path" in r.detail]


def disk_of(scene: Scene, claim: str = "data-web-0") -> str:
    return location(scene.volume(claim), scene.node_of())


def test_5_a_claim_deleted_under_a_running_pod_loses_nothing_yet() -> None:
    doomed = scene("at: 60s, kubectl: delete pvc data-web-0 --wait=false", "at: 120s, kubectl: delete statefulset web")
    doomed.run(119)
    assert paths(doomed, "Destroyed") == []
    doomed.run(400)
    assert paths(doomed, "Destroyed") == ["L10"]
    detached = doomed.when("Volume", "", "Detached")
    assert detached < doomed.when("Volume", "", "Destroyed"), "never under an attachment"


def test_13_namespace_deletion_destroys_its_volumes() -> None:
    world = CSIWorld()
    VolumeFates(world.server, world.storage).start()
    world.create(Namespace(metadata=ObjectMeta(name="shop", finalizers=("test",))), storage_class("ebs", EBS))
    world.create(with_meta(claim(storageClassName="ebs"), namespace="shop"))
    world.run(20)
    world.server.delete(Namespace, "", "shop")
    world.server.delete(PersistentVolumeClaim, "shop", "data", actor="namespace-controller")
    world.run(60)
    assert paths(world, "Destroyed") == ["L13"]


@pytest.mark.parametrize(
    ("policy", "step", "expected"),
    [
        ("whenDeleted: Delete", "delete statefulset web", "L14"),
        ("whenDeleted: Retain", "delete statefulset web", ""),
    ],
)
def test_14_retention_policies(policy: str, step: str, expected: str) -> None:
    retained = f"persistentVolumeClaimRetentionPolicy: {{{policy}}}"
    ended = scene(f"at: 60s, kubectl: {step}", extra=retained).run(400)
    assert paths(ended, "Destroyed") == ([expected] if expected else [])


def test_8_local_volumes_are_out_of_reach_while_their_node_is() -> None:
    world = CSIWorld()
    VolumeReach(world.server, world.storage).start()
    world.add_node("n1", **{"kubernetes.io_hostname": "n1"})
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}]
    world.create(volume("vol", local={"path": "/mnt"}, nodeAffinity={"required": {"nodeSelectorTerms": terms}}))
    world.run(1)
    world.storage.write("n1:/mnt", 5, "n1")
    world.not_ready("n1")
    assert paths(world, "Inaccessible") == ["L8"]
    assert world.storage.surviving("n1:/mnt") == 0, "it was never synced"


def test_16_a_claim_made_again_leaves_the_old_volume_behind() -> None:
    world = CSIWorld()
    VolumeFates(world.server, world.storage).start()
    world.static_volume()
    world.delete_claim()
    world.run(world.now + 2)
    world.create(claim())
    assert paths(world, "Replaced") == ["L16"]
    assert paths(world, "Inaccessible") == ["L19"]


def test_18_a_volume_stripped_of_its_finalizers_is_orphaned() -> None:
    world = CSIWorld()
    VolumeFates(world.server, world.storage).start()
    world.create(storage_class("ebs", EBS), claim(storageClassName="ebs"))
    world.add_node("n1")
    world.run(20)
    name = world.claim().spec.volume_name
    world.server.patch(PersistentVolume, "", name, lambda v: with_meta(v, finalizers=()))
    world.delete_volume(name)
    world.run(21)
    assert paths(world, "Orphaned") == ["L18"]
    assert world.claim().status.phase == "Lost"
    (leak,) = wasted(world.sim.trace, world.sim.clock.now)
    assert (leak.what, leak.name) == ("orphaned volume", name)


def test_17_a_retained_volume_whose_object_is_deleted_is_orphaned() -> None:
    world = CSIWorld()
    VolumeFates(world.server, world.storage).start()
    world.create(storage_class("ebs", EBS, reclaimPolicy="Retain"), claim(storageClassName="ebs"))
    world.run(20)
    name = world.claim().spec.volume_name
    world.delete_claim()
    world.run(25)
    world.delete_volume(name)
    world.run(30)
    assert paths(world, "Inaccessible") == ["L19"]
    assert paths(world, "Orphaned") == ["L17"]
    assert not world.storage.disk(name).lost


def test_10_a_partitioned_node_without_an_operator_loses_nothing_and_nobody_else_writes() -> None:
    node = scene().run(60).node_of()
    cut_off = scene(f"at: 100s, fault: node-partition, node: {node}, for: 2h", duration=3000).run(3000)
    assert paths(cut_off, "SecondWriter") == []
    assert paths(cut_off, "CacheLost") == []
    assert paths(cut_off, "Inaccessible") == ["L21"]


def test_2_a_power_loss_loses_the_page_cache_and_no_more() -> None:
    node = scene().run(60).node_of()
    dark = scene(f"at: 100s, fault: node-crash, node: {node}").run(60)
    where = disk_of(dark)
    dark.storage.write(where, 100, node)
    dark.storage.sync(where, node)
    dark.storage.write(where, 10, node)
    dark.run(200)
    assert paths(dark, "CacheLost") == ["L2"]
    assert dark.storage.surviving(where) == 100


def test_34_a_volume_of_a_claim_that_was_never_there_is_destroyed() -> None:
    world = CSIWorld()
    VolumeFates(world.server, world.storage).start()
    reference = {"namespace": "default", "name": "data", "uid": "of-another-life"}
    csi = {"driver": EBS, "volumeHandle": "h"}
    world.create(volume("vol", claimRef=reference, csi=csi, persistentVolumeReclaimPolicy="Delete"))
    world.run(60)
    assert paths(world, "Destroyed") == ["L34"]


def test_32_a_dropped_source_is_told() -> None:
    world = CSIWorld()
    world.create(claim(dataSource={"kind": "Foo", "name": "x"}))
    assert paths(world, "SourceDropped") == ["L32"]


def test_7_with_retained_volumes_and_deleted_snapshots() -> None:
    world = SnapshotWorld()
    VolumeFates(world.server, world.storage).start()
    world.take()
    world.delete()
    world.run(world.now + 60)
    assert paths(world, "SnapshotDestroyed") == ["L31"]


@pytest.mark.parametrize(
    ("actor", "owner", "ends", "ephemeral", "path"),
    [
        ("kubectl", "", False, False, "L10"),
        ("kubectl", "", True, False, "L13"),
        ("garbage-collector", "StatefulSet", False, False, "L14"),
        ("garbage-collector", "Pod", False, False, "L14"),
        ("garbage-collector", "Pod", False, True, "L7"),
        ("garbage-collector", "MyDatabase", False, False, "L15"),
    ],
)
def test_who_deletes_a_claim_decides_the_path(actor: str, owner: str, ends: bool, ephemeral: bool, path: str) -> None:
    made = with_meta(PersistentVolumeClaim(), owner_references=(OwnerReference(kind=owner),) if owner else ())
    assert deletion_path(made, actor, ends, ephemeral) == path


def test_a_claim_made_anew_after_the_loss_of_its_volume_can_lose_the_next_one() -> None:
    loss, renew = "fault: disk-loss, claim: data-web-0", "kubectl: 'delete pod/web-0 pvc/data-web-0 --wait=false'"
    lost = scene(f"at: 100s, {loss}", f"at: 200s, {loss}", f"at: 300s, {renew}", f"at: 500s, {loss}").run(600)
    codes = [row.detail["code"] for row in lost.rows("Command", "disk-loss")]
    assert codes == [0, 1, 0]
    first, second = (row.name for row in lost.rows("Volume", event="Destroyed") if row.detail["path"] == "disk-loss")
    assert first != second == lost.volume().name
