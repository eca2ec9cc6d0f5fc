"""Eviction under pressure, graceful shutdown, OOM scores (node.md 4.7, 4.10, 4.12, 8)."""

from typing import Any

import pytest

from k8sim.api.core import Node, Pod
from k8sim.api.scheme import decode
from k8sim.kubelet.eviction import assumed_memory, rank, rejects
from k8sim.kubelet.nodeshutdown import Group, group_pods, shutdown_groups
from k8sim.kubelet.qos import oom_score_adj, oom_victim
from k8sim.kubelet.settings import KubeletSettings
from tests.kubelet.bench import Bench, image, seconds

GIB = 1024**3


def pod(name: str, memory: str = "", limit: str = "", priority: int = 0, **spec: Any) -> Pod:
    resources: dict[str, Any] = {}
    if memory:
        resources["requests"] = {"memory": memory}
    if limit:
        resources["limits"] = {"memory": limit, "cpu": "1"}
        resources["requests"] = {"memory": limit, "cpu": "1"}
    decoded = decode(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "containers": [{"name": "c", "image": "i:1", "resources": resources}],
                "priority": priority,
                **spec,
            },
        }
    )
    assert isinstance(decoded, Pod)
    return decoded


def test_memory_rank_is_excess_then_priority_then_size():
    usage = {"within": GIB, "low": 2 * GIB, "high": 3 * GIB, "bigger": 3 * GIB}
    pods = [
        pod("within", "2Gi"),
        pod("high", "1Gi", priority=10),
        pod("low", "1Gi"),
        pod("bigger", "1Gi"),
        pod("critical", priority=2_000_000_000),
    ]
    order = rank("memory", pods, lambda p: usage.get(p.name, 0))
    assert [p.name for p in order] == ["bigger", "low", "high", "within"]


def test_disk_rank_is_priority_then_use():
    usage = {"a": 5, "b": 9, "c": 99}
    pods = [pod("a"), pod("b"), pod("c", priority=5)]
    assert [p.name for p in rank("nodefs", pods, lambda p: usage[p.name])] == ["b", "a", "c"]


def test_pods_without_requests_are_taken_to_use_something():
    assert assumed_memory(pod("none")) == 200 * 1024**2
    assert assumed_memory(pod("some", "1Gi")) == GIB


