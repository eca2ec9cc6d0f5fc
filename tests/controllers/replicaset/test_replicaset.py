from __future__ import annotations

import pytest

from k8sim.api.apps import ReplicaSet
from k8sim.api.core import Container, ContainerStatus, Pod, PodSpec, PodStatus
from k8sim.api.meta import Condition, ObjectMeta, controller_of, with_meta
from k8sim.api.struct import Time, replace
from k8sim.apiserver.errors import Forbidden
from k8sim.controllers.expectations import EXPECTATIONS_TIMEOUT_NS, Expectations
from k8sim.controllers.replicaset.control import slow_start_batches
from k8sim.controllers.replicaset.controller import ReplicaSetController
from k8sim.controllers.replicaset.victims import pods_to_delete
from k8sim.sim.units import HOUR, SECOND
from tests.controllers.manager import Manager
from tests.controllers.workloads import LABELS, Pods, replica_set, template


def world(replicas: int, **options: int) -> Manager:
    manager = Manager(ReplicaSetController)
    Pods(manager)
    manager.server.create(replica_set(replicas, **options))
    return manager


def pods(manager: Manager) -> list[Pod]:
    return manager.server.list(Pod)


def rs(manager: Manager) -> ReplicaSet:
    return manager.server.get(ReplicaSet, "default", "web")


def scale(manager: Manager, replicas: int) -> None:
    manager.server.patch(ReplicaSet, "default", "web", lambda r: replace(r, spec=replace(r.spec, replicas=replicas)))


def test_makes_its_pods_and_counts_them() -> None:
    manager = world(3)
    manager.run(5)
    assert len(pods(manager)) == 3
    status = rs(manager).status
    assert (status.replicas, status.ready_replicas, status.available_replicas) == (3, 3, 3)
    assert (status.fully_labeled_replicas, status.observed_generation) == (3, 1)
    assert all(p.name.startswith("web-") and len(p.name) == 9 for p in pods(manager))


def test_a_pod_with_a_deletion_timestamp_is_replaced_while_it_exists() -> None:
    manager = world(1)
    manager.run(5)
    (old,) = pods(manager)
    manager.server.delete(Pod, *old.key)
    manager.run(5.2)
    assert {p.uid for p in pods(manager)} > {old.uid}
    assert len(pods(manager)) == 2
    assert (rs(manager).status.replicas, rs(manager).status.terminating_replicas) == (1, 1)


def test_a_failed_pod_stays_and_is_replaced_once() -> None:
    manager = world(1)
    manager.run(5)
    (old,) = pods(manager)
    manager.set_pod(old, phase="Failed", ready=False)
    manager.run(10)
    assert len(pods(manager)) == 2
    assert manager.server.find(Pod, *old.key) is not None


def test_does_not_act_twice_on_a_cache_that_lags() -> None:
    manager = world(5)
    manager.run(5)
    manager.informers.of(Pod).disconnect()
    scale(manager, 8)
    manager.run(6)
    assert len(pods(manager)) == 8
    scale(manager, 9)
    manager.run(7)
    assert len(pods(manager)) == 8, "the cache has not shown the last creates yet"
    manager.informers.of(Pod).reconnect()
    manager.run(10)
    assert len(pods(manager)) == 9


def test_a_failing_create_ends_the_attempt_at_its_batch_and_sets_a_condition() -> None:
    attempts: list[float] = []

    def refuse(server, obj, old):  # type: ignore[no-untyped-def]
        if isinstance(obj, Pod) and old is None:
            attempts.append(manager.now)
            if len(attempts) >= 2:
                raise Forbidden("exceeded quota")
        return obj

    manager = Manager(ReplicaSetController, admission=(refuse,))
    manager.server.create(replica_set(8))
    manager.run(0.1)
    # 1, then the batch of 2, not the batches of 4 and 1: the next attempt waits for the back-off.
    assert attempts[2] - attempts[0] < 0.02
    assert attempts[3] - attempts[2] > 0.005
    (condition,) = rs(manager).status.conditions
    assert (condition.type, condition.reason) == ("ReplicaFailure", "FailedCreate")
    assert manager.events("Event", "web", "FailedCreate")


