"""Probes (node.md 2.9; observed.md "Probes and images")."""

import pytest

from tests.kubelet.bench import READY, Bench, image, seconds

LIVE = {"exec": {"command": ["check", "live"]}, "periodSeconds": 10}
SLOW = {**READY, "periodSeconds": 10}


def first_start(bench: Bench) -> float:
    return next(r.t / 1e9 for r in bench.rows("Container") if r.event == "Started")


@pytest.mark.parametrize("seed", range(5))
def test_initial_delay_is_counted_from_the_start_in_whole_seconds(seed: int):
    bench = Bench(image(), seed=seed)
    bench.pod("app", {"readinessProbe": {**SLOW, "initialDelaySeconds": 5}})
    bench.run(20)
    assert 4 <= bench.time("Ready") - first_start(bench) <= 15.2


@pytest.mark.parametrize("seed", range(5))
def test_ready_at_the_first_tick_after_the_last_trigger(seed: int):
    """Ready comes a period after the last sync of the start, which is the relist within the first second."""
    bench = Bench(image(ready=3), seed=seed)
    bench.pod("app", {"readinessProbe": SLOW})
    bench.run(20)
    assert 10 <= bench.time("Ready") - first_start(bench) <= 11.2


@pytest.mark.parametrize("seed", range(5))
def test_liveness_kills_after_threshold_ticks(seed: int):
    bench = Bench(image(hang=33, stop=1), seed=seed)
    bench.pod("app", {"livenessProbe": LIVE})
    bench.run(75)
    killed = next(r.t / 1e9 for r in bench.rows("Event") if r.event == "Killing")
    assert 20 <= killed - (first_start(bench) + 33) <= 32


def test_startup_probe_gates_the_others_and_readiness_runs_at_once_after_it():
    startup = {"exec": {"command": ["check", "startup"]}, "periodSeconds": 1, "failureThreshold": 30}
    bench = Bench(image(started=5.5))
    bench.pod("app", {"startupProbe": startup, "readinessProbe": SLOW, "livenessProbe": LIVE})
    bench.run(20)
    assert 5.5 <= bench.time("Ready") <= 7.1


def test_startup_failure_restarts_the_container():
    startup = {"exec": {"command": ["check", "startup"]}, "periodSeconds": 2, "failureThreshold": 3}
    bench = Bench(image(started=None, stop=1))
    bench.pod("app", {"startupProbe": startup})
    bench.run(40)
    begun = [r.t / 1e9 for r in bench.rows("Container") if r.event == "Started"]
    assert begun[1] - begun[0] == pytest.approx(7, abs=0.1)
    assert begun[2] - begun[1] == pytest.approx(6, abs=0.1)
    assert begun[3] - begun[2] > 15


def test_success_threshold_counts_consecutive_successes():
    bench = Bench(image(ready=2))
    bench.pod("app", {"readinessProbe": {**READY, "periodSeconds": 2, "successThreshold": 3}})
    bench.run(20)
    assert 6 <= bench.time("Ready") - first_start(bench) <= 9.1


def test_one_failure_below_the_threshold_changes_nothing():
    bench = Bench(image())
    bench.pod("app", {"readinessProbe": {**READY, "failureThreshold": 3}})
    bench.at(10, lambda: bench.machine.set_unready(("default", "app"), seconds(11.9)))
    bench.run(30)
    assert not bench.times("NotReady")


def test_readiness_failure_and_recovery():
    bench = Bench(image())
    bench.pod("app", {"readinessProbe": {**READY, "failureThreshold": 3, "successThreshold": 2}})
    bench.at(10, lambda: bench.machine.set_unready(("default", "app"), seconds(17)))
    bench.run(30)
    assert 12 <= bench.time("NotReady") <= 13.1
    assert 18 <= bench.times("Ready")[1] <= 19.1
    assert not bench.times("Exited")


def test_hang_without_readiness_probe_stays_ready_through_the_kill():
    bench = Bench(image(hang=5, stop=3))
    bench.pod("app", {"livenessProbe": {**LIVE, "periodSeconds": 1}})
    bench.run(16)
    assert bench.times("Started", restart=1)
    assert not bench.times("NotReady")


def test_readiness_goes_on_during_termination():
    bench = Bench(image(stop=10))
    bench.pod("app", {"readinessProbe": {**READY, "failureThreshold": 1}}, terminationGracePeriodSeconds=30)
    bench.delete_at(5)
    bench.at(7, lambda: bench.machine.set_unready(("default", "app"), seconds(10)))
    bench.run(20)
    assert 7 <= bench.time("NotReady") <= 8.1
    assert 10 <= bench.times("Ready")[1] <= 11.1


