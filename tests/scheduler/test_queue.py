"""The scheduling queue (node.md 7.1, storage.md 2.7). Times are ns since a whole second of the wall clock."""

from typing import Any

import pytest

from k8sim.api.core import Pod
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from k8sim.scheduler.framework import ASSIGNED_POD_DELETE, NODE_ADD, POD_GATES_ELIMINATED, POD_LABEL
from k8sim.scheduler.profile import interested_in
from k8sim.scheduler.queue import QueuedPod, SchedulingQueue
from tests.scheduler.world import make_pod

S = 1_000_000_000
MS = 1_000_000


def yes(pod: Pod, old: Any, new: Any) -> bool:
    return True


def no(pod: Pod, old: Any, new: Any) -> bool:
    return False


HINTS = {"Fit": {ASSIGNED_POD_DELETE: yes, NODE_ADD: yes}, "Spread": {NODE_ADD: no}}


def queue(**options: Any) -> SchedulingQueue:
    return SchedulingQueue(interested_in(HINTS), **options)


def pod(name: str, priority: int = 0, gates: tuple[str, ...] = ()) -> Pod:
    made = make_pod(name, priority=priority, schedulingGates=[{"name": g} for g in gates])
    return with_meta(made, uid=name, namespace="default")


def pop(q: SchedulingQueue, now: int = 0) -> QueuedPod:
    queued = q.pop(now)
    assert queued is not None
    return queued


def failed(q: SchedulingQueue, name: str, now: int, *plugins: str) -> QueuedPod:
    """Try a pod once, in vain."""
    if q.get(name) is None:
        q.add(pod(name), now)
    queued = pop(q, now)
    q.fail(queued, plugins, now)
    return queued


def test_by_priority_then_by_time_then_by_name():
    q = queue()
    for name, priority, t in (("b", 0, 1), ("late", 0, 5), ("a", 0, 1), ("urgent", 7, 9)):
        q.add(pod(name, priority), t)
    assert [pop(q).pod.name for _ in range(4)] == ["urgent", "a", "b", "late"]
    assert q.pop(0) is None


def test_unschedulable_pod_waits_for_an_event_of_its_plugins():
    q = queue()
    failed(q, "x", 0, "Spread")
    assert q.place("x") == "unschedulable"
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0)  # registered by another plug-in
    q.move_all(NODE_ADD, None, None, 0)  # registered, but the hint says no
    assert q.place("x") == "unschedulable"
    failed(q, "y", 0, "Fit")
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0)
    assert (q.place("x"), q.place("y")) == ("unschedulable", "backoff")


def test_event_of_a_pod_in_flight_is_weighed_when_it_comes_back():
    q = queue()
    q.add(pod("x"), 0)
    queued = pop(q)
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0, cause=42)
    q.fail(queued, ("Fit",), 0)
    assert q.place("x") == "backoff"
    assert queued.cause == 42
    q.add(pod("y"), 0)
    other = pop(q)
    assert other.pod.name == "y"
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0)
    q.fail(other, ("Spread",), 0)
    assert q.place("y") == "unschedulable"


def test_idle_scheduler_takes_from_the_backoff_queue():
    q = queue()
    failed(q, "x", 0, "Fit")
    q.move_all(NODE_ADD, None, None, 200 * MS)
    assert q.place("x") == "backoff"
    assert pop(q, 200 * MS).pod.name == "x"


def test_busy_scheduler_waits_for_the_back_off():
    q = queue()
    failed(q, "x", 0, "Fit")
    q.move_all(NODE_ADD, None, None, 200 * MS)
    q.add(pod("y"), 200 * MS)
    assert pop(q, 200 * MS).pod.name == "y"


def test_error_back_off_is_never_cut_short():
    q = queue()
    failed(q, "x", 300 * MS)
    assert q.place("x") == "error"
    assert q.pop(2 * S) is None
    assert q.next_flush(0) == 2 * S
    q.flush(2 * S)
    assert pop(q).pod.name == "x"


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10), (40, 10)])
def test_back_off_doubles_up_to_ten_seconds_and_ends_at_a_whole_second(attempt, seconds):
    q = queue()
    queued = QueuedPod(pod("x"), 0)
    queued.failures, queued.since = attempt, 700 * MS
    assert q.backoff_until(queued) == seconds * S
    queued = QueuedPod(pod("x"), 0)
    queued.failures, queued.errors, queued.since = 9, attempt, 700 * MS
    assert q.backoff_until(queued) == seconds * S, "errors are counted on their own"


