"""Restart of the kubelet, reboot, partition (node.md 5.6; observed.md "Nodes")."""

import pytest

from k8sim.api.core import Container, Node, Pod, PodSpec
from k8sim.api.meta import Condition, ObjectMeta, set_condition, with_meta
from k8sim.api.struct import replace
from k8sim.kubelet.kubelet import Kubelet
from k8sim.machines.machine import Machine
from tests.kubelet.bench import READY, Bench, image


def last_renewal(bench: Bench, at: float) -> float:
    last = bench.server.leases.last_renewal("node", int(at * 1e9))
    assert last is not None
    return last / 1e9


def starts(bench: Bench, name: str = "app") -> list[float]:
    return [r.t / 1e9 for r in bench.rows("Container", name) if r.event == "Started"]


def test_kubelet_restart_changes_nothing_for_healthy_pods():
    bench = Bench(image(ready=1, stop=1))
    bench.pod("app", {"readinessProbe": READY})
    bench.at(20, bench.machine.restart_kubelet)
    bench.run(60)
    assert len(starts(bench)) == 1
    assert bench.times("NotReady") == []
    assert len(bench.times("Ready")) == 1


def test_kubelet_restart_leaves_an_unready_pod_unready_until_a_probe_passes():
    bench = Bench(image(ready=25, stop=1))
    bench.pod("app", {"readinessProbe": READY})
    bench.at(20, bench.machine.restart_kubelet)
    bench.run(40)
    assert 25 <= bench.time("Ready") <= 27


@pytest.mark.parametrize(("restart", "flaps"), [(8, 1), (20, 0)])
def test_readiness_of_a_container_is_in_doubt_after_a_kubelet_restart_within_ten_seconds_of_its_start(
    restart: float, flaps: int
):
    """Its worker begins with the failure of a new container; the probe that follows at once takes it back."""
    bench = Bench(image(ready=1, stop=1))
    bench.pod("app", {"readinessProbe": {**READY, "periodSeconds": 5}})
    bench.at(restart, bench.machine.restart_kubelet)
    bench.run(restart + 20)
    lost, ready = bench.times("NotReady"), bench.times("Ready")
    assert len(lost) == flaps
    assert len(ready) == 1 + flaps
    assert all(restart + 1 < t < restart + 7 and again - t < 0.1 for t, again in zip(lost, ready[1:], strict=True))


def test_the_first_status_after_a_kubelet_restart_takes_no_notice_of_probes():
    """No worker watches the pod yet; what is older than ten seconds is only ready if its pod was."""
    bench = Bench(image(ready=None, stop=1))
    bench.pod_at(0, "old", {"readinessProbe": READY | {"periodSeconds": 5}})
    bench.pod_at(15, "young", {"readinessProbe": READY | {"periodSeconds": 5}})
    bench.at(20, bench.machine.restart_kubelet)
    bench.run(40)
    assert bench.times("Ready", "old") == []
    assert 21 < bench.time("Ready", "young") < 21.5
    assert bench.time("Ready", "young") < bench.time("NotReady", "young") < 27


def test_a_container_that_is_still_starting_counts_as_started_after_a_kubelet_restart():
    """Nobody asks it any more (kubernetes issue 142305), unless it is young enough to be taken as a new one."""
    bench = Bench(image(started=60, stop=1))
    startup = {"startupProbe": {"exec": {"command": ["check", "startup"]}, "periodSeconds": 2, "failureThreshold": 99}}
    bench.pod_at(0, "old", startup)
    bench.pod_at(15, "young", startup)
    bench.at(20, bench.machine.restart_kubelet)
    bench.run(100)
    assert [21 < t < 21.5 for t in bench.times("Ready", "old")] == [True]
    assert bench.times("NotReady", "old") == []
    assert len(bench.times("NotReady", "young")) == 1
    assert 75 <= bench.times("Ready", "young")[-1] <= 78


def test_a_container_restarts_beside_a_sidecar_that_had_started_before_the_kubelet_did():
    bench = Bench(image("side*", started=2), image("app*", exit_after=30))
    startup = {"startupProbe": {"exec": {"command": ["check", "startup"]}, "periodSeconds": 1}}
    bench.pod(initContainers=[{"name": "side", "image": "side:v1", "restartPolicy": "Always", **startup}])
    bench.at(20, bench.machine.restart_kubelet)
    bench.run(40)
    assert bench.times("Started", container="side", restart=1) == []
    assert 33 < bench.time("Started", restart=1) < 35


def test_after_a_kubelet_restart_probes_of_one_second_ask_at_once_or_spread_by_a_race():
    """A second passes until the kubelet hears of pods: as much as the period, if its probes were made soon enough."""
    readiness = {"readinessProbe": READY}
    times = []
    for seed in range(12):
        bench = Bench(image(ready=21, stop=1), seed=seed)
        bench.pod("app", readiness)
        bench.at(20, bench.machine.restart_kubelet)
        bench.run(30)
        times.append(bench.time("Ready"))
    assert any(t < 21.3 for t in times)
    assert any(t > 21.4 for t in times)
    assert all(21 < t < 22.4 for t in times)


