"""Classes, access modes and kinds of volumes in whole clusters: storage.md 5.7."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import yaml

from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.storage import StorageClass, VolumeAttachment
from k8sim.apiserver.errors import Forbidden
from k8sim.kubelet.eviction import PERIOD, VOLUME_STATS_PERIOD
from k8sim.kubelet.volumespecs import empty_dir_location
from k8sim.sim.units import SECOND
from tests.csi.scenes import Scene, scene
from tests.csi.test_growth import ask_for
from tests.storage.losspaths.scenes import pod, world

MIB = 2**20
GIB = 2**30


def static(source: str, modes: str, mode: str = "Filesystem") -> str:
    """A volume and the claim `data` that is bound to it."""
    spec = f"accessModes: [{modes}], volumeMode: {mode}, storageClassName: ''"
    return f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: vol}}
spec: {{capacity: {{storage: 10Gi}}, {spec}, {source}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{{spec}, resources: {{requests: {{storage: 10Gi}}}}}}
"""


def phase(told: Scene, name: str) -> str:
    return told.server.get(Pod, "default", name).status.phase


def test_3_a_deleted_class_leaves_bound_claims_working_and_forbids_growth() -> None:
    told = scene("at: 60s, kubectl: delete storageclass fast", "at: 70s, kubectl: delete pod web-0").run(200)
    assert told.server.find(StorageClass, "", "fast") is None
    assert phase(told, "web-0") == "Running"
    with pytest.raises(Forbidden, match="only dynamically provisioned pvc can be resized"):
        ask_for(told, "20Gi")


def test_4_kubernetes_itself_lets_a_pod_write_to_a_read_only_many_claim() -> None:
    told = world(static("csi: {driver: rbd.csi.ceph.com, volumeHandle: image}", "ReadOnlyMany"), pod()).run(60)
    assert phase(told, "app") == "Running"
    (mount,) = [m for m in told.pod("app").spec.containers[0].volume_mounts if m.name == "data"]
    assert not mount.read_only
    assert told.storage.write("image", 10, told.node_of("app")) == 10


def test_5_many_pods_share_a_file_server_without_attachments() -> None:
    names = ("one", "two", "three")
    told = world(static("nfs: {server: s, path: /d}", "ReadWriteMany"), *(pod(n) for n in names)).run(60)
    assert {phase(told, name) for name in names} == {"Running"}
    assert told.server.list(VolumeAttachment) == []


@pytest.mark.parametrize("mode", ["Block", "Filesystem"])
def test_6_a_raw_volume_that_is_mounted_as_files_keeps_its_pod_waiting(mode: str) -> None:
    told = world(static("csi: {driver: rbd.csi.ceph.com, volumeHandle: image}", "ReadWriteOnce", mode), pod()).run(200)
    assert phase(told, "app") == ("Pending" if mode == "Block" else "Running")
    assert told.happened("Event", "app", "FailedMount") is (mode == "Block")


def test_6_the_kubelet_says_at_once_and_at_each_sync_what_is_wrong_with_a_claim() -> None:
    """storage.md 3.5: what the populator stumbles over ends the wait; the pod is synced again after 10 to 15 s."""
    image = static("csi: {driver: rbd.csi.ceph.com, volumeHandle: image}", "ReadWriteOnce", "Block")
    told = world(image, pod()).run(200)
    times = [r.t / SECOND for r in told.rows("Event", "app", "FailedMount")]
    assert times[0] - told.when("Pod", "app", "Scheduled") < 1
    assert all(10 <= b - a <= 16.5 for a, b in pairwise(times))
    assert len(times) > 10


def scratch(limit: str, medium: str = "", steps: tuple[str, ...] = ()) -> tuple[Scene, str]:
    """A pod with a limited emptyDir, and where that is."""
    volumes = f"[{{name: scratch, emptyDir: {{sizeLimit: {limit}, medium: '{medium}'}}}}]"
    told = world(pod(volumes=volumes, mounts="volumeMounts: [{name: scratch, mountPath: /data}]"), steps=steps).run(60)
    return told, empty_dir_location(told.node_of("app"), told.pod("app"), "scratch")


@pytest.mark.parametrize(("image", "left"), [("registry.k8s.io/job:v1", 0), ("app:v1", 10)])
def test_8_what_a_finished_pod_left_in_an_empty_dir_is_gone_although_its_object_is_there(image: str, left: int) -> None:
    mounts = "volumeMounts: [{name: scratch, mountPath: /data}]"
    manifest = pod(volumes="[{name: scratch, emptyDir: {}}]", mounts=mounts, more="  restartPolicy: Never")
    told = world(manifest.replace("app:v1", image)).run(4)
    place = empty_dir_location(told.node_of("app"), told.pod("app"), "scratch")
    told.storage.write(place, 10, told.node_of("app"))
    told.run(60)
    assert phase(told, "app") == ("Running" if left else "Succeeded")
    assert told.storage.disk(place).held == left


