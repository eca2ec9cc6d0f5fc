"""Upgrades and reactions in whole clusters."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import Node, Pod
from k8sim.cluster import Cluster
from k8sim.scenario import ScenarioError, loads
from k8sim.sim.trace import Row
from k8sim.sim.units import SECOND

HEAD = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: operations}
spec:
  duration: 1h
  nodes: [{name: node, count: 3, labels: {pool: db}}]
  images: {"*": {ready: 1s, stop: 1s}}
"""
SET = """
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: REPLICAS
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 1
              podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}
      containers:
        - {name: app, image: "app:v1", readinessProbe: {exec: {command: [check, ready]}, periodSeconds: 1}}
"""
BUDGET = """
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db}
spec: {minAvailable: MIN, selector: {matchLabels: {app: db}}}
"""


class Run:
    """A finished run."""

    def __init__(self, spec: str, more: str = "", seed: int = 1, replicas: int = 3, budget: int | None = None) -> None:
        text = HEAD + spec + SET.replace("REPLICAS", str(replicas)) + more
        if budget is not None:
            text += BUDGET.replace("MIN", str(budget))
        self.cluster = Cluster(loads(text), seed=seed)
        self.result = self.cluster.run()
        self.trace = self.result.public_trace()

    def did(self, event: str, who: str = "") -> list[tuple[float, str]]:
        """What operators have done: (when, to whom)."""
        return [(r.t / SECOND, r.detail["target"]) for r in self._rows() if r.event == event and who in ("", r.name)]

    def _rows(self) -> list[Row]:
        return [row for row in self.result.log if row.kind == "Operator"]

    def times(self, kind: str, event: str, name: str = "", **detail: Any) -> list[float]:
        return [
            t
            for t, k, n, e, d in self.trace
            if (k, e) == (kind, event) and name in ("", n) and all(d.get(key) == v for key, v in detail.items())
        ]

    def all_ready(self) -> bool:
        nodes, pods = self.cluster.server.list(Node), self.cluster.server.list(Pod)
        conditions = [c for obj in (*nodes, *pods) for c in obj.status.conditions if c.type == "Ready"]
        return len(conditions) == len(nodes) + len(pods) and all(c.status == "True" for c in conditions)


# ---- upgrades -----------------------------------------------------------------------------------------------------


def test_an_upgrade_in_place_takes_one_node_after_the_other() -> None:
    run = Run("  nodeUpgrades: [{at: 2m, reboot: 90s, settle: 10s}]", budget=2)
    assert [name for _, name in run.did("Drains")] == ["node-0", "node-1", "node-2"]
    begins, ends = run.did("Reboots"), run.did("Upgraded")
    for (begin, _), (end, _), (following, _) in zip(begins, ends, [*run.did("Drains")[1:], (1e9, "")], strict=True):
        assert 100 < end - begin < 130
        assert following >= end
    assert run.all_ready()
    assert not any(node.spec.unschedulable for node in run.cluster.server.list(Node))
    assert {node.status.node_info.boot_id[-6:] for node in run.cluster.server.list(Node)} == {"boot-2"}


def test_an_upgrade_takes_so_many_nodes_at_a_time() -> None:
    run = Run("  nodeUpgrades: [{at: 2m, parallel: 3, reboot: 90s}]")
    assert max(t for t, _ in run.did("Drains")) < 125
    assert len(run.did("Upgraded")) == 3
    assert run.all_ready()


def test_only_chosen_nodes_are_upgraded_and_again_after_a_while() -> None:
    run = Run("  nodeUpgrades: [{at: 2m, nodes: node-1, selector: pool=db, every: 20m, reboot: 60s}]")
    assert [name for _, name in run.did("Upgraded")] == ["node-1"] * 3
    first, second, third = (t for t, _ in run.did("Drains"))
    ends = [t for t, _ in run.did("Done")]
    assert second - ends[0] == pytest.approx(1200)
    assert third - ends[1] == pytest.approx(1200)
    assert first < ends[0]