def test_termination_begins_anew_after_a_kubelet_restart():
    bench = Bench(image(stop=None))
    hook = {"preStop": {"exec": {"command": ["sleep", "100"]}}}
    bench.pod("app", {"lifecycle": hook}, terminationGracePeriodSeconds=30)
    bench.delete_at(5)
    bench.at(25, bench.machine.restart_kubelet)
    bench.run(80)
    exited = next(r.t / 1e9 for r in bench.rows("Container") if r.event == "Exited")
    assert exited == pytest.approx(25 + 32 + 1.2, abs=0.6)
    assert bench.get() is None


def test_orphans_are_killed_with_a_grace_of_one_second():
    bench = Bench(image(stop=None))
    bench.pod("app", terminationGracePeriodSeconds=100)
    bench.at(10, bench.machine.restart_kubelet)
    bench.at(10.01, lambda: bench.server.delete(Pod, "default", "app", grace_period_seconds=0))
    bench.run(30)
    exited = next(r.t / 1e9 for r in bench.rows("Container") if r.event == "Exited")
    assert 13 <= exited <= 17
    assert not bench.machine.pods()


@pytest.mark.parametrize("back", [32, 32.5, 33, 33.5, 60])
def test_nobody_is_an_orphan_while_the_sync_loop_has_not_taken_in_its_pods(back: float):
    """It pauses as long as the container runtime is down, and so does its housekeeping (kubelet.go, syncLoop)."""
    bench = Bench(image())
    bench.pod()
    bench.at(20, bench.machine.stop_runtime)
    bench.at(30, bench.machine.restart_kubelet)
    bench.at(back, bench.machine.start_runtime)
    bench.run(100)
    assert bench.rows("Container")[-1].event == "Started"
    assert not [row for row in bench.rows("Event") if row.event == "Killing"]


def test_crash_ends_everything_without_a_word():
    bench = Bench(image())
    bench.pod()
    bench.at(10, bench.machine.crash)
    bench.run(100)
    assert bench.stored().status.phase == "Running"
    assert [r.event for r in bench.rows() if r.t > 10e9] == []
    assert last_renewal(bench, 100) <= 10
    assert bench.kubelet.process is None


def test_reboot_restarts_pods_in_place():
    bench = Bench(image(ready=1.5, stop=1))
    bench.pod("app", {"readinessProbe": READY})
    bench.at(9, lambda: None)
    bench.run(9)
    address, uid = bench.stored().status.pod_ip, bench.stored().uid
    bench.at(10, bench.machine.crash)
    bench.at(90, bench.machine.boot_up)
    bench.run(100)
    status = bench.stored().status
    assert bench.stored().uid == uid
    assert status.pod_ip != address
    assert status.container_statuses[0].restart_count == 1
    assert status.container_statuses[0].last_state.terminated.reason == "ContainerStatusUnknown"
    assert 91 <= bench.time("Exited", code=137, reason="ContainerStatusUnknown") <= 91.5
    assert last_renewal(bench, 100) > 90
    assert "Rebooted" in [r.event for r in bench.rows("Event", "node")]


def test_init_containers_run_again_after_a_reboot():
    bench = Bench(image("init:*", exit_after=1), image())
    bench.pod("app", initContainers=[{"name": "init", "image": "init:v1"}])
    bench.at(10, bench.machine.crash)
    bench.at(30, bench.machine.boot_up)
    bench.run(45)
    rows = [r.detail["container"] for r in bench.rows("Container") if r.event == "Started"]
    assert rows == ["init", "app", "init", "app"]


def test_a_pod_that_never_restarts_fails_after_a_reboot():
    bench = Bench(image())
    bench.pod("app", restartPolicy="Never")
    bench.at(10, bench.machine.crash)
    bench.at(30, bench.machine.boot_up)
    bench.run(45)
    assert bench.stored().status.phase == "Failed"
    assert len(starts(bench)) == 1


def test_pods_that_were_terminating_are_removed_after_a_reboot():
    bench = Bench(image(stop=1))
    bench.pod()
    bench.at(10, bench.machine.crash)
    bench.delete_at(20)
    bench.at(40, bench.machine.boot_up)
    bench.run(60)
    assert 41 <= bench.time("Deleted") <= 45
    assert bench.times("Phase", phase="Failed")
    assert len(starts(bench)) == 1


def test_a_second_crash_during_the_boot_leaves_one_kubelet():
    bench = Bench(image())
    bench.pod()
    bench.at(10, bench.machine.crash)
    bench.at(20, bench.machine.boot_up)
    bench.at(20.01, bench.machine.crash)
    bench.at(20.02, bench.machine.boot_up)
    bench.run(40)
    assert bench.stored().status.container_statuses[0].restart_count == 1


