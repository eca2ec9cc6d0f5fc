"""Decisions on containers (node.md 1.5, 1.6): pure functions of spec, runtime records and probe verdicts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import Container, Pod, PodSpec, Probe
from k8sim.kubelet.actions import compute_pod_actions
from k8sim.kubelet.restart import container_should_restart, should_container_be_restarted
from k8sim.machines.records import CREATED, EXITED, RUNNING, ContainerRecord, RuntimePodStatus, SandboxRecord
from tests.kubelet.bench import meta

SANDBOX = SandboxRecord("s1", True, "10.0.0.1")
MAIN = Container(name="main", image="app:v1")
INIT = Container(name="init", image="init:v1")
SIDE = Container(name="side", image="side:v1", restart_policy="Always")


def pod(*containers: Container, init: tuple[Container, ...] = (), policy: str = "Always") -> Pod:
    return Pod(
        metadata=meta(),
        spec=PodSpec(containers=containers or (MAIN,), init_containers=init, restart_policy=policy),
    )


def record(name: str, state: str, code: int = 0, **more: Any) -> ContainerRecord:
    image = {"main": "app:v1", "init": "init:v1", "side": "side:v1"}.get(name, "app:v1")
    return ContainerRecord(id=f"id-{name}", name=name, state=state, exit_code=code, image=more.pop("image", image))


def runtime(*records: ContainerRecord, sandbox: SandboxRecord | None = SANDBOX) -> RuntimePodStatus:
    return RuntimePodStatus("uid-app", records, () if sandbox is None else (sandbox,), "10.0.0.1")


def test_new_pod_gets_a_sandbox_and_its_containers():
    actions = compute_pod_actions(pod(), runtime(sandbox=None), {}, {})
    assert actions.create_sandbox
    assert actions.attempt == 0
    assert actions.containers_to_start == [0]


def test_new_pod_with_init_containers_starts_the_first_only():
    actions = compute_pod_actions(pod(init=(INIT, SIDE)), runtime(sandbox=None), {}, {})
    assert actions.init_containers_to_start == [0]
    assert not actions.containers_to_start


def test_running_pod_needs_nothing():
    assert compute_pod_actions(pod(), runtime(record("main", RUNNING)), {}, {}).nothing


def test_lost_sandbox_starts_everything_again():
    dead = SandboxRecord("s1", False, "")
    actions = compute_pod_actions(pod(init=(INIT,)), runtime(record("main", EXITED), sandbox=dead), {}, {})
    assert actions.kill_pod
    assert actions.create_sandbox
    assert actions.attempt == 1
    assert actions.init_containers_to_start == [0]


def test_lost_sandbox_of_a_pod_that_never_restarts_ends_it():
    dead = SandboxRecord("s1", False, "")
    actions = compute_pod_actions(pod(policy="Never"), runtime(record("main", EXITED, 1), sandbox=dead), {}, {})
    assert actions.kill_pod
    assert not actions.create_sandbox
    assert not actions.containers_to_start


def test_on_failure_does_not_start_what_succeeded_in_a_new_sandbox():
    other = Container(name="other", image="app:v1")
    dead = SandboxRecord("s1", False, "")
    status = runtime(record("main", EXITED, 0), record("other", EXITED, 1), sandbox=dead)
    actions = compute_pod_actions(pod(MAIN, other, policy="OnFailure"), status, {}, {})
    assert actions.containers_to_start == [1]


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_restart_policy(policy: str, code: int, restarts: bool):
    spec = pod(policy=policy)
    assert container_should_restart(MAIN, spec.spec, code) is restarts
    assert should_container_be_restarted(MAIN, spec, runtime(record("main", EXITED, code))) is restarts


def test_deleted_pod_restarts_nothing():
    from k8sim.api.meta import with_meta
    from k8sim.api.struct import Time

    gone = with_meta(pod(), deletion_timestamp=Time(0))
    assert not should_container_be_restarted(MAIN, gone, runtime())


@pytest.mark.parametrize("state", [CREATED])
def test_created_container_is_started_whatever_the_policy(state: str):
    assert should_container_be_restarted(MAIN, pod(policy="Never"), runtime(record("main", state)))


@pytest.mark.parametrize("which", ["liveness", "startup"])
def test_failed_probe_kills_and_restarts_in_the_same_sync(which: str):
    verdicts = {"id-main": False}
    liveness, startup = (verdicts, {}) if which == "liveness" else ({}, verdicts)
    actions = compute_pod_actions(pod(), runtime(record("main", RUNNING)), liveness, startup)
    assert [k.record.name for k in actions.containers_to_kill] == ["main"]
    assert actions.containers_to_start == [0]
    assert not actions.kill_pod


def test_failed_liveness_of_a_pod_that_never_restarts_kills_the_pod():
    actions = compute_pod_actions(pod(policy="Never"), runtime(record("main", RUNNING)), {"id-main": False}, {})
    assert actions.kill_pod
    assert not actions.containers_to_start


def test_changed_image_restarts_whatever_the_policy():
    actions = compute_pod_actions(pod(policy="Never"), runtime(record("main", RUNNING, image="app:v0")), {}, {})
    assert actions.containers_to_start == [0]
    assert actions.containers_to_kill[0].reason == ""


def test_ended_containers_that_do_not_restart_end_the_pod_and_its_sidecars():
    status = runtime(record("main", EXITED, 0), record("side", RUNNING))
    actions = compute_pod_actions(pod(init=(SIDE,), policy="Never"), status, {}, {})
    assert actions.kill_pod
    assert not actions.init_containers_to_start


def test_init_container_succeeded_lets_the_next_start():
    second = Container(name="second", image="init:v1")
    actions = compute_pod_actions(pod(init=(INIT, second)), runtime(record("init", EXITED, 0)), {}, {})
    assert actions.init_containers_to_start == [1]
    assert not actions.containers_to_start


def test_last_init_container_succeeded_starts_the_containers():
    actions = compute_pod_actions(pod(init=(INIT,)), runtime(record("init", EXITED, 0)), {}, {})
    assert actions.containers_to_start == [0]


def test_init_container_failed():
    status = runtime(record("init", EXITED, 1))
    again = compute_pod_actions(pod(init=(INIT,)), status, {}, {})
    assert again.init_containers_to_start == [0]
    over = compute_pod_actions(pod(init=(INIT,), policy="Never"), status, {}, {})
    assert over.kill_pod
    assert not over.init_containers_to_start


@pytest.mark.parametrize(("verdict", "next_one"), [({}, []), ({"id-side": True}, [1])])
def test_sidecar_counts_once_its_startup_probe_has_passed(verdict: dict[str, bool], next_one: list[int]):
    side = Container(name="side", image="side:v1", restart_policy="Always", startup_probe=Probe())
    actions = compute_pod_actions(pod(init=(side, INIT)), runtime(record("side", RUNNING)), {}, verdict)
    assert actions.init_containers_to_start == next_one


def test_sidecar_and_init_container_restart_in_one_sync():
    status = runtime(record("init", EXITED, 1), record("side", EXITED, 0))
    actions = compute_pod_actions(pod(init=(SIDE, INIT)), status, {}, {})
    assert actions.init_containers_to_start == [0, 1]


def test_sidecar_restarts_after_initialization_and_init_containers_do_not():
    status = runtime(record("main", RUNNING), record("side", EXITED, 1))
    actions = compute_pod_actions(pod(init=(SIDE, INIT), policy="Never"), status, {}, {})
    assert actions.init_containers_to_start == [0]


states = st.sampled_from([None, CREATED, RUNNING, EXITED])


@given(
    st.lists(states, min_size=1, max_size=3),
    st.lists(st.tuples(states, st.booleans()), max_size=3),
    st.sampled_from(["Always", "OnFailure", "Never"]),
    st.integers(0, 1),
)
def test_acting_on_a_decision_leaves_nothing_to_start_twice(
    mains: list[str | None], inits: list[tuple[str | None, bool]], policy: str, code: int
):
    """What is to start does not run; what is to be killed runs; a pod that is killed starts nothing but a sandbox's."""
    containers = tuple(Container(name=f"m{i}", image="app:v1") for i in range(len(mains)))
    init = tuple(
        Container(name=f"i{i}", image="app:v1", restart_policy="Always" if side else None)
        for i, (_, side) in enumerate(inits)
    )
    records = [record(f"m{i}", s, code) for i, s in enumerate(mains) if s is not None]
    records += [record(f"i{i}", s, code) for i, (s, _) in enumerate(inits) if s is not None]
    actions = compute_pod_actions(pod(*containers, init=init, policy=policy), runtime(*records), {}, {})
    running = {r.name for r in records if r.state == RUNNING}
    starting = [f"m{i}" for i in actions.containers_to_start] + [f"i{i}" for i in actions.init_containers_to_start]
    assert not running & set(starting)
    assert len(starting) == len(set(starting))
    if actions.kill_pod:
        assert not starting
    if not actions.kill_pod and actions.containers_to_start:
        regular = [f"i{i}" for i, (_, side) in enumerate(inits) if not side]
        assert not running & set(regular) or any(m in (CREATED, RUNNING) for m in mains)
