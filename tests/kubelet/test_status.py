"""Phase, conditions, container states, and what may be written (node.md 1.7-1.10)."""

from typing import Any

import pytest

from k8sim.api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodReadinessGate,
    PodSpec,
    PodStatus,
)
from k8sim.api.meta import Condition
from k8sim.api.struct import Time, replace
from k8sim.kubelet import conditions
from k8sim.kubelet.containerstatus import container_statuses
from k8sim.kubelet.phase import get_phase
from k8sim.kubelet.statusmerge import merge_pod_status, same_for_kubelet, terminated_status, transition_allowed
from k8sim.machines.records import EXITED, RUNNING, ContainerRecord, RuntimePodStatus
from tests.kubelet.bench import meta

RUN = ContainerState(running=ContainerStateRunning())
WAIT = ContainerState(waiting=ContainerStateWaiting())
OK = ContainerState(terminated=ContainerStateTerminated(exit_code=0))
BAD = ContainerState(terminated=ContainerStateTerminated(exit_code=1))
NONE = ContainerState()


def pod(names: str = "a", init: str = "", side: str = "", policy: str = "Always", **spec: Any) -> Pod:
    inits = [Container(name=n) for n in init] + [Container(name=n, restart_policy="Always") for n in side]
    return Pod(
        metadata=meta(),
        spec=PodSpec(
            containers=tuple(Container(name=n) for n in names),
            init_containers=tuple(inits),
            restart_policy=policy,
            **spec,
        ),
    )


def status(name: str, state: ContainerState, last: ContainerState = NONE, **more: Any) -> ContainerStatus:
    return ContainerStatus(name=name, state=state, last_state=last, **more)


@pytest.mark.parametrize(
    ("spec", "statuses", "terminal", "phase"),
    [
        (pod("a"), [status("a", WAIT)], False, "Pending"),
        (pod("a"), [status("a", RUN)], False, "Running"),
        (pod("ab"), [status("a", RUN), status("b", WAIT)], False, "Pending"),  # one cannot pull its image
        (pod("a"), [status("a", WAIT, BAD)], False, "Running"),  # crash loop
        (pod("a"), [status("a", OK)], False, "Running"),  # Always: it comes back
        (pod("a"), [status("a", OK)], True, "Succeeded"),
        (pod("a"), [status("a", BAD)], True, "Failed"),
        (pod("ab"), [status("a", OK), status("b", BAD)], True, "Failed"),
        (pod("a", policy="Never"), [status("a", OK)], False, "Succeeded"),
        (pod("a", policy="Never"), [status("a", BAD)], False, "Failed"),
        (pod("a", policy="OnFailure"), [status("a", OK)], False, "Succeeded"),
        (pod("a", policy="OnFailure"), [status("a", BAD)], False, "Running"),
        (pod("ab", policy="Never"), [status("a", BAD), status("b", RUN)], False, "Running"),
        (pod("a", init="i"), [status("a", WAIT), status("i", RUN)], False, "Pending"),
        (pod("a", init="i"), [status("a", RUN), status("i", OK)], False, "Running"),
        (pod("a", init="i", policy="Never"), [status("a", WAIT), status("i", BAD)], False, "Failed"),
        (pod("a", init="i"), [status("a", WAIT), status("i", BAD)], False, "Pending"),
        (pod("a", side="s"), [status("a", WAIT), status("s", RUN, started=True)], False, "Pending"),
        (pod("a", side="s", policy="Never"), [status("a", OK), status("s", RUN, started=True)], False, "Running"),
        (pod("a", side="s"), [status("a", RUN), status("s", RUN, started=False)], False, "Running"),
        (pod("a", side="s", policy="Never"), [status("a", OK), status("s", BAD)], False, "Succeeded"),
        (pod("ab"), [status("a", RUN)], False, "Pending"),  # unknown
    ],
)
def test_phase(spec: Pod, statuses: list[ContainerStatus], terminal: bool, phase: str):
    assert get_phase(spec, {s.name: s for s in statuses}, terminal) == phase


def test_ready_needs_containers_sidecars_and_gates():
    spec = pod("a", side="s", readiness_gates=(PodReadinessGate(condition_type="g"),))
    info = {"a": status("a", RUN, ready=True), "s": status("s", RUN, ready=False, started=True)}
    assert conditions.containers_ready(spec, info, "Running").status == "False"
    info["s"] = status("s", RUN, ready=True, started=True)
    containers_ready = conditions.containers_ready(spec, info, "Running")
    assert containers_ready.status == "True"
    assert conditions.ready(spec, containers_ready, ()).reason == "ReadinessGatesNotReady"
    gate = Condition(type="g", status="True")
    assert conditions.ready(spec, containers_ready, (gate,)).status == "True"


@pytest.mark.parametrize(("phase", "reason"), [("Succeeded", "PodCompleted"), ("Failed", "PodFailed")])
def test_ended_pods_are_not_ready(phase: str, reason: str):
    info = {"a": status("a", OK, ready=True)}
    condition = conditions.ready(pod("a"), conditions.containers_ready(pod("a"), info, phase), ())
    assert (condition.status, condition.reason) == ("False", reason)


