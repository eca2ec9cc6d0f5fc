"""The timelines of node.md 10 in whole clusters, and what node.md 4 and 5 say of StatefulSets on lost nodes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from k8sim.api.core import Pod
from k8sim.cluster import Cluster
from k8sim.scenario.loader import loads

SPEC = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: timeline}
spec:
  duration: %s
  nodes: [{name: node, count: %d}]
  images:
    "app:v1": {start: 200ms, ready: 1s, stop: 500ms}
    "app:v2": {pull: 20s, start: 200ms, ready: 1s, stop: 500ms}
    "deaf:*": {stop: never}
    "crash:*": {exit: {after: 1s, code: 1}}
  %s
  timeline:
    - {at: 0s, kubectl: get nodes}
%s
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/hostname: node-0}  # a second node keeps the cluster from being lost with this one
      containers:
        - {name: app, image: "%s", readinessProbe: {exec: {command: [check]}}}
"""

Seen = list[tuple[float, str, str, str, dict[str, Any]]]


def play(
    duration: str, *steps: str, image: str = "app:v1", spec: str = "", nodes: int = 1, replicas: int = 1, seed: int = 1
) -> tuple[Cluster, Seen]:
    timeline = "\n".join(f"    - {{{step}}}" for step in steps)
    cluster = Cluster(loads(SPEC % (duration, nodes, spec, timeline, replicas, image)), seed=seed)
    return cluster, [tuple(row) for row in cluster.run().public_trace()]


def times(seen: Seen, event: str, name: str = "web-0", kind: str = "Pod", **detail: Any) -> list[float]:
    return [
        t
        for t, k, n, e, d in seen
        if (k, n, e) == (kind, name, event) and all(d.get(key) == value for key, value in detail.items())
    ]


def endpoint(seen: Seen, **detail: Any) -> list[float]:
    return times(seen, "Endpoint", "web", "EndpointSlice", **detail)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_10_1_a_set_pod_deleted_on_a_healthy_node_is_back_in_3_to_8_s(seed: int):
    """The container's start and the application's 1 s are in it, the volume is not."""
    _, seen = play("90s", "at: 40s, kubectl: delete pod web-0 --wait=false", seed=seed)
    assert 0 < endpoint(seen, terminating=True)[0] - 40 < 0.2
    exited = times(seen, "Exited", inc=1)[0] - 40
    assert 0.5 <= exited <= 1.7
    gone = times(seen, "Deleted", inc=1)[0] - 40
    assert exited <= gone <= 3.5
    assert 0 < times(seen, "Created", inc=2)[0] - 40 - gone < 0.2
    back = times(seen, "Ready", inc=2)[0] - 40
    assert 2 <= back <= 13  # one triggered probe may come before the application's second is over: then a period more


def test_10_2_an_application_that_ignores_sigterm_takes_thirty_seconds_more():
    _, seen = play("120s", "at: 40s, kubectl: delete pod web-0 --wait=false", image="deaf:v1")
    assert times(seen, "Exited", inc=1, code=137)[0] - 40 == pytest.approx(30.5, abs=1)
    assert 30 <= times(seen, "Deleted", inc=1)[0] - 40 <= 33


def test_10_3_a_crash_loop_flaps_and_waits_longer_each_time():
    _, seen = play("150s", image="crash:v1")
    begun = times(seen, "Started")
    gaps = [b - a - 1 for a, b in itertools.pairwise(begun)]
    assert 0 <= gaps[0] <= 2.5
    for gap, (low, high) in zip(gaps[1:], ((10, 16), (20, 31), (40, 61)), strict=False):
        assert low <= gap <= high + 0.5
    assert len(times(seen, "Waiting", reason="CrashLoopBackOff")) >= 2


@pytest.mark.parametrize("seed", [1, 2])
def test_10_4_and_5_6_3_and_4_a_dead_node_leaves_its_set_pod_terminating_for_ever(seed: int):
    """Pods are marked 40 to 60 s after the loss of power, deleted 340 to 370 s after it, and then nothing happens."""
    cluster, seen = play("4h", "at: 100s, fault: node-crash, node: node-0", nodes=2, seed=seed)
    assert 40 <= times(seen, "Unknown", "node-0", "Node")[0] - 100 <= 60
    assert 340 <= times(seen, "Terminating")[0] - 100 <= 370
    assert not times(seen, "Deleted")
    assert cluster.server.get(Pod, "default", "web-0").deleting


def test_10_4_a_node_that_boots_lets_its_terminating_pod_go_and_its_successor_come():
    _, seen = play("30m", "at: 100s, fault: node-crash, node: node-0, for: 600s", nodes=2)
    assert 700 <= times(seen, "Deleted", inc=1)[0] <= 712
    assert times(seen, "Ready", inc=2)
    assert not times(seen, "Started", inc=1, restart=1)