@pytest.mark.parametrize(
    ("failure", "rebooted", "event"), [("stop", 0, "Stopped"), ("skip", 0, "Done"), ("proceed", 3, "Done")]
)
def test_what_becomes_of_nodes_that_cannot_be_drained(failure: str, rebooted: int, event: str) -> None:
    spec = f"  nodeUpgrades: [{{at: 2m, drain: {{timeout: 5m}}, onDrainFailure: {failure}, reboot: 60s}}]"
    run = Run(spec, budget=3)
    failed = run.did("DrainFailed")
    assert len(failed) == (1 if failure == "stop" else 3)
    assert failed[0][0] == pytest.approx(120 + 300, abs=6)
    assert len(run.did("Upgraded")) == rebooted
    assert len(run.did(event, "upgrade")) == 1
    cordoned = [node.name for node in run.cluster.server.list(Node) if node.spec.unschedulable]
    assert len(cordoned) == {"stop": 1, "skip": 3, "proceed": 0}[failure]


NEVER_READY = "  timeline: [{at: 130s, fault: node-crash, node: node-0}]"
"""Its machine breaks during the upgrade, and is not repaired."""


def test_an_upgrade_gives_up_a_node_that_never_becomes_ready() -> None:
    run = Run(f"  nodeUpgrades: [{{at: 2m, reboot: 60s}}]\n{NEVER_READY}")
    [(reboots, _)] = run.did("Reboots")
    assert run.did("NotReady") == [(pytest.approx(reboots + 60 + 15 * 60), "node-0")]
    assert [t for t, _ in run.did("Stopped")] == [t for t, _ in run.did("NotReady")]
    assert not run.did("Upgraded")
    assert [node.name for node in run.cluster.server.list(Node) if node.spec.unschedulable] == ["node-0"]


@pytest.mark.parametrize(("timeout", "gave_up"), [("5m", 1), ("0s", 0)])
def test_how_long_an_upgrade_waits_for_a_node_can_be_set(timeout: str, gave_up: int) -> None:
    run = Run(f"  nodeUpgrades: [{{at: 2m, reboot: 60s, readyTimeout: {timeout}}}]\n{NEVER_READY}")
    assert len(run.did("NotReady")) == gave_up
    assert len(run.did("Stopped")) == gave_up


def test_a_surge_whose_new_machine_does_not_join_leaves_the_old_one_alone() -> None:
    outage = "  timeline: [{at: 140s, fault: apiserver-outage}]"
    run = Run(f"  nodeUpgrades: [{{at: 2m, nodes: node-0, strategy: surge, boot: 30s}}]\n{outage}")
    assert run.did("NotReady") == [(120 + 30 + 15 * 60, "node-0-r1")]
    assert not run.did("Drains")
    assert run.cluster.machines["node-0"].powered


def test_a_surge_replaces_the_machines() -> None:
    run = Run("  nodeUpgrades: [{at: 2m, strategy: surge, boot: 30s}]", budget=2)
    assert {node.name for node in run.cluster.server.list(Node)} == {"node-0-r1", "node-1-r1", "node-2-r1"}
    assert run.all_ready()
    for old in ("node-0", "node-1", "node-2"):
        [joined] = run.times("Node", "Untainted", f"{old}-r1", key="node.kubernetes.io/not-ready")
        [gone] = run.times("Node", "Deleted", old)
        assert joined < gone
        assert not run.cluster.machines[old].powered
    node = run.cluster.server.get(Node, "", "node-0-r1")
    assert node.metadata.labels["pool"] == "db"
    assert node.metadata.labels["kubernetes.io/hostname"] == "node-0-r1"
    assert not node.spec.taints


