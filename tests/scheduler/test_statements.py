"""node.md 7.10: testable statements of the scheduler, named after their numbers; and some of node.md 8."""

import pytest

from k8sim.api.apps import StatefulSet
from k8sim.api.core import Pod, Toleration
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from k8sim.scheduler.algorithm import num_feasible_nodes_to_find
from tests.scheduler.world import HOST, World, anti_affinity, make, make_node, make_pod, spread

SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: "app:v1"}]}}
"""


def three_nodes() -> World:
    return World(make_node("a"), make_node("b"), make_node("c"))


def owned(world: World, name: str) -> Pod:
    owner = world.server.get(StatefulSet, "default", "web")
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": owner.uid, "controller": True}
    return make_pod(name, labels={"app": "web"}, metadata={"ownerReferences": [reference]})


@pytest.mark.parametrize("seed", range(5))
def test_1_pods_of_a_set_spread_over_equal_nodes(seed):
    world = World(make_node("a"), make_node("b"), make_node("c"), seed=seed)
    world.add(make(SET))
    for i in range(3):
        world.at(1 + i, lambda i=i: world.add(owned(world, f"web-{i}")))
    world.run(5)
    assert {world.node_of(f"web-{i}") for i in range(3)} == {"a", "b", "c"}


def test_2_replacement_with_anti_affinity_waits_for_uncordon():
    world = three_nodes()
    for i in range(3):
        world.add(make_pod(f"web-{i}", labels={"app": "web"}, affinity=anti_affinity("web")))
    world.run(1)
    node = world.node_of("web-1")
    world.cordon(node)
    world.delete("web-1", grace=0)
    world.add(make_pod("web-1", labels={"app": "web"}, affinity=anti_affinity("web")))
    world.run(30)
    assert world.node_of("web-1") == ""
    assert world.why("web-1") == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod anti-affinity rules. "
        "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, "
        "2 No preemption victims found for incoming pod."
    )
    world.cordon(node, False)
    world.run(31)
    assert world.node_of("web-1") == node


@pytest.mark.parametrize("end", ["gone", "Succeeded", "Failed"])
def test_3_terminating_pod_keeps_anti_affine_pods_away_until_it_is_gone_or_terminal(end):
    world = World(make_node("a"))
    world.add(make_pod("x", labels={"app": "web"}, affinity=anti_affinity("web")))
    world.run(1)
    world.delete("x")
    world.add(make_pod("y", labels={"app": "web"}, affinity=anti_affinity("web")))
    world.run(20)
    assert world.node_of("y") == ""
    if end == "gone":
        world.delete("x", grace=0)
    else:
        world.finish("x", end)
    world.run(20.1)
    assert world.node_of("y") == "a"


def test_4_terminating_pod_does_not_count_for_topology_spread():
    world = World(make_node("a"), make_node("b", unschedulable=True))
    world.add(make_pod("x", labels={"app": "web"}))
    world.run(1)
    world.delete("x")
    world.run(2)
    world.add(make_pod("y", labels={"app": "web"}, topologySpreadConstraints=[spread("web")]))
    world.run(3)
    assert world.node_of("y") == "a"


def test_4_a_cordoned_empty_domain_blocks_a_hard_spread():
    """node.md 7.4: by default tainted and cordoned nodes still count as domains."""
    world = World(make_node("a"), make_node("b", unschedulable=True))
    for name in "xy":
        world.add(make_pod(name, labels={"app": "web"}, topologySpreadConstraints=[spread("web")]))
    world.run(3)
    assert [world.node_of("x"), world.node_of("y")] == ["a", ""]


def test_5_node_conditions_do_not_matter():
    world = World(make_node("a"))
    world.add(make_pod("x"))
    world.run(1)
    assert world.node_of("x") == "a"  # the node never said that it is Ready


def test_6_unrelated_event_makes_no_attempt_before_five_minutes():
    world = World(make_node("a", cpu="1"))
    world.add(make_pod("small"), make_pod("big", cpu="2"))
    world.at(10, world.server.patch, Pod, "default", "small", lambda p: with_meta(p, labels={"x": "y"}))
    world.run(300)
    assert len(world.attempts("big")) == 1
    world.run(331)
    assert len(world.attempts("big")) == 2


def test_7_deletion_that_frees_cpu_makes_an_attempt_at_once():
    world = World(make_node("a", cpu="1"))
    world.add(make_pod("x", cpu="1"))
    world.run(1)
    world.add(make_pod("y", cpu="1"))
    world.run(5)
    world.delete("x", grace=0)
    world.run(5.05)
    assert world.node_of("y") == "a"


def test_8_higher_priority_goes_first():
    world = World(make_node("a"))
    world.add(*(make_pod(f"low-{i}") for i in range(50)), make_pod("high", priority=10))
    world.run(1)
    order = [n for _, n, e, _ in world.rows("Pod") if e == "Scheduled"]
    assert order.index("high") < 10  # those before it were tried before it came


def test_11_terminating_pod_keeps_its_place_among_the_nodes_pods():
    world = World(make_node("a", pods="3"))
    for i in range(3):
        world.add(make_pod(f"p-{i}"))
    world.run(1)
    world.delete("p-0")
    world.add(make_pod("new"))
    world.run(10)
    assert world.node_of("new") == ""
    assert world.why("new").startswith("0/1 nodes are available: 1 Too many pods.")
    world.finish("p-0")
    world.run(10.1)
    assert world.node_of("new") == "a"


def test_12_gated_pod_is_tried_once_its_gates_are_gone():
    world = World(make_node("a"))
    world.add(make_pod("x", schedulingGates=[{"name": "wait"}]))
    world.run(400)
    assert world.attempts("x") == []
    assert [c.reason for c in world.pod("x").status.conditions] == ["SchedulingGated"]
    world.server.patch(Pod, "default", "x", lambda p: replace(p, spec=replace(p.spec, scheduling_gates=())))
    world.run(400.05)
    assert world.node_of("x") == "a"


def test_13_victims_get_their_grace_then_the_preemptor_starts():
    world = World(make_node("a", cpu="2"))
    world.add(make_pod("v-0", cpu="1"), make_pod("v-1", cpu="1"))
    world.run(1)
    world.add(make_pod("high", cpu="2", priority=10))
    world.run(2)
    victims = [world.pod("v-0"), world.pod("v-1")]
    assert all(v.metadata.deletion_grace_period_seconds == 30 for v in victims)
    assert all(v.status.conditions[-1].reason == "PreemptionByScheduler" for v in victims)
    assert world.pod("high").status.nominated_node_name == "a"
    world.run(20)
    world.delete("v-0", grace=0)
    world.run(25)
    assert world.node_of("high") == ""
    world.delete("v-1", grace=0)
    world.run(25.1)
    assert world.node_of("high") == "a"
    assert world.pod("high").status.nominated_node_name == ""


BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: guard}
spec: {minAvailable: 1, selector: {matchLabels: {app: guarded}}}
"""


