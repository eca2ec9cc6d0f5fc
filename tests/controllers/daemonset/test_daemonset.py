from __future__ import annotations

from k8sim.api.apps import (
    ControllerRevision,
    DaemonSet,
    DaemonSetSpec,
    DaemonSetUpdateStrategy,
    RollingUpdateDaemonSet,
)
from k8sim.api.core import Node, Pod, Taint
from k8sim.api.struct import replace
from k8sim.controllers.daemonset.controller import DaemonSetController
from k8sim.controllers.daemonset.nodes import Fit, node_should_run_daemon_pod, target_node
from tests.controllers.manager import Manager
from tests.controllers.workloads import SELECTOR, Pods, meta, template


def daemon_set(surge: int | str = 0, unavailable: int | str = 1, on_delete: bool = False) -> DaemonSet:
    made = template(node="")
    strategy = DaemonSetUpdateStrategy(
        type="OnDelete" if on_delete else "RollingUpdate",
        rolling_update=RollingUpdateDaemonSet(max_surge=surge, max_unavailable=unavailable),
    )
    return DaemonSet(metadata=meta(), spec=DaemonSetSpec(selector=SELECTOR, template=made, update_strategy=strategy))


def world(made: DaemonSet, nodes: int = 3) -> Manager:
    manager = Manager(DaemonSetController)
    for i in range(nodes):
        manager.add_node(f"node-{i}")

    def schedule(change) -> None:  # type: ignore[no-untyped-def]
        if change.type == "ADDED":
            manager.at(manager.now + 0.01, manager.server.bind, change.new, target_node(change.new))

    manager.server.watch(Pod, schedule)
    Pods(manager)
    manager.server.create(made)
    return manager


def nodes_of(manager: Manager) -> list[str]:
    return sorted(target_node(p) for p in manager.server.list(Pod) if not p.deleting)


def stored(manager: Manager) -> DaemonSet:
    return manager.server.get(DaemonSet, "default", "web")


def taint(manager: Manager, node: str, effect: str, key: str = "dedicated") -> None:
    manager.server.patch(
        Node, "", node, lambda n: replace(n, spec=replace(n.spec, taints=(Taint(key=key, effect=effect),)))
    )


def new_image(manager: Manager, image: str) -> None:
    manager.server.patch(
        DaemonSet, "default", "web", lambda d: replace(d, spec=replace(d.spec, template=template(image, node="")))
    )


def images(manager: Manager) -> list[str]:
    return sorted(p.spec.containers[0].image for p in manager.server.list(Pod) if not p.deleting)


def test_a_pod_for_each_node_new_ones_included() -> None:
    manager = world(daemon_set())
    manager.run(5)
    assert nodes_of(manager) == ["node-0", "node-1", "node-2"]
    manager.add_node("node-3")
    manager.run(10)
    assert nodes_of(manager)[-1] == "node-3"
    status = stored(manager).status
    assert (status.desired_number_scheduled, status.number_ready, status.updated_number_scheduled) == (4, 4, 4)


def test_a_deleted_pod_is_made_again_on_its_node_once_it_is_gone() -> None:
    manager = world(daemon_set())
    manager.run(5)
    victim = manager.server.list(Pod)[0]
    manager.server.delete(Pod, *victim.key)
    manager.run(5.5)
    assert len(nodes_of(manager)) == 2
    manager.run(10)
    assert len(nodes_of(manager)) == 3


def test_a_no_execute_taint_ends_the_pod_a_no_schedule_taint_does_not() -> None:
    manager = world(daemon_set())
    manager.run(5)
    taint(manager, "node-0", "NoSchedule")
    taint(manager, "node-1", "NoExecute")
    manager.run(10)
    assert nodes_of(manager) == ["node-0", "node-2"]
    assert stored(manager).status.number_misscheduled == 1


def test_cordon_and_node_problems_are_borne() -> None:
    node = Node(metadata=meta("n"))
    for key, effect in (
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ):
        tainted = replace(node, spec=replace(node.spec, taints=(Taint(key=key, effect=effect),)))
        assert node_should_run_daemon_pod(tainted, daemon_set()) == Fit(True, True)


def test_node_selector_limits_the_nodes() -> None:
    made = daemon_set()
    spec = replace(made.spec.template.spec, node_selector={"disk": "ssd"})
    made = replace(made, spec=replace(made.spec, template=replace(made.spec.template, spec=spec)))
    manager = world(made)
    manager.add_node("node-9", disk="ssd")
    manager.run(5)
    assert nodes_of(manager) == ["node-9"]


def test_rolling_update_replaces_one_pod_after_the_other() -> None:
    manager = world(daemon_set())
    manager.run(5)
    new_image(manager, "app:v2")
    manager.run(5.5)
    assert images(manager) == ["app:v1", "app:v1"]
    manager.run(30)
    assert images(manager) == ["app:v2"] * 3
    assert [r.revision for r in manager.server.list(ControllerRevision)] == [1, 2]


def test_surge_starts_the_new_pod_first() -> None:
    manager = world(daemon_set(surge=1, unavailable=0), nodes=2)
    manager.run(5)
    new_image(manager, "app:v2")
    manager.run(5.3)
    assert images(manager) == ["app:v1", "app:v1", "app:v2"]
    manager.run(30)
    assert images(manager) == ["app:v2"] * 2


def test_on_delete_waits() -> None:
    manager = world(daemon_set(on_delete=True))
    manager.run(5)
    new_image(manager, "app:v2")
    manager.run(20)
    assert images(manager) == ["app:v1"] * 3


def test_failed_pods_are_replaced_with_a_growing_delay() -> None:
    manager = world(daemon_set(), nodes=1)
    times = []
    for _ in range(4):
        manager.run(manager.now + 3)
        (pod,) = [p for p in manager.server.list(Pod) if not p.deleting]
        failed_at = manager.now
        manager.set_pod(pod, phase="Failed", ready=False)
        while manager.server.find(Pod, *pod.key) is not None:
            manager.run(manager.now + 0.05)
        times.append(round(manager.now - failed_at))
    assert times == sorted(times)
    assert len(manager.events("Event", "web", "FailedDaemonPod")) == 4
