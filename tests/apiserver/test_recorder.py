"""Each event of the public trace format, from two versions of an object."""

from __future__ import annotations

from k8sim.api import replace
from k8sim.api.apps import StatefulSet, StatefulSetSpec
from k8sim.api.core import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Node,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodStatus,
    Taint,
)
from k8sim.api.discovery import Endpoint, EndpointConditions, EndpointSlice
from k8sim.api.meta import Condition, ObjectMeta, OwnerReference, with_meta
from k8sim.apiserver.recorder import SELECTED_NODE, SERVICE_NAME, Recorder
from k8sim.apiserver.server import APIServer
from k8sim.sim.trace import NO_CAUSE
from tests.apiserver.world import make_pod, make_server


def recorded_server() -> APIServer:
    server = make_server()
    server.recorder = Recorder(server).record
    return server


def rows(server: APIServer, since: int = 0) -> list[tuple[str, str, dict[str, object]]]:
    """What becomes public; rows beside it say what a pod belongs to and who ends it."""
    return [
        (r.name, r.event, dict(r.detail))
        for r in list(server.sim.trace)[since:]
        if r.kind not in ("Belonging", "Disruption")
    ]


def change_status(server: APIServer, **status: object) -> list[tuple[str, dict[str, object]]]:
    since = len(server.sim.trace)
    server.patch_status(Pod, "default", "web-0", lambda p: replace(p, status=replace(p.status, **status)))
    return [(event, detail) for _, event, detail in rows(server, since)]


def running(restart: int = 0, **more: object) -> ContainerStatus:
    state = ContainerState(running=ContainerStateRunning())
    return ContainerStatus(name="app", state=state, restart_count=restart, **more)  # type: ignore[arg-type]


def ended(code: int, at: int = 1) -> ContainerState:
    reason = "Completed" if code == 0 else "Error"
    return ContainerState(
        terminated=ContainerStateTerminated(exit_code=code, reason=reason, finished_at=at)  # type: ignore[arg-type]
    )


def test_a_pods_life() -> None:
    server = recorded_server()
    pod = server.create(make_pod(labels={"controller-revision-hash": "web-abc"}, generate_name="web-"))
    server.bind(pod, "node-0")
    assert rows(server) == [
        ("web-0", "Created", {"inc": 1, "revision": 1}),
        ("web-0", "Scheduled", {"inc": 1, "node": "node-0"}),
    ]
    ready = (Condition(type="Ready", status="True"),)
    assert change_status(server, phase="Running", container_statuses=(running(),), conditions=ready) == [
        ("Started", {"inc": 1, "container": "app", "restart": 0}),
        ("Phase", {"inc": 1, "phase": "Running"}),
        ("Ready", {"inc": 1}),
    ]
    since = len(server.sim.trace)
    server.delete(Pod, "default", "web-0")
    exit_0 = ContainerStatus(name="app", state=ended(0))
    unready = (Condition(type="Ready", status="False"),)
    change_status(server, phase="Succeeded", container_statuses=(exit_0,), conditions=unready)
    server.delete(Pod, "default", "web-0", grace_period_seconds=0)
    assert [(event, detail) for _, event, detail in rows(server, since)] == [
        ("Terminating", {"inc": 1, "grace": 30}),
        ("Exited", {"inc": 1, "container": "app", "code": 0, "reason": "Completed"}),
        ("Phase", {"inc": 1, "phase": "Succeeded"}),
        ("NotReady", {"inc": 1}),
        ("Terminating", {"inc": 1, "grace": 0}),
        ("Deleted", {"inc": 1}),
    ]


def test_revisions_are_numbered_per_set_in_order_of_appearance() -> None:
    server = recorded_server()
    for name, revision in (("web-0", "web-b"), ("web-1", "web-a"), ("web-2", "web-b"), ("db-0", "db-a")):
        server.create(
            make_pod(name, labels={"controller-revision-hash": revision}, generate_name=name.split("-")[0] + "-")
        )
    assert [detail["revision"] for _, _, detail in rows(server)] == [1, 2, 1, 1]


