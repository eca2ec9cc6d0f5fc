"""The pod garbage collector (workloads 4.8, 4.13)."""

from __future__ import annotations

from k8sim.api.core import Node, Pod, Taint
from k8sim.api.meta import Condition, with_meta
from k8sim.api.pods import pod_condition
from k8sim.api.struct import Time, replace
from k8sim.controllers.podgc.control import excess_terminated, is_out_of_service
from k8sim.controllers.podgc.controller import PodGCController
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager, pod_status


def ended(name: str, created: int, reason: str = "") -> Pod:
    pod = with_meta(make_pod(name), creation_timestamp=Time(created))
    return replace(pod, status=replace(pod_status(phase="Failed"), reason=reason))


def test_evicted_pods_go_first_then_the_oldest_then_by_name() -> None:
    pods = [ended("c", 2), ended("b", 1), ended("a", 1), ended("e", 9, "Evicted"), make_pod("running")]
    assert [p.name for p in excess_terminated(pods, 1)] == ["e", "a", "b"]
    assert excess_terminated(pods, 4) == ()
    assert excess_terminated(pods, 0) == ()


def world(seed: int = 1) -> Manager:
    m = Manager(PodGCController, seed=seed)
    for node in ("node-0", "node-1"):
        m.add_node(node)
    m.add_pod(make_pod("lost", node="node-0"))
    m.add_pod(make_pod("other", node="node-1"))
    return m


def not_ready(m: Manager, name: str = "node-0") -> None:
    condition = Condition(type="Ready", status="Unknown", last_transition_time=Time(0))
    m.server.patch_status(Node, "", name, lambda n: replace(n, status=replace(n.status, conditions=(condition,))))


def out_of_service(m: Manager, name: str = "node-0") -> None:
    taint = Taint(key="node.kubernetes.io/out-of-service", value="nodeshutdown", effect="NoExecute")
    m.server.patch(Node, "", name, lambda n: replace(n, spec=replace(n.spec, taints=(taint,))))


def gone_at(m: Manager, name: str = "lost") -> float | None:
    return next((e[0] for e in m.events("Pod", name, "Deleted")), None)


def test_pods_of_a_deleted_node_go_40_to_80_s_later_and_are_failed_first() -> None:  # 4.13 (12)
    waits = []
    for seed in range(40):
        m = world(seed)
        m.at(10, m.server.delete, Node, "", "node-0")
        m.run(100)
        t = gone_at(m)
        assert t is not None
        waits.append(t - 10)
        row = m.events("Pod", "lost", "Phase")[-1]
        assert row[3]["phase"] == "Failed"
        assert gone_at(m, "other") is None
    assert 40 < min(waits) < 45
    assert 60 < max(waits) < 80.1  # the race at the end of the quarantine, lost


def test_the_pod_says_why_it_was_removed() -> None:
    m = world()
    m.at(10, m.server.patch, Pod, "default", "lost", lambda p: with_meta(p, finalizers=("example.com/hold",)))
    m.at(11, m.server.delete, Node, "", "node-0")
    m.run(100)
    target = pod_condition(m.server.get(Pod, "default", "lost"), "DisruptionTarget")
    assert target is not None
    assert target.reason == "DeletionByPodGC"


def test_a_node_that_is_back_within_the_quarantine_keeps_its_pods() -> None:
    m = world()
    m.at(10, m.server.delete, Node, "", "node-0")
    m.at(35, m.add_node, "node-0")
    m.run(200)
    assert gone_at(m) is None


def test_out_of_service_takes_terminating_pods_within_a_period_if_the_node_is_not_ready() -> None:  # 4.13 (13)
    m = world()
    m.at(10, not_ready, m)
    m.at(11, out_of_service, m)
    m.run(50)
    assert gone_at(m) is None  # not terminating
    m.at(50, m.server.delete, Pod, "default", "lost")
    m.run(71)
    assert gone_at(m) is not None


def test_out_of_service_counts_from_when_the_node_is_not_ready_whichever_comes_first() -> None:
    m = world()
    m.at(5, out_of_service, m)
    m.at(10, not_ready, m)  # a change of the status alone
    m.at(11, m.server.delete, Pod, "default", "lost")
    m.run(60)
    assert gone_at(m) is not None


def test_out_of_service_on_a_ready_node_means_nothing_here() -> None:
    m = world()
    m.at(11, out_of_service, m)
    m.at(12, m.server.delete, Pod, "default", "lost")
    m.run(60)
    assert gone_at(m) is None
    assert not is_out_of_service(m.server.get(Node, "", "node-0"))


def test_a_terminating_pod_without_a_node_goes() -> None:
    m = world()
    m.server.create(with_meta(make_pod("pending"), finalizers=("example.com/hold",)))
    m.at(5, m.server.delete, Pod, "default", "pending")
    m.at(30, m.server.patch, Pod, "default", "pending", lambda p: with_meta(p, finalizers=()))
    m.run(60)
    assert gone_at(m, "pending") is not None
    assert m.events("Pod", "pending", "Phase")[-1][3]["phase"] == "Failed"
