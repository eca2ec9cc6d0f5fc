"""storage.md 2.9: testable statements of the scheduler about volumes, each named after its number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Volume
from k8sim.api.meta import with_meta
from k8sim.api.scheme import decode
from k8sim.api.storage import StorageClass, VolumeAttachment
from k8sim.api.struct import replace
from k8sim.api.volume_matching import BIND_COMPLETED, SELECTED_NODE, claim_reference
from k8sim.apiserver.watch import Change
from k8sim.scheduler.settings import SchedulerSettings
from k8sim.sim.units import SECOND
from tests.scheduler.world import HOST, ZONE, World, make_node, make_pod

CSI = "disk.csi.example.com"


def storage_class(name: str = "late", provisioner: str = CSI, mode: str = "WaitForFirstConsumer", **more: Any) -> Any:
    manifest = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    return decode({**manifest, "provisioner": provisioner, "volumeBindingMode": mode, **more})


def claim(name: str = "data", cls: str = "late", size: str = "1Gi", mode: str = "ReadWriteOnce", **spec: Any) -> Any:
    manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"}}
    body = {"accessModes": [mode], "storageClassName": cls, "resources": {"requests": {"storage": size}}, **spec}
    return decode({**manifest, "spec": body})


def volume(name: str, node: str = "", cls: str = "late", size: str = "1Gi", zone: str = "", **spec: Any) -> Any:
    meta = {"name": name, "labels": spec.pop("labels", {})}
    body = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": cls, **spec}
    for key, value in ((HOST, node), (ZONE, zone)):
        if value:
            expression = {"key": key, "operator": "In", "values": [value]}
            body["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    return decode({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": body})


def bound(world: World, name: str, pv: PersistentVolume, **spec: Any) -> None:
    """Make a claim and its volume, bound to each other."""
    world.add(claim(name, **spec))
    made = world.server.get(PersistentVolumeClaim, "default", name)
    world.add(replace(pv, spec=replace(pv.spec, claim_ref=claim_reference(made))))
    bind_claim(world, name, pv.name)


def bind_claim(world: World, name: str, pv: str) -> None:
    def change(c: PersistentVolumeClaim) -> PersistentVolumeClaim:
        c = with_meta(c, annotations={**c.metadata.annotations, BIND_COMPLETED: "yes"})
        return replace(c, spec=replace(c.spec, volume_name=pv))

    world.server.patch(PersistentVolumeClaim, "default", name, change)
    world.server.patch_status(
        PersistentVolumeClaim, "default", name, lambda c: replace(c, status=replace(c.status, phase="Bound"))
    )


def provisioner(world: World, delay: float, act: Callable[[World, PersistentVolumeClaim], None]) -> None:
    """Call ``act`` so long after a node was selected for a claim."""

    def watch(change: Change) -> None:
        new, old = change.new, change.old
        if isinstance(new, PersistentVolumeClaim) and SELECTED_NODE in new.metadata.annotations:
            if old is None or SELECTED_NODE not in old.metadata.annotations:
                world.at(world.now + delay, act, world, new)

    world.server.watch(PersistentVolumeClaim, watch)


def provide(world: World, made: PersistentVolumeClaim) -> None:
    pv = f"pvc-{made.name}"
    world.add(volume(pv))
    bind_claim(world, made.name, pv)


def test_1_wait_for_provisioning_in_steps_of_a_second():
    world = World(make_node("a"), make_node("b"))
    provisioner(world, 3.4, provide)
    world.add(storage_class(), claim(), make_pod("app", claims=["data"]))
    world.run(0.1)
    selected = world.server.get(PersistentVolumeClaim, "default", "data").metadata.annotations[SELECTED_NODE]
    world.run(3.9)
    assert world.node_of("app") == ""
    assert world.pod("app").status.nominated_node_name == selected
    world.run(6)
    assert world.node_of("app") == selected
    assert 4 < (world.scheduled_at("app") or 0) < 4.1
    assert world.pod("app").status.nominated_node_name == ""


def test_2_static_volume_is_reserved_by_the_scheduler_and_bound_by_the_controller():
    world = World(make_node("a"), make_node("b"), volumes=True)
    world.add(
        storage_class(provisioner="kubernetes.io/no-provisioner"), volume("on-b", node="b"), volume("big", size="2Gi")
    )
    world.run(0.5)
    world.add(claim(), make_pod("app", claims=["data"], nodeSelector={HOST: "b"}))
    world.run(5)
    pv = world.server.get(PersistentVolume, "", "on-b")
    assert pv.spec.claim_ref is not None
    assert pv.spec.claim_ref.name == "data"
    assert pv.status.phase == "Bound"
    assert world.node_of("app") == "b"
    assert 1.5 < (world.scheduled_at("app") or 0) < 1.6
    actors = [c.actor for _, c in world.server.history or () if c.new.key == ("", "on-b") and c.type == "MODIFIED"]
    assert "kube-scheduler" in actors


def test_3_provisioning_that_never_ends_times_out_and_pins_the_pod():
    world = World(make_node("a"), make_node("b"))
    world.add(storage_class(), claim())
    world.run(0.1)  # claims and pods are watched separately; the claim is to be there first
    world.add(make_pod("app", claims=["data"]))
    world.run(599)
    assert world.attempts("app") == []
    world.run(601)
    assert world.why("app") == (
        'running PreBind plugin "VolumeBinding": binding volumes: timed out waiting for the condition'
    )
    assert [c.reason for c in world.pod("app").status.conditions] == ["SchedulerError"]
    selected = world.server.get(PersistentVolumeClaim, "default", "data").metadata.annotations[SELECTED_NODE]
    world.cordon(selected)
    world.run(604)
    other = ({"a", "b"} - {selected}).pop()
    assert world.why("app").startswith(
        "0/2 nodes are available: 1 node(s) didn't find available persistent volumes to bind, "
        "1 node(s) were unschedulable."
    ), other


def test_3_a_shorter_bind_timeout():
    world = World(make_node("a"), settings=SchedulerSettings(bind_timeout_ns=5 * SECOND))
    world.add(storage_class(), claim())
    world.run(0.1)
    world.add(make_pod("app", claims=["data"]))
    world.run(6)
    assert len(world.attempts("app")) == 1


def test_4_provisioner_gives_up_and_the_pod_is_scheduled_again():
    world = World(make_node("a"), make_node("b"))

    def give_up(world: World, made: PersistentVolumeClaim) -> None:
        world.server.patch(PersistentVolumeClaim, "default", made.name, lambda c: with_meta(c, annotations={}))

    provisioner(world, 0.3, give_up)
    world.add(storage_class(), claim())
    world.run(0.1)
    world.add(make_pod("app", claims=["data"]))
    world.run(1.5)
    assert 'provisioning failed for PVC "data"' in world.why("app")
    assert 1.1 < world.attempts("app")[0] < 1.2
    world.run(4.1)
    second = world.attempts("app")[1]
    assert 4 < second < 4.1, "back-off until 2.1, cut to 2, flushed once that second is over, at 3; then a poll"


def test_5_unbound_immediate_claim_rejects_until_it_is_bound():
    world = World(make_node("a"))
    world.add(storage_class("now", mode="Immediate"), claim(cls="now"), make_pod("app", claims=["data"], priority=5))
    world.run(10)
    assert world.why("app") == (
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 nodes are "
        "available: 1 Preemption is not helpful for scheduling."
    )
    world.add(volume("pv", cls="now"))
    bind_claim(world, "data", "pv")
    world.run(10.1)
    assert world.node_of("app") == "a"


def test_6_half_bound_claim_rejects():
    world = World(make_node("a"))
    world.add(storage_class(), claim(volumeName="pv"), volume("pv"), make_pod("app", claims=["data"]))
    world.run(3)
    assert "unbound immediate PersistentVolumeClaims" in world.why("app")
    bind_claim(world, "data", "pv")
    world.run(3.1)
    assert world.node_of("app") == "a"


def test_7_claim_that_is_being_deleted_rejects():
    world = World(make_node("a"))
    world.add(storage_class())
    bound(world, "data", volume("pv"))
    hold = lambda c: with_meta(c, finalizers=("kubernetes.io/pvc-protection",))  # noqa: E731
    world.server.patch(PersistentVolumeClaim, "default", "data", hold)
    world.server.delete(PersistentVolumeClaim, "default", "data")
    world.run(1)
    world.add(make_pod("app", claims=["data"]))
    world.run(2)
    assert 'persistentvolumeclaim "data" is being deleted' in world.why("app")


def test_8_read_write_once_does_not_keep_pods_together():
    world = World(make_node("a", cpu="1"), make_node("b", cpu="1"))
    world.add(storage_class())
    bound(world, "data", volume("pv"))
    world.add(make_pod("x", cpu="1", claims=["data"]), make_pod("y", cpu="1", claims=["data"]))
    world.run(2)
    assert {world.node_of("x"), world.node_of("y")} == {"a", "b"}


@pytest.mark.parametrize("priority", [0, 10])
def test_9_read_write_once_pod_is_preempted_by_higher_priority_only(priority):
    world = World(make_node("a"), make_node("b"))
    world.add(storage_class())
    bound(world, "data", volume("pv"), mode="ReadWriteOncePod")
    world.add(make_pod("x", claims=["data"]))
    world.run(1)
    world.add(make_pod("y", claims=["data"], priority=priority))
    world.run(2)
    assert world.pod("x").deleting == (priority > 0)
    assert "ReadWriteOncePod" in world.why("y")
    world.delete("x", grace=0)
    world.run(2.1)
    assert world.node_of("y") != ""


def test_10_a_terminating_pod_keeps_its_read_write_once_pod_claim():
    world = World(make_node("a"))
    world.add(storage_class())
    bound(world, "data", volume("pv"), mode="ReadWriteOncePod")
    world.add(make_pod("x", claims=["data"]))
    world.run(1)
    world.delete("x")
    world.add(make_pod("y", claims=["data"]))
    world.run(31)
    assert world.node_of("y") == ""
    world.finish("x")
    world.run(31.1)
    assert world.node_of("y") == "a"


CAPACITY = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "CSIStorageCapacity",
    "metadata": {"name": "c", "namespace": "default"},
    "nodeTopology": {"matchLabels": {ZONE: "z"}},
    "storageClassName": "late",
    "capacity": "10Gi",
}
DRIVER = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "CSIDriver",
    "metadata": {"name": CSI},
    "spec": {"storageCapacity": True},
}


def test_11_capacity_is_checked_for_each_claim_alone():
    world = World(make_node("a", zone="z"))
    world.add(storage_class(), decode(DRIVER), decode(CAPACITY), claim("d1", size="6Gi"), claim("d2", size="6Gi"))
    world.run(0.1)
    world.add(make_pod("app", claims=["d1", "d2"]))
    world.run(1)
    assert world.attempts("app") == []
    for name in ("d1", "d2"):
        assert SELECTED_NODE in world.server.get(PersistentVolumeClaim, "default", name).metadata.annotations


def test_12_no_capacity_reported_yet():
    world = World(make_node("a", zone="z"), make_node("b", zone="y"))
    world.add(storage_class(), decode(DRIVER), claim(), make_pod("app", claims=["data"]))
    world.run(5)
    assert "2 node(s) did not have enough free storage" in world.why("app")
    world.add(decode(CAPACITY))
    world.run(5.1)
    made = world.server.get(PersistentVolumeClaim, "default", "data")
    assert made.metadata.annotations[SELECTED_NODE] == "a"


def csi_node(name: str, count: int) -> Any:
    driver = {"name": CSI, "nodeID": name, "allocatable": {"count": count}}
    meta = {"name": name}
    return decode(
        {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": meta, "spec": {"drivers": [driver]}}
    )


def csi_volume(name: str) -> Any:
    return volume(name, csi={"driver": CSI, "volumeHandle": name})


def test_13_a_shared_volume_counts_once():
    world = World(make_node("a"))
    world.add(storage_class(), csi_node("a", 2))
    for i in range(3):
        bound(world, f"d{i}", csi_volume(f"v{i}"))
    world.add(make_pod("x", claims=["d0"]), make_pod("y", claims=["d1"]))
    world.run(1)
    world.add(make_pod("shares", claims=["d0"]), make_pod("more", claims=["d2"]))
    world.run(2)
    assert world.node_of("shares") == "a"
    assert world.node_of("more") == ""
    assert "node(s) exceed max volume count" in world.why("more")
    world.delete("y", grace=0)
    world.run(2.1)
    assert world.node_of("more") == "a"


def test_14_an_attachment_keeps_its_place_until_it_is_gone():
    world = World(make_node("a"))
    world.add(storage_class(), csi_node("a", 1))
    for i in range(2):
        bound(world, f"d{i}", csi_volume(f"v{i}"))
    spec = {"attacher": CSI, "nodeName": "a", "source": {"persistentVolumeName": "v0"}}
    meta = {"name": "va"}
    world.add(decode({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": meta, "spec": spec}))
    world.run(1)
    world.add(make_pod("y", claims=["d1"]))
    world.run(5)
    assert world.node_of("y") == ""
    world.server.delete(VolumeAttachment, "", "va")
    world.run(5.1)
    assert world.node_of("y") == "a"


def test_15_local_volume_on_a_cordoned_node():
    world = World(make_node("a"), make_node("b"))
    world.add(storage_class())
    bound(world, "data", volume("pv", node="a"))
    world.cordon("a")
    world.run(1)
    world.add(make_pod("app", claims=["data"]))
    world.run(10)
    assert world.why("app") == (
        "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, "
        "1 node(s) were unschedulable. preemption: 0/2 nodes are available: "
        "2 Preemption is not helpful for scheduling."
    )
    world.cordon("a", False)
    world.run(10.05)
    assert world.node_of("app") == "a"


def test_16_volume_with_a_zone_label():
    world = World(make_node("here", zone="a"), make_node("there", zone="b"))
    world.add(storage_class())
    bound(world, "data", volume("pv", labels={ZONE: "a__c"}))
    world.add(make_pod("app", claims=["data"], nodeSelector={HOST: "there"}))
    world.run(1)
    assert "1 node(s) had no available volume zone" in world.why("app")
    world.add(make_node("nowhere", labels={"kubernetes.io/os": "linux"}, zone=""))
    world.run(2)
    world.add(make_pod("other", claims=["data"], nodeSelector={HOST: "nowhere"}))
    world.run(3)
    assert world.node_of("other") == "nowhere"


def test_17_only_the_return_of_a_claim_wakes_its_pod():
    world = World(make_node("a"))
    world.add(storage_class())
    bound(world, "data", volume("pv"))
    world.run(1)
    world.server.delete(PersistentVolumeClaim, "default", "data")
    world.run(2)
    world.add(make_pod("app", claims=["data"]))
    world.run(3)
    assert 'persistentvolumeclaim "data" not found' in world.why("app")
    world.add(volume("unrelated"))
    world.run(4)
    assert len(world.attempts("app")) == 1
    world.add(claim())
    world.run(5)
    assert world.server.get(PersistentVolumeClaim, "default", "data").metadata.annotations[SELECTED_NODE] == "a"


def test_18_a_busy_queue_waits_for_the_back_off():
    world = World(make_node("a"), make_node("full", cpu="0"))
    world.add(make_pod("x", nodeSelector={HOST: "a"}))
    world.run(0.5)
    world.cordon("a")
    world.run(1)
    world.add(make_pod("app", nodeSelector={HOST: "a"}))
    world.run(1.1)
    first = world.attempts("app")[0]
    world.cordon("a", False)
    world.run(3)
    assert first + 0.1 < (world.scheduled_at("app") or 0) < first + 0.15


def test_two_claims_of_a_pod_end_up_in_one_zone():
    """storage.md 2.8: one claim is bound in zone a, so the other is provisioned there."""
    world = World(make_node("n-a", zone="a"), make_node("n-b", zone="b"))
    world.add(storage_class())
    bound(world, "d1", volume("pv", zone="a"))
    world.add(claim("d2"), make_pod("app", claims=["d1", "d2"]))
    world.run(1)
    made = world.server.get(PersistentVolumeClaim, "default", "d2")
    assert made.metadata.annotations[SELECTED_NODE] == "n-a"


def test_conflict_with_the_set_controller_makes_an_error_back_off():
    """observed.md, Drain 7: somebody changes the claim between the decision and its write."""
    world = World(make_node("a"))
    provisioner(world, 0.05, provide)
    world.add(storage_class(), claim())
    world.run(1)
    world.add(make_pod("app", claims=["data"]))
    label = lambda c: with_meta(c, labels={"x": str(c.metadata.resource_version)})  # noqa: E731
    created = world.now
    for i in range(1, 30):
        world.at(created + i / 1000, world.server.patch, PersistentVolumeClaim, "default", "data", label)
    world.run(6)
    assert "the object has been modified" in world.why("app")
    assert created + 2 < (world.scheduled_at("app") or 0) < created + 4.1


def test_allowed_topologies_restrict_provisioning():
    terms = [{"matchLabelExpressions": [{"key": ZONE, "values": ["b"]}]}]
    world = World(make_node("n-a", zone="a"), make_node("n-b", zone="b"))
    world.add(storage_class(allowedTopologies=terms), claim(), make_pod("app", claims=["data"]))
    world.run(1)
    made = world.server.get(PersistentVolumeClaim, "default", "data")
    assert made.metadata.annotations[SELECTED_NODE] == "n-b"
    assert world.server.get(StorageClass, "", "late").allowed_topologies


def inline_disk(kind: str, read_only: bool) -> Volume:
    sources: dict[str, dict[str, Any]] = {
        "gcePersistentDisk": {"pdName": "disk"},
        "awsElasticBlockStore": {"volumeID": "disk"},
        "iscsi": {"iqn": "disk"},
        "rbd": {"monitors": ["m1", "m2"], "pool": "p", "image": "disk"},
    }
    return Volume(name="disk", extra={kind: {**sources[kind], "readOnly": read_only}})


@pytest.mark.parametrize("kind", ["gcePersistentDisk", "awsElasticBlockStore", "iscsi", "rbd"])
@pytest.mark.parametrize("read_only", [False, True])
def test_2_4_two_pods_with_one_inline_disk_are_not_on_one_node(kind: str, read_only: bool):
    world = World(make_node("n1"))
    for name in ("one", "two"):
        pod = make_pod(name)
        world.add(replace(pod, spec=replace(pod.spec, volumes=(inline_disk(kind, read_only),))))
    world.run(10)
    both = read_only and kind != "awsElasticBlockStore"
    assert sorted(bool(world.pod(name).spec.node_name) for name in ("one", "two")) == [both, True]
