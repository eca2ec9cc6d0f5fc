"""Attached volumes in whole clusters: storage.md 3.8 and 3.10."""

from __future__ import annotations

from itertools import pairwise

import pytest

from k8sim.api.core import Node
from k8sim.api.storage import VolumeAttachment
from tests.csi.scenes import scene

GRACE_OF_NODES = 60
SIX_MINUTES = 360


def crash_of(web_0_node: str, *more: str, seed: int = 1) -> tuple[str, ...]:
    return (f"at: 100s, fault: node-crash, node: {web_0_node}", *more)


def node_of_web_0(seed: int = 1) -> str:
    return scene(seed=seed).run(60).node_of()


def test_3_8_a_pod_on_healthy_nodes_moves_in_less_than_a_minute() -> None:
    node = node_of_web_0()
    moved = scene(f"at: 60s, kubectl: cordon {node}", "at: 61s, kubectl: delete pod web-0 --wait=false").run(150)
    assert moved.node_of() != node
    assert 5 < moved.when("Pod", "web-0", "Ready", 62) - 61 < 60


def test_10_the_old_pod_is_gone_before_its_attachment_is_deleted() -> None:
    node = node_of_web_0()
    moved = scene(f"at: 60s, kubectl: cordon {node}", "at: 61s, kubectl: delete pod web-0 --wait=false").run(150)
    gone = moved.when("Pod", "web-0", "Deleted")
    detaching = moved.when("Volume", "", "Detaching", node=node)
    detached = moved.when("Volume", "", "Detached", node=node)
    assert gone < detaching < detached < moved.when("Volume", "", "Attached", detached)
    assert detaching - gone < 10.5, "the node status says within 10 s that the volume is free"
    assert len([r for r in moved.rows("Event", "web-0", "FailedAttachVolume") if r.detail["type"] == "Warning"]) == 1


@pytest.mark.parametrize("seed", range(5))
def test_11_the_first_start_waits_for_the_node_status(seed: int) -> None:
    started = scene(seed=seed, latencies="volumeAttach: 100ms, volumeStage: 100ms, volumeCreate: 100ms").run(60)
    scheduled = started.when("Pod", "web-0", "Scheduled")
    assert started.when("Pod", "web-0", "Started") - scheduled < 12


def test_11b_this_wait_is_spread_over_ten_seconds() -> None:
    latencies = "volumeAttach: 100ms, volumeStage: 100ms, volumeCreate: 100ms"
    waits = []
    for seed in range(20):
        started = scene(seed=seed, latencies=latencies).run(60)
        waits.append(started.when("Pod", "web-0", "Started") - started.when("Pod", "web-0", "Scheduled"))
    assert min(waits) < 4
    assert max(waits) > 8


def test_3_8_without_an_operator_a_dead_nodes_volume_stays_there() -> None:
    node = node_of_web_0()
    dead = scene(*crash_of(node), duration=3000).run(3000)
    assert dead.pod().deleting
    assert not dead.happened("Volume", "", "Detaching", 100)


def test_5_after_a_force_delete_it_takes_six_minutes() -> None:
    node = node_of_web_0()
    forced = "at: 200s, kubectl: delete pod web-0 --force --grace-period=0"
    dead = scene(*crash_of(node, forced), duration=1200).run(1200)
    assert dead.when("Volume", "", "Detaching", forced="timeout") == pytest.approx(200 + SIX_MINUTES, abs=0.5)
    ready = dead.when("Pod", "web-0", "Ready", 200)
    # Detach and attach take some seconds; the kubelet looks for the attachment at 0.5 s x 2^n, at most every 122 s.
    assert 200 + SIX_MINUTES < ready < 200 + SIX_MINUTES + 150
    assert dead.node_of() != node


def test_7_an_out_of_service_taint_takes_about_half_a_minute() -> None:
    node = node_of_web_0()
    taint = f"at: 200s, kubectl: taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    dead = scene(*crash_of(node, taint)).run(400)
    deleted = dead.when("Pod", "web-0", "Deleted", 200)
    assert deleted - 200 < 25
    detaching = dead.when("Volume", "", "Detaching", forced="out-of-service")
    assert detaching - deleted < 0.3
    assert dead.when("Pod", "web-0", "Ready", deleted) - deleted < 60


