"""Restarts and back-off (node.md 1.11, 1.13, 2.9)."""

import gc
import itertools

import pytest

from tests.kubelet.bench import READY, Bench, image

LIVE = {"exec": {"command": ["check", "live"]}, "periodSeconds": 1}


def starts(bench: Bench, name: str = "app") -> list[float]:
    return [r.t / 1e9 for r in bench.rows("Container", name) if r.event == "Started"]


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_intervals_of_a_crash_loop(code: int, seed: int):
    """The first restart is immediate; then 10-16, 20-31, 40-61, 80-91, 160-181, 300-331 s after the crash."""
    bench = Bench(image(exit_after=1, exit_code=code), seed=seed)
    bench.pod()
    bench.run(1100)
    begun = starts(bench)
    gaps = [b - (a + 1) for a, b in itertools.pairwise(begun)]
    assert 0 <= gaps[0] <= 1.1
    for gap, low in zip(gaps[1:], (10, 20, 40, 80, 160, 300), strict=False):
        high = low * 1.5 + 1.1 if low <= 40 else low + 31.1
        assert low <= gap <= high, (low, gaps)


def test_a_crash_loop_leaves_nothing_that_only_the_garbage_collector_would_find():
    """The collector all but sleeps during runs, and a container may crash for months."""
    bench = Bench(image(exit_after=1, exit_code=1))
    bench.pod()
    bench.run(60)
    gc.collect()
    gc.disable()
    try:
        bench.run(3600)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_phase_stays_running_in_a_crash_loop():
    bench = Bench(image(exit_after=1, exit_code=1))
    bench.pod()
    bench.run(60)
    assert [r.detail["phase"] for r in bench.rows() if r.event == "Phase"] == ["Running"]


def test_back_off_resets_after_ten_minutes_of_running():
    bench = Bench(image())
    bench.pod()
    for t in (5, 10, 40, 90):
        bench.exit_at(t)
    bench.exit_at(90 + 700)  # more than 600 s after its start
    bench.run(900)
    last = [t for t in starts(bench) if t > 700]
    assert last[0] == pytest.approx(790.5, abs=0.7)


def test_kubelet_restart_clears_the_back_off():
    bench = Bench(image(exit_after=1, exit_code=1))
    bench.pod()
    bench.at(40, bench.machine.restart_kubelet)
    bench.run(44)
    assert [t for t in starts(bench) if 40 < t < 44]


def test_crash_loop_reason_shows_one_sync_late():
    bench = Bench(image(exit_after=2, exit_code=1))
    bench.pod()
    bench.run(40)
    waiting = bench.time("Waiting", reason="CrashLoopBackOff")
    restart = bench.time("Started", restart=2)
    assert 0 < restart - waiting < 0.2


def test_liveness_kills_restart_twice_without_waiting():
    bench = Bench(image(hang=4.5, stop=1))
    probe = {**LIVE, "failureThreshold": 3}
    bench.pod("app", {"readinessProbe": READY, "livenessProbe": probe}, terminationGracePeriodSeconds=5)
    bench.run(60)
    begun = starts(bench)
    assert begun[1] - begun[0] == pytest.approx(8, abs=0.3)
    assert begun[2] - begun[1] == pytest.approx(8, abs=0.3)
    assert 18 <= begun[3] - begun[2] <= 24


def test_liveness_failure_of_a_pod_that_never_restarts_fails_it():
    bench = Bench(image(hang=3, stop=0.5))
    bench.pod("app", {"livenessProbe": LIVE}, restartPolicy="Never")
    bench.run(15)
    assert bench.stored().status.phase in ("Succeeded", "Failed")
    assert len(starts(bench)) == 1


