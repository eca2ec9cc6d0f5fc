"""Node health, zones and taints (workloads 4.3, 4.4, 4.13): the decisions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import Node, NodeSpec, NodeStatus, Taint
from k8sim.api.meta import Condition, ObjectMeta, condition_of
from k8sim.api.struct import Time, replace
from k8sim.controllers.nodelifecycle.control import (
    NOT_READY,
    UNREACHABLE,
    Health,
    compute_zone_state,
    handle_disruption,
    is_silent,
    no_schedule_taints,
    not_ready_pod,
    notice_heartbeat,
    ready_condition,
    tainting_rate,
    unknown_conditions,
    with_taints,
    zone_key,
)
from k8sim.controllers.nodelifecycle.limiter import TokenBucket
from k8sim.controllers.nodelifecycle.passes import Passes
from k8sim.controllers.nodelifecycle.settings import NodeLifecycleSettings
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod
from tests.controllers.manager import pod_status

SETTINGS = NodeLifecycleSettings()


def node(ready: str | None = "True", *taints: Taint, **more: object) -> Node:
    conditions = () if ready is None else (Condition(type="Ready", status=ready, last_transition_time=Time(0)),)
    return Node(
        metadata=ObjectMeta(name="node-0", creation_timestamp=Time(0), **more),  # type: ignore[arg-type]
        spec=NodeSpec(taints=taints),
        status=NodeStatus(conditions=conditions),
    )


def test_a_node_is_silent_strictly_after_the_grace_period() -> None:  # 4.13 (1)
    health = Health(ready_condition(node()), probe_ns=7 * SECOND)
    assert not is_silent(health, 50 * SECOND, 57 * SECOND)
    assert is_silent(health, 50 * SECOND, 57 * SECOND + 1)


def test_a_renewed_lease_is_enough() -> None:  # 4.13 (2)
    saved = Health(ready_condition(node()), 5 * SECOND, 4 * SECOND)
    assert notice_heartbeat(node(), saved, (4 * SECOND, 5 * SECOND), 600 * SECOND) is saved
    renewed = notice_heartbeat(node(), saved, (594 * SECOND, 595 * SECOND), 600 * SECOND)
    assert (renewed.probe_ns, renewed.lease_ns) == (595 * SECOND, 594 * SECOND)


def test_a_changed_ready_condition_is_a_heartbeat_and_a_new_node_counts_from_now() -> None:
    assert notice_heartbeat(node(), None, None, 9).probe_ns == 9
    assert notice_heartbeat(node("False"), Health(ready_condition(node()), 1), None, 9).probe_ns == 9
    assert notice_heartbeat(node(None), None, None, 9 * SECOND).probe_ns == 0  # from its creation


def test_only_what_the_kubelet_reports_becomes_unknown() -> None:
    conditions = (*node().status.conditions, Condition(type="NetworkUnavailable", status="False"))
    silent = replace(node(), status=NodeStatus(conditions=conditions))
    after = unknown_conditions(silent, Time(60 * SECOND))
    assert {c.type: (c.status, c.reason) for c in after} == {
        "Ready": ("Unknown", "NodeStatusUnknown"),
        "NetworkUnavailable": ("False", ""),
        "MemoryPressure": ("Unknown", "NodeStatusNeverUpdated"),
        "DiskPressure": ("Unknown", "NodeStatusNeverUpdated"),
        "PIDPressure": ("Unknown", "NodeStatusNeverUpdated"),
    }
    assert condition_of(after, "Ready").last_transition_time == 60 * SECOND  # type: ignore[union-attr]


def test_marking_a_pod_keeps_its_phase_and_does_nothing_twice() -> None:
    pod = replace(make_pod(), status=pod_status())
    marked = not_ready_pod(pod, Time(5))
    assert marked is not None
    assert marked.status.phase == "Running"
    assert not_ready_pod(marked, Time(6)) is None
    assert not_ready_pod(make_pod(), Time(6)) is None


@pytest.mark.parametrize(
    ("changed", "add", "remove"),
    [
        (node(), (), ()),
        (node("False"), (NOT_READY,), ()),
        (node("Unknown"), (UNREACHABLE,), ()),
        (node("Unknown", Taint(key=NOT_READY, effect="NoSchedule")), (UNREACHABLE,), (NOT_READY,)),
        (node("True", Taint(key=NOT_READY, effect="NoExecute")), (), ()),
        (node("True", Taint(key="mine", effect="NoSchedule")), (), ()),
        (replace(node(), spec=NodeSpec(unschedulable=True)), ("node.kubernetes.io/unschedulable",), ()),
    ],
)
def test_no_schedule_taints_mirror_conditions(changed: Node, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    assert no_schedule_taints(changed) == (add, remove)
    after = with_taints(changed, "NoSchedule", add, remove, Time(1))
    assert no_schedule_taints(after) == ((), ())
    assert with_taints(after, "NoSchedule", add, remove, Time(2)) is after


# ---- zones --------------------------------------------------------------------------------------------------------


def test_zone_labels() -> None:
    labels = {"topology.kubernetes.io/zone": "a", "topology.kubernetes.io/region": "r"}
    assert zone_key(node()) == ""
    assert zone_key(node(labels=labels)) == "r:\x00:a"
    assert zone_key(node(labels={**labels, "failure-domain.beta.kubernetes.io/zone": "b"})) == "r:\x00:b"


@pytest.mark.parametrize(
    ("total", "lost", "state", "rate"),
    [
        (3, 1, "Normal", 0.1),
        (3, 2, "Normal", 0.1),
        (3, 3, "FullDisruption", 0.1),
        (5, 3, "PartialDisruption", 0.0),
        (10, 5, "Normal", 0.1),  # 4.13 (6)
        (10, 6, "PartialDisruption", 0.0),
        (50, 30, "PartialDisruption", 0.0),
        (100, 60, "PartialDisruption", 0.01),
    ],
)
def test_zone_states_and_rates(total: int, lost: int, state: str, rate: float) -> None:
    assert compute_zone_state(total - lost, lost, SETTINGS.unhealthy_zone_threshold) == state
    assert tainting_rate(state, total, SETTINGS) == rate  # type: ignore[arg-type]


def test_all_zones_lost_stops_evictions_and_the_way_back_gives_everybody_a_fresh_grace_period() -> None:
    one = handle_disruption({"a": "Normal", "b": "Normal"}, {"a": (0, 3), "b": (3, 0)}, SETTINGS)
    assert one.rates == {"a": 0.1}
    assert not one.stop_evictions
    both = handle_disruption(one.states, {"a": (0, 3), "b": (0, 3)}, SETTINGS)
    assert both.stop_evictions
    assert both.rates == {"a": 0.0, "b": 0.0}
    assert handle_disruption(both.states, {"a": (0, 3), "b": (0, 3)}, SETTINGS).rates == {}
    back = handle_disruption(both.states, {"a": (1, 2), "b": (0, 3)}, SETTINGS)
    assert back.reset_probes
    assert back.rates == {"a": 0.1, "b": 0.1}


# ---- arithmetic instead of ticks ------------------------------------------------------------------------------------


def test_a_bucket_holds_one_token() -> None:
    bucket = TokenBucket(0.1, 0)
    assert bucket.take(35 * SECOND)
    assert not bucket.take(40 * SECOND)
    assert bucket.next_token_ns(40 * SECOND) == 45 * SECOND
    bucket.swap(0.01, 41 * SECOND)  # empty, so the new one is, too
    assert bucket.next_token_ns(41 * SECOND) == 141 * SECOND
    bucket.swap(0.0, 50 * SECOND)
    assert bucket.next_token_ns(50 * SECOND) is None
    bucket.swap(0.1, 60 * SECOND)
    assert bucket.next_token_ns(60 * SECOND) == 70 * SECOND


@given(
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 400)), max_size=5),
    st.lists(st.integers(0, 3000), max_size=20),
)
def test_passes_without_running_them(first: int, long_runs: list[tuple[int, int]], asked: list[int]) -> None:
    passes, times, t = Passes(first, 50, 2), [], first
    for count, extra in long_runs:
        times += [t + 52 * i for i in range(count)]
        last = times[-1]
        if extra:
            passes.ended(last, last + extra)
            t = last + extra + 50
        else:
            t = last + 52
    times += [t + 52 * i for i in range(100)]
    for a in asked:
        assert passes.at_or_after(a) == next(p for p in times if p >= a)
        assert passes.after(a) == next(p for p in times if p > a)
