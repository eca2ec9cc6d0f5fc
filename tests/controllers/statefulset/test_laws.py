"""Laws that hold for all histories."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from k8sim.api.apps import ControllerRevision
from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import Condition, ObjectMeta, controller_ref
from k8sim.api.struct import Time, replace
from k8sim.controllers.statefulset.control import update_stateful_set
from k8sim.controllers.statefulset.identity import new_stateful_set_pod
from k8sim.controllers.statefulset.ordinals import Ordinals
from k8sim.controllers.statefulset.replicas import Replicas
from k8sim.sim.units import SECOND
from tests.controllers.statefulset.world import PARALLEL, World, stateful_set, template

CURRENT = ControllerRevision(metadata=ObjectMeta(name="web-a"), revision=1, data=template("a"))
UPDATE = ControllerRevision(metadata=ObjectMeta(name="web-b"), revision=2, data=template("b"))


def _pod(
    ordinal: int,
    phase: str = "Running",
    ready: bool = True,
    since: int = 0,
    deleting: bool = False,
    revision: str = "web-a",
    labelled: bool = True,
) -> Pod:
    pod = new_stateful_set_pod(stateful_set(), template(), ordinal, revision)
    labels = dict(pod.metadata.labels)
    if not revision:
        del labels["controller-revision-hash"]
    if not labelled:
        del labels["statefulset.kubernetes.io/pod-name"]
    condition = Condition(type="Ready", status="True" if ready else "False", last_transition_time=Time(since * SECOND))
    meta = replace(pod.metadata, labels=labels, deletion_timestamp=Time(0) if deleting else None, uid=f"pod-{ordinal}")
    return replace(pod, metadata=meta, status=replace(pod.status, phase=phase, conditions=(condition,)))


pods = st.builds(
    _pod,
    ordinal=st.integers(0, 6),
    phase=st.sampled_from(["Pending", "Running", "Running", "Running", "Failed"]),
    ready=st.booleans(),
    since=st.integers(0, 20),
    deleting=st.booleans(),
    revision=st.sampled_from(["web-a", "web-b", ""]),
    labelled=st.booleans(),
)
claims = st.builds(
    lambda ordinal, owner: PersistentVolumeClaim(
        metadata=ObjectMeta(
            name=f"datadir-web-{ordinal}",
            owner_references=(
                controller_ref(replace(_pod(ordinal), metadata=ObjectMeta(name=f"web-{ordinal}", uid="old"))),
            )
            if owner
            else (),
        )
    ),
    ordinal=st.integers(0, 6),
    owner=st.booleans(),
)
sets = st.builds(
    lambda replicas, policy, partition, start, min_ready, when_scaled: stateful_set(
        replicas, policy, partition=partition, start=start, min_ready_seconds=min_ready, when_scaled=when_scaled
    ),
    replicas=st.integers(0, 5),
    policy=st.sampled_from(["OrderedReady", PARALLEL]),
    partition=st.integers(0, 5),
    start=st.integers(0, 2),
    min_ready=st.sampled_from([0, 10]),
    when_scaled=st.sampled_from(["Retain", "Delete"]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), pods),
        st.tuples(st.just("gone"), st.integers(0, 6)),
        st.tuples(st.just("claim"), claims),
        st.tuples(st.just("time"), st.integers(1, 10)),
        st.tuples(st.just("set"), sets),
    ),
    max_size=25,
)


@given(sts=sets, history=steps)
def test_filing_pod_by_pod_decides_as_filing_all_at_once(sts, history) -> None:  # type: ignore[no-untyped-def]
    known_claims: dict[str, PersistentVolumeClaim] = {}
    known_pods: dict[int, Pod] = {}
    now = 0
    view = Replicas(sts, UPDATE.name, known_claims.get)
    for what, value in history:
        if what == "pod":
            ordinal = int(value.name[4:])
            known_pods[ordinal] = value
            view.put(value)
        elif what == "gone":
            known_pods.pop(value, None)
            view.remove(f"web-{value}")
        elif what == "claim":
            known_claims[value.name] = value
            view.claims_changed(int(value.name.rpartition("-")[2]))
        elif what == "time":
            now += value * SECOND
        else:
            sts = value
        view = view.refitted(sts, UPDATE.name)
        step_by_step = update_stateful_set(sts, view, known_claims.get, CURRENT, UPDATE, 0, now)
        fresh = Replicas(sts, UPDATE.name, known_claims.get, known_pods.values())
        all_at_once = update_stateful_set(sts, fresh, known_claims.get, CURRENT, UPDATE, 0, now)
        assert step_by_step == all_at_once
        assert view.next_available_ns() == fresh.next_available_ns()


@given(sts=sets, changes=st.lists(st.one_of(pods, st.sampled_from(["web-a", "web-b", "web-c"])), max_size=12))
def test_versions_that_share_much_are_filed_as_if_they_were_new(sts, changes) -> None:  # type: ignore[no-untyped-def]
    """What a write does not change is the same object in the next version; most change nothing that is filed."""
    known_pods = [_pod(ordinal) for ordinal in range(4)]
    update = UPDATE.name
    view = Replicas(sts, update, {}.get, known_pods)
    for change in changes:
        if isinstance(change, str):
            update = change
        else:
            ordinal = int(change.name[4:]) % 4
            meta = known_pods[ordinal].metadata
            meta = replace(meta, deletion_timestamp=change.metadata.deletion_timestamp)
            known_pods[ordinal] = replace(known_pods[ordinal], metadata=meta, status=change.status)
            view.put(known_pods[ordinal])
        view = view.refitted(sts, update)
        assert _answers(view) == _answers(Replicas(sts, update, {}.get, known_pods))


def _answers(view: Replicas) -> dict[str, object]:
    answers = {name: value for name, value in vars(view).items() if isinstance(value, int | Ordinals)}
    del answers["filings"]
    return answers


@given(
    policy=st.sampled_from(["OrderedReady", PARALLEL]),
    changes=st.lists(
        st.one_of(
            st.tuples(st.just("scale"), st.integers(0, 4)),
            st.tuples(st.just("image"), st.sampled_from(["foo", "v2", "v3"])),
            st.tuples(st.just("terminate"), st.integers(0, 3)),
            st.tuples(st.just("fail"), st.integers(0, 3)),
            st.tuples(st.just("sync"), st.just(0)),
        ),
        max_size=12,
    ),
)
@settings(max_examples=60)
def test_after_any_history_the_set_settles_as_its_spec_says(policy: str, changes: list[tuple[str, int | str]]) -> None:
    world = World(stateful_set(2, policy))
    for what, value in changes:
        if what == "scale":
            world.scale(value)  # type: ignore[arg-type]
        elif what == "image":
            world.image(value)  # type: ignore[arg-type]
        elif what == "sync":
            world.sync()
        elif f"web-{value}" in world.names():
            world.terminate(value) if what == "terminate" else world.status(value, "Failed", ready=False)  # type: ignore[arg-type]
    world.settled()
    status, replicas = world.set.status, world.set.spec.replicas
    assert world.names() == [f"web-{i}" for i in range(replicas)]
    assert (status.replicas, status.ready_replicas, status.updated_replicas) == (replicas, replicas, replicas)
    assert status.current_revision == status.update_revision
    assert world.sync() == []


@given(cut=st.lists(st.integers(0, 4), max_size=3), scale=st.integers(0, 5))
@settings(max_examples=30)
def test_ordered_never_creates_beyond_an_unready_pod_nor_deletes_two_at_once(cut: list[int], scale: int) -> None:
    world = World(stateful_set(5)).settled()
    world.scale(scale)
    for ordinal in cut:
        if f"web-{ordinal}" in world.names():
            world.unready(ordinal)
    lines = world.sync()
    assert len([line for line in lines if line.startswith(("create", "delete"))]) <= 1
