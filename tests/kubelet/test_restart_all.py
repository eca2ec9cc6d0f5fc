"""The action RestartAllContainers of container restart rules (KEP-5532, on in 1.36)."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import Container, ContainerRestartRule, ContainerRestartRuleOnExitCodes, Pod, PodSpec, PodStatus
from k8sim.api.meta import Condition
from k8sim.kubelet.actions import compute_pod_actions
from k8sim.kubelet.restart import should_all_containers_restart
from k8sim.machines.records import EXITED, RUNNING, ContainerRecord, RuntimePodStatus, SandboxRecord
from tests.kubelet.bench import READY, Bench, image, meta

RULE = ContainerRestartRule("RestartAllContainers", ContainerRestartRuleOnExitCodes("In", (42,)))
RULES = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]
SOURCE: dict[str, Any] = {"name": "source", "image": "app:v1", "restartPolicy": "Never", "restartPolicyRules": RULES}
OTHER: dict[str, Any] = {"name": "other", "image": "app:v1"}


def pod() -> Pod:
    containers = (Container(name="a", restart_policy="Never", restart_policy_rules=(RULE,)), Container(name="b"))
    return Pod(metadata=meta(), spec=PodSpec(containers=containers, init_containers=(Container(name="i"),)))


def runtime(**states: tuple[str, int]) -> RuntimePodStatus:
    records = tuple(ContainerRecord(f"id-{n}", n, "", state, exit_code=code) for n, (state, code) in states.items())
    return RuntimePodStatus("uid-app", records, (SandboxRecord("s", True, "10.0.0.1"),), "10.0.0.1")


@pytest.mark.parametrize(("state", "restart"), [((EXITED, 42), True), ((EXITED, 1), False), ((RUNNING, 0), False)])
def test_only_the_code_of_the_rule_restarts_all(state: tuple[str, int], restart: bool):
    assert should_all_containers_restart(pod(), runtime(a=state, b=(RUNNING, 0)), PodStatus()) is restart


def test_a_restart_goes_on_while_the_condition_says_so():
    begun = PodStatus(conditions=(Condition(type="AllContainersRestarting", status="True"),))
    assert should_all_containers_restart(pod(), runtime(), begun)


def test_those_that_brought_it_about_are_removed_last():
    actions = compute_pod_actions(
        pod(), runtime(a=(EXITED, 42), b=(RUNNING, 0), i=(EXITED, 0)), {}, {}, restart_all=True
    )
    assert [r.name for r in actions.containers_to_reset] == ["i", "b", "a"]
    assert not actions.containers_to_start
    assert not actions.kill_pod


def started(bench: Bench) -> list[tuple[str, int]]:
    rows = [r for r in bench.rows("Container") if r.event == "Started"]
    return [(r.detail["container"], r.detail["restart"]) for r in rows]


def test_all_containers_begin_again_in_the_same_sandbox():
    """Init containers run again, restart counts go on, address and UID stay; no hook runs, whatever lives gets 2 s."""
    hook = {"preStop": {"exec": {"command": ["sleep", "20"]}}}
    bench = Bench(image("init:*", exit_after=1), image(stop=None))
    bench.pod(
        "app",
        dict(SOURCE),
        {**OTHER, "lifecycle": hook},
        initContainers=[{"name": "init", "image": "init:v1"}],
        restartPolicy="Never",
    )
    bench.run(9)
    before = bench.stored()
    bench.exit_at(10, container="source", code=42)
    bench.run(20)
    after = bench.stored()
    assert started(bench) == [(n, i) for i in (0, 1) for n in ("init", "source", "other")]
    assert (after.uid, after.status.pod_ip) == (before.uid, before.status.pod_ip)
    assert [s.restart_count for s in after.status.container_statuses] == [1, 1]
    killed = next(r.t / 1e9 for r in bench.rows("Container") if r.event == "Exited" and r.detail["code"] == 137)
    assert 12 <= killed <= 13.2  # a relist, then SIGTERM, 2 s, SIGKILL
    assert not [r for r in bench.rows("Container") if r.event == "HookBegan"]
    assert bench.times("Phase", phase="Failed") == []
    condition = bench.condition("AllContainersRestarting")
    assert condition is not None
    assert condition.status == "False"


def test_the_condition_is_true_while_containers_are_being_removed():
    bench = Bench(image(stop=None))
    bench.pod("app", dict(SOURCE), OTHER)
    bench.exit_at(10, container="source", code=42)
    bench.run(12.5)
    condition = bench.condition("AllContainersRestarting")
    assert condition is not None
    assert (condition.status, condition.reason) == ("True", "RestartAllContainersStarted")


def test_a_container_alone_begins_again_without_back_off():
    """Nothing is left of the ended container that a back-off could count from."""
    bench = Bench(image(exit_after=3, exit_code=42))
    bench.pod("app", dict(SOURCE), restartPolicy="Never")
    bench.run(20)
    assert [count for _, count in started(bench)] == list(range(len(started(bench))))
    assert len(started(bench)) >= 4


def test_probes_of_a_container_that_never_restarts_by_itself_live_on():
    bench = Bench(image(ready=1, stop=0.1))
    bench.pod("app", {**SOURCE, "readinessProbe": READY}, {**OTHER, "readinessProbe": READY}, restartPolicy="Never")
    bench.exit_at(10, container="source", code=42)
    bench.run(20)
    assert len(bench.times("NotReady")) == 1
    assert len(bench.times("Ready")) == 2


def test_another_code_follows_the_policy():
    bench = Bench(image(stop=0.1))
    bench.pod("app", dict(SOURCE), OTHER, restartPolicy="Never")
    bench.exit_at(10, container="source", code=1)
    bench.run(20)
    assert len(started(bench)) == 2
    assert bench.stored().status.phase == "Running"


def test_a_pod_that_is_being_deleted_does_not_begin_again():
    bench = Bench(image(stop=None))
    bench.pod("app", dict(SOURCE), OTHER, terminationGracePeriodSeconds=10)
    bench.delete_at(8)
    bench.exit_at(10, container="source", code=42)
    bench.run(30)
    assert bench.get() is None
    assert len(started(bench)) == 2
