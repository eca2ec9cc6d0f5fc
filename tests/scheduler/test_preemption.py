"""Who makes way (node.md 7.8)."""

from typing import Any

from k8sim.api.core import Node, Pod
from k8sim.api.meta import LabelSelector, ObjectMeta, with_meta
from k8sim.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from k8sim.api.struct import replace
from k8sim.scheduler.preemption import Candidate, num_candidates, pick_one_node, split_by_violation
from tests.scheduler.world import HOST, World, anti_affinity, make_node, make_pod


def pod(name: str, priority: int = 0, started: int = 0, **labels: str) -> Pod:
    made = with_meta(make_pod(name, priority=priority, labels=labels), namespace="default", uid=name)
    return replace(made, status=replace(made.status, start_time=started))


def budget(allowed: int, **labels: str) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name="b", namespace="default"),
        spec=PodDisruptionBudgetSpec(selector=LabelSelector(match_labels=labels)),
        status=PodDisruptionBudgetStatus(disruptions_allowed=allowed),
    )


def test_a_budget_protects_what_it_does_not_allow_to_go():
    pods = [pod("x", app="a"), pod("y", app="a"), pod("z", app="b")]
    violating, others = split_by_violation(pods, [budget(1, app="a")])
    assert [p.name for p in violating] == ["y"]
    assert [p.name for p in others] == ["x", "z"]


def test_an_empty_selector_protects_nothing_here():
    assert split_by_violation([pod("x", app="a")], [budget(0)])[0] == []


def test_the_node_whose_victims_are_missed_least():
    def best(*candidates: Candidate) -> str:
        return pick_one_node(candidates).node

    one, two = pod("x", 1), pod("y", 2)
    assert best(Candidate("a", (one,), 1), Candidate("b", (two, two), 0)) == "b", "fewest violations of budgets"
    assert best(Candidate("a", (two,), 0), Candidate("b", (one, one), 0)) == "b", "then the lowest highest priority"
    assert best(Candidate("a", (two, one), 0), Candidate("b", (two, pod("z", 0)), 0)) == "b", "then the lowest sum"
    assert best(Candidate("a", (two, one), 0), Candidate("b", (two,), 0)) == "b", "which also means the fewest"
    young = pod("y", 2, started=9)
    assert best(Candidate("a", (two,), 0), Candidate("b", (young,), 0)) == "b", "then the latest start"
    assert best(Candidate("a", (two,), 0), Candidate("b", (two,), 0)) == "a"


def test_so_many_candidates_are_enough():
    assert [num_candidates(n) for n in (0, 30, 100, 500, 5000)] == [0, 30, 100, 100, 500]


def full_node(**victims: int) -> World:
    """A node of 4 cores; each victim has one core and the priority given."""
    world = World(make_node("a", cpu="4"))
    world.add(*(make_pod(name, cpu="1", priority=priority) for name, priority in victims.items()))
    world.run(1)
    return world


def going(world: World) -> list[str]:
    return sorted(p.name for p in world.server.list(Pod) if p.deleting)


def test_only_as_many_victims_as_needed_and_the_least_important_ones():
    world = full_node(a=1, b=2, c=3, d=4)
    world.add(make_pod("high", cpu="2", priority=10))
    world.run(2)
    assert going(world) == ["a", "b"]


def test_the_victim_is_the_one_that_started_last_though_its_phase_has_not_changed():
    """Of a status in whose course a pod goes on the scheduler's cache does not hear."""
    world = full_node(a=1, b=1, c=1, d=1)
    for i, name in enumerate("acdb"):
        world.server.patch_status(
            Pod, "default", name, lambda p, i=i: replace(p, status=replace(p.status, start_time=i))
        )
    world.run(2)
    world.add(make_pod("high", cpu="1", priority=10))
    world.run(3)
    assert going(world) == ["b"]


def test_equal_priority_does_not_preempt():
    world = full_node(a=5, b=5, c=5, d=5)
    world.add(make_pod("same", cpu="1", priority=5))
    world.run(2)
    assert going(world) == []
    assert world.why("same").endswith(
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_preemption_policy_never():
    world = full_node(a=0, b=0, c=0, d=0)
    world.add(make_pod("polite", cpu="1", priority=5, preemptionPolicy="Never"))
    world.run(2)
    assert going(world) == []
    assert world.why("polite").endswith("preemption: not eligible due to preemptionPolicy=Never.")


def test_more_than_the_node_has_is_not_preempted_for():
    world = full_node(a=0)
    world.add(make_pod("huge", cpu="8", priority=5))
    world.run(2)
    assert going(world) == []
    assert "1 Preemption is not helpful for scheduling" in world.why("huge")


def test_anti_affinity_is_resolved_by_preemption_but_a_cordon_is_not():
    world = World(make_node("a"), make_node("b", unschedulable=True))
    world.add(make_pod("x", labels={"app": "web"}, affinity=anti_affinity("web")))
    world.run(1)
    world.add(make_pod("y", labels={"app": "web"}, affinity=anti_affinity("web"), priority=5))
    world.run(2)
    assert going(world) == ["x"]
    assert world.pod("y").status.nominated_node_name == "a"


def test_no_second_preemption_while_victims_terminate():
    world = full_node(a=0, b=0, c=0, d=0)
    world.add(make_pod("high", cpu="1", priority=5))
    world.run(2)
    first = going(world)
    assert len(first) == 1
    other = ({"a", "b", "c", "d"} - set(first)).pop()
    world.finish(other)  # an event that helps: it gets that place, nobody else has to go
    world.run(3)
    assert world.node_of("high") == "a"
    assert going(world) == first


def test_a_nominated_pod_keeps_its_place_from_pods_of_lower_priority():
    world = full_node(a=0, b=0, c=0, d=0)
    world.add(make_pod("high", cpu="2", priority=5))
    world.run(2)
    victims = going(world)
    world.delete(victims[0], grace=0)
    world.add(make_pod("low", cpu="1"))
    world.run(10)
    assert [world.node_of("high"), world.node_of("low")] == ["", ""]
    world.delete(victims[1], grace=0)
    world.run(11)
    assert [world.node_of("high"), world.node_of("low")] == ["a", ""]


def test_a_more_important_pod_takes_the_place_and_the_nomination():
    world = full_node(a=0, b=0, c=0, d=0)
    world.add(make_pod("high", cpu="4", priority=5))
    world.run(2)
    world.add(make_pod("higher", cpu="4", priority=9))
    world.run(3)
    for name in going(world):
        world.delete(name, grace=0)
    world.run(5)
    assert world.node_of("higher") == "a"
    assert world.pod("high").status.nominated_node_name == ""


def test_events_of_preemption():
    world = full_node(a=0, b=0, c=0, d=0)
    world.add(make_pod("high", cpu="1", priority=5))
    world.run(2)
    (victim,) = going(world)
    events: list[dict[str, Any]] = [d for _, n, e, d in world.rows("Event") if n == victim and e == "Preempted"]
    assert len(events) == 1
    assert "on node a" in events[0]["message"]


def test_node_that_comes_saves_the_rest():
    world = full_node(a=0, b=0, c=0, d=0)
    world.add(make_pod("high", cpu="3", priority=5))
    world.run(2)
    world.add(make_node("b", cpu="4"))
    world.run(3)
    assert world.node_of("high") == "b"
    assert world.server.get(Node, "", "b").metadata.labels[HOST] == "b"
