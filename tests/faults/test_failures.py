from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as replace_world
from typing import Any

import pytest

from k8sim.api.core import Node
from k8sim.api.meta import ObjectMeta, OwnerReference
from k8sim.api.struct import replace
from k8sim.faults.catalogue import FAULTS, target_of
from k8sim.faults.failures import FailureProcess, Shock, Spread, start_failures
from k8sim.faults.fault import World
from k8sim.faults.nodes import ZONE_LABEL
from k8sim.kubectl.selector import parse_selector
from k8sim.machines.fleet import Fleet
from k8sim.scenario import ScenarioError, loads
from k8sim.sim.distributions import Constant, Exponential
from k8sim.sim.trace import Row
from k8sim.sim.units import DAY, HOUR, MINUTE, SECOND
from tests.apiserver.world import make_pod, make_server


class Sturdy:
    """A machine to which everything can be done."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: True


def make_world(nodes: Mapping[str, str], seed: int = 1, **labels: str) -> World:
    """A world of nodes with their zones."""
    server = make_server(seed)
    for name, zone in nodes.items():
        server.preload(Node(metadata=ObjectMeta(name=name, labels={**labels, **({ZONE_LABEL: zone} if zone else {})})))
    machines: Any = {name: Sturdy() for name in nodes}
    return World(server.sim, server, Fleet(machines))


def strikes(world: World, *rules: FailureProcess, until: int = 100 * DAY) -> list[Row]:
    start_failures(world, rules)
    world.sim.clock.run(until)
    return [row for row in world.sim.trace if (row.kind, row.event) == ("Fault", "Begins")]


def times(rows: list[Row], target: str) -> list[float]:
    return [row.t / SECOND for row in rows if row.detail["target"] == target]


def test_the_time_to_the_next_failure_counts_from_the_repair() -> None:
    rule = FailureProcess("node-crash", Constant(10 * MINUTE), Constant(MINUTE))
    assert times(strikes(make_world({"a": ""}), rule, until=HOUR), "a") == [600, 1260, 1920, 2580, 3240]


def test_a_failure_for_ever_is_the_last() -> None:
    rule = FailureProcess("node-crash", Constant(10 * MINUTE))
    assert times(strikes(make_world({"a": ""}), rule), "a") == [600]


@pytest.mark.parametrize("name", ["kubelet-restart", "controller-manager-restart"])
def test_faults_that_end_by_themselves_come_again(name: str) -> None:
    world = replace_world(make_world({"a": ""}), controller_manager=Sturdy())
    assert len(strikes(world, FailureProcess(name, Constant(10 * MINUTE)), until=HOUR)) == 5


def test_faults_without_a_duration_come_again() -> None:
    world = make_world({"a": ""})
    world.server.create(make_pod(node="a"))
    world.server.create(make_pod("db-0", node="a"))
    rule = FailureProcess("container-exit", Constant(MINUTE), targets=("web-*",), arguments={"code": 3})
    rows = strikes(world, rule, until=200 * SECOND)
    assert times(rows, "default/web-0") == [60, 120, 180]
    assert times(rows, "default/db-0") == []


def test_a_pod_that_comes_later_has_its_own_sequence_and_a_missing_one_is_missed() -> None:
    world = make_world({"a": ""})
    world.sim.clock.call_at(30 * SECOND, lambda: world.server.create(make_pod(node="a")))
    world.sim.clock.call_at(
        100 * SECOND, lambda: world.server.delete(type(make_pod()), "default", "web-0", grace_period_seconds=0)
    )
    rows = strikes(world, FailureProcess("container-exit", Constant(MINUTE)), until=200 * SECOND)
    assert times(rows, "default/web-0") == [90, 150]
    [missed] = [row for row in world.sim.trace if row.event == "Missed"]
    assert missed.t == 150 * SECOND


def test_a_pod_whose_name_never_comes_back_is_not_missed_for_ever() -> None:
    world = make_world({"a": ""})
    owner = OwnerReference(api_version="apps/v1", kind="ReplicaSet", name="web", uid="1", controller=True)
    pod = make_pod(node="a")
    world.server.create(replace(pod, metadata=replace(pod.metadata, owner_references=(owner,))))
    world.sim.clock.call_at(
        100 * SECOND, lambda: world.server.delete(type(pod), "default", "web-0", grace_period_seconds=0)
    )
    rows = strikes(world, FailureProcess("container-exit", Constant(MINUTE)), until=HOUR)
    assert times(rows, "default/web-0") == [60]
    assert not [row for row in world.sim.trace if row.event == "Missed"]


def test_targets_are_chosen_by_patterns() -> None:
    rule = FailureProcess("node-crash", Constant(DAY), Constant(0), targets=("db-*", "x"))
    rows = strikes(make_world({"db-0": "", "db-1": "", "web-0": "", "x": ""}), rule, until=2 * DAY)
    assert sorted({row.detail["target"] for row in rows}) == ["db-0", "db-1", "x"]


def test_zones_fail_as_one() -> None:
    rule = FailureProcess("zone-outage", Constant(DAY), Constant(HOUR), targets=("a",))
    rows = strikes(make_world({"n-0": "a", "n-1": "a", "n-2": "b"}), rule, until=2 * DAY)
    assert [row.detail["target"] for row in rows] == ["a"]


@pytest.mark.parametrize(("probability", "expected"), [(0.0, ["n-0"]), (1.0, ["n-0", "n-1"])])
def test_a_failure_spreads_within_its_group(probability: float, expected: list[str]) -> None:
    rule = FailureProcess(
        "node-crash", Constant(DAY), Constant(HOUR), targets=("n-0",), spread=Spread(ZONE_LABEL, probability)
    )
    rows = strikes(make_world({"n-0": "a", "n-1": "a", "n-2": "b"}), rule, until=25 * HOUR)
    assert [row.detail["target"] for row in rows] == expected


def test_a_further_target_or_rule_changes_nobody_elses_times() -> None:
    rule = FailureProcess("node-crash", Exponential(3 * DAY), Constant(HOUR))
    alone = times(strikes(make_world({"a": ""}), rule), "a")
    other = FailureProcess("registry-outage", Exponential(DAY), Constant(HOUR))
    both = strikes(make_world({"0": "", "a": "", "b": ""}), other, rule)
    assert alone == [row.t / SECOND for row in both if row.detail["target"] == "a"]
    assert len(alone) > 10


def test_two_rules_for_one_fault_are_independent() -> None:
    rule = FailureProcess("node-crash", Exponential(3 * DAY), Constant(HOUR))
    first, second = strikes(make_world({"a": ""}), rule, rule, until=DAY * 10)[:2]
    assert first.t != second.t


def test_what_two_faults_hold_down_comes_back_when_the_last_has_ended() -> None:
    log: list[tuple[float, str]] = []
    world = make_world({"a": ""})
    for name, for_s in (("first", 10), ("second", 4)):
        world.hold(
            "power",
            "a",
            lambda n=name: log.append((0, n)),
            lambda: log.append((world.sim.clock.now / SECOND, "end")),
            for_s * SECOND,
        )  # type: ignore[misc]
    world.sim.clock.run(20 * SECOND)
    assert log == [(0, "first"), (10, "end")]


def test_the_mean_time_between_failures_is_what_was_asked_for() -> None:
    rule = FailureProcess("node-crash", Exponential(DAY), Constant(0))
    rows = strikes(make_world({f"n-{i}": "" for i in range(20)}), rule)
    assert 1800 < len(rows) < 2200


def test_labels_choose_too() -> None:
    world = make_world({"a": "", "b": ""}, pool="db")
    world.server.preload(Node(metadata=ObjectMeta(name="c", labels={"pool": "web"})))
    world.machines.join("c", Sturdy())  # type: ignore[arg-type]
    rule = FailureProcess("node-crash", Constant(DAY), Constant(0), selector=parse_selector("pool=db"))
    assert {row.detail["target"] for row in strikes(world, rule, until=2 * DAY)} == {"a", "b"}


def test_a_machine_that_joins_has_its_own_sequence() -> None:
    world = make_world({"a": ""})
    world.sim.clock.call_at(HOUR, lambda: world.machines.join("b", Sturdy()))  # type: ignore[arg-type]
    rows = strikes(world, FailureProcess("node-crash", Constant(2 * HOUR), Constant(0)), until=4 * HOUR)
    assert times(rows, "b") == [3 * 3600]


def test_failures_begin_between_start_and_stop_only() -> None:
    rule = FailureProcess("node-crash", Constant(HOUR), Constant(0), start_ns=DAY, stop_ns=DAY + 150 * MINUTE)
    assert times(strikes(make_world({"a": ""}), rule), "a") == [25 * 3600, 26 * 3600]


NODES = {f"n-{i}": "ab"[i % 2] for i in range(40)}


def test_a_shock_hits_a_share_of_all_at_once() -> None:
    rule = FailureProcess("node-crash", Constant(DAY), Exponential(HOUR), shock=Shock(0.25))
    rows = strikes(make_world(NODES), rule, until=20 * DAY + 1)
    by_time: dict[float, set[str]] = {}
    for row in rows:
        by_time.setdefault(row.t, set()).add(row.detail["target"])
    assert list(by_time) == [n * DAY for n in range(1, 21)]
    assert 140 < len(rows) < 260  # of 800
    assert len({frozenset(hit) for hit in by_time.values()}) == 20
    assert len({row.detail["for"] for row in rows}) == len(rows)
    [shock] = {row.cause for row in rows if row.t == DAY}
    assert shock >= 0


def test_shocks_per_label_come_apart() -> None:
    rule = FailureProcess("node-crash", Exponential(DAY), Constant(0), shock=Shock(1.0, ZONE_LABEL))
    world = make_world(NODES)
    strikes(world, rule, until=30 * DAY)
    shocks = [row for row in world.sim.trace if row.event == "Shock"]
    assert {row.detail["group"] for row in shocks} == {"a", "b"}
    for row in shocks:
        assert set(row.detail["hit"]) == {name for name, zone in NODES.items() if zone == row.detail["group"]}


def test_a_further_target_changes_no_shock() -> None:
    rule = FailureProcess("node-crash", Exponential(DAY), Exponential(HOUR), shock=Shock(0.5))
    few = strikes(make_world({"a": ""}), rule)
    many = strikes(make_world({"0": "", "a": "", "b": ""}), rule)
    assert [(r.t, r.detail) for r in few] == [(r.t, r.detail) for r in many if r.detail["target"] == "a"]
    assert len(few) > 20


def test_a_named_rule_keeps_its_chance_when_another_comes_before_it() -> None:
    rule = FailureProcess("node-crash", Exponential(3 * DAY), Constant(HOUR), name="wear")
    other = FailureProcess("node-crash", Exponential(DAY), Constant(0), targets=("b",))
    alone = strikes(make_world({"a": "", "b": ""}), rule)
    both = strikes(make_world({"a": "", "b": ""}), other, rule)
    assert times(alone, "a") == times(both, "a")


# ---- in a file ----------------------------------------------------------------------------------------------------

HEAD = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  nodes: [{name: node, count: 2, zones: [a]}]
  failures:
    - """


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_strike_at_random(name: str) -> None:
    target = target_of(FAULTS[name].fault)
    which = f"{target}: '*', " if target else ""
    [rule] = loads(HEAD + f"{{fault: {name}, {which}every: 1d}}").failures
    assert (rule.fault, rule.targets, rule.every) == (name, ("*",), Constant(DAY))