def test_a_machine_that_was_replaced_never_boots_again() -> None:
    spec = """  nodeUpgrades: [{at: 2m, nodes: node-0, strategy: surge, boot: 30s}]
  timeline: [{at: 30m, fault: node-crash, node: node-0, for: 1m}]"""
    run = Run(spec)
    assert not run.cluster.machines["node-0"].powered
    assert run.cluster.server.find(Node, "", "node-0") is None


# ---- reactions ----------------------------------------------------------------------------------------------------

CRASH = "  timeline: [{at: 1m, fault: node-crash, node: node-1}]\n"


def victim(run: Run) -> str:
    """The pod that was on node-1 first."""
    return next(n for _, k, n, e, d in run.trace if (k, e, d.get("node")) == ("Pod", "Scheduled", "node-1"))


def test_without_operators_a_pod_of_a_dead_node_stays_terminating() -> None:
    run = Run(CRASH)
    assert run.times("Pod", "Terminating", victim(run))
    assert not run.times("Pod", "Deleted", victim(run))


def test_somebody_force_deletes_what_hangs() -> None:
    run = Run(CRASH + "  operators: {forceDelete: {after: 10m, pods: 'db-*'}}")
    [terminating] = run.times("Pod", "Terminating", victim(run), grace=30)
    [deleted] = run.times("Pod", "Deleted", victim(run))
    assert deleted - terminating == pytest.approx(630, abs=2)
    assert run.times("Pod", "Ready", victim(run))[-1] > deleted


@pytest.mark.parametrize("any_node", [False, True])
def test_who_force_deletes_looks_whether_the_node_is_down(any_node: bool) -> None:
    held = "patch pod db-0 -p '{metadata: {finalizers: [example.com/held]}}'"
    spec = f"""  timeline:
    - {{at: 1m, kubectl: "{held}"}}
    - {{at: 2m, kubectl: delete pod db-0 --wait=false}}
  operators: {{forceDelete: [{{after: 1m, pods: other}}, {{after: 5m, onReadyNodes: {str(any_node).lower()}}}]}}
"""
    run = Run(spec)
    [(t, target)] = run.did("Acts" if any_node else "Spares", "forceDelete #2")
    assert (target, t) == ("default/db-0", pytest.approx(120 + 30 + 300, abs=1.5))
    assert not run.did("Spares" if any_node else "Acts")


@pytest.mark.parametrize("fence", ["check", "powerOff", "none"])
def test_a_silent_node_is_taken_out_of_service(fence: str) -> None:
    run = Run(CRASH + f"  operators: {{outOfService: {{after: 5m, fence: {fence}}}}}")
    [unknown] = run.times("Node", "Unknown", "node-1")
    [tainted] = run.times("Node", "Tainted", "node-1", key="node.kubernetes.io/out-of-service")
    [gone] = run.times("Pod", "Deleted", victim(run))
    assert tainted - unknown == pytest.approx(300, abs=1)
    assert 0 < gone - tainted < 25
    assert run.times("Pod", "Ready", victim(run))[-1] - gone < 10


@pytest.mark.parametrize(
    ("fence", "tainted", "twice"), [("check", False, False), ("powerOff", True, False), ("none", True, True)]
)
def test_a_node_that_is_only_cut_off_needs_a_fence(fence: str, tainted: bool, twice: bool) -> None:
    spec = "  timeline: [{at: 1m, fault: node-partition, node: node-1, for: 30m}]\n"
    run = Run(spec + f"  operators: {{outOfService: {{after: 5m, fence: {fence}, remove: 2m}}}}")
    taints = run.times("Node", "Tainted", "node-1", key="node.kubernetes.io/out-of-service")
    assert bool(taints) == tainted
    assert bool(run.did("Spares")) == (not tainted)
    both = [row for row in run.result.log if (row.kind, row.event) == ("Identity", "Twice")]
    assert bool(both) == twice
    if fence == "none":
        [off] = run.times("Node", "Untainted", "node-1", key="node.kubernetes.io/out-of-service")
        back = run.times("Node", "Ready", "node-1")[-1]
        assert off - back == pytest.approx(120, abs=1)