@pytest.mark.parametrize(
    ("candidate", "conditions", "rejected"),
    [
        (pod("best-effort"), [], False),
        (pod("best-effort"), ["MemoryPressure"], True),
        (pod("burstable", "1Gi"), ["MemoryPressure"], False),
        (pod("burstable", "1Gi"), ["DiskPressure"], True),
        (pod("critical", priority=2_000_000_000), ["DiskPressure"], False),
        (
            pod("tolerant", tolerations=[{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]),
            ["MemoryPressure"],
            False,
        ),
    ],
)
def test_admission_under_pressure(candidate: Pod, conditions: list[str], rejected: bool):
    assert (rejects(candidate, conditions) is not None) is rejected


def test_eviction_takes_one_pod_in_ten_seconds_and_leaves_its_object_failed():
    bench = Bench(image(stop=None))
    for name in ("a", "b", "c"):
        bench.pod(name)
    bench.at(15, lambda: bench.machine.set_pressure("memory", seconds(34.9)))
    bench.run(60)
    failed = sorted(t for n in ("a", "b", "c") for t in bench.times("Phase", n, phase="Failed"))
    assert len(failed) == 2
    assert 9 < failed[1] - failed[0] < 11
    gone = next(n for n in ("a", "b", "c") if bench.stored(n).status.phase == "Failed")
    status = bench.stored(gone).status
    assert status.reason == "Evicted"
    assert not bench.stored(gone).deleting
    target = bench.condition("DisruptionTarget", gone)
    assert target is not None
    assert target.reason == "TerminationByKubelet"
    exits = [r.t / 1e9 for r in bench.rows("Container", gone) if r.event == "Exited"]
    ordered = bench.times("Evicted", gone, kind="Event")[0]
    assert exits[0] - ordered == pytest.approx(2, abs=1.1)  # at most a relist, then SIGTERM, 2 s, SIGKILL
    assert bench.times("NotReady", gone)[0] >= exits[0]


def test_pressure_condition_is_held_for_five_minutes():
    bench = Bench(image(stop=0.1))
    bench.pod()
    bench.at(15, lambda: bench.machine.set_pressure("memory", evictions=1))

    def condition() -> str:
        node = bench.server.get(Node, "", "node")
        return next((c.status for c in node.status.conditions if c.type == "MemoryPressure"), "False")

    bench.run(40)
    assert condition() == "True"
    bench.run(300)
    assert condition() == "True"
    before = bench.clock.events_scheduled
    bench.run(345)
    assert condition() == "False"
    bench.run(2000)
    assert bench.clock.events_scheduled - before < 10


def test_best_effort_pod_is_rejected_while_memory_is_short():
    bench = Bench(image(stop=0.1))
    bench.at(5, lambda: bench.machine.set_pressure("memory", seconds(60)))
    bench.pod_at(30, "late")
    bench.run(40)
    assert (bench.stored("late").status.phase, bench.stored("late").status.reason) == ("Failed", "Evicted")


def test_graceful_shutdown_stops_ordinary_pods_before_critical_ones():
    settings = KubeletSettings(shutdown_grace_period_ns=seconds(30), shutdown_grace_period_critical_pods_ns=seconds(10))
    bench = Bench(image("slow:*", stop=None), image(stop=3), settings=settings)
    bench.pod("ordinary", {"image": "slow:v1"}, terminationGracePeriodSeconds=60)
    bench.pod("quick")
    bench.pod("critical", priority=2_000_000_000)
    bench.at(10, bench.machine.shut_down)
    bench.pod_at(15, "late")
    bench.run(60)
    exits = {r.name: r.t / 1e9 for r in bench.rows("Container") if r.event == "Exited"}
    assert exits["quick"] == pytest.approx(13, abs=0.1)
    assert exits["ordinary"] == pytest.approx(30, abs=0.1)
    assert 33 <= exits["critical"] <= 35
    for name in ("ordinary", "quick", "critical"):
        assert (bench.stored(name).status.phase, bench.stored(name).status.reason) == ("Failed", "Terminated")
    assert bench.stored("late").status.reason == "NodeShutdown"
    assert not bench.machine.powered


def test_shutdown_without_grace_is_a_power_loss():
    bench = Bench(image(stop=3))
    bench.pod()
    bench.at(10, bench.machine.shut_down)
    bench.run(60)
    assert not bench.machine.powered
    assert bench.stored().status.phase == "Running"


def test_shutdown_groups():
    assert shutdown_groups(KubeletSettings()) == ()
    classic = KubeletSettings(shutdown_grace_period_ns=30, shutdown_grace_period_critical_pods_ns=10)
    assert shutdown_groups(classic) == (Group(0, 20), Group(2_000_000_000, 10))
    groups = (Group(0, 1), Group(100, 1), Group(1000, 1))
    pods = [pod("a"), pod("b", priority=100), pod("c", priority=5000), pod("d", priority=-5)]
    assert [[p.name for p in group] for group in group_pods(groups, pods)] == [["a", "d"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("candidate", "score"),
    [
        (pod("guaranteed", limit="1Gi"), -997),
        (pod("best-effort"), 1000),
        (pod("burstable", "4Gi"), 750),
        (pod("tiny", "1Ki"), 999),
        (pod("huge", "16Gi"), 3),
        (pod("node-critical", priority=2_000_001_000), -997),
    ],
)
def test_oom_score(candidate: Pod, score: int):
    assert oom_score_adj(candidate, candidate.spec.containers[0], 16 * GIB) == score


def test_best_effort_dies_first():
    node = 16 * GIB
    pods = [pod("guaranteed", limit="8Gi"), pod("best-effort")]
    used = {"guaranteed": 8 * GIB, "best-effort": GIB // 4}
    victim = oom_victim(((p.name, oom_score_adj(p, p.spec.containers[0], node), used[p.name]) for p in pods), node)
    assert victim == "best-effort"


def test_slow_machine_starts_containers_late():
    bench = Bench(image(start=0))
    bench.machine.slowdown = 100
    bench.pod()
    bench.run(5)
    assert 0.3 < bench.time("Started") < 1.5


MIB = 1024**2
SOFT = KubeletSettings(
    eviction_soft_bytes=500 * MIB,
    eviction_soft_grace_period_ns=seconds(60),
    eviction_max_pod_grace_period=20,
)


def short_of_memory(
    available: int, settings: KubeletSettings = SOFT, names: str = "abc", **window: Any
) -> tuple[Bench, list[str]]:
    """Pods of 100 MiB each on a node that has so much left from 15 s on; which of them are evicted by 200 s."""
    bench = Bench(image(stop=None), settings=settings)
    for name in names:
        bench.pod(name, {"resources": {"requests": {"memory": "100Mi"}}}, terminationGracePeriodSeconds=30)
    bench.at(15, lambda: bench.machine.set_pressure("memory", available=available, **window))
    bench.run(200)
    return bench, [n for n in names if bench.stored(n).status.reason == "Evicted"]


def first_exit(bench: Bench, name: str) -> float:
    return next(r.t / 1e9 for r in bench.rows("Container", name) if r.event == "Exited")


def test_a_soft_threshold_evicts_after_its_grace_period_with_the_longest_grace_that_is_configured():
    bench, gone = short_of_memory(450 * MIB)
    assert len(gone) == 1  # its 100 MiB are enough
    [ordered] = bench.times("Evicted", gone[0], kind="Event")
    assert 75 <= ordered <= 95  # seen in a round of 10 s, due in one a minute later
    assert first_exit(bench, gone[0]) - ordered == pytest.approx(20, abs=1.1)


def test_the_condition_does_not_wait_for_the_grace_period():
    bench, _ = short_of_memory(450 * MIB)
    node = bench.server.get(Node, "", "node")
    held = next(c for c in node.status.conditions if c.type == "MemoryPressure")
    assert held.status == "True"
    assert held.last_transition_time is not None
    assert 15 <= held.last_transition_time / 1e9 <= 40


def test_a_shortage_that_ends_within_the_grace_period_evicts_nobody():
    _, gone = short_of_memory(450 * MIB, until_ns=seconds(60))
    assert gone == []


def test_a_hard_threshold_acts_at_once_whatever_the_soft_one_says():
    bench, gone = short_of_memory(50 * MIB)
    [ordered] = bench.times("Evicted", gone[0], kind="Event")
    assert ordered <= 36
    assert first_exit(bench, gone[0]) - ordered <= 3.1


def test_enough_memory_is_no_pressure():
    bench, gone = short_of_memory(600 * MIB)
    assert gone == []
    conditions = bench.server.get(Node, "", "node").status.conditions
    assert not [c for c in conditions if c.type == "MemoryPressure" and c.status == "True"]


def test_evictions_go_on_until_the_minimum_is_reclaimed():
    settings = KubeletSettings(eviction_minimum_reclaim_bytes=250 * MIB)
    assert len(short_of_memory(50 * MIB, KubeletSettings(), "abcde")[1]) == 1
    assert len(short_of_memory(50 * MIB, settings, "abcde")[1]) == 3  # 50 + 3 x 100 are 350 at least


def test_the_condition_is_held_as_long_as_configured():
    settings = KubeletSettings(eviction_pressure_transition_period_ns=seconds(30))
    bench = Bench(image(stop=0.1), settings=settings)
    bench.pod()
    bench.at(15, lambda: bench.machine.set_pressure("memory", seconds(20)))
    bench.run(80)
    [condition] = [c for c in bench.server.get(Node, "", "node").status.conditions if c.type == "MemoryPressure"]
    assert condition.status == "False"