def test_10_6_and_5_6_8_a_partition_of_two_minutes_restarts_nothing():
    _, seen = play("6m", "at: 100s, fault: node-partition, node: node-0, for: 120s")
    assert 40 <= times(seen, "Unknown", "node-0", "Node")[0] - 100 <= 60
    assert 40 <= times(seen, "NotReady")[0] - 100 <= 60
    assert 220 <= times(seen, "Ready", "node-0", "Node")[0] <= 236
    assert 220 <= times(seen, "Ready")[1] <= 236
    assert len(times(seen, "Started")) == 1


def test_10_7_an_update_that_pulls_for_twenty_seconds_keeps_its_pod_away_for_some_more():
    _, seen = play("150s", "at: 40s, kubectl: set image statefulset/web app=app:v2")
    gone, back = times(seen, "NotReady", inc=1), times(seen, "Ready", inc=2)
    assert 20 <= back[0] - (gone or times(seen, "Exited", inc=1))[0] <= 34


def test_5_6_2_a_kubelet_that_is_away_for_70_s_costs_readiness_and_no_restart():
    """The node is Unknown 40 to 60 s after the kubelet's end, its pods with it; both are back soon after its return."""
    _, seen = play("6m", "at: 100s, fault: kubelet-restart, node: node-0, for: 69s")
    assert 40 <= times(seen, "Unknown", "node-0", "Node")[0] - 100 <= 60
    assert 40 <= times(seen, "NotReady")[0] - 100 <= 60
    assert 170 <= times(seen, "Ready")[1] <= 187
    assert len(times(seen, "Started")) == 1


def test_5_6_1_a_kubelet_restart_of_20_s_is_not_noticed():
    _, seen = play("4m", "at: 100s, fault: kubelet-restart, node: node-0, for: 19s")
    assert not times(seen, "Unknown", "node-0", "Node")
    assert not times(seen, "NotReady")
    assert len(times(seen, "Started")) == 1


def test_4_12_14_an_evicted_set_pod_is_replaced_by_another():
    _, seen = play("3m", "at: 50s, fault: memory-pressure, node: node-0, evictions: 1, for: 20s", nodes=1)
    assert times(seen, "Phase", phase="Failed")
    assert times(seen, "Deleted", inc=1)
    assert times(seen, "Created", inc=2)


def test_4_12_10_a_forced_set_pod_overlaps_with_its_successor():
    cluster, seen = play("3m", "at: 50s, kubectl: delete pod web-0 --grace-period=0 --force", image="deaf:v1")
    started = [r.t / 1e9 for r in cluster.sim.trace if r.kind == "Container" and r.event == "Started"]
    ended = [r.t / 1e9 for r in cluster.sim.trace if r.kind == "Container" and r.event == "Exited"]
    assert times(seen, "Created", inc=2)[0] == pytest.approx(50, abs=0.5)
    assert 20 < ended[0] - started[1] < 32


def test_11_10_without_the_api_server_nothing_is_evicted_although_leases_lapse():
    _, seen = play("20m", "at: 100s, fault: apiserver-outage, for: 10m", nodes=2, replicas=2)
    assert not times(seen, "Terminating")
    assert not times(seen, "Terminating", "web-1")


PRESSURE = "at: 100s, fault: disk-pressure, node: node-0"


def rejections(seen: Seen) -> list[float]:
    """When the kubelet turned away a successor of the pod that it had evicted."""
    return [
        t for t, kind, _, event, detail in seen if (kind, event, detail.get("phase")) == ("Pod", "Phase", "Failed")
    ][1:]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_set_fights_a_kubelet_under_disk_pressure_until_the_node_is_tainted(seed: int):
    """Kubelets reject at once, report within 10 s; sets have no back-off (kubernetes/kubernetes#78416 and #89067)."""
    cluster, seen = play("2m", PRESSURE, seed=seed)
    [tainted] = times(seen, "Tainted", "node-0", "Node", key="node.kubernetes.io/disk-pressure")
    rejected = rejections(seen)
    assert tainted - 10 <= rejected[0]
    assert rejected[-1] <= tainted + 0.1
    pauses = [b - a for a, b in itertools.pairwise(rejected)]
    assert all(0.01 < pause < 0.1 for pause in pauses)
    assert not cluster.server.get(Pod, "default", "web-0").spec.node_name


def test_the_rate_limit_of_a_real_controller_manager_slows_that_fight_down():
    """Each round costs a set four requests: its pod's end and beginning, and two states of its status."""
    slow = "cluster: {kubeControllerManager: {kubeAPIQPS: 20}}"
    fast, limited = (rejections(play("2m", PRESSURE, spec=spec)[1]) for spec in ("", slow))
    assert len(limited) < len(fast)
    pauses = [b - a for a, b in itertools.pairwise(limited)]
    assert pauses[-1] == pytest.approx(0.2, abs=0.03)