def test_partition_kills_deleted_pods_gracefully_afterwards():
    bench = Bench(image(stop=3))
    bench.pod("app", terminationGracePeriodSeconds=10)
    bench.at(10, bench.machine.partition)
    bench.delete_at(15)
    bench.at(40, bench.machine.heal)
    bench.run(60)
    exited = next(r.t / 1e9 for r in bench.rows("Container") if r.event == "Exited")
    assert exited == pytest.approx(43, abs=0.1)
    assert bench.get() is None
    assert last_renewal(bench, 39) <= 10
    assert last_renewal(bench, 41) >= 40


def test_ready_is_reasserted_within_ten_seconds_of_the_heal():
    bench = Bench(image(ready=1))
    bench.pod("app", {"readinessProbe": READY})
    bench.at(10, bench.machine.partition)

    def mark() -> None:
        condition = Condition(type="Ready", status="False", reason="NodeNotReady")
        bench.server.patch_status(
            Pod,
            "default",
            "app",
            lambda p: replace(p, status=replace(p.status, conditions=set_condition(p.status.conditions, condition))),
        )
        node = Condition(type="Ready", status="Unknown")
        bench.server.patch_status(Node, "", "node", lambda n: replace(n, status=replace(n.status, conditions=(node,))))

    bench.at(60, mark)
    bench.at(100, bench.machine.heal)
    bench.run(120)
    assert 100 < bench.times("Ready")[1] <= 110.1
    assert 100 < next(r.t / 1e9 for r in bench.rows("Node", "node") if r.event == "Ready" and r.t > 60e9) <= 110.1
    assert len(starts(bench)) == 1


def test_restarts_during_a_partition_are_reported_after_it():
    bench = Bench(image(stop=1))
    bench.pod()
    bench.at(10, bench.machine.partition)
    bench.exit_at(20)
    bench.at(60, bench.machine.heal)
    bench.run(80)
    assert starts(bench)[1] < 22
    assert 60 < bench.time("Started", restart=1) < 61


def test_kubelet_that_boots_into_a_partition_waits_for_the_link():
    bench = Bench(image(stop=1))
    bench.pod()
    bench.at(10, bench.machine.crash)
    bench.at(12, bench.machine.partition)
    bench.at(20, bench.machine.boot_up)
    bench.run(50)
    before = bench.clock.events_scheduled
    bench.run(90)
    assert bench.clock.events_scheduled - before < 10
    bench.at(100, bench.machine.heal)
    bench.run(110)
    assert bench.stored().status.container_statuses[0].restart_count == 1


def test_deleted_node_is_registered_again_by_a_new_process_only():
    bench = Bench(image())
    bench.at(5, lambda: bench.server.delete(Node, "", "node"))
    bench.run(30)
    assert bench.server.find(Node, "", "node") is None
    bench.at(31, bench.machine.restart_kubelet)
    bench.run(40)
    assert bench.server.find(Node, "", "node") is not None


def test_machine_that_was_off_registers_its_node_and_runs_pods():
    bench = Bench(image())
    machine = Machine(bench.sim, "new", bench.registry, index=1, powered=False)
    template = bench.server.get(Node, "", "node")
    Kubelet(bench.sim, bench.server, machine, template=with_meta(template, name="new"))
    bench.run(5)
    assert bench.server.find(Node, "", "new") is None
    bench.at(10, machine.boot_up)
    bench.run(12)
    assert bench.server.find(Node, "", "new") is not None
    pod = bench.server.create(
        Pod(metadata=ObjectMeta(name="app"), spec=PodSpec(containers=(Container(name="c", image="i:1"),)))
    )
    bench.server.bind(pod, "new")
    bench.run(14)
    assert bench.times("Ready")


def test_a_kubelet_that_is_away_restarts_nothing_and_catches_up():
    bench = Bench(image(stop=1))
    bench.pod()
    bench.pod("gone")
    bench.at(20, lambda: bench.machine.restart_kubelet(round(60e9)))
    bench.exit_at(30)
    bench.delete_at(40, "gone")
    bench.pod_at(50, "late")
    bench.run(79)
    assert bench.kubelet.process is None
    assert len(starts(bench)) == 1
    assert bench.get("gone") is not None
    bench.run(90)
    assert 80 < starts(bench)[1] < 86
    assert 80 < bench.time("Started", "late") < 86
    assert bench.get("gone") is None


def test_a_second_restart_of_a_kubelet_that_is_away_counts_from_then():
    bench = Bench(image(stop=1))
    bench.at(10, lambda: bench.machine.restart_kubelet(round(30e9)))
    bench.at(20, lambda: bench.machine.restart_kubelet(round(30e9)))
    bench.run(49)
    assert bench.kubelet.process is None
    bench.run(55)
    assert bench.kubelet.process is not None
