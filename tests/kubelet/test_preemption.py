"""Room that the kubelet makes for critical pods (node.md 4.9)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import Pod
from k8sim.api.quantity import parse_quantity
from k8sim.api.resources import pod_requests, qos_class
from k8sim.api.scheme import decode
from k8sim.kubelet.preemption import pods_to_preempt, preemptable
from tests.kubelet.bench import Bench, image

CRITICAL = 2_000_000_000


def needs(cpu: str = "", memory: str = "", guaranteed: bool = False) -> dict[str, Any]:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    return {"resources": {"requests": requests, **({"limits": requests} if guaranteed else {})}}


def pod(name: str, cpu: str = "", memory: str = "", guaranteed: bool = False, priority: int = 0) -> Pod:
    container = {"name": "c", "image": "i:1", **needs(cpu, memory, guaranteed)}
    spec = {"containers": [container], "priority": priority}
    decoded = decode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    assert isinstance(decoded, Pod)
    return decoded


def chosen(lacking: dict[str, str], *pods: Pod) -> list[str] | None:
    amounts = {k: parse_quantity(v) if k == "memory" else int(v) for k, v in lacking.items()}
    victims = pods_to_preempt(pod("critical", priority=CRITICAL), pods, amounts)
    return None if victims is None else [p.name for p in victims]


BEST_EFFORT, SMALL, BIG = pod("best-effort"), pod("small", "1"), pod("big", "3")
GUARANTEED = pod("guaranteed", "4", "1Gi", guaranteed=True)


@pytest.mark.parametrize(
    ("lacking", "pods", "victims"),
    [
        ({"cpu": "500"}, (SMALL, BIG), ["small"]),  # the smaller of those that are enough
        ({"cpu": "2000"}, (SMALL, BIG), ["big"]),  # one rather than two
        ({"cpu": "3500"}, (SMALL, BIG), ["big", "small"]),
        ({"cpu": "2000"}, (SMALL, BIG, GUARANTEED), ["big"]),  # Burstable before Guaranteed
        ({"cpu": "4500"}, (SMALL, BIG, GUARANTEED), ["small", "guaranteed"]),  # and only as much of it as is needed
        ({"pods": "1"}, (GUARANTEED, BEST_EFFORT, SMALL), ["best-effort"]),
        ({"cpu": "9000"}, (SMALL, BIG, GUARANTEED), None),
        ({"cpu": "500"}, (pod("other", "1", priority=CRITICAL),), None),  # critical, too
    ],
)
def test_the_least_harm_is_done(lacking: dict[str, str], pods: tuple[Pod, ...], victims: list[str] | None):
    assert chosen(lacking, *pods) == victims


@pytest.mark.parametrize(
    ("own", "other", "may"), [(CRITICAL, 5, True), (CRITICAL, CRITICAL, False), (CRITICAL + 1000, CRITICAL, True)]
)
def test_who_may_be_preempted(own: int, other: int, may: bool):
    assert preemptable(pod("a", priority=own), pod("b", priority=other)) is may


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), max_size=7),
    st.fixed_dictionaries({}, optional={"cpu": st.integers(1, 9000), "memory": st.integers(1, 6 << 30)}),
)
def test_what_goes_is_enough_and_none_of_it_could_stay_of_a_better_class(
    sizes: list[tuple[int, int, bool]], lacking: dict[str, int]
):
    """All that goes frees what is lacking; no Guaranteed pod goes while others would do."""
    pods = [
        pod(f"p{i}", str(cpu) if cpu else "", f"{mem}Gi" if mem else "", full)
        for i, (cpu, mem, full) in enumerate(sizes)
    ]
    victims = pods_to_preempt(pod("critical", priority=CRITICAL), pods, lacking)

    def enough(some: list[Pod]) -> bool:
        return all(sum(pod_requests(p).get(n, 0) for p in some) >= amount for n, amount in lacking.items())

    assert (victims is not None) == enough(pods)
    if victims is not None:
        assert enough(victims)
        assert len({p.name for p in victims}) == len(victims)
        if enough([p for p in pods if qos_class(p) != "Guaranteed"]):
            assert all(qos_class(p) != "Guaranteed" for p in victims)


def test_a_critical_pod_waits_for_the_whole_grace_of_those_that_go_and_so_does_the_sync_loop():
    bench = Bench(image("slow:*", stop=None), image(stop=0.2), capacity={"cpu": "4", "pods": "110"})
    bench.pod("victim", {"image": "slow:v1", **needs("3")}, terminationGracePeriodSeconds=20)
    bench.pod("small", needs("1"))
    bench.at(10, lambda: bench.pod("critical", needs("3"), priority=CRITICAL))
    bench.at(15, lambda: bench.pod("later"))
    bench.run(60)
    victim = bench.stored("victim").status
    assert (victim.phase, victim.reason) == ("Failed", "Preempting")
    assert bench.condition("DisruptionTarget", "victim") is not None
    assert not bench.stored("victim").deleting
    ended = next(r.t / 1e9 for r in bench.rows("Container", "victim") if r.event == "Exited")
    assert ended == pytest.approx(30, abs=0.1)
    assert 30 <= bench.time("Started", "critical") <= 31
    assert 30 <= bench.time("Started", "later") <= 31  # it came at 15 s, and waited with the sync loop
    assert bench.stored("small").status.phase == "Running"


def test_retries_wait_with_the_sync_loop():
    """They are picked up on its tick (node.md 0.2); the restart that is due after 10 to 16 s comes after 20."""
    bench = Bench(image("crash:*", exit_after=1, exit_code=1), image(stop=None), capacity={"cpu": "4", "pods": "110"})
    bench.pod("victim", needs("3"), terminationGracePeriodSeconds=20)
    bench.pod("loop", {"image": "crash:v1"})
    bench.pod_at(10, "critical", needs("3"), priority=CRITICAL)
    bench.run(40)
    starts = [r.t / 1e9 for r in bench.rows("Container", "loop") if r.event == "Started"]
    assert starts[1] < 5
    assert starts[2] == pytest.approx(30, abs=0.5)


def test_a_critical_pod_for_which_no_room_can_be_made_is_rejected():
    bench = Bench(capacity={"cpu": "4", "pods": "110"})
    bench.pod("other", needs("3"), priority=CRITICAL)
    bench.pod_at(5, "critical", needs("3"), priority=CRITICAL)
    bench.run(10)
    assert bench.stored("critical").status.reason == "UnexpectedAdmissionError"
    assert bench.stored("other").status.phase == "Running"


def test_a_critical_pod_on_the_wrong_node_ends_nobody():
    bench = Bench(capacity={"cpu": "4", "pods": "110"})
    bench.pod("other", needs("3"))
    bench.pod_at(5, "critical", needs("3"), priority=CRITICAL, nodeSelector={"disk": "none"})
    bench.run(10)
    assert bench.stored("critical").status.reason == "NodeAffinity"
    assert bench.stored("other").status.phase == "Running"


def test_an_ordinary_pod_ends_nobody():
    bench = Bench(capacity={"cpu": "4", "pods": "110"})
    bench.pod("other", needs("3"))
    bench.pod_at(5, "late", needs("3"), priority=1000)
    bench.run(10)
    assert bench.stored("late").status.reason == "OutOfcpu"
    assert bench.stored("other").status.phase == "Running"
