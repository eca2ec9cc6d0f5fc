"""The StatefulSet controller with its workers, queue and lagging caches."""

from __future__ import annotations

from itertools import pairwise

import pytest

from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from k8sim.apiserver.errors import Forbidden
from k8sim.controllers.controller import ControllerContext
from k8sim.controllers.statefulset.controller import StatefulSetController
from tests.controllers.manager import Manager
from tests.controllers.statefulset.world import PARALLEL, stateful_set
from tests.controllers.workloads import Pods


def stored(manager: Manager):  # type: ignore[no-untyped-def]
    return manager.server.get(type(stateful_set()), "default", "web")


def test_retries_double_from_5_ms_without_end() -> None:
    attempts: list[float] = []

    def refuse(server, obj, old):  # type: ignore[no-untyped-def]
        if isinstance(obj, Pod) and old is None:
            attempts.append(manager.now)
            raise Forbidden("exceeded quota")
        return obj

    manager = Manager(StatefulSetController, admission=(refuse,))
    manager.server.create(stateful_set(1, claims=()))
    manager.run(6)
    gaps = [b - a for a, b in pairwise(attempts)]
    # The first sync writes a status, whose echo and stale cache add one attempt or two.
    for n, gap in enumerate(gaps[-6:], start=len(gaps) - 6):
        assert gap == pytest.approx(0.005 * 2**n, abs=0.02) or gap == pytest.approx(0.005 * 2 ** (n + 1), abs=0.02)
    assert 10 <= len(attempts) <= 12


def test_a_terminating_claim_is_retried_until_it_is_gone() -> None:
    manager = Manager(StatefulSetController)
    Pods(manager)
    manager.server.create(stateful_set(1))
    manager.run(5)
    held = with_meta(manager.server.list(PersistentVolumeClaim)[0], finalizers=("x",))
    manager.server.patch(PersistentVolumeClaim, *held.key, lambda c: with_meta(c, finalizers=("x",)))
    manager.server.delete(PersistentVolumeClaim, *held.key)
    manager.server.delete(Pod, "default", "web-0")
    manager.run(8)
    assert manager.server.find(Pod, "default", "web-0") is None
    assert manager.events("Event", "web", "FailedCreate")
    manager.server.patch(PersistentVolumeClaim, *held.key, lambda c: with_meta(c, finalizers=()))
    manager.run(14)
    assert manager.server.find(Pod, "default", "web-0") is not None


def test_min_ready_seconds_wake_by_themselves() -> None:
    manager = Manager(StatefulSetController)
    Pods(manager)
    manager.server.create(stateful_set(2, min_ready_seconds=10))
    manager.run(60)
    ready = [t for t, _, _, _ in manager.events("Pod", "web-0", "Ready")]
    created = [t for t, _, _, _ in manager.events("Pod", "web-1", "Created")]
    # Up to a second early, as condition times are whole seconds.
    assert 8.9 < created[0] - ready[0] < 10.2
    assert stored(manager).status.available_replicas == 2


def test_a_worker_killed_in_mid_batch_stops_its_requests() -> None:
    manager = Manager(StatefulSetController)
    manager.server.create(stateful_set(50, PARALLEL, claims=()))
    manager.run(0.02)
    (controller,) = manager.controllers
    controller.stop()
    before = len(manager.server.list(Pod))
    manager.run(5)
    assert 0 < before < 50
    assert len(manager.server.list(Pod)) == before


def test_a_new_controller_goes_on_where_the_old_one_stopped() -> None:
    manager = Manager(StatefulSetController)
    Pods(manager)
    manager.server.create(stateful_set(3))
    manager.run(2.2)
    manager.controllers[0].stop()
    successor = StatefulSetController(manager.context)
    successor.start()
    manager.run(20)
    assert stored(manager).status.ready_replicas == 3
    assert len(manager.events("Pod", event="Created")) == 3


def test_the_clients_rate_limit_stretches_a_large_create() -> None:
    manager = Manager()
    limited = ControllerContext(manager.sim, manager.server, manager.informers, kube_api_qps=20, kube_api_burst=30)
    StatefulSetController(limited).start()
    manager.server.create(stateful_set(100, PARALLEL, claims=()))
    manager.run(2)
    assert 55 <= len(manager.server.list(Pod)) <= 72
    manager.run(5)
    assert len(manager.server.list(Pod)) == 100


def test_the_reason_for_waiting_is_told_once() -> None:
    manager = Manager(StatefulSetController)
    Pods(manager, {"foo": None})
    manager.server.create(stateful_set(2, claims=()))
    manager.run(10)
    for name in ("web-0",) * 3:  # more syncs, same reason
        manager.set_pod(manager.server.get(Pod, "default", name), ip=f"10.0.0.{len(name)}")
    manager.run(20)
    reasons = [detail["reason"] for _, _, _, detail in manager.events("Controller", "web", "Waiting")]
    assert reasons == ["waiting for web-0 to become Ready"]


def test_only_pod_and_set_changes_wake() -> None:
    manager = Manager(StatefulSetController)
    Pods(manager)
    manager.server.create(stateful_set(1))
    manager.run(10)
    (controller,) = manager.controllers
    woken = []
    add = controller.queue.add

    def noted(key, cause):  # type: ignore[no-untyped-def]
        woken.append(key)
        add(key, cause)

    controller.queue.add = noted  # type: ignore[method-assign]
    claim = manager.server.list(PersistentVolumeClaim)[0]
    manager.server.patch_status(
        PersistentVolumeClaim, *claim.key, lambda c: replace(c, status=replace(c.status, phase="Bound"))
    )
    manager.run(11)
    assert woken == []
    manager.set_pod(manager.server.get(Pod, "default", "web-0"), ready=False)
    manager.run(12)
    assert woken