def test_whole_seconds_are_those_of_the_wall_clock():
    q = queue(second_phase_ns=400 * MS)
    queued = QueuedPod(pod("x"), 0)
    queued.failures, queued.since = 1, 0
    assert q.backoff_until(queued) == 400 * MS


def test_event_after_the_back_off_goes_to_the_active_queue():
    q = queue()
    failed(q, "x", 0, "Fit")
    q.move_all(NODE_ADD, None, None, 1999 * MS)
    assert q.place("x") == "backoff", "the second in which it ends counts whole"
    failed(q, "y", 2 * S, "Fit")
    q = queue()
    failed(q, "x", 0, "Fit")
    q.move_all(NODE_ADD, None, None, 2 * S)
    assert q.place("x") == "active"


def test_back_off_is_flushed_at_the_second_after_its_end():
    q = queue()
    failed(q, "x", 300 * MS, "Fit")
    q.move_all(NODE_ADD, None, None, 400 * MS)
    assert q.next_flush(0) == 2 * S
    q.flush(2 * S - 1)
    assert q.place("x") == "backoff"
    q.flush(2 * S)
    assert q.place("x") == "active"


def test_unschedulable_for_too_long_is_tried_again_at_a_scan():
    q = queue()
    failed(q, "x", 5 * S, "Spread")
    failed(q, "y", 40 * S, "Spread")
    phase = 7 * S
    assert q.next_flush(phase) == 307 * S
    q.flush(304 * S)
    assert q.place("x") == "unschedulable"
    q.flush(307 * S)
    assert (q.place("x"), q.place("y")) == ("active", "unschedulable")


def test_gated_pod_is_not_counted_as_tried():
    q = queue()
    gated = pod("x", gates=("wait",))
    q.add(gated, 0)
    assert q.pop(0) is None
    assert q.next_flush(0) is None
    free = replace(gated, spec=replace(gated.spec, scheduling_gates=()))
    q.update(gated, free, (POD_GATES_ELIMINATED,), 5 * S)
    queued = pop(q)
    assert queued.attempts == 1


def test_own_status_makes_no_attempt_but_a_change_that_a_plugin_waits_for_does():
    q = SchedulingQueue(interested_in({"Spread": {POD_LABEL: yes}}))
    x = pod("x")
    q.add(x, 0)
    q.fail(pop(q), ("Spread",), 0)
    q.update(x, x, (), 0)
    assert q.place("x") == "unschedulable"
    q.update(x, x, (POD_LABEL,), 0)
    assert q.place("x") == "backoff"


def test_deleted_pod_is_forgotten_wherever_it_waits():
    q = queue()
    q.add(pod("active"), 0)
    q.delete("active")
    failed(q, "unschedulable", 0, "Fit")
    q.delete("unschedulable")
    failed(q, "backoff", 0, "Fit")
    q.move_all(NODE_ADD, None, None, 0)
    q.delete("backoff")
    assert len(q) == 0
    assert q.pop(0) is None
    assert q.next_flush(0) is None


def test_success_resets_nothing_but_removes_the_pod():
    q = queue()
    q.add(pod("x"), 0)
    q.done(pop(q).pod.uid)
    assert q.get("x") is None


def test_pod_whose_preemption_is_under_way_is_not_moved():
    held = {"x"}
    q = queue(held=lambda p: p.uid in held)
    q.add(pod("x"), 0)
    queued = pop(q)
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0)
    q.fail(queued, ("Fit",), 0)
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0)
    assert q.place("x") == "unschedulable"
    held.clear()
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0)
    assert q.place("x") == "backoff"


def test_events_may_be_limited_to_pods_of_low_priority():
    q = queue()
    failed(q, "x", 0, "Fit")
    q.move_all(ASSIGNED_POD_DELETE, None, None, 0, eligible=lambda p: False)
    assert q.place("x") == "unschedulable"
