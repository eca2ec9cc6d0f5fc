"""Eviction from tainted nodes (workloads 4.6, 4.13)."""

from __future__ import annotations

import pytest

from k8sim.api.core import Node, Pod, Taint, Toleration
from k8sim.api.pods import pod_condition
from k8sim.api.struct import replace
from k8sim.apiserver.admission import default_admission
from k8sim.controllers.tainteviction.control import seconds_to_stay
from k8sim.controllers.tainteviction.controller import TaintEvictionController
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager

MAINTENANCE = Taint(key="maintenance", value="yes", effect="NoExecute")
UNREACHABLE = Taint(key="node.kubernetes.io/unreachable", effect="NoExecute")


def tolerates(key: str = "maintenance", seconds: int | None = None, **more: str) -> Toleration:
    return Toleration(**{"key": key, "operator": "Exists", **more}, toleration_seconds=seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ((), 0),  # 4.13 (8)
        ((tolerates("other"),), 0),
        ((tolerates(),), None),
        ((tolerates(seconds=0),), 0),  # 4.13 (14)
        ((tolerates(seconds=-5),), 0),
        ((tolerates(seconds=30),), 30),
        ((tolerates(seconds=30), tolerates()), 30),  # the first match counts
        ((tolerates(), tolerates(seconds=30)), None),
        ((tolerates("", seconds=7),), 7),
        ((tolerates(operator="Equal", value="yes", seconds=9),), 9),
        ((tolerates(operator="", value="no"),), 0),
        ((tolerates(effect="NoSchedule"),), 0),
    ],
)
def test_how_long_a_pod_may_stay(tolerations: tuple[Toleration, ...], seconds: int | None) -> None:
    assert seconds_to_stay([MAINTENANCE], tolerations) == seconds


def test_the_least_of_several_taints_counts_and_one_that_is_not_tolerated_ends_it() -> None:
    both = (tolerates(seconds=30), tolerates(UNREACHABLE.key, 10))
    assert seconds_to_stay([MAINTENANCE, UNREACHABLE], both) == 10
    assert seconds_to_stay([MAINTENANCE, UNREACHABLE], both[:1]) == 0


# ---- the controller ---------------------------------------------------------------------------------------------


def world(*tolerations: Toleration) -> Manager:
    m = Manager(TaintEvictionController, admission=default_admission())
    for node in ("node-0", "node-1"):
        m.add_node(node)
    pod = make_pod(node="node-0", grace=20)
    m.add_pod(replace(pod, spec=replace(pod.spec, tolerations=tolerations)))
    return m


def taint(m: Manager, t: float, *taints: Taint) -> None:
    m.at(t, m.server.patch, Node, "", "node-0", lambda n: replace(n, spec=replace(n.spec, taints=taints)))


def deleted_at(m: Manager) -> list[float]:
    return [e[0] for e in m.events("Pod", "web-0", "Terminating")]


def cancelled(m: Manager) -> int:
    return sum("Cancelling" in e[3]["message"] for e in m.events("Event", event="TaintManagerEviction"))


def test_by_default_a_pod_stays_300_s_on_an_unreachable_node() -> None:  # 4.13 (7)
    m = world()
    taint(m, 5, UNREACHABLE)
    m.run(400)
    (t,) = deleted_at(m)
    assert 305 < t < 305.1
    pod = m.server.get(Pod, "default", "web-0")
    assert pod.metadata.deletion_grace_period_seconds == 20
    target = pod_condition(pod, "DisruptionTarget")
    assert target is not None
    assert target.reason == "DeletionByTaintManager"


def test_a_taint_that_is_not_tolerated_deletes_at_once() -> None:
    m = world()
    taint(m, 5, MAINTENANCE)
    m.run(10)
    (t,) = deleted_at(m)
    assert 5 < t < 5.1


def test_a_taint_removed_in_time_cancels_and_the_clock_starts_anew_with_the_next() -> None:  # 4.13 (9)
    m = world()
    taint(m, 5, UNREACHABLE)
    taint(m, 304)
    taint(m, 310, UNREACHABLE)
    m.run(600)
    assert deleted_at(m) == []
    assert cancelled(m) == 1
    m.run(700)
    (t,) = deleted_at(m)
    assert 610 < t < 610.1


def test_a_countdown_is_not_moved_by_another_taint_or_a_shorter_toleration() -> None:
    m = world(tolerates(seconds=30))
    taint(m, 5, MAINTENANCE)

    def shorten(p: Pod) -> Pod:
        return replace(p, spec=replace(p.spec, tolerations=(tolerates(seconds=10), *p.spec.tolerations[1:])))

    m.at(10, m.server.patch, Pod, "default", "web-0", shorten)
    taint(m, 12, MAINTENANCE, UNREACHABLE)
    m.run(60)
    (t,) = deleted_at(m)
    assert 35 < t < 35.1


def test_a_countdown_is_cut_short_by_a_taint_that_is_not_tolerated_and_not_by_one_that_is_for_no_time() -> None:
    m = world(tolerates(seconds=30), tolerates("brief", seconds=0))
    taint(m, 5, MAINTENANCE)
    taint(m, 10, MAINTENANCE, Taint(key="brief", effect="NoExecute"))
    m.run(20)
    assert deleted_at(m) == []
    taint(m, 21, MAINTENANCE, Taint(key="other", effect="NoExecute"))
    m.run(60)
    (t,) = deleted_at(m)
    assert 21 < t < 21.1


def test_a_pod_bound_to_a_tainted_node_counts_from_then() -> None:
    m = world(tolerates(seconds=30))
    taint(m, 1, MAINTENANCE)
    late = make_pod("late", node="node-0")
    m.at(20, m.add_pod, replace(late, spec=replace(late.spec, tolerations=(tolerates(seconds=30),))))
    m.run(60)
    (t,) = [e[0] for e in m.events("Pod", "late", "Terminating")]
    assert 50 < t < 50.1


def test_deleting_the_node_does_not_cancel() -> None:
    m = world(tolerates(seconds=30))
    taint(m, 5, MAINTENANCE)
    m.at(10, m.server.delete, Node, "", "node-0")
    m.run(60)
    assert len(deleted_at(m)) == 1


def test_a_pod_that_is_gone_is_forgotten() -> None:
    m = world(tolerates(seconds=30))
    taint(m, 5, MAINTENANCE)
    m.at(10, m.server.delete, Pod, "default", "web-0", grace_period_seconds=0)
    successor = make_pod(node="node-0")
    m.at(20, m.add_pod, replace(successor, spec=replace(successor.spec, tolerations=(tolerates(seconds=30),))))
    m.run(60)
    assert deleted_at(m)[-1] == pytest.approx(50, abs=0.1)


def test_a_successor_seen_on_another_node_before_the_predecessors_end_inherits_the_countdown() -> None:
    m = world(tolerates(seconds=30))
    taint(m, 5, MAINTENANCE)

    def replaced() -> None:  # the watch delivers both before the queue gets to the first
        m.server.delete(Pod, "default", "web-0", grace_period_seconds=0)
        m.add_pod(make_pod(node="node-1"))

    controller = m.controllers[0]

    def busy() -> None:  # no worker is free until the cache has both
        controller.queue.idle.clear()
        controller.queue._workers = 0

    m.at(9.9, busy)
    m.at(10, replaced)
    m.at(10.5, controller.start)
    m.run(60)
    assert deleted_at(m)[-1] == pytest.approx(35, abs=0.1)
