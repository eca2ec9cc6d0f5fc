"""The external provisioner: storage.md 1.8, 1.9 and 1.12."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import with_meta
from k8sim.api.storage import CSINode, VolumeAttachment
from k8sim.api.struct import replace
from k8sim.csi.drivers import WELL_KNOWN, ZONAL_DISK, Driver, find_driver, with_parameters
from k8sim.csi.topology import choose_segments, fnv32a, name_hash_and_offset
from tests.controllers.storage import claim, storage_class
from tests.csi.world import EBS, CSIWorld

SELECTED = "volume.kubernetes.io/selected-node"
GIB = 2**30


def disk_driver(**changes: Any) -> dict[str, Driver]:
    return {EBS: dataclasses.replace(ZONAL_DISK, name=EBS, **changes)}


def zonal_world(seed: int = 1, **driver: Any) -> CSIWorld:
    world = CSIWorld(seed, disk_driver(**driver) if driver else None)
    for i, zone in enumerate("abc"):
        world.add_node(f"n{i}", **{"topology.kubernetes.io_zone": f"zone-{zone}"})
    return world


def zone_of(volume: PersistentVolume) -> str:
    affinity = volume.spec.node_affinity
    assert affinity is not None
    assert affinity.required is not None
    return affinity.required.node_selector_terms[0].match_expressions[0].values[0]


def select(world: CSIWorld, node: str) -> None:
    def change(c: PersistentVolumeClaim) -> PersistentVolumeClaim:
        return with_meta(c, annotations={**c.metadata.annotations, SELECTED: node})

    world.server.patch(PersistentVolumeClaim, "default", "data", change)


def test_immediate_binding_provisions_and_binds() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS), claim(storageClassName="ebs"))
    phases: list[str] = []
    world.server.watch(PersistentVolume, lambda c: phases.append(c.new.status.phase))  # type: ignore[attr-defined]
    world.run(20)
    made = world.volume(world.claim().spec.volume_name)
    assert made.name == f"pvc-{world.claim().uid}"
    assert "Available" not in phases
    assert made.spec.csi is not None
    assert made.spec.csi.driver == EBS
    assert "external-provisioner.volume.kubernetes.io/finalizer" in made.metadata.finalizers
    assert world.reasons() == ["ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"]


def test_a_delayed_claim_is_made_where_the_selected_node_is() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS, volumeBindingMode="WaitForFirstConsumer"), claim(storageClassName="ebs"))
    world.run(20)
    assert not world.claim().spec.volume_name
    select(world, "n2")
    world.run(40)
    assert zone_of(world.volume(world.claim().spec.volume_name)) == "zone-c"


def test_immediate_volumes_of_a_stateful_set_spread_over_zones() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS), *(claim(f"data-web-{i}", storageClassName="ebs") for i in range(6)))
    world.run(30)
    zones = [zone_of(world.volume(world.claim(f"data-web-{i}").spec.volume_name)) for i in range(6)]
    assert sorted(zones[:3]) == ["zone-a", "zone-b", "zone-c"]
    assert zones[:3] == zones[3:]


def test_1_12_9_an_attached_volume_is_not_deleted_until_it_is_detached() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS), claim(storageClassName="ebs"))
    world.run(20)
    name = world.claim().spec.volume_name
    world.start_pod("a", "n0")
    world.run(40)
    unique = world.reported("n0")
    world.in_use("n0", *unique)
    world.run(41)
    world.force_delete("a")
    world.delete_claim()
    world.run(70)
    assert world.find_claim() is None
    assert world.volume(name).status.phase == "Released"
    assert not world.storage.disk(name).lost
    failures = [t for t, _, _, _ in world.events("Event", name, "VolumeFailedDelete")]
    assert [round(b - a) for a, b in pairwise(failures)][:4] == [1, 2, 4, 8]
    world.in_use("n0")
    world.run(70 + 64 + 20)
    assert world.find_volume(name) is None
    assert world.storage.disk(name).lost == "L10"


def test_a_released_retain_volume_keeps_object_and_data() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS, reclaimPolicy="Retain"), claim(storageClassName="ebs"))
    world.run(20)
    name = world.claim().spec.volume_name
    assert world.volume(name).metadata.finalizers == ("kubernetes.io/pv-protection",)
    world.delete_claim()
    world.run(1000)
    assert world.volume(name).status.phase == "Released"
    assert not world.storage.disk(name).lost


def test_a_static_volume_with_policy_delete_is_destroyed_too() -> None:
    world = CSIWorld()
    world.static_volume(persistentVolumeReclaimPolicy="Delete")
    world.delete_claim()
    world.run(60)
    assert world.find_volume("vol") is None
    assert world.storage.disk("handle-vol").lost == "L10"


def test_delete_volume_first_claim_later_leaks_nothing() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS), claim(storageClassName="ebs"))
    world.run(20)
    name = world.claim().spec.volume_name
    world.delete_volume(name)
    world.run(40)
    assert world.volume(name).status.phase == "Bound"
    world.delete_claim()
    world.run(80)
    assert world.find_volume(name) is None
    assert world.storage.disk(name).lost


def test_resource_exhausted_takes_the_selected_node_back() -> None:
    world = zonal_world(capacity_bytes=5 * GIB)
    world.create(storage_class("ebs", EBS, volumeBindingMode="WaitForFirstConsumer"))
    world.create(claim(size="6Gi", storageClassName="ebs"))
    select(world, "n0")
    world.run(20)
    assert SELECTED not in world.claim().metadata.annotations
    assert "ProvisioningFailed" in world.reasons()


def test_two_claims_pass_each_alone_and_the_second_finds_no_room() -> None:
    world = zonal_world(capacity_bytes=10 * GIB)
    world.create(storage_class("ebs", EBS, allowedTopologies=topology("zone-a")))
    world.create(*(claim(n, "6Gi", storageClassName="ebs") for n in ("one", "two")))
    world.run(60)
    assert sorted(world.claim(n).status.phase for n in ("one", "two")) == ["Bound", "Pending"]


def topology(zone: str) -> list[dict[str, Any]]:
    return [{"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": [zone]}]}]


def test_an_unsupported_mode_is_infeasible_and_not_asked_for_again_for_five_minutes() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS), claim(modes="ReadWriteMany", storageClassName="ebs"))
    world.run(290)
    assert world.claim().status.phase == "Pending"
    assert world.storage.disks == {}


def test_a_failing_storage_system_is_asked_again() -> None:
    world = zonal_world()
    world.storage.fail_calls(frozenset({"volumeCreate"}), "Unavailable", until_ns=60 * 10**9)
    world.create(storage_class("ebs", EBS), claim(storageClassName="ebs"))
    world.run(59)
    assert world.claim().status.phase == "Pending"
    world.run(200)
    assert world.claim().status.phase == "Bound"


def test_a_slow_call_goes_on_after_its_caller_has_given_up() -> None:
    world = CSIWorld()
    world.add_node("n0", **{"topology.kubernetes.io_zone": "zone-a"})
    backend_slow(world, seconds=25)
    world.create(storage_class("ebs", EBS), claim(storageClassName="ebs"))
    world.run(24)
    assert world.claim().status.phase == "Pending"
    assert any("DeadlineExceeded" in d["message"] for _, _, _, d in world.events("Event", "data", "ProvisioningFailed"))
    world.run(60)
    assert world.claim().status.phase == "Bound"
    assert len(world.events("Volume", event="Made")) == 1


def backend_slow(world: CSIWorld, seconds: int) -> None:
    from k8sim.sim.distributions import Constant

    world.sim.latencies._distributions["volumeCreate"] = Constant(seconds * 10**9)


def test_nodes_say_which_drivers_and_limits_they_have() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS))
    entry = world.server.get(CSINode, "", "n0").spec.drivers[0]
    assert (entry.name, entry.allocatable.count if entry.allocatable else None) == (EBS, 39)
    world.add_node("late")
    assert world.server.get(CSINode, "", "late").spec.drivers == (replace(entry, node_id="late"),)


def test_an_unknown_provisioner_is_taken_for_a_zonal_disk_and_listed() -> None:
    world = zonal_world()
    world.create(storage_class("x", "storage.example.com"), claim(storageClassName="x"))
    world.run(20)
    assert world.claim().status.phase == "Bound"
    assert world.csi.assumed == ["storage.example.com"]


@pytest.mark.parametrize("name", sorted(WELL_KNOWN))
def test_every_known_driver_provisions(name: str) -> None:
    world = zonal_world()
    world.create(storage_class("x", name), claim(storageClassName="x"))
    world.run(60)
    assert world.claim().status.phase == "Bound"
    assert world.csi.assumed == []


def test_a_limit_of_attachments_is_kept() -> None:
    world = zonal_world(volumes_per_node=1)
    world.create(storage_class("ebs", EBS, allowedTopologies=topology("zone-a")))
    world.create(*(claim(n, storageClassName="ebs") for n in ("one", "two")))
    world.run(30)
    world.start_pod("a", "n0", "one")
    world.run(60)
    world.start_pod("b", "n0", "two")
    world.run(100)
    attachments = world.server.list(VolumeAttachment)
    assert sorted(a.status.attached for a in attachments) == [False, True]


def test_regional_disks_on_request() -> None:
    google = find_driver("pd.csi.storage.gke.io")
    assert with_parameters(google, {"type": "pd-ssd"}).topology == "zone"
    regional = with_parameters(google, {"replication-type": "regional-pd"})
    assert choose_segments(regional, ["a", "b", "c"], None, "b", "data-web-0") == ("b", "a")


def test_the_hash_is_fnv_1a() -> None:
    assert fnv32a("") == 0x811C9DC5
    assert fnv32a("a") == 0xE40C292C
    assert fnv32a("foobar") == 0xBF9CF968
    assert name_hash_and_offset("data-web-12") == (fnv32a("data-web"), 12)
    assert name_hash_and_offset("data") == (fnv32a("data"), 0)


def test_self_check_a_claim_in_use_outlives_its_delete() -> None:
    world = zonal_world()
    world.create(storage_class("ebs", EBS), claim(storageClassName="ebs"))
    world.run(20)
    world.start_pod("a", "n0")
    world.delete_claim()
    world.run(200)
    assert world.find_claim() is not None
    world.server.delete(Pod, "default", "a", grace_period_seconds=0)
    world.run(201)
    assert world.find_claim() is None