def test_9_after_the_node_object_is_deleted_pods_go_first_and_the_volume_six_minutes_later() -> None:
    node = node_of_web_0()
    dead = scene(*crash_of(node, f"at: 200s, kubectl: delete node {node}"), duration=1200).run(1200)
    deleted = dead.when("Pod", "web-0", "Deleted", 200)
    assert 40 < deleted - 200 < 75
    assert dead.when("Volume", "", "Detaching", forced="timeout") - deleted == pytest.approx(SIX_MINUTES, abs=0.5)


def test_3_8_a_node_that_returns_before_the_detach_gives_the_volume_back_itself() -> None:
    node = node_of_web_0()
    back = scene(
        f"at: 100s, fault: node-crash, node: {node}, for: 130s",
        "at: 200s, kubectl: delete pod web-0 --force --grace-period=0",
    ).run(500)
    assert back.when("Volume", "", "Detaching", forced="") < 300


def test_16_restarts_of_a_container_touch_no_volume() -> None:
    looping = scene(
        *(f"at: {t}s, fault: container-exit, pod: web-0, container: app, code: 1" for t in (60, 120, 200))
    ).run(300)
    assert len(looping.rows("Pod", "web-0", "Exited")) == 3
    assert len(looping.rows("Volume", "", "Attached")) == 1
    assert not looping.rows("Volume", "", "Detached")


@pytest.mark.parametrize(("policy", "walks"), [("", 2), ("fsGroupChangePolicy: OnRootMismatch, ", 1)])
def test_17_group_ownership_costs_a_walk_at_every_start_of_a_pod(policy: str, walks: int) -> None:
    started = scene(
        "at: 400s, kubectl: delete pod web-0",
        security=f"securityContext: {{{policy}fsGroup: 2000}}",
        latencies="volumeOwnershipWalk: 250s",
    ).run(1000)
    warnings = started.rows("Event", "web-0", "VolumePermissionChangeInProgress")
    assert len(warnings) == 4 * walks  # at 30, 90, 150 and 210 s
    first = started.when("Pod", "web-0", "Started")
    assert 250 < first < 280
    second = started.when("Pod", "web-0", "Started", 401)
    assert (second - 400 > 250) == (walks == 2)


@pytest.mark.parametrize(("policy", "walks"), [("ReadWriteOnceWithFSType", True), ("File", True), ("None", False)])
def test_3_7_the_drivers_policy_decides_whether_the_group_is_set(policy: str, walks: bool) -> None:
    slow = scene(
        latencies="volumeOwnershipWalk: 40s",
        security="securityContext: {fsGroup: 1000}",
        cluster=f"cluster: {{storageDrivers: [{{name: ebs.csi.aws.com, fsGroupPolicy: {policy}}}]}}",
    ).run(100)
    assert (slow.when("Pod", "web-0", "Started") > 40) is walks
    assert slow.happened("Event", "web-0", "VolumePermissionChangeInProgress") is walks


def test_18_a_failing_mount_is_tried_at_half_a_second_and_twice_that() -> None:
    failing = scene(latencies="volumeStage: 1ms")
    failing.storage.fail_calls(frozenset({"volumeStage"}), "Internal", until_ns=100 * 10**9)
    failing.run(250)
    times = [r.t / 1e9 for r in failing.rows("Event", "web-0", "FailedMount") if "SetUp" in r.detail["message"]]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[:6] == pytest.approx([0.5, 1, 2, 4, 8, 16], abs=0.1)
    assert failing.pod().status.phase == "Running"


def test_20_two_pods_of_one_node_stage_the_volume_once() -> None:
    shared = scene(nodes=1)
    shared.run(60)
    node = shared.server.get(Node, "", "node-0")
    assert len(node.status.volumes_in_use) == 1
    assert [v.name for v in node.status.volumes_attached] == list(node.status.volumes_in_use)


def test_self_check_no_container_starts_before_its_volume_is_attached() -> None:
    for seed in range(5):
        started = scene(replicas=3, seed=seed).run(200)
        for i in range(3):
            volume = started.volume(f"data-web-{i}").name
            attached = started.when("Volume", volume, "Attached")
            assert attached < started.when("Pod", f"web-{i}", "Started")
        assert all(a.status.attached for a in started.server.list(VolumeAttachment))


def test_nothing_of_storage_ticks_in_a_settled_cluster() -> None:
    settled = scene(duration=100_000).run(1000)
    before = settled.cluster.sim.clock.events_scheduled
    settled.run(10_000)
    assert settled.cluster.sim.clock.events_scheduled - before < 20