def test_a_crash_and_its_restart_in_one_update() -> None:
    server = recorded_server()
    server.create(make_pod())
    change_status(server, container_statuses=(running(),))
    assert change_status(server, container_statuses=(running(1, last_state=ended(1)),)) == [
        ("Started", {"inc": 1, "container": "app", "restart": 1}),
        ("Exited", {"inc": 1, "container": "app", "code": 1, "reason": "Error"}),
    ]


def test_a_termination_that_moves_to_last_state_is_not_a_second_exit() -> None:
    server = recorded_server()
    server.create(make_pod())
    assert [e for e, _ in change_status(server, container_statuses=(ContainerStatus(name="app", state=ended(1)),))] == [
        "Exited"
    ]
    waiting = ContainerStatus(
        name="app", state=ContainerState(waiting=ContainerStateWaiting(reason="CrashLoopBackOff")), last_state=ended(1)
    )
    assert change_status(server, container_statuses=(waiting,)) == [
        ("Waiting", {"inc": 1, "container": "app", "reason": "CrashLoopBackOff"})
    ]
    assert change_status(server, container_statuses=(replace(waiting, ready=False),)) == []


def test_unschedulable_once() -> None:
    server = recorded_server()
    server.create(make_pod())
    no_place = Condition(type="PodScheduled", status="False", reason="Unschedulable", message="0/1 nodes")
    assert change_status(server, conditions=(no_place,)) == [("Unschedulable", {"inc": 1})]
    assert change_status(server, conditions=(replace(no_place, message="0/2 nodes"),)) == []


def test_pods_of_a_deployment_have_aliases() -> None:
    from k8sim.api.apps import ReplicaSet

    server = make_server()
    recorder = Recorder(server)
    server.recorder = recorder.record
    deployment = OwnerReference(kind="Deployment", name="api", uid="d", controller=True)
    for replica_set in ("api-x", "api-y"):
        server.create(ReplicaSet(metadata=ObjectMeta(name=replica_set, owner_references=(deployment,))))
        owner = OwnerReference(kind="ReplicaSet", name=replica_set, uid=replica_set, controller=True)
        for suffix in ("1", "2"):
            server.create(make_pod(f"{replica_set}-{suffix}", owner_references=(owner,)))
    assert recorder.aliases["Pod", "api-y-2"] == "api:2:2"


def test_claims_and_volumes() -> None:
    server = recorded_server()
    claim = server.create(PersistentVolumeClaim(metadata=ObjectMeta(name="data", finalizers=("hold",))))
    claim = server.update(with_meta(claim, annotations={SELECTED_NODE: "node-1"}))
    ref = ObjectReference(namespace="default", name="data")
    provisioned = {"pv.kubernetes.io/provisioned-by": "x"}
    volume = server.create(PersistentVolume(metadata=ObjectMeta(name="pvc-1", annotations=provisioned)))
    volume = server.update(replace(volume, spec=replace(volume.spec, claim_ref=ref)))
    server.update_status(replace(volume, status=replace(volume.status, phase="Bound")))
    claim = server.update(replace(claim, spec=replace(claim.spec, volume_name="pvc-1")))
    server.update_status(replace(claim, status=replace(claim.status, phase="Bound")))
    server.delete(PersistentVolumeClaim, "default", "data")
    assert rows(server) == [
        ("data", "Created", {}),
        ("data", "Selected", {"node": "node-1"}),
        ("pvc-1", "Created", {}),
        ("pvc-1", "Bound", {"claim": "data"}),
        ("data", "Bound", {"volume": "pvc-1"}),
        ("data", "Terminating", {}),
    ]