def test_slow_start_doubles() -> None:
    assert slow_start_batches(20) == [1, 2, 4, 8, 5]


def test_adopts_fitting_orphans_and_releases_relabelled_pods() -> None:
    manager = Manager(ReplicaSetController)
    orphan = Pod(metadata=ObjectMeta(name="bare", namespace="default", labels=LABELS), spec=template().spec)
    manager.add_pod(orphan)
    manager.server.create(replica_set(1))
    manager.run(2)
    (adopted,) = pods(manager)
    assert adopted.name == "bare"
    assert controller_of(adopted) is not None
    manager.server.patch(Pod, "default", "bare", lambda p: with_meta(p, labels={}))
    manager.run(4)
    assert controller_of(manager.server.get(Pod, "default", "bare")) is None
    assert len(pods(manager)) == 2


def test_availability_waits_for_min_ready_seconds() -> None:
    manager = world(1, min_ready_seconds=10)
    manager.run(10)
    assert (rs(manager).status.ready_replicas, rs(manager).status.available_replicas) == (1, 0)
    manager.run(13)
    assert rs(manager).status.available_replicas == 1


# ---- victims --------------------------------------------------------------------------------------------------------


def pod(
    name: str,
    node: str = "n1",
    phase: str = "Running",
    ready_since_s: int | None = 0,
    cost: str = "",
    restarts: int = 0,
    created_s: int = 0,
) -> Pod:
    condition = Condition(
        type="Ready",
        status="False" if ready_since_s is None else "True",
        last_transition_time=Time((ready_since_s or 0) * SECOND),
    )
    return Pod(
        metadata=ObjectMeta(
            name=name,
            uid=name,
            creation_timestamp=Time(created_s * SECOND),
            annotations={"controller.kubernetes.io/pod-deletion-cost": cost} if cost else {},
        ),
        spec=PodSpec(containers=(Container(name="c"),), node_name=node),
        status=PodStatus(
            phase=phase,
            conditions=(condition,),
            container_statuses=(ContainerStatus(name="c", restart_count=restarts),),
        ),
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("b", node=""), pod("a", phase="Pending", ready_since_s=None)),
        (pod("b", phase="Pending"), pod("a", phase="Unknown")),
        (pod("b", phase="Unknown"), pod("a")),
        (pod("b", ready_since_s=None), pod("a", cost="-5")),
        (pod("b", cost="-5"), pod("a", node="n2", cost="1")),
        (pod("b", ready_since_s=3599), pod("a", ready_since_s=0, restarts=9)),
        (pod("b", restarts=2), pod("a", created_s=3599)),
        (pod("b", created_s=3599), pod("a")),
        (pod("a", ready_since_s=1), pod("b", ready_since_s=2)),  # the same power of two: by UID
    ],
)
def test_order_of_victims(first: Pod, second: Pod) -> None:
    for given in ([first, second], [second, first]):
        assert [p.name for p in pods_to_delete(given, given, 1, HOUR)] == [first.name]


def test_pods_with_more_siblings_on_their_node_go_first() -> None:
    alone, crowded = pod("a", node="n1"), pod("b", node="n2")
    siblings = [pod(f"s{i}", node="n2") for i in range(3)]
    assert pods_to_delete([alone, crowded], [alone, crowded, *siblings], 1, HOUR) == [crowded]


# ---- expectations ---------------------------------------------------------------------------------------------------


def test_expectations_are_met_by_what_the_cache_shows_or_by_time() -> None:
    expectations = Expectations()
    assert expectations.satisfied("rs", 0)
    expectations.expect("rs", 0, creations=2)
    expectations.creation_observed("rs")
    assert not expectations.satisfied("rs", 0)
    assert expectations.satisfied("rs", EXPECTATIONS_TIMEOUT_NS + 1)
    expectations.creation_observed("rs")
    assert expectations.satisfied("rs", 0)
    expectations.expect("rs", 0, deletions=["a", "b"])
    for name in ("a", "a", "c"):
        expectations.deletion_observed("rs", name)
    assert not expectations.satisfied("rs", 0)
    expectations.deletion_observed("rs", "b")
    assert expectations.satisfied("rs", 0)
