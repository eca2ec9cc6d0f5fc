"""Statements of node.md that no other test of this folder makes; named by their section and number.

`statements.py` says for every statement which test makes it.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from k8sim.api.core import ConfigMap, Pod
from k8sim.api.feature_gates import FEATURE_GATES
from k8sim.api.meta import Condition, ObjectMeta, set_condition
from k8sim.api.struct import replace
from tests.kubelet.bench import READY, Bench, image, seconds

LIVE: dict[str, Any] = {"exec": {"command": ["check", "live"]}, "periodSeconds": 1}
DEFAULTS: dict[str, Any] = {"exec": {"command": ["check"]}}
CONFIG = [{"name": "cfg", "configMap": {"name": "later"}}]
MOUNTS: dict[str, Any] = {"volumeMounts": [{"name": "cfg", "mountPath": "/cfg"}]}


def when(bench: Bench, event: str, kind: str = "Container", **detail: Any) -> list[float]:
    """Times of rows of the trace, by event and detail."""
    return [
        r.t / 1e9 for r in bench.rows(kind) if r.event == event and all(r.detail.get(k) == v for k, v in detail.items())
    ]


def slept(seconds_: float) -> dict[str, Any]:
    return {"exec": {"command": ["sleep", str(seconds_)]}}


# ---- 0 gates --------------------------------------------------------------------------------------------------------


def test_0_1_gates_have_the_defaults_of_1_36():
    on = {
        "PLEGOnDemandRelist", "KubeletCrashLoopBackOffMax", "ContainerRestartRules", "SidecarContainers",
        "RestartAllContainersOnContainerExits", "PodLifecycleSleepAction", "PodReadyToStartContainersCondition",
    }  # fmt: skip
    off = {
        "EventedPLEG", "ReduceDefaultCrashLoopBackOffDecay", "ContainerStopSignals",
        "ChangeContainerStatusOnKubeletRestart", "MaxUnavailableStatefulSet",
    }  # fmt: skip
    assert {name: FEATURE_GATES[name].default for name in on | off} == dict.fromkeys(on, True) | dict.fromkeys(
        off, False
    )


# ---- 1.13 pods ----------------------------------------------------------------------------------------------------


def test_1_13_3_with_an_init_container_everything_is_pod_initializing_while_a_volume_is_awaited():
    bench = Bench()
    bench.pod(
        "app", {"name": "a", **MOUNTS}, {"name": "b"}, initContainers=[{"name": "i", "image": "i:v1"}], volumes=CONFIG
    )
    bench.run(20)
    status = bench.stored().status
    shown = (*status.init_container_statuses, *status.container_statuses)
    assert [s.state.waiting.reason for s in shown if s.state.waiting] == ["PodInitializing"] * 3
    assert status.pod_ip == ""


def test_1_13_9_a_container_that_succeeds_under_always_is_shown_completed_then_in_back_off():
    bench = Bench(image(exit_after=2, exit_code=0))
    bench.pod()
    bench.run(40)
    exits = [r.detail for r in bench.rows("Pod") if r.event == "Exited"]
    assert {(d["code"], d["reason"]) for d in exits} == {(0, "Completed")}
    assert bench.time("Exited") < bench.time("Waiting", reason="CrashLoopBackOff")


@pytest.mark.parametrize("at", [11.3, 14.9, 17.1])
def test_1_13_14_a_status_is_sent_at_once_and_not_on_the_ten_seconds(at: float):
    bench = Bench()
    bench.pod_at(at)
    bench.run(at + 3)
    assert 0 < bench.time("Started") - when(bench, "Started")[0] < 0.1


# ---- 2.9 probes ---------------------------------------------------------------------------------------------------


def test_2_9_5_a_hung_process_lives_through_its_whole_grace_whatever_probes_say():
    bench = Bench(image(hang=10, stop=None))
    bench.pod("app", {"livenessProbe": LIVE}, terminationGracePeriodSeconds=30)
    bench.run(50)
    killing = when(bench, "Killing", kind="Event")
    assert len(killing) == 1
    assert when(bench, "Exited", code=137) == pytest.approx([killing[0] + 30], abs=0.05)
    assert when(bench, "Started")[1] == pytest.approx(killing[0] + 30, abs=0.2)


def test_2_9_8_after_the_startup_probe_liveness_waits_for_its_own_tick():
    startup = {"exec": {"command": ["check", "startup"]}, "periodSeconds": 1, "failureThreshold": 30}
    bench = Bench(image(started=5.5, hang=0.1, stop=1))
    bench.pod("app", {"startupProbe": startup, "livenessProbe": {**DEFAULTS, "failureThreshold": 1}})
    bench.run(12)
    [unhealthy] = [t for t in when(bench, "Unhealthy", kind="Event") if t > 5.5]
    assert unhealthy == pytest.approx(10, abs=0.1)


def test_2_9_13_a_pod_that_never_restarts_fails_when_its_liveness_probe_does():
    bench = Bench(image(hang=3, stop=None))
    bench.pod("app", {"livenessProbe": LIVE}, restartPolicy="Never", terminationGracePeriodSeconds=3)
    bench.run(20)
    assert bench.stored().status.phase == "Failed"
    assert len(when(bench, "Started")) == 1


def test_2_9_15_liveness_goes_on_in_a_partition_and_its_restarts_are_reported_afterwards():
    bench = Bench(image(stop=1))
    bench.pod("app", {"livenessProbe": LIVE})
    bench.at(10, bench.machine.partition)
    bench.at(20, lambda: bench.machine.set_hang(("default", "app"), seconds(24)))
    bench.at(60, bench.machine.heal)
    bench.run(75)
    assert 22 < when(bench, "Started")[1] < 26
    assert bench.time("Started", restart=1) > 60


def test_2_9_16_ready_goes_after_three_failures_and_one_more_probe_follows_at_once():
    """The extra probe restarts the ticker: when the answer comes back, Ready comes on the new grid."""
    bench = Bench()
    bench.pod("app", {"readinessProbe": DEFAULTS})
    bench.at(33, lambda: bench.machine.set_unready(("default", "app"), seconds(63.5)))
    bench.run(90)
    lost = bench.time("NotReady")
    assert 20 <= lost - 33 <= 30.1
    back = bench.times("Ready")[1]
    assert 63.5 <= back <= 73.6
    last_sync = (back - lost) % 10
    assert last_sync == pytest.approx(0, abs=1.2) or last_sync == pytest.approx(10, abs=1.2)


# ---- 3.4 hooks ----------------------------------------------------------------------------------------------------


def test_3_4_1_no_probe_runs_before_post_start_has_ended():
    bench = Bench(image(ready=None))
    bench.pod("app", {"readinessProbe": READY, "lifecycle": {"postStart": slept(20)}})
    bench.run(30)
    assert bench.stored().status.container_statuses[0].state.running is not None
    assert when(bench, "Started")[0] < 0.2
    assert min(when(bench, "Unhealthy", kind="Event")) >= 20


def test_3_4_2_a_failed_post_start_leaves_its_events_in_order():
    bench = Bench(image(stop=0.5))
    bench.pod("app", {"lifecycle": {"postStart": {"exec": {"command": ["false"]}}}})
    bench.run(1)
    told = [r.event for r in bench.rows("Event") if r.event in ("Created", "Started", "FailedPostStartHook", "Killing")]
    assert told[:4] == ["Created", "Started", "FailedPostStartHook", "Killing"]


def test_3_4_3_a_post_start_that_never_returns_holds_up_the_deletion():
    bench = Bench(image(stop=1))
    bench.pod("app", {"lifecycle": {"postStart": slept(100_000)}})
    bench.delete_at(5)
    bench.run(300)
    assert bench.get() is not None
    assert when(bench, "SIGTERM") == []


def test_3_4_5_any_answer_to_an_http_hook_is_a_success():
    bench = Bench(image(stop=1))
    bench.pod("app", {"lifecycle": {"preStop": {"httpGet": {"path": "/always-500", "port": 80}}}})
    bench.delete_at(5)
    bench.run(10)
    assert when(bench, "FailedPreStopHook", kind="Event") == []
    assert when(bench, "SIGTERM") == pytest.approx([5], abs=0.05)


@pytest.mark.parametrize(
    ("hook", "sigterm", "left"),
    [(10, 10, 20), (60, 30, 2), (3.9, 3.9, 27)],
    ids=["3_4_6", "3_4_7", "3_4_8"],
)
def test_3_4_6_to_8_what_a_hook_leaves_of_the_grace(hook: float, sigterm: float, left: int):
    """SIGTERM comes after the hook, at the end of the grace at the latest; the rest is whole seconds, at least 2."""
    bench = Bench(image(stop=None))
    bench.pod("app", {"lifecycle": {"preStop": slept(hook)}}, terminationGracePeriodSeconds=30)
    bench.delete_at(5)
    bench.run(50)
    assert when(bench, "SIGTERM", timeout=left * 10**9) == pytest.approx([5 + sigterm], abs=0.05)
    assert when(bench, "Exited", code=137) == pytest.approx([5 + sigterm + left], abs=0.05)


def test_3_4_9_a_process_that_crashes_runs_no_hook():
    bench = Bench(image(exit_after=3, exit_code=1))
    bench.pod("app", {"lifecycle": {"preStop": slept(5)}})
    bench.run(10)
    assert when(bench, "HookBegan") == []


def test_3_4_11_a_liveness_kill_runs_the_hook_within_the_grace_of_the_probe():
    probe = {**LIVE, "terminationGracePeriodSeconds": 4}
    bench = Bench(image(hang=5, stop=None))
    bench.pod("app", {"livenessProbe": probe, "lifecycle": {"preStop": slept(3)}})
    bench.run(15)
    [hook] = when(bench, "HookBegan", hook="preStop")
    assert when(bench, "SIGTERM") == pytest.approx([hook + 3], abs=0.05)
    assert when(bench, "Exited", code=137) == pytest.approx([hook + 5], abs=0.05)  # 1 s is left, 2 are granted


def test_3_4_12_an_eviction_leaves_a_hook_one_second():
    bench = Bench(image(stop=None))
    bench.pod("app", {"lifecycle": {"preStop": slept(30)}})
    bench.at(5, lambda: bench.machine.set_pressure("memory", evictions=1))
    bench.run(30)
    [hook] = when(bench, "HookBegan", hook="preStop")
    assert when(bench, "SIGTERM") == pytest.approx([hook + 1], abs=0.05)
    assert when(bench, "Exited", code=137) == pytest.approx([hook + 3], abs=0.05)


# ---- 4.12 termination ---------------------------------------------------------------------------------------------


def test_4_12_3_code_143_makes_the_pod_failed_before_it_is_gone():
    bench = Bench(image(stop=None))
    bench.pod()
    bench.delete_at(5)
    bench.exit_at(5.5, code=143)
    bench.run(10)
    assert bench.time("Phase", phase="Failed") < bench.time("Deleted")


@pytest.mark.parametrize(("second", "stamps"), [(20, [60, 1, 0]), (5, [60, 10, 0])])
def test_4_12_6_a_shorter_second_delete_moves_the_timestamp_and_not_the_kill(second: float, stamps: list[int]):
    bench = Bench(image(stop=None))
    bench.pod()
    bench.delete_at(10, grace=60)
    bench.delete_at(10 + second, grace=10)
    bench.run(90)
    assert [r.detail["grace"] for r in bench.rows() if r.event == "Terminating"] == stamps
    assert when(bench, "Exited", code=137) == pytest.approx([70], abs=0.05)


def test_4_12_7_a_longer_second_delete_changes_nothing():
    bench = Bench(image(stop=None))
    bench.pod()
    bench.delete_at(10, grace=30)
    bench.delete_at(15, grace=60)
    bench.run(60)
    assert [r.detail["grace"] for r in bench.rows() if r.event == "Terminating"] == [30, 0]
    assert when(bench, "Exited", code=137) == pytest.approx([40], abs=0.05)


def test_4_12_17_a_container_that_crashes_during_pre_stop_is_not_restarted():
    bench = Bench(image(stop=1))
    bench.pod("app", {"lifecycle": {"preStop": slept(20)}})
    bench.delete_at(5)
    bench.exit_at(8)
    bench.run(40)
    assert len(when(bench, "Started")) == 1
    assert bench.get() is None


def test_4_12_18_without_its_kubelet_a_terminating_pod_stays_for_ever():
    bench = Bench(image(stop=1))
    bench.pod()
    bench.at(10, bench.machine.crash)
    bench.delete_at(20)
    bench.run(24 * 3600)
    assert bench.stored().deleting


# ---- 6.4 start, and 11 ---------------------------------------------------------------------------------------------


def test_6_4_1_a_volume_that_cannot_be_mounted_is_told_by_its_own_attempts():
    """Up to 122 s apart. That a sync gives up after 2 min 3 s is told nobody: storage.md 3.5, kubelet.go SyncPod."""
    bench = Bench()
    bench.pod("app", MOUNTS, volumes=CONFIG)
    bench.run(1200)
    told = when(bench, "FailedMount", kind="Event")
    message = 'MountVolume.SetUp failed for volume: configmap "later" not found'
    assert bench.stored().status.pod_ip == ""
    assert bench.stored().status.container_statuses[0].state.waiting is not None
    assert told == when(bench, "FailedMount", kind="Event", message=message)
    gaps = [b - a for a, b in itertools.pairwise(told)]
    assert gaps[:4] == pytest.approx([0.5, 1, 2, 4], abs=0.1)
    assert gaps[-1] == pytest.approx(122, abs=1)


def test_6_4_6_a_deletion_ends_the_wait_for_a_volume_at_once():
    bench = Bench()
    bench.pod("app", MOUNTS, volumes=CONFIG)
    bench.delete_at(30)
    bench.run(40)
    assert 30 <= bench.time("Deleted") <= 32


def test_6_4_9_three_volumes_take_as_long_as_the_slowest():
    """Each is tried at its own intervals, which double from 0.5 s, so all are there once the last one is."""
    bench = Bench()
    names = ("a", "b", "c")
    bench.pod(
        "app",
        {"volumeMounts": [{"name": n, "mountPath": f"/{n}"} for n in names]},
        volumes=[{"name": n, "configMap": {"name": n}} for n in names],
    )
    for at, name in zip((3, 12, 7), names, strict=True):
        made = ConfigMap(metadata=ObjectMeta(name=name, namespace="default"))
        bench.at(at, lambda made=made: bench.server.create(made))
    bench.run(30)
    assert when(bench, "Started") == pytest.approx([15.6], abs=0.4)


def test_8_10_a_restart_changes_neither_requests_nor_class():
    bench = Bench(image(stop=1))
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    bench.pod("app", {"name": "app", "resources": resources})
    bench.run(5)
    before = bench.stored()
    bench.exit_at(10)
    bench.run(20)
    after = bench.stored()
    assert after.status.container_statuses[0].restart_count == 1
    assert (after.spec, after.status.qos_class) == (before.spec, before.status.qos_class)
    assert after.status.qos_class == "Burstable"


def test_11_8_not_ready_of_the_node_controller_is_overwritten():
    bench = Bench()
    bench.pod()

    def mark() -> None:
        condition = Condition(type="Ready", status="False", reason="NodeNotReady")
        bench.server.patch_status(
            Pod,
            "default",
            "app",
            lambda p: replace(p, status=replace(p.status, conditions=set_condition(p.status.conditions, condition))),
        )

    bench.at(12, mark)
    bench.run(23)
    assert bench.time("NotReady") == 12
    assert 12 < bench.times("Ready")[1] <= 22.1


def test_11_2_the_runtime_the_cache_and_the_api_are_three_views():
    """A process ends; the kubelet's cache says so with the next relist, the API with the status after that."""
    bench = Bench()
    bench.pod("app", restartPolicy="Never")
    bench.exit_at(10.4)
    views = []

    def look() -> None:
        process = bench.kubelet.process
        assert process is not None
        uid = bench.stored().uid
        shown = bench.stored().status.container_statuses[0].state.terminated is not None
        cached = process.pleg.get(uid).containers[0].state
        views.append((bench.machine.snapshot(uid).containers[0].state, cached, shown))

    for tenth in range(104, 125):
        bench.at(tenth / 10 + 0.003, look)
    bench.run(13)
    assert views[0] == ("exited", "running", False)
    assert views[-1] == ("exited", "exited", True)
    assert views == sorted(views, key=lambda v: (v[1] == "exited", v[2]))


def test_11_9_with_the_api_server_away_containers_restart_and_the_latest_status_is_sent_later():
    bench = Bench()
    bench.pod()
    bench.at(10, lambda: setattr(bench.server, "available", False))
    bench.exit_at(12)
    bench.at(40, lambda: setattr(bench.server, "available", True))
    bench.run(60)
    assert 12 <= when(bench, "Started")[1] <= 14
    assert 40 <= bench.time("Started", restart=1) <= 50.2
