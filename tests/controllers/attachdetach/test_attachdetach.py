"""Testable statements of storage.md 3.10."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import Node, Pod
from k8sim.api.storage import CSIDriver, VolumeAttachment
from k8sim.api.struct import replace
from k8sim.controllers.attachdetach.controller import AttachDetachController
from k8sim.controllers.attachdetach.settings import AttachDetachSettings
from k8sim.csi.drivers import ZONAL_DISK
from tests.controllers.storage import claim, volume
from tests.csi.world import CSIWorld

UNIQUE = "kubernetes.io/csi/ebs.csi.aws.com^handle-vol"
SIX_MINUTES = 360


def on_two_nodes(world: CSIWorld) -> None:
    """The volume is attached and in use on n1; a second pod wants it on n2."""
    world.static_volume()
    world.start_pod("a", "n1")
    world.run(20)
    world.in_use("n1", UNIQUE)
    assert world.attached() == {"n1": True}


def test_an_attachment_is_made_reported_and_taken_back() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    assert world.reported("n1") == [UNIQUE]
    assert world.events("Event", "a", "SuccessfulAttachVolume")
    world.force_delete("a")
    world.run(30)
    assert world.attached() == {"n1": True}, "still in use"
    world.in_use("n1")
    world.run(60)
    assert world.attached() == {}
    assert world.reported("n1") == []


def test_1_one_multi_attach_event_and_attach_right_after_the_detach() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.start_pod("b", "n2")
    world.run(40)
    failures = world.events("Event", "b", "FailedAttachVolume")
    assert len(failures) == 1
    assert "Volume is already used by pod(s) a" in failures[0][3]["message"]
    world.force_delete("a")
    world.run(41)
    world.in_use("n1")
    gone: list[float] = []
    world.server.watch(VolumeAttachment, lambda c: gone.append(world.now) if c.type == "DELETED" else None)
    made: list[float] = []
    world.server.watch(VolumeAttachment, lambda c: made.append(world.now) if c.type == "ADDED" else None)
    world.run(90)
    assert world.attached() == {"n2": True}
    # The detach operation sees the object's end at its next poll (at most 7 s), then the loop takes up to 100 ms.
    assert 0 < made[0] - gone[0] < 7.2


def test_2_the_volumes_modes_decide_not_the_claims() -> None:
    world = CSIWorld(drivers={"ebs.csi.aws.com": replace_driver(second_publish=True)})
    world.static_volume(modes="ReadWriteOnce ReadWriteMany")
    world.start_pod("a", "n1")
    world.start_pod("b", "n2")
    world.run(30)
    assert world.attached() == {"n1": True, "n2": True}


def replace_driver(**changes: object) -> object:
    import dataclasses

    return dataclasses.replace(ZONAL_DISK, name="ebs.csi.aws.com", **changes)  # type: ignore[arg-type]


def test_3_without_attach_nothing_is_attached() -> None:
    world = CSIWorld()
    world.create(CSIDriver(metadata=replace(CSIDriver().metadata, name="efs.csi.aws.com"), spec=no_attach()))
    world.static_volume(driver="efs.csi.aws.com")
    world.start_pod("a", "n1")
    world.start_pod("b", "n2")
    world.run(30)
    assert world.attached() == {}


def no_attach() -> object:
    return replace(CSIDriver().spec, attach_required=False)


def test_4_a_ready_node_that_never_unmounts_keeps_the_volume() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.force_delete("a")
    world.start_pod("b", "n2")
    world.run(36_000)
    assert world.attached() == {"n1": True}


def test_5_a_node_not_ready_loses_it_six_minutes_after_the_force_delete() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.not_ready("n1")
    world.run(100)
    world.force_delete("a")
    world.run(100 + SIX_MINUTES - 0.1)
    assert "Detaching" not in [e for _, _, e, _ in world.events("Volume")]
    world.run(100 + SIX_MINUTES + 0.5)
    detaching = world.events("Volume", event="Detaching")
    assert detaching[0][3]["forced"] == "timeout"
    assert 100 + SIX_MINUTES < detaching[0][0] < 100 + SIX_MINUTES + 0.3


def test_5b_a_restart_of_the_controller_begins_the_six_minutes_anew() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.not_ready("n1")
    world.run(100)
    world.force_delete("a")
    world.run(400)
    world.attach_detach.stop()
    world.attach_detach = AttachDetachController(world.context)
    world.attach_detach.start()
    world.run(400 + SIX_MINUTES - 0.1)
    assert world.attached() == {"n1": True}
    world.run(400 + SIX_MINUTES + 60)
    assert world.attached() == {}


def test_6_a_merely_terminating_pod_starts_no_clock() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.not_ready("n1")
    world.server.delete(Pod, "default", "a")
    world.run(10_000)
    assert world.attached() == {"n1": True}


def test_7_out_of_service_means_at_once() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.not_ready("n1")
    world.taint("n1", "node.kubernetes.io/out-of-service")
    world.run(100)
    world.force_delete("a")
    world.run(100.5)
    assert [(d["forced"]) for _, _, _, d in world.events("Volume", event="Detaching")] == ["out-of-service"]


def test_8_force_detach_can_be_switched_off_but_not_for_the_taint() -> None:
    world = CSIWorld(settings=AttachDetachSettings(disable_force_detach_on_timeout=True))
    on_two_nodes(world)
    world.not_ready("n1")
    world.force_delete("a")
    world.run(10_000)
    assert world.attached() == {"n1": True}
    world.taint("n1", "node.kubernetes.io/out-of-service")
    world.run(10_060)
    assert world.attached() == {}


def test_9_a_node_object_that_is_gone_counts_as_not_ready() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.server.delete(Node, "", "n1")
    world.run(100)
    world.force_delete("a")
    world.run(100 + SIX_MINUTES - 0.1)
    assert "n1" in world.attached()
    world.run(100 + SIX_MINUTES + 60)
    assert world.attached() == {}


def test_12_after_a_failed_detach_the_other_node_is_tried() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.start_pod("b", "n2")
    world.run(25)
    world.storage.fail_calls(frozenset({"volumeDetach"}), "Internal", until_ns=100 * 10**9)
    world.force_delete("a")
    world.in_use("n1")
    world.run(60)
    # The controller does try n2 now; this driver refuses, as the storage still has the volume on n1.
    assert world.attached() == {"n1": True, "n2": False} or world.attached() == {"n1": False, "n2": False}
    assert any("is attached to n1" in d["message"] for _, _, _, d in world.events("Event", "b", "FailedAttachVolume"))
    world.run(1000)
    assert world.attached() == {"n2": True}
    assert list(world.storage.disk("handle-vol").attached) == ["n2"]


def test_12b_a_weak_driver_lets_two_nodes_have_it() -> None:
    world = CSIWorld(drivers={"ebs.csi.aws.com": replace_driver(second_publish=True)})
    on_two_nodes(world)
    world.start_pod("b", "n2")
    world.run(25)
    world.storage.fail_calls(frozenset({"volumeDetach"}), "Internal")
    world.force_delete("a")
    world.in_use("n1")
    world.run(200)
    assert sorted(world.storage.disk("handle-vol").attached) == ["n1", "n2"]
    assert world.events("Volume", event="SharedByNodes")


def test_13_a_deleted_attachment_is_noticed_within_a_minute_and_made_again() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    name = world.server.list(VolumeAttachment)[0].name
    world.server.delete(VolumeAttachment, "", name)
    world.run(40)
    assert world.events("Volume", event="Detached"), "the driver takes the volume away under the pod"
    world.run(20 + 60 + 30)
    assert world.attached() == {"n1": True}


def test_14_a_volume_being_deleted_cannot_be_attached_anew() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.delete_volume("vol")
    world.force_delete("a")
    world.in_use("n1")
    world.run(40)
    world.start_pod("b", "n2")
    world.run(60)
    assert world.attached() == {"n2": False}
    assert any("marked for deletion" in d["message"] for _, _, _, d in world.events("Event", "b", "FailedAttachVolume"))


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_15_the_volume_of_an_ended_pod_is_detached_although_its_object_stays(phase: str) -> None:
    world = CSIWorld()
    on_two_nodes(world)
    ended = lambda p: replace(p, status=replace(p.status, phase=phase))  # noqa: E731
    world.server.patch_status(Pod, "default", "a", ended)
    world.in_use("n1")
    world.run(60)
    assert world.attached() == {}


def test_19_a_pod_deleted_before_it_ran_counts_as_ended() -> None:
    world = CSIWorld()
    world.static_volume()
    made = world.start_pod("a", "n1")
    world.run(20)
    creating = lambda p: replace(p, status=replace(p.status, container_statuses=()))  # noqa: E731
    world.server.patch_status(Pod, *made.key, creating)
    world.in_use("n1")
    world.server.delete(Pod, *made.key)
    world.run(60)
    assert world.server.find(Pod, *made.key) is not None
    assert world.attached() == {}


def test_20_two_pods_of_one_node_share_one_attachment() -> None:
    world = CSIWorld()
    world.static_volume()
    world.start_pod("a", "n1")
    world.start_pod("b", "n1")
    world.run(30)
    assert world.attached() == {"n1": True}
    assert len(world.events("Volume", event="Attached")) == 1
    world.force_delete("a")
    world.in_use("n1")
    world.run(60)
    assert world.attached() == {"n1": True}


def test_a_leftover_attachment_of_an_earlier_life_is_taken_back() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.attach_detach.stop()
    world.force_delete("a")
    world.in_use("n1")
    world.run(30)
    world.attach_detach = AttachDetachController(world.context)
    world.attach_detach.start()
    world.run(90)
    assert world.attached() == {}


@pytest.mark.parametrize(
    ("source", "unique"),
    [
        ({"flexVolume": {"driver": "acme/disk"}}, "flexvolume-acme/disk/vol"),
        ({"iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn", "lun": 0}}, "kubernetes.io/iscsi/vol"),
    ],
)
def test_3_1_legacy_volumes_are_kept_to_one_node_without_attachment_objects(
    source: dict[str, Any], unique: str
) -> None:
    world = CSIWorld()
    world.add_node("n1")
    world.add_node("n2")
    world.create(volume("vol", **source))
    world.run(0.5)
    world.create(claim())
    world.run(1)
    world.start_pod("a", "n1")
    world.run(20)
    world.in_use("n1", unique)
    world.start_pod("b", "n2")
    world.run(40)
    assert world.attached() == {}
    assert (world.reported("n1"), world.reported("n2")) == ([unique], [])
    assert len(world.events("Event", "b", "FailedAttachVolume")) == 1
    world.force_delete("a")
    world.in_use("n1")
    world.run(80)
    assert (world.reported("n1"), world.reported("n2")) == ([], [unique])


def test_nothing_ticks_while_a_volume_waits() -> None:
    world = CSIWorld()
    on_two_nodes(world)
    world.start_pod("b", "n2")
    world.run(100)
    before = world.sim.clock.events_scheduled
    world.run(100_000)
    assert world.sim.clock.events_scheduled <= before + 3
