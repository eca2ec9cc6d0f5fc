"""A network plug-in that does not work: who keeps a network, who gets none (node.md 1.4, 6.4.10)."""

from __future__ import annotations

from itertools import pairwise

from tests.kubelet.bench import READY, Bench, image
from tests.kubelet.test_runtime_outage import node_ready, rows


def outage(bench: Bench, begin: float = 20, end: float = 60) -> Bench:
    bench.at(begin, lambda: bench.machine.set_network_plugin(False))
    bench.at(end, lambda: bench.machine.set_network_plugin(True))
    return bench


def events(bench: Bench, name: str, reason: str) -> list[float]:
    return [r.t / 1e9 for r in bench.rows("Event", name) if r.event == reason]


def test_6_4_10_pods_wait_for_the_network_and_try_every_second():
    """Before the kubelet's next check the sandbox fails, which is tried again in 10 to 15 s; then it knows better."""
    bench = outage(Bench(image()))
    bench.pod_at(20.1, "early")
    bench.pod_at(40, "late")
    bench.run(59)
    assert len(events(bench, "early", "FailedCreatePodSandBox")) == 1
    assert 30 <= events(bench, "early", "NetworkNotReady")[0] <= 36.2
    for name in ("early", "late"):
        tries = events(bench, name, "NetworkNotReady")
        assert all(1 <= b - a <= 3 for a, b in pairwise(tries))
        assert bench.stored(name).status.container_statuses[0].state.waiting.reason == "ContainerCreating"
        assert not bench.stored(name).status.pod_ip
    bench.run(75)
    assert all(60 <= rows(bench, "Started", name)[0] <= 69 for name in ("early", "late"))


def test_the_node_is_not_ready_until_it_works_again():
    bench = outage(Bench(image()))
    bench.pod("app")
    bench.run(59)
    assert (node_ready(bench).status, node_ready(bench).reason) == ("False", "KubeletNotReady")
    assert "cni plugin not initialized" in node_ready(bench).message
    assert 20 <= (node_ready(bench).last_transition_time or 0) / 1e9 <= 35
    bench.run(80)
    assert node_ready(bench).status == "True"


def test_pods_keep_the_network_that_they_have_and_those_of_the_host_need_none():
    bench = outage(Bench(image(ready=1, stop=1)))
    bench.pod("app", {"readinessProbe": READY})
    bench.pod_at(40, "host", hostNetwork=True)
    bench.run(59)
    assert bench.times("NotReady", "app") == []
    assert 40 <= rows(bench, "Started", "host")[0] <= 42


def test_a_container_that_exits_waits_for_the_network_too():
    """Its pod is not synced, although it has a network."""
    bench = outage(Bench(image(stop=1)))
    bench.pod("app")
    bench.exit_at(40)
    bench.run(75)
    assert 60 <= rows(bench, "Started")[1] <= 69


def test_a_pod_cannot_go_before_its_network_can_be_taken_down():
    bench = outage(Bench(image(stop=1)))
    bench.pod("app")
    bench.delete_at(40)
    bench.run(59)
    assert rows(bench, "Exited")
    assert bench.get() is not None
    assert events(bench, "app", "FailedKillPod")
    bench.run(80)
    assert bench.get() is None


def test_a_machine_that_boots_without_it_is_not_ready_from_the_beginning():
    bench = outage(Bench(image(stop=1)), 20, 90)
    bench.pod("app")
    bench.at(30, bench.machine.crash)
    bench.at(40, bench.machine.boot_up)
    bench.run(89)
    assert node_ready(bench).status == "False"
    assert len(rows(bench, "Started")) == 1
    bench.run(110)
    assert node_ready(bench).status == "True"
    assert 90 <= rows(bench, "Started")[1] <= 100


def test_a_runtime_that_is_down_as_well_says_both():
    bench = outage(Bench(image()), 20, 90)
    bench.pod("app")
    bench.at(25, bench.machine.stop_runtime)
    bench.at(25.1, bench.machine.restart_kubelet)
    bench.run(60)
    assert "runtime is down, container runtime network not ready" in node_ready(bench).message
