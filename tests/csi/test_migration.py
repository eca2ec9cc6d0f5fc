"""In-tree plug-ins whose work CSI drivers do: storage.md 1.2, 1.8, 1.9, 5.6."""

from __future__ import annotations

import pytest

from k8sim.api.core import PersistentVolume
from k8sim.api.csi_migration import MIGRATED, PLUGINS, MigratedPlugin, migration_annotations, translated
from k8sim.api.storage import VolumeAttachment
from tests.controllers.storage import claim, storage_class, volume
from tests.csi.world import CSIWorld

TO = "pv.kubernetes.io/migrated-to"
BY = "pv.kubernetes.io/provisioned-by"
ASKED = "volume.kubernetes.io/storage-provisioner"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.source)
def test_5_6_a_volume_of_a_migrated_plug_in_is_its_drivers(plugin: MigratedPlugin) -> None:
    csi = translated(volume("vol", **{plugin.source: {plugin.field: "disk-7", "fsType": "xfs"}})).spec.csi
    assert csi is not None
    assert (csi.driver, csi.fs_type) == (plugin.driver, "xfs")
    assert csi.volume_handle == plugin.handle.replace("{}", "disk-7")


def test_5_6_other_volumes_stay_what_they_are() -> None:
    for made in (volume("vol"), volume("vol", rbd={"image": "x"}), volume("vol", csi={"driver": "d"})):
        assert translated(made) is made


@pytest.mark.parametrize(
    ("given", "to"),
    [
        ({ASKED: "kubernetes.io/gce-pd"}, "pd.csi.storage.gke.io"),
        ({BY: "kubernetes.io/aws-ebs"}, "ebs.csi.aws.com"),
        ({BY: "kubernetes.io/aws-ebs", TO: "other"}, "ebs.csi.aws.com"),
        ({BY: "ebs.csi.aws.com", TO: "other"}, None),
        ({BY: "kubernetes.io/host-path"}, None),
        ({TO: "nobody-knows"}, "nobody-knows"),
        ({}, None),
    ],
)
def test_1_4_step_0_says_who_has_taken_over(given: dict[str, str], to: str | None) -> None:
    assert migration_annotations(given).get(TO) == to


@pytest.mark.parametrize("provisioner", sorted(MIGRATED))
def test_1_8_a_migrated_class_is_served_and_reclaimed_by_the_driver(provisioner: str) -> None:
    world = CSIWorld()
    world.add_node("n1", **{"topology.kubernetes.io_zone": "a"})
    world.create(storage_class("old", provisioner), claim(storageClassName="old"))
    world.run(30)
    assert world.claim().metadata.annotations[ASKED] == MIGRATED[provisioner]
    made = world.volume(world.claim().spec.volume_name)
    assert (made.metadata.annotations[BY], made.metadata.annotations[TO]) == (provisioner, MIGRATED[provisioner])
    assert "kubernetes.io/pv-controller" not in made.metadata.finalizers
    world.delete_claim()
    world.run(90)
    assert world.server.list(PersistentVolume) == []
    assert world.storage.disk(made.name).lost


def test_5_6_a_static_in_tree_disk_is_attached_by_its_driver() -> None:
    world = CSIWorld()
    world.add_node("n1")
    world.create(volume("vol", gcePersistentDisk={"pdName": "disk-7"}), claim())
    world.run(20)
    world.start_pod("app", "n1")
    world.run(60)
    (attachment,) = world.server.list(VolumeAttachment)
    assert (attachment.spec.attacher, attachment.status.attached) == ("pd.csi.storage.gke.io", True)
