from __future__ import annotations

import pytest

from k8sim.api.apps import Deployment, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus
from k8sim.api.core import Pod
from k8sim.api.meta import ObjectMeta, condition_of, with_meta
from k8sim.api.struct import replace
from k8sim.controllers.deployment.control import Scale, roll_out, scale
from k8sim.controllers.deployment.controller import DeploymentController
from k8sim.controllers.deployment.replica_sets import REVISION, REVISION_HISTORY, ReplicaSets
from k8sim.controllers.deployment.rounding import resolve_fenceposts
from k8sim.controllers.replicaset.controller import ReplicaSetController
from tests.controllers.manager import Manager
from tests.controllers.workloads import LABELS, Pods, deployment, template

BAD = "app:bad"


def world(made: Deployment, stop_s: float = 1.0) -> tuple[Manager, Pods]:
    manager = Manager(ReplicaSetController, DeploymentController)
    pods = Pods(manager, {BAD: None}, stop_s)
    manager.server.create(made)
    return manager, pods


def stored(manager: Manager) -> Deployment:
    return manager.server.get(Deployment, "default", "web")


def image(manager: Manager, image: str) -> None:
    change(manager, template=template(image))


def change(manager: Manager, **spec: object) -> None:
    manager.server.patch(Deployment, "default", "web", lambda d: replace(d, spec=replace(d.spec, **spec)))


def sizes(manager: Manager) -> dict[str, int]:
    """spec.replicas of each ReplicaSet, by its image."""
    return {rs.spec.template.spec.containers[0].image: rs.spec.replicas for rs in manager.server.list(ReplicaSet)}


def running(manager: Manager) -> list[tuple[str, bool]]:
    return [(p.spec.containers[0].image, p.deleting) for p in manager.server.list(Pod)]


def progressing(manager: Manager) -> tuple[str, str]:
    condition = condition_of(stored(manager).status.conditions, "Progressing")
    assert condition is not None
    return condition.status, condition.reason


# ---- the testable statements ----------------------------------------------------------------------------------------


def test_default_rollout_of_one_replica_keeps_the_old_pod_until_the_new_one_is_available() -> None:
    manager, _ = world(deployment(1, "25%", "25%", min_ready_seconds=5))
    manager.run(20)
    image(manager, "app:v2")
    manager.run(25)  # Ready at 21.5, available at 26.5 to 27.5
    assert sizes(manager) == {"app:v1": 1, "app:v2": 1}
    manager.run(30)
    assert sizes(manager) == {"app:v1": 0, "app:v2": 1}


def test_a_rollout_that_gets_stuck_keeps_the_old_pod_and_reports_it_after_the_deadline() -> None:
    manager, _ = world(deployment(1, "25%", "25%"))
    manager.run(20)
    image(manager, BAD)
    manager.run(600)
    assert progressing(manager)[0] == "True"
    manager.run(640)
    assert progressing(manager) == ("False", "ProgressDeadlineExceeded")
    manager.run(3600)
    assert sizes(manager) == {"app:v1": 1, BAD: 1}


def test_a_stuck_rollout_keeps_even_an_unready_old_pod() -> None:
    manager, _ = world(deployment(1, "25%", "25%"))
    manager.run(20)
    image(manager, BAD)
    manager.run(30)
    old = next(p for p in manager.server.list(Pod) if p.spec.containers[0].image == "app:v1")
    manager.set_pod(old, ready=False)
    manager.run(900)
    assert sizes(manager) == {"app:v1": 1, BAD: 1}


def test_surge_0_does_not_wait_for_the_old_pod_to_terminate() -> None:
    manager, _ = world(deployment(1, 0, 1), stop_s=20)
    manager.run(20)
    image(manager, "app:v2")
    manager.run(21)
    assert sorted(running(manager)) == [("app:v1", True), ("app:v2", False)]


def test_recreate_waits_for_old_pods_to_end() -> None:
    manager, pods = world(deployment(2, recreate=True), stop_s=10)
    pods.stuck = lambda pod: pod.name == stuck
    stuck = ""
    manager.run(20)
    stuck = manager.server.list(Pod)[0].name
    image(manager, "app:v2")
    manager.run(100)
    assert sizes(manager) == {"app:v1": 0}
    assert running(manager) == [("app:v1", True)]
    manager.set_pod(manager.server.list(Pod)[0], phase="Failed", ready=False)
    manager.run(101)
    assert sizes(manager) == {"app:v1": 0, "app:v2": 2}