@pytest.mark.parametrize("over", [0, 1])
def test_9_a_pod_is_evicted_up_to_70_s_after_its_volume_has_crossed_the_limit(over: int) -> None:
    told, place = scratch("1Gi")
    assert told.storage.write(place, GIB + over, told.node_of("app")) == GIB + over  # nothing prevents it
    told.run(60 + (VOLUME_STATS_PERIOD + PERIOD) / SECOND + 3)
    status = told.pod("app").status
    assert (status.phase, status.reason) == (("Failed", "Evicted") if over else ("Running", ""))
    assert told.storage.disk(place).held == (0 if over else GIB)  # 7: gone, although the object is there


def test_9_a_kubelet_that_is_away_evicts_nothing() -> None:
    told, place = scratch("1Gi", steps=("at: 61s, fault: kubelet-restart, node: node-0, for: 300s",))
    told.run(70)
    told.storage.write(place, GIB + 1, "node-0")
    told.run(360)
    assert not [row for row in told.cluster.sim.trace if row.event == "Evicted"]


@pytest.mark.parametrize(("asked", "node"), [("9Gi", "node-0"), ("10Gi", "")])
def test_use_above_the_request_does_not_hinder_scheduling(asked: str, node: str) -> None:
    """node.md 8.6: a pod writes 9 GiB to an emptyDir and has asked for 1 GiB of the node's 10; 9 are free to give."""

    def asking(name: str, amount: str) -> str:
        mounts = f"resources: {{requests: {{ephemeral-storage: {amount}}}}}, volumeMounts: [{{name: s, mountPath: /s}}]"
        return pod(name, volumes="[{name: s, emptyDir: {}}]", mounts=mounts)

    late = json.dumps(yaml.safe_load(asking("late", asked)))
    nodes = "nodes: [{name: node, count: 1, capacity: {ephemeral-storage: 10Gi}}]"
    told = world(asking("app", "1Gi"), nodes=nodes, steps=(f"at: 100s, apply: {late}",)).run(60)
    place = empty_dir_location("node-0", told.pod("app"), "s")
    assert told.storage.write(place, 9 * GIB, "node-0") == 9 * GIB
    told.run(200)
    assert told.node_of("late") == node


def test_10_a_volume_in_memory_takes_no_more_than_its_limit_and_nobody_is_evicted() -> None:
    told, place = scratch("64Mi", "Memory")
    assert told.storage.write(place, 65 * MIB, told.node_of("app")) == 64 * MIB
    told.run(200)
    assert phase(told, "app") == "Running"


AT_NODE_1 = "{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node-1]}]}"
PINNED = f"nodeAffinity: {{required: {{nodeSelectorTerms: [{AT_NODE_1}]}}}}"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (f"local: {{path: /mnt/d}}, {PINNED}", 'path "/mnt/d" does not exist'),
        ("nfs: {server: s, path: /d}", "mounting s:/d: No such file or directory"),
        ("hostPath: {path: /d}", ""),
    ],
)
def test_13_a_volume_whose_directory_is_not_there_is_mounted_again_and_again_in_vain(source: str, problem: str) -> None:
    """A hostPath is made where it is missing."""
    late = json.dumps(yaml.safe_load(pod()))
    steps = ("at: 10s, fault: disk-loss, claim: data", f"at: 20s, apply: {late}")
    told = world(static(source, "ReadWriteOnce"), steps=steps).run(1200)
    assert phase(told, "app") == ("Pending" if problem else "Running")
    assert told.server.get(Pod, "default", "app").spec.node_name
    failures = [r for r in told.rows("Event", "app", "FailedMount") if "SetUp failed" in str(r.detail["message"])]
    assert all(problem in str(r.detail["message"]) for r in failures)
    pauses = [round((b.t - a.t) / SECOND) for a, b in pairwise(failures)]
    assert pauses[2:10] == ([2, 4, 8, 16, 32, 64, 122, 122] if problem else [])  # storage.md 4.4


@pytest.mark.parametrize("source", ["rbd: {monitors: [m], image: i}", "glusterfs: {endpoints: e, path: p}"])
def test_16_a_plug_in_that_is_gone_is_an_error_at_the_mount(source: str) -> None:
    told = world(static(source, "ReadWriteOnce"), pod()).run(60)
    assert phase(told, "app") == "Pending"
    assert told.server.get(PersistentVolumeClaim, "default", "data").status.phase == "Bound"
    messages = [str(r.detail["message"]) for r in told.rows("Event", "app", "FailedMount")]
    assert any("no volume plugin matched" in message for message in messages)
