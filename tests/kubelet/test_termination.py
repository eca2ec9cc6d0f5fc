"""Termination: grace, hooks, order, force (node.md 3.4, 4.12; observed.md "Deletion")."""

import pytest

from k8sim.api.core import Pod
from tests.kubelet.bench import READY, Bench, image


def stop_of(bench: Bench, name: str = "app", container: str | None = None) -> float:
    rows = [r for r in bench.rows("Container", name) if r.event == "Exited"]
    return next(r.t / 1e9 for r in rows if container is None or r.detail["container"] == container)


def test_graceful_exit_ends_as_succeeded_and_is_removed_soon():
    bench = Bench(image(stop=0.2))
    bench.pod()
    bench.delete_at(5)
    bench.run(10)
    assert bench.get() is None
    assert bench.times("Phase", phase="Succeeded")
    assert 5.2 <= bench.time("Deleted") <= 6.5


def test_process_that_ignores_sigterm_is_killed_at_the_end_of_grace():
    bench = Bench(image(stop=None))
    bench.pod("app", terminationGracePeriodSeconds=7)
    bench.delete_at(5)
    bench.run(15)
    assert stop_of(bench) == pytest.approx(12.01, abs=0.02)
    assert bench.times("Exited", code=137)
    assert bench.times("Phase", phase="Failed")


@pytest.mark.parametrize(
    ("hook", "stop", "killed_after", "code"),
    [
        (3, 2, 5, 0),  # preStop, then SIGTERM, then the process takes its time
        (10, None, 30, 137),  # SIGKILL at the end of the whole grace
        (60, 10, 32, 137),  # a hook that outlasts the grace: 2 s more
    ],
)
def test_pre_stop_shares_the_grace_period(hook: int, stop: float | None, killed_after: float, code: int):
    bench = Bench(image(stop=stop))
    lifecycle = {"preStop": {"exec": {"command": ["sleep", str(hook)]}}}
    bench.pod("app", {"lifecycle": lifecycle})
    bench.delete_at(5)
    bench.run(45)
    assert stop_of(bench) == pytest.approx(5 + killed_after, abs=0.05)
    assert bench.times("Exited", code=code)


def test_failed_pre_stop_leads_to_sigterm_at_once():
    bench = Bench(image(stop=1))
    bench.pod("app", {"lifecycle": {"preStop": {"exec": {"command": ["false"]}}}})
    bench.delete_at(5)
    bench.run(10)
    assert stop_of(bench) == pytest.approx(6, abs=0.05)
    assert "FailedPreStopHook" in [r.event for r in bench.rows("Event")]


def test_http_pre_stop_takes_what_the_image_says():
    from k8sim.sim.distributions import Constant

    bench = Bench(image(stop=1, hooks={"preStop": Constant(4_000_000_000)}))
    bench.pod("app", {"lifecycle": {"preStop": {"httpGet": {"path": "/stop", "port": 80}}}})
    bench.delete_at(5)
    bench.run(15)
    assert stop_of(bench) == pytest.approx(10, abs=0.05)


def test_sleep_hook_is_sat_out_even_if_the_process_has_ended():
    bench = Bench(image(stop=1))
    bench.pod("app", {"lifecycle": {"preStop": {"sleep": {"seconds": 6}}}})
    bench.delete_at(5)
    bench.exit_at(7)
    bench.run(15)
    assert stop_of(bench) == pytest.approx(7, abs=0.01)
    assert bench.time("Exited") >= 11


def test_exec_hook_dies_with_the_container():
    bench = Bench(image(stop=1))
    bench.pod("app", {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "20"]}}}})
    bench.delete_at(5)
    bench.exit_at(7)
    bench.run(15)
    assert bench.time("Exited") < 7.2


def test_a_second_shorter_delete_changes_only_the_object():
    bench = Bench(image(stop=None))
    bench.pod("app", terminationGracePeriodSeconds=20)
    bench.delete_at(5)
    bench.delete_at(10, grace=2)
    bench.run(40)
    assert [r.detail["grace"] for r in bench.rows() if r.event == "Terminating"] == [20, 1, 0]
    assert stop_of(bench) == pytest.approx(25.01, abs=0.02)


def test_deletion_waits_for_a_pull():
    bench = Bench(image(pull=10, stop=1))
    bench.pod()
    bench.delete_at(3)
    bench.run(20)
    assert bench.time("Started") == pytest.approx(10.05, abs=0.2)
    assert bench.times("Ready")
    assert bench.time("Exited") > 11