def test_a_rule_in_full() -> None:
    text = """{fault: node-crash, node: [node-0, "*-1"], every: {exponential: {mean: 30d}}, for: {uniform: [1m, 2m]},
       spread: {label: rack, probability: 0.25}}"""
    [rule] = loads(HEAD + text).failures
    assert rule.targets == ("node-0", "*-1")
    assert rule.lasts is not None
    assert rule.lasts.quantile(0.5) == 90 * SECOND
    assert rule.spread == Spread("rack", 0.25)
    [rule] = loads(
        HEAD
        + """{name: fire, fault: node-crash, selector: "pool=db,!old", every: 1d, start: 1h, stop: 2h,
       shock: {probability: 0.5, per: rack}}"""
    ).failures
    assert (rule.name, rule.start_ns, rule.stop_ns, rule.shock) == ("fire", HOUR, 2 * HOUR, Shock(0.5, "rack"))
    assert rule.selector == parse_selector("pool=db,!old")
    [rule] = loads(HEAD + "{fault: container-exit, pod: web-0, container: app, code: 9, every: 1h}").failures
    assert dict(rule.arguments) == {"container": "app", "code": 9}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{every: 1d}", "fault is missing"),
        ("{fault: node-crsh, every: 1d}", "did you mean node-crash?"),
        ("{fault: node-crash}", "every is missing"),
        ("{fault: node-crash, every: 0s}", "is too often"),
        ("{fault: node-crash, every: 1d, node: db-0}", "no node matches 'db-0'"),
        ("{fault: zone-outage, every: 1d, zone: [a, z]}", "no zone matches 'z'"),
        ("{fault: node-crash, every: 1d, pod: web-0}", "unknown key 'pod'"),
        ("{fault: registry-outage, every: 1d, spread: {label: x, probability: 1}}", "unknown key 'spread'"),
        ("{fault: node-crash, every: 1d, spread: {label: x, probability: 2}}", "not a probability"),
        ("{fault: node-crash, every: 1d, shock: {probability: 1}, spread: {label: x, probability: 1}}", "not spread"),
        ("{fault: registry-outage, every: 1d, shock: {probability: 1}}", "unknown key 'shock'"),
        ("{fault: node-crash, every: 1d, shock: {per: rack}}", "probability is missing"),
        ("{fault: node-crash, every: 1d, selector: 'a=b,,'}", "unable to parse the selector"),
        ("{fault: node-crash, every: 1d, start: 2h, stop: 1h}", "stop is before start"),
        ("{fault: zone-outage, every: 1d, selector: a=b}", "unknown key 'selector'"),
        ("{fault: container-exit, every: 1d, code: 300}", "not between 0 and 255"),
        ("{fault: node-crash, every: 1d, for: soon}", "invalid duration"),
    ],
)
def test_mistakes_in_a_rule_are_named(text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as error:
        loads(HEAD + text)
    assert problem in str(error.value)
    assert error.value.line is not None