def test_initialized_stays_once_a_container_has_started():
    spec = pod("a", init="i")
    waiting = {"a": status("a", WAIT), "i": status("i", RUN, ready=False)}
    assert conditions.initialized(spec, waiting, "Pending").reason == "ContainersNotInitialized"
    started = {"a": status("a", BAD), "i": status("i", WAIT)}
    assert conditions.initialized(spec, started, "Running").status == "True"


def test_transition_times_move_only_with_the_status():
    old = (Condition(type="Ready", status="False", reason="A", last_transition_time=Time(5)),)
    same = conditions.with_transition_times((Condition(type="Ready", status="False", reason="B"),), old, Time(9))
    other = conditions.with_transition_times((Condition(type="Ready", status="True"),), old, Time(9))
    assert same[0].last_transition_time == 5
    assert same[0].reason == "B"
    assert other[0].last_transition_time == 9


def shown(
    runtime: RuntimePodStatus, previous: list[ContainerStatus], errors: dict[str, Any] | None = None
) -> ContainerStatus:
    (result,) = container_statuses(
        pod("a"), runtime, previous, pod("a").spec.containers, False, errors or {}, lambda t: t
    )
    return result


def test_last_state_is_the_instance_before():
    new = ContainerRecord("2", "a", "", RUNNING, 1, 20, 20)
    old = ContainerRecord("1", "a", "", EXITED, 0, 10, 10, 15, 1, "Error")
    result = shown(RuntimePodStatus("u", (new, old)), [])
    assert result.restart_count == 1
    assert result.state.running is not None
    assert result.last_state.terminated is not None
    assert result.last_state.terminated.exit_code == 1


def test_container_lost_with_its_node_is_unknown_and_counts_as_a_restart():
    before = status("a", RUN, container_id="1", restart_count=2)
    result = shown(RuntimePodStatus("u"), [before])
    assert result.last_state.terminated is not None
    assert result.last_state.terminated.reason == "ContainerStatusUnknown"
    assert result.last_state.terminated.exit_code == 137
    assert result.restart_count == 3
    again = shown(RuntimePodStatus("u"), [result])
    assert again.restart_count == 3


def test_start_error_shows_as_waiting_and_moves_the_end_to_the_last_state():
    ended = ContainerRecord("1", "a", "", EXITED, 0, 10, 10, 15, 1, "Error")
    runtime = RuntimePodStatus("u", (ended,))
    assert shown(runtime, []).state.terminated is not None
    result = shown(runtime, [], {"a": ("CrashLoopBackOff", "back-off")})
    assert result.state.waiting is not None
    assert result.state.waiting.reason == "CrashLoopBackOff"
    assert result.last_state.terminated is not None


READY = Condition(type="Ready", status="True")
FOREIGN = Condition(type="example.com/x", status="True")


def test_terminal_phase_is_withheld_while_something_may_run():
    old = PodStatus(phase="Running", conditions=(READY, FOREIGN))
    new = PodStatus(
        phase="Failed", reason="Evicted", conditions=(READY, Condition(type="DisruptionTarget", status="True"))
    )
    held = merge_pod_status(old, new, True, Time(0))
    assert (held.phase, held.reason) == ("Running", "")
    assert {c.type for c in held.conditions} == {"Ready", "example.com/x"}
    free = merge_pod_status(old, new, False, Time(0))
    assert (free.phase, free.reason) == ("Failed", "Evicted")
    by_type = {c.type: c.status for c in free.conditions}
    assert by_type == {"Ready": "False", "example.com/x": "True", "DisruptionTarget": "True"}


def test_conditions_of_others_do_not_count_as_a_difference():
    a = PodStatus(phase="Running", conditions=(READY, FOREIGN))
    assert same_for_kubelet(a, replace(a, conditions=(READY,)))
    assert not same_for_kubelet(a, replace(a, conditions=()))


def test_final_status_of_a_pod_that_never_started():
    before = PodStatus(phase="Pending", container_statuses=(status("a", WAIT),))
    after = terminated_status(pod("a"), before)
    assert after.phase == "Failed"
    assert after.container_statuses[0].state.terminated is not None
    assert after.container_statuses[0].state.terminated.reason == "ContainerStatusUnknown"


def test_final_status_leaves_containers_waiting_that_could_not_have_started():
    before = PodStatus(
        phase="Pending",
        container_statuses=(status("a", WAIT),),
        init_container_statuses=(status("i", RUN), status("j", WAIT)),
    )
    after = terminated_status(pod("a", init="ij"), before)
    assert after.container_statuses[0].state.waiting is not None
    assert after.init_container_statuses[0].state.terminated is not None
    assert after.init_container_statuses[1].state.waiting is not None


def test_no_way_back_from_terminated_unless_the_policy_allows_it():
    ended, running = PodStatus(container_statuses=(status("a", OK),)), PodStatus(container_statuses=(status("a", RUN),))
    assert transition_allowed(ended, running, pod("a"))
    assert not transition_allowed(ended, running, pod("a", policy="Never"))
    assert not transition_allowed(ended, running, pod("a", policy="OnFailure"))
    failed = PodStatus(container_statuses=(status("a", BAD),))
    assert transition_allowed(failed, running, pod("a", policy="OnFailure"))
