"""The node lifecycle controller in a small world (workloads 4.3, 4.4, 4.13)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import Node, NodeStatus, Pod
from k8sim.api.meta import Condition, set_condition
from k8sim.api.pods import is_pod_ready
from k8sim.api.struct import Time, replace
from k8sim.apiserver.admission import default_admission
from k8sim.controllers.nodelifecycle.control import NOT_READY, UNREACHABLE
from k8sim.controllers.nodelifecycle.controller import NodeLifecycleController
from k8sim.controllers.nodelifecycle.settings import NodeLifecycleSettings
from k8sim.controllers.tainteviction.controller import TaintEvictionController
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager

LEASE_PERIOD = 10.2


class Nodes(Manager):
    """Nodes with leases, one of which can end (the machine dies) and begin again."""

    def __init__(self, count: int, seed: int = 1, zones: tuple[str, ...] = (), eviction: bool = False) -> None:
        controllers = (NodeLifecycleController, TaintEvictionController) if eviction else (NodeLifecycleController,)
        super().__init__(*controllers, seed=seed)
        self.names = [f"node-{i}" for i in range(count)]
        for i, name in enumerate(self.names):
            labels = {"topology.kubernetes.io_zone": zones[i]} if zones else {}
            self.add_node(name, **labels)
            self.server.leases.begin(name, int((i * 0.7 % LEASE_PERIOD) * SECOND), int(LEASE_PERIOD * SECOND))

    def crash(self, t: float, *names: str) -> None:
        for name in names:
            self.at(t, self.server.leases.end, name, int(t * SECOND))

    def back(self, t: float, *names: str) -> None:
        for name in names:
            self.at(t, self.server.leases.begin, name, int(t * SECOND), int(LEASE_PERIOD * SECOND))
            self.at(t + 0.1, self.post, name, "True")

    def post(self, name: str, status: str) -> None:
        """What a kubelet posts of its node."""
        now = Time(self.sim.clock.truncated())
        ready = Condition(type="Ready", status=status, last_transition_time=now)

        def change(n: Node) -> Node:
            return replace(n, status=replace(n.status, conditions=set_condition(n.status.conditions, ready)))

        self.server.patch_status(Node, "", name, change)

    def times(self, event: str, name: str = "", effect: str = "") -> list[float]:
        return [e[0] for e in self.events("Node", name, event) if effect in ("", e[3].get("effect"))]


def test_a_lost_node_is_unknown_40_to_56_s_later_and_its_pods_are_not_ready_in_the_same_pass() -> None:  # 4.13 (3)
    delays = []
    for seed in range(30):
        m = Nodes(3, seed)
        m.add_pod(make_pod(node="node-0"))
        m.crash(30 + seed * 0.37, "node-0")
        m.run(100)
        (t,) = m.times("Unknown")
        delays.append(t - 30 - seed * 0.37)
        (p,) = [e[0] for e in m.events("Pod", event="NotReady")]
        assert t < p < t + 0.05
        assert m.server.get(Pod, "default", "web-0").status.phase == "Running"
    assert 39.5 < min(delays) < 43
    assert 50 < max(delays) < 56


def test_leases_alone_keep_a_node_ready_without_an_event() -> None:  # 4.13 (2)
    m = Nodes(3)
    m.run(20)
    before = m.sim.clock.events_scheduled
    m.run(3600)
    assert m.times("Unknown") == []
    assert m.sim.clock.events_scheduled - before < 5


def test_a_node_that_its_kubelet_has_called_not_ready_takes_no_pod_with_it() -> None:  # 4.13 (3)
    m = Nodes(3)
    m.add_pod(make_pod(node="node-0"))
    m.at(20, m.post, "node-0", "False")
    m.crash(30, "node-0")
    m.run(200)
    assert m.times("Unknown") != []
    assert is_pod_ready(m.server.get(Pod, "default", "web-0"))
    taints = {(t.key, t.effect) for t in m.server.get(Node, "", "node-0").spec.taints}
    assert taints == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}  # switched over from not-ready
    assert [e[3]["key"] for e in m.events("Node", "node-0", "Untainted")] == [NOT_READY, NOT_READY]


def test_in_a_healthy_zone_the_second_taint_comes_ten_seconds_after_the_first() -> None:  # 4.13 (4)
    m = Nodes(5)
    m.crash(30, "node-0", "node-1")
    m.run(120)
    first, second = m.times("Tainted", effect="NoExecute")
    assert first - min(m.times("Unknown")) < 0.2
    assert second - first == pytest.approx(10, abs=0.15)


def test_of_thirteen_lost_nodes_the_last_is_tainted_120_s_after_the_first() -> None:  # 4.13 (16)
    m = Nodes(100)
    m.crash(30, *m.names[:13])
    m.run(400)
    times = m.times("Tainted", effect="NoExecute")
    assert len(times) == 13
    assert times[-1] - times[0] == pytest.approx(120, abs=3)
    assert all(b - a > 9.8 for a, b in pairwise(times))


def test_with_all_nodes_lost_there_is_no_no_execute_taint() -> None:  # 4.13 (5)
    m = Nodes(3, eviction=True)
    m.add_pod(make_pod(node="node-0"))
    m.crash(30, *m.names)
    m.run(1000)
    assert len(m.times("Unknown")) == 3
    assert len(m.times("Tainted", effect="NoSchedule")) == 3
    assert len(m.times("Tainted", effect="NoExecute")) == len(m.times("Untainted", effect="NoExecute"))
    assert m.events("Pod", event="Terminating") == []


def test_one_node_back_after_all_were_lost_gives_the_others_a_fresh_start() -> None:
    m = Nodes(3)
    m.crash(30, "node-0", "node-1")
    m.crash(80, "node-2")
    m.run(200)
    assert len(m.times("Unknown")) == 3
    m.back(210, "node-2")
    m.run(220)
    assert m.times("Tainted", effect="NoExecute")[-1] < 210
    m.run(250)
    late = [t for t in m.times("Tainted", effect="NoExecute") if t > 210]
    assert len(late) == 2
    assert late[0] > 220  # the new bucket starts empty


def test_most_of_a_small_zone_lost_stops_tainting_there() -> None:  # 4.13 (6)
    m = Nodes(10)
    m.crash(30, *m.names[:6])
    m.run(600)
    assert len(m.times("Unknown")) == 6
    assert len(m.times("Tainted", effect="NoExecute")) <= 1


def test_a_lost_zone_of_two_is_tainted_at_the_normal_rate() -> None:
    m = Nodes(6, zones=("a", "b") * 3)
    m.crash(30, "node-0", "node-2", "node-4")
    m.run(200)
    times = m.times("Tainted", effect="NoExecute")
    assert len(times) == 3
    assert times[2] - times[0] == pytest.approx(20, abs=0.3)


def test_on_return_no_schedule_goes_at_once_and_no_execute_at_the_next_pass() -> None:
    m = Nodes(3)
    m.crash(30, "node-0")
    m.back(120, "node-0")
    m.run(200)
    (soon,) = m.times("Untainted", effect="NoSchedule")
    (later,) = m.times("Untainted", effect="NoExecute")
    assert 120.1 < soon < 120.2
    assert soon < later < 125.2
    assert not m.server.get(Node, "", "node-0").spec.taints


def test_a_pod_bound_to_a_lost_node_is_marked_on_its_own() -> None:
    m = Nodes(3)
    m.crash(30, "node-0")
    m.run(100)

    def bind() -> None:
        m.add_pod(make_pod())
        m.server.bind(m.server.get(Pod, "default", "web-0"), "node-0")

    m.at(100, bind)
    m.run(101)
    assert not is_pod_ready(m.server.get(Pod, "default", "web-0"))


def test_a_cordoned_node_gets_its_taint_at_once() -> None:
    m = Nodes(3)
    m.at(30, m.server.patch, Node, "", "node-0", lambda n: replace(n, spec=replace(n.spec, unschedulable=True)))
    m.run(31)
    (row,) = m.events("Node", "node-0", "Tainted")
    assert row[0] < 30.1
    assert row[3] == {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def test_a_new_node_is_kept_free_until_it_is_ready() -> None:
    m = Nodes(2)
    m.server.admission = default_admission()

    def join() -> None:
        starting = Condition(type="Ready", status="False", reason="KubeletNotReady", last_transition_time=Time(0))
        meta = replace(m.server.get(Node, "", "node-0").metadata, name="node-9", uid="")
        m.server.create(Node(metadata=meta, status=NodeStatus(conditions=(starting,))))

    m.at(20, join)
    m.run(21)
    assert [t.key for t in m.server.get(Node, "", "node-9").spec.taints] == [NOT_READY]
    m.at(22, m.post, "node-9", "True")
    m.run(23)
    assert not m.server.get(Node, "", "node-9").spec.taints


def test_a_node_whose_kubelet_never_says_anything_is_unknown_a_minute_after_its_creation() -> None:
    m = Nodes(2)
    m.at(20, m.server.create, Node(metadata=replace(m.server.get(Node, "", "node-0").metadata, name="node-9", uid="")))
    m.run(79)
    assert m.server.get(Node, "", "node-9").status.conditions == ()
    m.run(86)
    assert [c.reason for c in m.server.get(Node, "", "node-9").status.conditions] == ["NodeStatusNeverUpdated"] * 4


def test_a_short_grace_period_makes_a_node_flap_although_it_renews_its_lease() -> None:
    m = Nodes(2)
    controller = m.controllers[0]
    assert isinstance(controller, NodeLifecycleController)
    controller.settings = NodeLifecycleSettings(node_monitor_grace_period_ns=4 * SECOND)
    m.run(60)
    assert m.times("Unknown") != []


def test_a_restart_of_the_controller_manager_takes_taints_off_and_countdowns_begin_anew() -> None:  # 4.13 (10)
    m = Nodes(3, eviction=True)
    m.add_pod(make_pod(node="node-0"))
    m.server.admission = default_admission()
    pod = make_pod("late", node="node-0")
    m.add_pod(pod)
    m.crash(30, "node-0")
    m.run(100)
    (tainted,) = m.times("Tainted", effect="NoExecute")

    def restart() -> None:
        for controller in m.controllers:
            controller.stop()
        for make in (NodeLifecycleController, TaintEvictionController):
            make(m.context).start()

    m.at(tainted + 200, restart)
    m.run(tainted + 450)
    (off,) = m.times("Untainted", effect="NoExecute")
    on = m.times("Tainted", effect="NoExecute")[-1]
    assert tainted + 200 < off < on < tainted + 200.5
    assert m.events("Pod", "late", "Terminating") == []
    m.run(tainted + 600)
    (gone,) = m.events("Pod", "late", "Terminating")
    assert gone[0] == pytest.approx(on + 300, abs=0.2)


@given(
    phase_ms=st.integers(0, 10_000), period_ms=st.integers(4_000, 14_000), crash_ms=st.integers(15_000, 60_000),
    seed=st.integers(0, 50),
)  # fmt: skip
@settings(max_examples=30)
def test_the_verdict_comes_at_the_pass_at_which_a_real_loop_gives_it(
    phase_ms: int, period_ms: int, crash_ms: int, seed: int
) -> None:
    """Virtual polling is polling: a loop that looks at the lease at every pass finds the same."""
    m = Nodes(3, seed)
    ms = SECOND // 1000
    m.server.leases.begin("node-0", phase_ms * ms, period_ms * ms)
    m.at(crash_ms / 1000, m.server.leases.end, "node-0", crash_ms * ms)
    m.run(140)
    controller = m.controllers[0]
    assert isinstance(controller, NodeLifecycleController)
    lag = m.sim.latencies.distribution("watch").quantile(0.5)
    step = 5 * SECOND + m.sim.latencies.distribution("nodeMonitorPass").quantile(0.5)
    first = int(m.sim.streams.stream("kube-controller-manager", "nodeMonitorPhase").uniform_at(0) * 5 * SECOND)
    renewals = range(phase_ms * ms, crash_ms * ms + 1, period_ms * ms)
    probe, seen, now = first, -1, first
    while True:
        arrived = [r for r in renewals if r + lag <= now]
        if arrived and arrived[-1] > seen:
            probe, seen = now, arrived[-1]
        if now > probe + 50 * SECOND:
            break
        now += step
    (t,) = m.times("Unknown", "node-0")
    assert now / SECOND < t < now / SECOND + 0.02
