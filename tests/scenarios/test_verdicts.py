"""Each shipped scenario does what its description expects: verdicts read from the public trace."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario.loader import load

SCENARIOS = Path(__file__).parents[2] / "scenarios"
HERE = (
    "zookeeper-drain", "node-dies-at-night", "budget-blocks-upgrade", "spread-plus-zonal-volume-deadlock",
    "parallel-update-loses-quorum", "one-set-per-zone-rolled-together", "unhealthy-pod-blocks-drain", "spot-reclaim",
    "web-rolling-update", "web-canary", "web-basics-tour", "db-node-loss",
)  # fmt: skip
STORIES = HERE[:8]
SEEDS = pytest.mark.parametrize("seed", [0, 1, 2])


class Run:
    """The public trace of a scenario."""

    def __init__(self, name: str, seed: int) -> None:
        cluster = Cluster(load(SCENARIOS / f"{name}.yaml"), seed=seed)
        self.result = cluster.run()
        self.trace = self.result.public_trace()

    def times(self, kind: str, event: str, name: str = "", **detail: Any) -> list[float]:
        return [
            t
            for t, k, n, e, d in self.trace
            if (k, e) == (kind, event) and name in ("", n) and all(d.get(key) == v for key, v in detail.items())
        ]

    def placed(self, name: str) -> list[str]:
        return [d["node"] for _, k, n, e, d in self.trace if (k, n, e) == ("Pod", name, "Scheduled")]

    def codes(self) -> dict[int, int]:
        return {d["step"]: d["code"] for _, k, _, e, d in self.trace if (k, e) == ("Command", "Done")}

    def done(self, step: int) -> float:
        [t] = self.times("Command", "Done", step=step)
        return t

    def ready(self, *prefixes: str, start: float = 0) -> list[tuple[float, int]]:
        """How many pods of some names are Ready after each change, from a time on."""
        ready: set[str] = set()
        counts: list[tuple[float, int]] = []
        for t, kind, name, event, _ in self.trace:
            if kind == "Pod" and name.startswith(prefixes):
                if event == "Ready":
                    ready.add(name)
                elif event in ("NotReady", "Deleted"):
                    ready.discard(name)
                else:
                    continue
                if t >= start:
                    counts.append((t, len(ready)))
        return counts

    def least(self, *prefixes: str, start: float) -> int:
        return min(n for _, n in self.ready(*prefixes, start=start))

    def outage(self, name: str, start: float) -> tuple[float, float]:
        """From when until when a pod is away, the first time after `start`."""
        lost = min(t for t in self.times("Pod", "NotReady", name) + self.times("Pod", "Deleted", name) if t >= start)
        return lost, min((t for t in self.times("Pod", "Ready", name) if t > lost), default=float("inf"))


@cache
def run(name: str, seed: int = 0) -> Run:
    return Run(name, seed)


def test_every_scenario_has_its_verdict_tested() -> None:
    text = "\n".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert not [path.stem for path in SCENARIOS.glob("*.yaml") if f'"{path.stem}"' not in text]


@pytest.mark.parametrize("name", STORIES)
def test_each_says_what_to_expect_and_where_it_is_told(name: str) -> None:
    scenario = load(SCENARIOS / f"{name}.yaml")
    assert "Expected: " in scenario.description
    assert "https://" in scenario.description
    assert [note.what for note in scenario.not_simulated] in (
        [], ["StatefulSet spec.template.spec.securityContext.runAsUser"]
    )  # fmt: skip


@SEEDS
def test_zookeeper_survives_maintenance(seed: int) -> None:
    it = run("zookeeper-drain", seed)
    assert [it.placed(f"zk-{i}")[0] for i in range(3)] == ["a-0", "b-0", "c-0"]
    assert it.codes() == {0: 0, 1: 0, 2: 1, 3: 0, 4: 0, 5: 0}
    assert 60 <= it.done(2) - 480 < 66
    assert it.times("Pod", "Unschedulable", "zk-1")[0] < 370
    assert 600 < it.outage("zk-1", 300)[1] < 630
    assert it.done(4) - 720 < 10
    assert it.least("zk-", start=200) == 2


@SEEDS
def test_a_node_dies_at_night(seed: int) -> None:
    it = run("node-dies-at-night", seed)
    [terminating] = it.times("Pod", "Terminating", "db-1", grace=30)
    [deleted] = it.times("Pod", "Deleted", "db-1")
    assert 600 + 340 < terminating < 600 + 360
    assert deleted - terminating == pytest.approx(6 * 3600 + 30, abs=2)
    assert it.outage("db-1", 600)[1] - deleted < 60
    assert 600 + 340 < it.times("Pod", "Ready", "api:1:2")[0] < 600 + 400


@SEEDS
def test_a_budget_blocks_an_upgrade(seed: int) -> None:
    it = run("budget-blocks-upgrade", seed)
    operators = [row for row in it.result.log if row.kind == "Operator"]
    assert [r.event for r in operators if r.name == "strict"] == ["Begins", "Drains", "DrainFailed", "Stopped"]
    assert [r.event for r in operators if r.name == "loose"].count("Upgraded") == 3
    assert not it.times("Pod", "Terminating", "strict-0")
    assert it.times("Node", "Cordoned", "strict-0")
    assert not it.times("Node", "Uncordoned", "strict-0")
    assert max(r.t for r in operators if r.name == "loose") / 1e9 < 2400
    assert it.least("loose-", start=500) == 2


@SEEDS
def test_spread_and_zonal_volumes_deadlock(seed: int) -> None:
    it = run("spread-plus-zonal-volume-deadlock", seed)
    assert [it.placed(f"db-{i}")[0] for i in range(5)] == ["a-0", "b-0", "c-0", "a-0", "b-0"]
    assert [it.placed(f"parallel-{i}")[0][9] for i in range(5)] == ["a", "b", "c", "a", "b"]
    assert it.times("Pod", "Unschedulable", "db-0")
    assert it.outage("db-0", 600)[1] == it.outage("db-2", 600)[1] == float("inf")
    assert len(it.times("Pod", "Created", "db-2")) == 1
    assert max(it.outage(f"parallel-{i}", 600)[1] for i in (0, 2)) < 660


@SEEDS
def test_a_parallel_update_loses_the_quorum(seed: int) -> None:
    it = run("parallel-update-loses-quorum", seed)
    assert it.least("parallel-", start=620) == 1
    counts = it.ready("parallel-", start=620)
    alone = sum(b - a for (a, n), (b, _) in pairwise(counts) if n < 2)
    assert 150 < alone < 240
    assert it.least("ordered-", start=300) == 2
    assert it.times("Pod", "Terminating", "ordered-2")[0] > it.times("Pod", "Ready", "ordered-0")[1] > 900


@SEEDS
def test_sets_that_are_rolled_together(seed: int) -> None:
    it = run("one-set-per-zone-rolled-together", seed)
    together = [(t, n) for t, n in it.ready("es-", start=500) if t < 1100]
    assert min(n for _, n in together) == 3
    assert sum(b - a for (a, n), (b, _) in pairwise(together) if n == 3) > 120
    assert it.least("es-", start=1100) == 5


@SEEDS
def test_unhealthy_pods_block_a_drain(seed: int) -> None:
    it = run("unhealthy-pod-blocks-drain", seed)
    assert it.codes() == {0: 1, 1: 0}
    assert 600 <= it.done(0) - 600 < 606
    assert it.done(1) - 600 < 5
    assert not [t for n in range(3) for t in it.times("Pod", "Terminating", f"guarded-{n}")]


@SEEDS
def test_a_spot_machine_is_reclaimed(seed: int) -> None:
    it = run("spot-reclaim", seed)
    lost, back = it.outage("handled-0", 300)
    assert 300 < lost < 310
    assert back - lost < 60
    [deleted] = it.times("Node", "Deleted", "bare-0")
    [gone] = it.times("Pod", "Deleted", "bare-0")
    assert 420 + 40 < deleted < 420 + 62
    assert 40 <= gone - deleted <= 85
    assert 480 < it.outage("bare-0", 420)[1] - 420 < 600
    assert it.placed("bare-0")[1] == "bare-1"


@SEEDS
def test_a_rolling_update(seed: int) -> None:
    it = run("web-rolling-update", seed)
    order = [n for _, k, n, e, _ in it.trace if (k, e) == ("Pod", "Terminating")]
    assert list(dict.fromkeys(order)) == ["web-2", "web-1", "web-0"]
    assert it.least("web-", start=30) == 2
    for name in ("web-2", "web-1", "web-0"):
        lost, back = it.outage(name, 20)
        assert back - lost < 12


@SEEDS
def test_a_canary(seed: int) -> None:
    it = run("web-canary", seed)
    start = it.done(0)
    assert not it.times("Pod", "Terminating", "web-0")
    assert not it.times("Pod", "Terminating", "web-1")
    assert len(it.times("Pod", "Deleted", "web-2")) == 2
    assert it.times("Pod", "Ready", "web-2")[-1] > start
    assert it.codes()[2] == 1


@SEEDS
def test_the_tour_does_what_the_tutorial_shows(seed: int) -> None:
    it = run("web-basics-tour", seed)
    assert set(it.codes().values()) == {0}
    assert not it.times("PersistentVolumeClaim", "Deleted")


@SEEDS
def test_a_lost_node_keeps_a_database_away(seed: int) -> None:
    it = run("db-node-loss", seed)
    lost, back = it.outage("db-1", 60)
    assert 12 * 60 < back - 60 < 15 * 60
    assert lost > 60 + 40