def test_liveness_stops_during_termination():
    bench = Bench(image(stop=10))
    bench.pod("app", {"livenessProbe": {**LIVE, "periodSeconds": 1, "failureThreshold": 1}})
    bench.delete_at(5)
    bench.at(7, lambda: bench.machine.set_hang(("default", "app"), None))
    bench.run(20)
    assert not bench.times("Started", restart=1)


def test_a_container_that_has_exited_is_not_ready_within_a_second():
    bench = Bench(image())
    bench.pod("app", {"readinessProbe": SLOW})
    bench.exit_at(20)
    bench.run(25)
    assert 20 < bench.time("NotReady") < 21.2


def test_a_healthy_pod_costs_no_events():
    bench = Bench(image(ready=1))
    probe = {**READY, "periodSeconds": 1}
    bench.pod("app", {"readinessProbe": probe, "livenessProbe": {**LIVE, "periodSeconds": 1}})
    bench.run(10)
    before = bench.clock.events_scheduled
    bench.run(3600)
    assert bench.clock.events_scheduled - before <= 5


@pytest.mark.parametrize("seed", range(3))
def test_a_young_kubelet_delays_its_first_probe_at_random(seed: int):
    from k8sim.kubelet.settings import KubeletSettings

    bench = Bench(image(), seed=seed, settings=KubeletSettings(started_before_ns=seconds(2)))
    bench.pod("app", {"readinessProbe": SLOW})
    bench.run(30)
    assert bench.time("Ready") <= 20.5


def test_an_answer_that_takes_as_long_as_the_timeout_is_a_failure():
    """Default timeoutSeconds 1: answers after 0.9 s pass, after 1 s they fail."""
    for answer, passes in ((0.9, True), (1, False)):
        bench = Bench(image(answer=answer))
        bench.pod("app", {"readinessProbe": SLOW})
        bench.run(30)
        assert bool(bench.times("Ready")) is passes, answer


def test_a_timeout_is_noticed_when_it_is_over():
    """Three attempts on the grid of 10 s, each of which takes the 3 s of its timeout."""
    probe = {**LIVE, "timeoutSeconds": 3}
    bench = Bench(image(stop=1))
    bench.pod("app", {"livenessProbe": probe})
    bench.at(35, lambda: bench.machine.set_slow(("default", "app"), seconds(8)))
    bench.run(80)
    killed = next(r.t / 1e9 for r in bench.rows("Event") if r.event == "Killing")
    first = first_start(bench)
    attempts = [t for t in (first + 10 * n for n in range(8)) if t > 35]
    assert killed == pytest.approx(attempts[2] + 3, abs=1.1)


def test_answers_slower_than_the_period_follow_each_other_at_once():
    """Period 1 s, timeout 5 s, answers after 2.5 s: an attempt every 2.5 s; one missed tick is kept, others are not."""
    bench = Bench(image(answer=2.5))
    bench.pod("app", {"readinessProbe": {**READY, "timeoutSeconds": 5, "successThreshold": 4}})
    bench.run(20)
    assert bench.time("Ready") - first_start(bench) == pytest.approx(10, abs=1.1)


def test_a_healthy_pod_with_answers_that_take_time_costs_no_events():
    bench = Bench(image(answer=0.2))
    bench.pod("app", {"readinessProbe": READY, "livenessProbe": {**LIVE, "periodSeconds": 1}})
    bench.run(10)
    before = bench.clock.events_scheduled
    bench.run(3600)
    assert bench.clock.events_scheduled - before <= 5


def test_liveness_of_sidecars_goes_on_during_termination():
    """That of the others is stopped (StopLivenessAndStartup); nothing is restarted all the same."""
    probe = {"livenessProbe": {**LIVE, "periodSeconds": 1, "failureThreshold": 1}}
    side = {"name": "side", "image": "app:v1", "restartPolicy": "Always", **probe}
    bench = Bench(image(stop=10))
    bench.pod("app", {"name": "main", **probe}, initContainers=[side], terminationGracePeriodSeconds=30)
    bench.delete_at(5)
    bench.at(7, lambda: bench.machine.set_hang(("default", "app"), None))
    bench.run(40)
    told = [r.detail["message"] for r in bench.rows("Event") if r.event == "Unhealthy"]
    assert told == ["Liveness probe failed: side"]
    assert len([r for r in bench.rows("Container") if r.event == "Started"]) == 2
