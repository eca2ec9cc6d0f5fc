"""A container runtime that does not answer: what goes on, what waits, what the node says (node.md 0.2, 2.9, 5.3)."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import Node
from k8sim.api.meta import Condition, condition_of
from k8sim.cluster import Cluster
from k8sim.kubelet.runtimestate import end_of_pauses
from k8sim.scenario.loader import loads
from k8sim.sim.units import MILLISECOND, SECOND
from tests.kubelet.bench import READY, Bench, image

HTTP: dict[str, Any] = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}


def outage(bench: Bench, begin: float = 20, end: float = 80) -> Bench:
    bench.at(begin, bench.machine.stop_runtime)
    bench.at(end, bench.machine.start_runtime)
    return bench


def node_ready(bench: Bench) -> Condition:
    found = condition_of(bench.server.get(Node, "", "node").status.conditions, "Ready")
    assert found is not None
    return found


def rows(bench: Bench, event: str, name: str = "app") -> list[float]:
    return [r.t / SECOND for r in bench.rows("Container", name) if r.event == event]


def test_the_sync_loop_pauses_longer_each_time_and_five_seconds_at_most():
    began = 7 * SECOND
    looks = [end_of_pauses(began, began + 1 + int(s * SECOND)) - began for s in (0, 0.1, 0.3, 3.1, 6.3, 11.3)]
    assert looks == [ms * MILLISECOND for ms in (100, 300, 700, 6300, 11300, 16300)]


def test_containers_go_on_and_the_pod_stays_ready():
    bench = Bench(image(ready=1, stop=1))
    bench.pod("app", {"readinessProbe": READY, "livenessProbe": {**HTTP, "failureThreshold": 1}})
    outage(bench).run(100)
    assert len(rows(bench, "Started")) == 1
    assert bench.times("NotReady") == []


def test_the_node_is_not_ready_30_s_after_the_last_check_and_soon_ready_again():
    bench = outage(Bench(image()))
    bench.run(80)
    assert node_ready(bench).reason == "KubeletNotReady"
    assert node_ready(bench).message == "container runtime is down"
    assert 45 <= (node_ready(bench).last_transition_time or 0) / SECOND <= 60  # 25 to 30 s, and up to 10 s
    bench.run(100)
    assert node_ready(bench).status == "True"


def test_after_three_minutes_the_pleg_is_not_healthy_either():
    bench = outage(Bench(image()), 20, 260)
    bench.run(190)
    since = node_ready(bench).last_transition_time
    assert "PLEG" not in node_ready(bench).message
    bench.run(215)
    assert "PLEG is not healthy" in node_ready(bench).message
    assert node_ready(bench).last_transition_time == since  # it moves with the status only
    bench.run(280)
    assert node_ready(bench).status == "True"


def test_a_runtime_that_comes_back_for_a_moment_has_not_been_looked_at():
    bench = outage(outage(Bench(image()), 20, 50), 50.01, 90)
    bench.pod("app")
    bench.run(60)
    process = bench.kubelet.process
    assert process is not None
    uid = bench.stored().uid
    assert process.pleg.newer_than(uid, 18 * SECOND) is None
    assert process.pleg.newer_than(uid, 25 * SECOND) is not None


def test_a_short_outage_is_not_noticed():
    bench = outage(Bench(image()), 20, 44)
    bench.pod("app")
    bench.run(70)
    node = bench.server.get(Node, "", "node")
    assert condition_of(node.status.conditions, "Ready") is None  # nothing has been said


def test_what_exits_is_seen_and_restarted_afterwards():
    bench = outage(Bench(image(stop=1)))
    bench.pod("app")
    bench.exit_at(30)
    bench.run(79)
    assert len(rows(bench, "Started")) == 1
    assert bench.stored().status.container_statuses[0].state.running is not None
    bench.run(100)
    assert 80 <= rows(bench, "Started")[1] <= 91
    assert bench.stored().status.container_statuses[0].restart_count == 1


def test_a_new_pod_waits_for_the_runtime():
    bench = outage(Bench(image()))
    bench.pod_at(25)
    bench.run(79)
    assert "FailedCreatePodSandBox" in [r.event for r in bench.rows("Event", "app")]
    assert not rows(bench, "Started")
    bench.run(110)
    assert 80 <= rows(bench, "Started")[0] <= 105


def test_a_pod_that_comes_while_the_sync_loop_pauses_is_not_taken_in_yet():
    bench = outage(Bench(image()))
    bench.pod_at(70)
    bench.run(79)
    assert not bench.rows("Event", "app")
    bench.run(95)
    assert 80 <= rows(bench, "Started")[0] <= 91


def test_a_deletion_waits_for_the_runtime_and_has_its_whole_grace_then():
    bench = outage(Bench(image(stop=None)))
    bench.pod("app", terminationGracePeriodSeconds=10)
    bench.delete_at(60)
    bench.run(79)
    assert bench.get() is not None
    assert not rows(bench, "SIGTERM")
    bench.run(120)
    (term,), (ended,) = rows(bench, "SIGTERM"), rows(bench, "Exited")
    assert 80 <= term <= 91
    assert ended == pytest.approx(term + 10, abs=0.1)
    assert bench.get() is None


def test_a_stop_under_way_loses_its_sigkill_and_begins_again():
    """SIGTERM was sent, and who would have sent SIGKILL is gone."""
    bench = outage(Bench(image(stop=None)), 10, 30)
    bench.pod("app", {"name": "a"}, {"name": "b"}, terminationGracePeriodSeconds=10)
    bench.delete_at(5)
    bench.run(29)
    assert not rows(bench, "Exited")
    bench.run(70)
    assert len(rows(bench, "SIGTERM")) == 2
    assert all(40 <= t <= 57 for t in rows(bench, "Exited"))
    assert bench.get() is None


def test_an_exec_probe_counts_for_nothing_and_an_http_probe_as_ever():
    """node.md 2.9.11: neither readiness nor liveness changes; requests over the network need no runtime."""
    bench = outage(Bench(image(ready=1, stop=1)), 20, 44)
    bench.pod("exec", {"readinessProbe": {**READY, "failureThreshold": 1}})
    bench.pod("http", {"readinessProbe": {**HTTP, "failureThreshold": 1}})
    for name in ("exec", "http"):
        bench.at(25, lambda name=name: bench.machine.set_unready(("default", name), 60 * SECOND))
    bench.run(43)
    assert bench.times("NotReady", "exec") == []
    assert len(bench.times("NotReady", "http")) == 1
    bench.run(50)
    assert len(bench.times("NotReady", "exec")) == 1


def test_a_kubelet_that_starts_without_a_runtime_is_not_ready_and_waits():
    bench = outage(Bench(image(stop=1)), 20, 120)
    bench.pod("app")
    bench.at(30, bench.machine.restart_kubelet)
    bench.exit_at(60)
    bench.run(119)
    assert node_ready(bench).status == "False"
    assert len(rows(bench, "Started")) == 1
    bench.run(140)
    assert node_ready(bench).status == "True"
    assert 120 <= rows(bench, "Started")[1] <= 136


def test_orphans_are_killed_when_there_is_a_runtime_again():
    bench = outage(Bench(image(stop=1)), 20, 60)
    bench.pod("app")
    bench.at(30, bench.machine.restart_kubelet)
    bench.at(30.01, lambda: bench.server.delete(type(bench.stored()), "default", "app", grace_period_seconds=0))
    bench.run(59)
    assert bench.machine.pods()
    bench.run(80)
    assert not bench.machine.pods()


def test_a_machine_that_boots_without_a_runtime_runs_nothing():
    bench = outage(Bench(image(stop=1)), 20, 60)
    bench.pod("app")
    bench.at(25, bench.machine.crash)
    bench.at(30, bench.machine.boot_up)
    bench.run(59)
    assert len(rows(bench, "Started")) == 1
    bench.run(90)
    assert 60 <= rows(bench, "Started")[1] <= 76


def test_in_a_cluster_its_node_is_tainted_at_once_and_its_pods_go_when_it_is_back():
    text = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: runtime}
spec:
  duration: 12m
  nodes: [{name: node, count: 3}]
  images: {"*": {start: 200ms, ready: 1s, stop: 1s}}
  timeline: [{at: 60s, fault: runtime-outage, node: node-0, for: 400s}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "app:v1"}]}
"""
    result = Cluster(loads(text), seed=1).run()
    events = [(r.t / SECOND, r.kind, r.event, r.detail) for r in result.log]
    not_ready = next(t for t, kind, event, _ in events if (kind, event) == ("Node", "NotReady"))
    assert 85 <= not_ready <= 100.1
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}
    tainted = next(t for t, kind, event, detail in events if (kind, event, detail) == ("Node", "Tainted", taint))
    assert tainted <= not_ready + 5.5
    leaves = next(t for t, kind, event, _ in events if (kind, event) == ("Pod", "Terminating"))
    assert leaves == pytest.approx(tainted + 300, abs=1)
    gone = next(t for t, kind, event, _ in events if (kind, event) == ("Pod", "Deleted"))
    assert 460 < gone < 475