def test_nodes() -> None:
    server = recorded_server()
    ready = (Condition(type="Ready", status="True"),)
    node = server.preload(Node(metadata=ObjectMeta(name="n"), status=replace(Node().status, conditions=ready)))
    taint = Taint(key="k", effect="NoSchedule")
    node = server.update(replace(node, spec=replace(node.spec, unschedulable=True, taints=(taint,))))
    gone = (Condition(type="Ready", status="Unknown"),)
    node = server.update_status(replace(node, status=replace(node.status, conditions=gone)))
    server.update(replace(node, spec=replace(node.spec, unschedulable=False, taints=())))
    assert [(event, detail) for _, event, detail in rows(server)] == [
        ("Tainted", {"key": "k", "effect": "NoSchedule"}),
        ("Cordoned", {}),
        ("Unknown", {}),
        ("Untainted", {"key": "k", "effect": "NoSchedule"}),
        ("Uncordoned", {}),
    ]


def test_endpoints_are_named_after_their_service() -> None:
    server = recorded_server()

    def endpoint(name: str, ready: bool) -> Endpoint:
        return Endpoint(
            target_ref=ObjectReference(kind="Pod", name=name), conditions=EndpointConditions(ready=ready, serving=ready)
        )

    made = server.create(
        EndpointSlice(
            metadata=ObjectMeta(name="web-x1y2z", labels={SERVICE_NAME: "web"}), endpoints=(endpoint("web-0", False),)
        )
    )
    server.update(replace(made, endpoints=(endpoint("web-1", True),)))
    assert [(name, event, detail["pod"]) for name, event, detail in rows(server)] == [
        ("web", "Endpoint", "web-0"),
        ("web", "Endpoint", "web-1"),
        ("web", "Removed", "web-0"),
    ]


def test_a_change_that_shows_nothing_passes_its_cause_on() -> None:
    server = recorded_server()
    seen = []
    server.watch(Pod, seen.append)
    pod = server.create(make_pod(), cause=NO_CAUSE)
    server.update(with_meta(pod, labels={"a": "b"}), cause=0)
    server.patch_status(Pod, "default", "web-0", lambda p: replace(p, status=PodStatus(phase="Running")), cause=0)
    phase = next(i for i, r in enumerate(server.sim.trace) if r.event == "Phase")
    assert [c.row for c in seen] == [0, 0, phase]


def test_beside_the_public_events_stand_a_pods_owner_and_who_ends_it() -> None:
    server = recorded_server()
    server.create(make_pod())
    server.delete(Pod, "default", "web-0", actor="kubectl")
    beside = [(r.kind, r.event, dict(r.detail)) for r in server.sim.trace if r.kind in ("Belonging", "Disruption")]
    uid = server.history[-1][1].new.uid  # type: ignore[index]
    assert beside == [
        ("Belonging", "Pod", {"inc": 1, "kind": "", "workload": "", "claims": [], "uid": uid}),
        ("Disruption", "Begins", {"inc": 1, "by": "kubectl", "reason": ""}),
    ]


def test_how_many_pods_are_wanted_is_said_when_it_changes_whatever_else_does() -> None:
    server = recorded_server()
    held = ObjectMeta(name="web", namespace="default", finalizers=("example.com/hold",))
    server.create(StatefulSet(metadata=held, spec=StatefulSetSpec(replicas=3)))
    server.patch_status(StatefulSet, "default", "web", lambda s: replace(s, status=replace(s.status, replicas=1)))
    server.patch(StatefulSet, "default", "web", lambda s: replace(s, spec=replace(s.spec, replicas=2)))
    server.delete(StatefulSet, "default", "web")
    server.patch_status(StatefulSet, "default", "web", lambda s: replace(s, status=replace(s.status, replicas=0)))
    server.patch(StatefulSet, "default", "web", lambda s: with_meta(s, finalizers=()))
    assert [r.detail["replicas"] for r in server.sim.trace if r.event == "Wanted"] == [3, 2, 0]