def test_pod_deleted_in_image_back_off_is_unknown_and_failed():
    bench = Bench(image(missing=True))
    bench.pod()
    bench.delete_at(6)
    bench.run(9)
    assert bench.get() is None
    assert bench.times("Exited", code=137, reason="ContainerStatusUnknown")
    assert bench.times("Phase", phase="Failed")


def test_no_restart_of_a_pod_deleted_in_crash_back_off():
    bench = Bench(image(exit_after=1, exit_code=1))
    bench.pod()
    bench.delete_at(8)
    bench.run(40)
    assert 8 < bench.time("Deleted") < 11
    assert len([r for r in bench.rows("Container") if r.event == "Started"]) == 2


def test_ready_stays_true_while_the_process_answers():
    bench = Bench(image(stop=5))
    bench.pod("app", {"readinessProbe": READY}, terminationGracePeriodSeconds=20)
    bench.delete_at(5)
    bench.run(9.5)
    ready = bench.condition("Ready")
    assert ready is not None
    assert ready.status == "True"


def test_force_deletion_leaves_the_process_its_full_grace():
    bench = Bench(image(stop=None))
    bench.pod(
        "app", {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "2"]}}}}, terminationGracePeriodSeconds=10
    )
    bench.delete_at(5, grace=0)
    bench.pod_at(6)
    bench.run(20)
    assert bench.time("Deleted") == 5
    assert stop_of(bench) == pytest.approx(15.01, abs=0.02)
    started = [r.t / 1e9 for r in bench.rows("Container") if r.event == "Started"]
    assert started[1] < 7  # two processes of one name at the same time


def test_sidecars_stop_after_the_others_and_in_reverse_order():
    sides = [{"name": f"s{i}", "image": "side:v1", "restartPolicy": "Always"} for i in (1, 2)]
    bench = Bench(image("side:*", stop=2), image(stop=3))
    bench.pod("app", {"name": "main"}, initContainers=sides, terminationGracePeriodSeconds=20)
    bench.delete_at(5)
    bench.run(20)
    assert stop_of(bench, container="main") == pytest.approx(8, abs=0.05)
    assert stop_of(bench, container="s2") == pytest.approx(10, abs=0.05)
    assert stop_of(bench, container="s1") == pytest.approx(12, abs=0.05)
    shown = bench.times("Exited")
    assert len(set(shown)) == 1  # all exits appear together


def test_hanging_main_container_takes_all_grace_and_sidecars_get_two_seconds():
    sides = [{"name": f"s{i}", "image": "side:v1", "restartPolicy": "Always"} for i in (1, 2)]
    bench = Bench(image("side:*", stop=None), image(stop=None))
    bench.pod("app", {"name": "main"}, initContainers=sides, terminationGracePeriodSeconds=10)
    bench.delete_at(5)
    bench.run(30)
    assert stop_of(bench, container="main") == pytest.approx(15, abs=0.05)
    assert stop_of(bench, container="s1") == pytest.approx(17, abs=0.05)
    assert stop_of(bench, container="s2") == pytest.approx(17, abs=0.05)


def test_minimum_of_two_seconds_between_sigterm_and_sigkill():
    bench = Bench(image(stop=1.5))
    bench.pod("app", terminationGracePeriodSeconds=1)
    bench.delete_at(5)
    bench.run(10)
    assert bench.times("Exited", code=0)


def test_finalizer_keeps_the_object_but_not_the_containers():
    bench = Bench(image(stop=1))
    bench.pod()

    def hold() -> None:
        from k8sim.api.meta import with_meta

        bench.server.patch(Pod, "default", "app", lambda p: with_meta(p, finalizers=("example.com/hold",)))

    bench.at(3, hold)
    bench.delete_at(5)
    bench.run(30)
    assert bench.stored().status.phase == "Succeeded"
    assert stop_of(bench) == pytest.approx(6, abs=0.05)


def test_succeeded_pod_keeps_its_address():
    bench = Bench(image(exit_after=2))
    bench.pod("app", restartPolicy="Never")
    bench.run(8)
    assert bench.stored().status.phase == "Succeeded"
    assert bench.stored().status.pod_ip


def test_nothing_is_left_of_a_removed_pod():
    bench = Bench(image(stop=1))
    bench.pod("app", {"readinessProbe": READY})
    bench.delete_at(5)
    bench.run(10)
    process = bench.kubelet.process
    assert process is not None
    assert not bench.machine.pods()
    assert not process.pods
    assert process.workers.get(bench.sim.trace[0].name) is None
    assert not bench.machine.restart_counts