def test_14_preemption_violates_a_budget_if_nothing_else_helps():
    world = World(make_node("a", cpu="1"))
    world.add(make(BUDGET), make_pod("v", cpu="1", labels={"app": "guarded"}))
    world.run(1)
    world.add(make_pod("high", cpu="1", priority=10))
    world.run(2)
    assert world.pod("v").deleting


def test_14_preemption_spares_a_budget_if_it_can():
    world = World(make_node("a", cpu="1"), make_node("b", cpu="1"))
    world.add(make(BUDGET), make_pod("v-0", cpu="1", labels={"app": "guarded"}), make_pod("v-1", cpu="1"))
    world.run(1)
    world.add(make_pod("high", cpu="1", priority=10))
    world.run(2)
    assert [world.pod("v-0").deleting, world.pod("v-1").deleting] == [False, True]


@pytest.mark.parametrize(("nodes", "feasible"), [(50, 50), (99, 99), (100, 100), (150, 100), (1000, 420), (10000, 500)])
def test_15_so_many_feasible_nodes_are_enough(nodes, feasible):
    assert num_feasible_nodes_to_find(nodes) == feasible


def test_15_the_search_goes_on_where_it_stopped():
    world = World(*(make_node(f"n-{i:03}") for i in range(150)))
    world.add(make_pod("x"), make_pod("y"))
    world.run(1)
    found = world.scheduler.algorithm
    assert found._next_start == 200 % 150


def test_16_one_feasible_node_is_not_scored(monkeypatch):
    world = World(make_node("a"), make_node("b", unschedulable=True))
    monkeypatch.setattr(world.scheduler.algorithm, "_score", None)
    world.add(make_pod("x"))
    world.run(1)
    assert world.node_of("x") == "a"


def test_8_5_the_111th_pod_does_not_fit():
    world = World(make_node("a", cpu="200"))
    world.add(*(make_pod(f"p-{i}") for i in range(111)))
    world.run(5)
    pending = [p.name for p in world.server.list(Pod) if not p.spec.node_name]
    assert len(pending) == 1
    assert "Too many pods" in world.why(pending[0])


def test_8_7_ended_pods_hold_no_resources():
    world = World(make_node("a", cpu="1"))
    world.add(make_pod("x", cpu="1"))
    world.run(1)
    world.finish("x")
    world.run(2)
    world.add(make_pod("y", cpu="1"))
    world.run(3)
    assert world.node_of("y") == "a"


def test_an_attempt_judges_the_pod_as_it_was_when_its_turn_came():
    """schedule_one.go: ScheduleOne works on the pod that the queue gave out, whatever informers store meanwhile."""
    world = World(make_node("a", taints=[{"key": "k", "effect": "NoSchedule"}]))
    world.run(1)
    world.add(make_pod("p"))

    def tolerate(pod: Pod) -> Pod:
        return replace(pod, spec=replace(pod.spec, tolerations=(Toleration(key="k", operator="Exists"),)))

    world.at(1.001, world.server.patch, Pod, "default", "p", tolerate)
    world.run(30)
    assert len(world.attempts("p")) == 1
    assert world.node_of("p") == "a"


def test_more_1_ended_pod_frees_its_node_before_its_object_is_gone():
    """observed.md, More 1."""
    world = World(make_node("a"), make_node("b"))
    for i in range(3):
        world.add(make_pod(f"web-{i}", labels={"app": "web"}, affinity=anti_affinity("web", HOST)))
    world.run(1)
    node = world.node_of("web-0")
    world.delete("web-0")
    world.run(2)
    world.finish("web-0")
    world.run(2.1)
    assert world.node_of("web-2") == node
    world.delete("web-0", grace=0)
    world.add(make_pod("web-0", labels={"app": "web"}, affinity=anti_affinity("web", HOST)))
    world.run(60)
    assert world.node_of("web-0") == ""