def test_a_node_that_is_back_in_time_is_left_alone() -> None:
    spec = "  timeline: [{at: 1m, fault: node-crash, node: node-1, for: 4m}]\n"
    run = Run(spec + "  operators: {outOfService: {after: 5m}, deleteNode: {after: 5m, fence: none}}")
    assert run.did("Acts") == []
    assert run.all_ready()


def test_a_deleted_node_is_replaced() -> None:
    run = Run(CRASH + "  operators: {deleteNode: {after: 5m}, replaceNode: {after: 3m}}")
    [deleted] = run.times("Node", "Deleted", "node-1")
    [joined] = run.times("Node", "Untainted", "node-1-r1", key="node.kubernetes.io/not-ready")
    assert joined - deleted == pytest.approx(180, abs=2)
    assert run.all_ready()
    assert not run.cluster.machines["node-1"].powered


SPOT = "  timeline: [{at: 1m, fault: spot-reclaim, node: node-1}]\n"


def test_a_handler_drains_a_spot_node_before_it_goes() -> None:
    run = Run(SPOT + "  operators: {terminationHandler: {}}")
    [gone] = run.times("Pod", "Deleted", victim(run))
    assert 60 < gone < 70
    assert run.times("Node", "Cordoned", "node-1")
    assert run.times("Node", "Unknown", "node-1")[0] > 180
    assert len(run.times("Node", "Deleted", "node-1")) == 1
    assert run.all_ready()


def test_without_a_handler_its_pods_are_missed_for_minutes() -> None:
    run = Run(SPOT)
    assert run.times("Pod", "Deleted", victim(run))[0] > 270
    cordoned = Run(SPOT + "  operators: {terminationHandler: {action: cordon, after: 1s}}")
    assert cordoned.times("Pod", "Deleted", victim(cordoned))[0] > 270
    assert 61 < cordoned.times("Node", "Cordoned", "node-1")[0] < 62


# ---- in a file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nodeUpgrades: [{reboot: 1m}]", "at is missing"),
        ("nodeUpgrades: [{at: 2h}]", "after the end of the scenario"),
        ("nodeUpgrades: [{at: 1m, strategy: blue}]", "unknown strategy 'blue'"),
        ("nodeUpgrades: [{at: 1m, strategy: surge, reboot: 1m}]", "reboot has no meaning"),
        ("nodeUpgrades: [{at: 1m, boot: 1m}]", "boot has no meaning"),
        ("nodeUpgrades: [{at: 1m, nodes: [node-0, x-*]}]", "no node matches 'x-*'"),
        ("nodeUpgrades: [{at: 1m, parallel: 0}]", "not between 1 and"),
        ("nodeUpgrades: [{at: 1m, drain: {timeot: 5m}}]", "unknown key 'timeot'"),
        ("nodeUpgrades: [{at: 1m, name: a}, {at: 2m, name: a}]", "second upgrade called 'a'"),
        ("operators: {forceDelet: {after: 1m}}", "did you mean forceDelete?"),
        ("operators: {forceDelete: {pods: db-0}}", "after is missing"),
        ("operators: {outOfService: {after: 5m, fence: stonith}}", "unknown fence 'stonith'"),
        ("operators: {deleteNode: [{after: 5m, nodes: node-9}]}", "no node matches 'node-9'"),
        ("operators: {replaceNode: {after: 5m, selector: 'a b'}}", "unable to parse"),
        ("operators: {terminationHandler: {action: pray}}", "unknown action 'pray'"),
    ],
)
def test_mistakes_are_named(text: str, problem: str) -> None:
    with pytest.raises(ScenarioError) as error:
        loads(HEAD + f"  {text}\n")
    assert problem in str(error.value)
    assert error.value.line == 9