def test_recreate_goes_on_when_the_last_old_pod_is_gone() -> None:
    manager, _ = world(deployment(2, recreate=True), stop_s=10)
    manager.run(20)
    image(manager, "app:v2")
    manager.run(29.9)
    assert sizes(manager) == {"app:v1": 0}
    manager.run(31)
    assert sizes(manager) == {"app:v1": 0, "app:v2": 2}


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "resolved"),
    [
        ("25%", "25%", 10, (3, 2)),
        (0, "10%", 1, (0, 1)),
        ("25%", "25%", 1, (1, 0)),
        (1, 0, 1, (1, 0)),
        ("50%", "50%", 1, (1, 0)),
        (0, 1, 1, (0, 1)),
        (0, "25%", 1, (0, 1)),
        ("0%", "0%", 1, (0, 1)),
        (1, 1, 1, (1, 1)),
        ("100%", "100%", 1, (1, 1)),
    ],
)
def test_rounding(surge: int | str, unavailable: int | str, replicas: int, resolved: tuple[int, int]) -> None:
    assert resolve_fenceposts(surge, unavailable, replicas) == resolved


# ---- revisions ------------------------------------------------------------------------------------------------------


def test_a_rollback_renumbers_the_revision_and_remembers_the_old_number() -> None:
    manager, _ = world(deployment(1))
    manager.run(10)
    image(manager, "app:v2")
    manager.run(20)
    image(manager, "app:v1")
    manager.run(30)
    by_image = {rs.spec.template.spec.containers[0].image: rs for rs in manager.server.list(ReplicaSet)}
    assert sizes(manager) == {"app:v1": 1, "app:v2": 0}
    assert by_image["app:v1"].metadata.annotations[REVISION] == "3"
    assert by_image["app:v1"].metadata.annotations[REVISION_HISTORY] == "1"
    assert by_image["app:v2"].metadata.annotations[REVISION] == "2"
    assert stored(manager).metadata.annotations[REVISION] == "3"


def test_history_limit_deletes_the_oldest_empty_replica_sets() -> None:
    manager, _ = world(deployment(1, history=2))
    for n in range(2, 7):
        manager.run(10 * n)
        image(manager, f"app:v{n}")
    manager.run(100)
    assert sizes(manager) == {"app:v4": 0, "app:v5": 0, "app:v6": 1}


def test_the_hash_label_is_in_name_selector_and_pods() -> None:
    manager, _ = world(deployment(1))
    manager.run(5)
    (rs,) = manager.server.list(ReplicaSet)
    (pod,) = manager.server.list(Pod)
    hash_ = rs.metadata.labels["pod-template-hash"]
    assert rs.name == f"web-{hash_}"
    assert rs.spec.selector is not None
    assert rs.spec.selector.match_labels == {**LABELS, "pod-template-hash": hash_}
    assert pod.metadata.labels == {**LABELS, "pod-template-hash": hash_}


def test_a_name_that_is_taken_by_something_else_raises_the_collision_count() -> None:
    manager, _ = world(deployment(1))
    manager.run(5)
    (rs,) = manager.server.list(ReplicaSet)
    other, _ = world(deployment(0))
    other.server.delete(Deployment, "default", "web")
    other.server.create(ReplicaSet(metadata=ObjectMeta(name=rs.name, namespace="default"), spec=rs.spec))
    other.run(1)
    other.server.create(deployment(1))
    other.run(10)
    assert stored(other).status.collision_count == 1
    assert stored(other).status.ready_replicas == 1


# ---- status, pause, size --------------------------------------------------------------------------------------------


def test_status_and_conditions_of_a_complete_rollout() -> None:
    manager, _ = world(deployment(3))
    manager.run(10)
    status = stored(manager).status
    assert (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas) == (3, 3, 3, 3)
    assert (status.unavailable_replicas, status.terminating_replicas) == (0, 0)
    assert progressing(manager) == ("True", "NewReplicaSetAvailable")
    available = condition_of(status.conditions, "Available")
    assert available is not None
    assert available.status == "True"


