"""Writes, versions and deletion: the testable statements of workloads.md 5.5, and what every store must keep."""

from __future__ import annotations

import pytest

from k8sim.api import replace
from k8sim.api.apps import (
    Deployment,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.policy import PodDisruptionBudget
from k8sim.apiserver.errors import AlreadyExists, Conflict, Invalid, NotFound
from k8sim.apiserver.watch import Change
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod, make_server


def events_of(server, cls):  # type: ignore[no-untyped-def]
    seen: list[Change] = []
    server.watch(cls, seen.append)
    return seen


def bound_pod(server, grace: int = 30, **meta):  # type: ignore[no-untyped-def]
    pod = server.create(make_pod(grace=grace, **meta))
    return server.bind(pod, "node-0")


def set_phase(server, phase: str) -> Pod:  # type: ignore[no-untyped-def]
    return server.patch_status(Pod, "default", "web-0", lambda p: replace(p, status=replace(p.status, phase=phase)))


def test_a_new_object_gets_an_identity_and_loses_its_status() -> None:
    server = make_server()
    pod = make_pod()
    created = server.create(replace(pod, status=replace(pod.status, phase="Running")))
    assert created.status.phase == "Pending"
    assert created.uid
    assert created.metadata.generation == 1
    assert created.metadata.resource_version == server.resource_version


def test_a_name_is_taken_until_the_object_is_gone_and_the_successor_is_another() -> None:
    server = make_server()
    first = server.create(make_pod())
    with pytest.raises(AlreadyExists):
        server.create(make_pod())
    server.delete(Pod, "default", "web-0")
    second = server.create(make_pod())
    assert second.uid != first.uid
    assert server.incarnation(second) == 2


def test_a_stale_version_conflicts_and_changes_nothing() -> None:
    server = make_server()
    stale = server.create(make_pod())
    server.update(with_meta(stale, labels={"a": "1"}))
    with pytest.raises(Conflict):
        server.update(with_meta(stale, labels={"a": "2"}))
    assert server.get(Pod, "default", "web-0").metadata.labels == {"a": "1"}


def test_a_write_without_a_change_makes_no_version_and_no_event() -> None:
    server = make_server()
    pod = server.create(make_pod())
    seen = events_of(server, Pod)
    before = server.resource_version
    server.update(with_meta(pod, labels={}))
    server.patch_status(Pod, "default", "web-0", lambda p: p)
    assert server.resource_version == before
    assert seen == []


def test_generation_counts_changes_of_the_spec_only() -> None:
    server = make_server()
    budget = server.create(PodDisruptionBudget(metadata=ObjectMeta(name="b")))
    relabelled = server.update(with_meta(budget, labels={"x": "y"}))
    assert relabelled.metadata.generation == 1
    changed = server.update(replace(relabelled, spec=replace(relabelled.spec, max_unavailable=1)))
    assert changed.metadata.generation == 2


def test_an_update_cannot_touch_the_status_nor_a_status_update_the_spec() -> None:
    server = make_server()
    budget = server.create(PodDisruptionBudget(metadata=ObjectMeta(name="b")))
    both = replace(budget, spec=replace(budget.spec, max_unavailable=1), status=replace(budget.status, expected_pods=7))
    updated = server.update(both)
    assert (updated.spec.max_unavailable, updated.status.expected_pods) == (1, 0)
    both = replace(updated, spec=replace(updated.spec, max_unavailable=2), status=both.status)
    updated = server.update_status(both)
    assert (updated.spec.max_unavailable, updated.status.expected_pods) == (1, 7)


def test_1_a_scheduled_pod_is_kept_until_its_kubelet_confirms() -> None:
    server = make_server()
    bound_pod(server)
    deleted = server.delete(Pod, "default", "web-0")
    assert deleted.metadata.deletion_timestamp == 30 * SECOND
    assert deleted.metadata.deletion_grace_period_seconds == 30
    assert server.find(Pod, "default", "web-0") is not None


def test_2_an_unscheduled_pod_goes_at_once_whatever_grace_was_asked() -> None:
    server = make_server()
    server.create(make_pod())
    server.delete(Pod, "default", "web-0", grace_period_seconds=60)
    assert server.find(Pod, "default", "web-0") is None


def test_3_a_failed_pod_goes_at_once() -> None:
    server = make_server()
    bound_pod(server)
    set_phase(server, "Failed")
    server.delete(Pod, "default", "web-0")
    assert server.find(Pod, "default", "web-0") is None


@pytest.mark.parametrize(
    ("second_grace", "at_s", "deadline_s", "grace"),
    [(60, 5, 30, 30), (None, 5, 30, 30), (10, 5, 10, 10), (10, 20, 20, 1)],
)
def test_4_a_second_delete_can_only_shorten(second_grace: int | None, at_s: int, deadline_s: int, grace: int) -> None:
    server = make_server()
    bound_pod(server)
    server.delete(Pod, "default", "web-0")
    server.sim.clock.run(at_s * SECOND)
    pod = server.delete(Pod, "default", "web-0", grace_period_seconds=second_grace)
    assert pod.metadata.deletion_timestamp == deadline_s * SECOND
    assert pod.metadata.deletion_grace_period_seconds == grace


def test_4_grace_0_removes_at_once_and_watchers_see_it_in_two_steps() -> None:
    server = make_server()
    bound_pod(server)
    seen = events_of(server, Pod)
    server.delete(Pod, "default", "web-0")
    server.delete(Pod, "default", "web-0", grace_period_seconds=0)
    assert [c.type for c in seen] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert seen[1].new.metadata.deletion_grace_period_seconds == 0
    assert server.find(Pod, "default", "web-0") is None


def test_5_a_finalizer_holds_a_pod_back_until_it_is_removed() -> None:
    server = make_server()
    bound_pod(server, finalizers=("example.com/hold",))
    held = server.delete(Pod, "default", "web-0", grace_period_seconds=0)
    assert held.metadata.deletion_grace_period_seconds == 0
    assert server.find(Pod, "default", "web-0") is not None
    server.update(with_meta(held, finalizers=()))
    assert server.find(Pod, "default", "web-0") is None


def test_removing_a_finalizer_of_a_pod_that_still_stops_does_not_remove_the_pod() -> None:
    server = make_server()
    bound_pod(server, finalizers=("example.com/hold",))
    held = server.delete(Pod, "default", "web-0")
    server.update(with_meta(held, finalizers=()))
    assert server.find(Pod, "default", "web-0") is not None


def test_a_claim_with_a_finalizer_terminates_and_goes_with_the_finalizer() -> None:
    server = make_server()
    server.create(PersistentVolumeClaim(metadata=ObjectMeta(name="data", finalizers=("kubernetes.io/pvc-protection",))))
    held = server.delete(PersistentVolumeClaim, "default", "data")
    assert held.deleting
    again = server.delete(PersistentVolumeClaim, "default", "data")
    assert again == held
    server.update(with_meta(held, finalizers=()))
    with pytest.raises(NotFound):
        server.get(PersistentVolumeClaim, "default", "data")


def test_preconditions_of_a_delete() -> None:
    server = make_server()
    pod = bound_pod(server)
    with pytest.raises(Conflict):
        server.delete(Pod, "default", "web-0", uid="another")
    with pytest.raises(Conflict):
        server.delete(Pod, "default", "web-0", resource_version=pod.metadata.resource_version - 1)
    server.delete(Pod, "default", "web-0", uid=pod.uid, resource_version=pod.metadata.resource_version)


def test_a_pod_is_bound_once() -> None:
    server = make_server()
    pod = server.create(make_pod())
    bound = server.bind(pod, "node-0")
    assert [(c.type, c.status) for c in bound.status.conditions] == [("PodScheduled", "True")]
    with pytest.raises(Conflict):
        server.bind(pod, "node-1")


def test_max_unavailable_is_dropped_unless_its_gate_is_on() -> None:
    for gate, kept in ((False, None), (True, 2)):
        server = make_server(gates={"MaxUnavailableStatefulSet": gate})
        strategy = StatefulSetUpdateStrategy(
            type="RollingUpdate", rolling_update=RollingUpdateStatefulSetStrategy(max_unavailable=2)
        )
        made = server.create(
            StatefulSet(metadata=ObjectMeta(name="web"), spec=StatefulSetSpec(update_strategy=strategy))
        )
        rolling = made.spec.update_strategy.rolling_update
        assert rolling is not None
        assert (rolling.partition, rolling.max_unavailable) == (0, kept)


def test_impossible_statefulset_status_is_refused() -> None:
    server = make_server()
    made = server.create(StatefulSet(metadata=ObjectMeta(name="web")))
    for wrong in ({"current_replicas": -1}, {"ready_replicas": 1}, {"replicas": 2, "available_replicas": 1}):
        with pytest.raises(Invalid):
            server.update_status(replace(made, status=replace(made.status, **wrong)))


def test_uids_depend_only_on_what_the_object_is() -> None:
    one, other = make_server(seed=1), make_server(seed=2)
    other.create(make_pod("something-else"))
    assert one.create(make_pod()).uid == other.create(make_pod()).uid


def test_annotations_of_a_deployment_come_with_its_status_and_make_it_more_than_a_change_of_the_status() -> None:
    server = make_server()
    seen = events_of(server, Deployment)
    stored = server.create(Deployment(metadata=ObjectMeta(name="web", namespace="default")))
    stored = server.update_status(replace(stored, status=replace(stored.status, replicas=1)))
    server.update_status(with_meta(stored, annotations={"deployment.kubernetes.io/revision": "1"}))
    assert [change.of_status for change in seen] == [False, True, False]