def test_probe_level_grace_is_used_for_the_probe_kill_only():
    bench = Bench(image(hang=4.5, stop=None))
    probe = {**LIVE, "terminationGracePeriodSeconds": 2}
    bench.pod("app", {"livenessProbe": probe}, terminationGracePeriodSeconds=12)
    bench.delete_at(13)
    bench.run(30)
    exits = bench.times("Exited", code=137)
    assert exits[0] == pytest.approx(9.05, abs=0.3)
    assert exits[1] == pytest.approx(25.05, abs=0.3)


def test_restart_never_and_on_failure():
    bench = Bench(image("ok:*", exit_after=2), image("bad:*", exit_after=2, exit_code=3))
    bench.pod("never-ok", {"image": "ok:v1"}, restartPolicy="Never")
    bench.pod("never-bad", {"image": "bad:v1"}, restartPolicy="Never")
    bench.pod("onfailure-ok", {"image": "ok:v1"}, restartPolicy="OnFailure")
    bench.pod("onfailure-bad", {"image": "bad:v1"}, restartPolicy="OnFailure")
    bench.run(8)
    phases = [bench.stored(n).status.phase for n in ("never-ok", "never-bad", "onfailure-ok", "onfailure-bad")]
    assert phases == ["Succeeded", "Failed", "Succeeded", "Running"]
    assert [len(starts(bench, n)) for n in ("never-ok", "never-bad", "onfailure-ok")] == [1, 1, 1]


def test_restart_rule_overrides_the_policy():
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    bench = Bench(image("again:*", exit_after=2, exit_code=42), image("no:*", exit_after=2, exit_code=1))
    container = {"restartPolicy": "Never", "restartPolicyRules": rules}
    bench.pod("again", {**container, "image": "again:v1"}, restartPolicy="Never")
    bench.pod("no", {**container, "image": "no:v1"}, restartPolicy="Never")
    bench.run(6)
    assert len(starts(bench, "again")) == 2
    assert len(starts(bench, "no")) == 1


def test_terminal_phase_lags_the_exit_by_about_a_second():
    bench = Bench(image(exit_after=2))
    bench.pod("app", restartPolicy="Never")
    bench.run(8)
    lag = bench.time("Phase", phase="Succeeded") - bench.time("Exited")
    assert 0.8 < lag < 1.2


def test_active_deadline_fails_the_pod():
    bench = Bench(image(stop=1))
    bench.pod("app", activeDeadlineSeconds=10)
    bench.run(20)
    status = bench.stored().status
    assert (status.phase, status.reason) == ("Failed", "DeadlineExceeded")
    exited = next(r.t / 1e9 for r in bench.rows("Container") if r.event == "Exited")
    assert 10 <= exited <= 13


def test_oom_kill_runs_no_hook_and_keeps_the_address():
    bench = Bench(image(stop=1))
    hook = {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    bench.pod("app", {"lifecycle": hook})
    bench.at(5, lambda: bench.machine.exit_container(("default", "app"), None, 137, "OOMKilled"))
    bench.run(4)
    address = bench.stored().status.pod_ip
    bench.run(8)
    assert bench.time("Exited") < 6.2
    assert bench.times("Exited", reason="OOMKilled", code=137)
    assert bench.stored().status.pod_ip == address
    assert bench.stored().status.container_statuses[0].restart_count == 1


def test_an_exit_and_the_restart_may_merge_into_one_status_when_several_pods_restart_at_once():
    shown = {"one": [], "two": []}
    for seed in range(12):
        for count, which in ((1, "one"), (2, "two")):
            bench = Bench(seed=seed)
            for n in range(count):
                bench.pod_at(0, f"app-{n}")
                bench.exit_at(5, f"app-{n}")
            bench.run(9)
            assert all(bench.stored(f"app-{n}").status.container_statuses[0].restart_count == 1 for n in range(count))
            shown[which] += [bool(bench.times("NotReady", f"app-{n}")) for n in range(count)]
    assert all(shown["one"])  # nothing else is being sent: the exit is, before the restart
    assert 12 < sum(shown["two"]) < 24  # one at least; the other waits for its turn, and may have restarted by then