def test_a_paused_deployment_scales_but_does_not_roll_out() -> None:
    manager, _ = world(deployment(2))
    manager.run(10)
    change(manager, paused=True)
    manager.run(11)
    assert progressing(manager) == ("Unknown", "DeploymentPaused")
    image(manager, "app:v2")
    change(manager, replicas=3)
    manager.run(20)
    assert sizes(manager) == {"app:v1": 3}
    change(manager, paused=False)
    manager.run(40)
    assert sizes(manager) == {"app:v1": 0, "app:v2": 3}


def test_events_name_every_change_of_size() -> None:
    manager, _ = world(deployment(1))
    manager.run(10)
    image(manager, "app:v2")
    manager.run(20)
    v1, v2 = (rs.name for rs in manager.server.list(ReplicaSet))
    assert [detail["message"] for _, _, _, detail in manager.events("Event", "web", "ScalingReplicaSet")] == [
        f"Scaled up replica set {v1} from 0 to 1",
        f"Scaled up replica set {v2} from 0 to 1",
        f"Scaled down replica set {v1} from 1 to 0",
    ]


def test_replica_sets_of_a_deleted_deployment_are_left_to_the_garbage_collector() -> None:
    manager, _ = world(deployment(1))
    manager.run(5)
    manager.server.patch(Deployment, "default", "web", lambda d: with_meta(d, finalizers=("foregroundDeletion",)))
    manager.server.delete(Deployment, "default", "web")
    image(manager, "app:v2")
    manager.run(10)
    assert sizes(manager) == {"app:v1": 1}


def rs(name: str, replicas: int, available: int | None = None, desired: int = 10, created: int = 0) -> ReplicaSet:
    return ReplicaSet(
        metadata=ObjectMeta(
            name=name,
            creation_timestamp=created,  # type: ignore[arg-type]
            annotations={
                "deployment.kubernetes.io/desired-replicas": str(desired),
                "deployment.kubernetes.io/max-replicas": str(desired + 3),
            },
        ),
        spec=ReplicaSetSpec(replicas=replicas),
        status=ReplicaSetStatus(replicas=replicas, available_replicas=replicas if available is None else available),
    )


def after(scales: tuple[Scale, ...]) -> dict[str, int]:
    return {s.rs.name: s.replicas for s in scales}


def test_a_new_size_in_mid_rollout_is_shared_in_proportion() -> None:
    old, new = rs("old", 8), rs("new", 5, created=1)
    plan = scale(deployment(20, "25%", "25%"), ReplicaSets(new, (old,)))
    # 13 become 25: 8 -> 8*25/13 = 15, 5 -> 5*25/13 = 10
    assert after(plan.scales) == {"old": 15, "new": 10}
    plan = scale(deployment(5, 1, 0), ReplicaSets(new, (old,)))
    # 13 become 6: 8 -> 4 (3.7), 5 -> 2 (2.3)
    assert after(plan.scales) == {"old": 4, "new": 2}
    plan = scale(deployment(0, 1, 0), ReplicaSets(new, (old,)))
    assert after(plan.scales) == {"old": 0, "new": 0}


def test_shrinking_takes_unhealthy_old_pods_first_oldest_set_first() -> None:
    oldest, old, new = rs("oldest", 4, 1), rs("old", 4, 4, created=1), rs("new", 3, 3, created=2)
    plan = roll_out(deployment(8, 3, 2), ReplicaSets(new, (oldest, old)))
    # total 11, at least 6 available: budget 5; 3 unhealthy ones go, then 8 available - 6 = 2 healthy ones.
    assert [(s.rs.name, s.replicas) for s in plan.scales] == [("oldest", 1), ("oldest", 0), ("old", 3)]


def test_an_unavailable_new_pod_takes_up_the_budget() -> None:
    plan = roll_out(deployment(1, 1, 0), ReplicaSets(rs("new", 1, 0), (rs("old", 1, 0),)))
    assert plan.scales == ()
    assert plan.waiting == "waiting for pods of new to become available"
