"""From successive versions of objects to the trace's events: what a watcher of all kinds would write down.

One function per kind compares two versions and gives (event, detail) pairs in the order of the public trace format
(README, "Trace"). Names stay the real ones here; the aliases under which the public form shows pods of Deployments and
provisioned volumes are kept beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from k8sim.api.apps import Deployment, ReplicaSet, StatefulSet
from k8sim.api.core import ContainerStatus, Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.discovery import Endpoint, EndpointSlice
from k8sim.api.meta import Object, condition_of, controller_of
from k8sim.api.pods import claim_names, is_pod_ready, pod_condition
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.storage import VolumeAttachment
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import ChangeType

Endpoints = tuple[Endpoint, ...]
Event = tuple[str, dict[str, Any]]
Events = Iterable[Event]
Compare = Callable[[ChangeType, Object | None, Object], Events]
"""What a change of a type shows: its kind's events from the version before, if any, and the new one."""

SELECTED_NODE = "volume.kubernetes.io/selected-node"
SERVICE_NAME = "kubernetes.io/service-name"
WAITING_REASONS = frozenset(
    {
        "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "CreateContainerError", "RunContainerError",
        "ErrImageNeverPull", "CreateContainerConfigError", "InvalidImageName",
    }
)  # fmt: skip
_COUNTERS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[object], tuple[int, ...]]]]] = {
    "PodDisruptionBudget": (
        ("allowed", "current", "desired", "expected"),
        attrgetter("disruptions_allowed", "current_healthy", "desired_healthy", "expected_pods"),
    ),
    "StatefulSet": (
        ("replicas", "ready", "available", "current", "updated"),
        attrgetter("replicas", "ready_replicas", "available_replicas", "current_replicas", "updated_replicas"),
    ),
    "Deployment": (
        ("replicas", "ready", "available", "updated"),
        attrgetter("replicas", "ready_replicas", "available_replicas", "updated_replicas"),
    ),
}
"""What the trace shows of a kind's status: the public names, and how to get the values."""
_TOLD_OF_BESIDE: Final = (Pod, StatefulSet, Deployment)
_NO_POD = Pod()
_NO_STATUS = ContainerStatus()
_NO_CLAIM = PersistentVolumeClaim()
_NO_VOLUME = PersistentVolume()


class Recorder:
    """Writes one commit after the other into the trace. ``aliases`` maps (kind, name) to the public name."""

    def __init__(self, server: APIServer) -> None:
        self._server = server
        self._trace = server.sim.trace
        self._clock = server.sim.clock
        self._revisions: dict[str, list[str]] = {}
        self._children: dict[str, int] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self._compare: dict[type[Object], Compare] = {
            Pod: self._pod, PersistentVolumeClaim: _claim, PersistentVolume: self._volume, Node: self._node,
            EndpointSlice: _endpoint_slice, PodDisruptionBudget: _status, StatefulSet: _status,
            Deployment: _status, VolumeAttachment: _attachment,
        }  # fmt: skip

    def real_name(self, kind: str, name: str) -> str:
        """Return the name of the object that the public trace shows under a name (``api:1:2``: a Deployment's pod)."""
        if ":" not in name:
            return name
        return next((real for (k, real), alias in self.aliases.items() if (k, alias) == (kind, name)), name)

    def record(
        self, type_: ChangeType, old: Object | None, new: Object, of_status: bool, actor: str, cause: int
    ) -> int:
        """Record a change; return the row that stands for it (its cause, if it shows nothing)."""
        cls = type(new)
        compare = self._compare.get(cls)
        if compare is None:
            if cls is ReplicaSet and type_ == "ADDED":
                self._name_replica_set(new)
            return cause
        row, meta = cause, new.metadata
        name = meta.labels.get(SERVICE_NAME, meta.name) if cls is EndpointSlice else meta.name
        for event, detail in compare(type_, old, new):
            row = self._trace.append(self._clock.now, cls.kind, name, event, detail, cause, meta.namespace)
        if not of_status and cls in _TOLD_OF_BESIDE:
            beside = self._beside(type_, old, new, actor)
            if beside is not None:
                kind, event, detail = beside
                self._trace.append(self._clock.now, kind, name, event, detail, row, meta.namespace)
        return row

    def _beside(
        self, type_: ChangeType, old: Object | None, new: Object, actor: str
    ) -> tuple[str, str, dict[str, Any]] | None:
        """Return what the public events do not say: what a pod belongs to, who ends it, how many pods are wanted."""
        if isinstance(new, Pod):
            if type_ == "ADDED":
                return "Belonging", "Pod", self._belonging(new)
            if (
                new.metadata.deletion_timestamp is not None
                and type_ == "MODIFIED"
                and not (old is not None and old.deleting)
            ):
                target = pod_condition(new, "DisruptionTarget")
                reason = target.reason if target is not None and target.status == "True" else ""
                return "Disruption", "Begins", {"inc": self._server.incarnation(new), "by": actor, "reason": reason}
        elif isinstance(new, StatefulSet | Deployment):
            was = _wanted(old) if isinstance(old, StatefulSet | Deployment) else None
            wanted = 0 if type_ == "DELETED" else _wanted(new)
            if wanted != was:
                return "Belonging", "Wanted", {"kind": new.kind, "replicas": wanted}
        return None

    def _belonging(self, pod: Pod) -> dict[str, Any]:
        owner = controller_of(pod)
        kind, of = (owner.kind, owner.name) if owner is not None else ("", "")
        if kind == "ReplicaSet":
            kind, of = "Deployment", self.aliases.get(("ReplicaSet", of), of).partition(":")[0]
        inc, claims = self._server.incarnation(pod), claim_names(pod)
        return {"inc": inc, "kind": kind, "workload": of, "claims": claims, "uid": pod.metadata.uid}

    # ---- pods -----------------------------------------------------------------------------------------------

    def _pod(self, type_: ChangeType, old: Object | None, new: Object) -> Events:
        assert isinstance(new, Pod)
        if type_ == "DELETED":
            events: list[Event] = [("Deleted", {})]
        else:
            old = old if isinstance(old, Pod) else _NO_POD
            events = [("Created", self._revision(new))] if type_ == "ADDED" else []
            node = new.spec.node_name
            if node and not old.spec.node_name:
                events.append(("Scheduled", {"node": node}))
            if new.status is not old.status:
                events += _pod_status(new, old)
            meta, was = new.metadata, old.metadata
            grace = meta.deletion_grace_period_seconds
            if meta.deletion_timestamp is not None and (
                was.deletion_timestamp is None or was.deletion_grace_period_seconds != grace
            ):
                events.append(("Terminating", {"grace": grace}))
        if not events:
            return ()
        inc = self._server.incarnation(new)
        return [(event, {"inc": inc, **detail}) for event, detail in events]

    def _revision(self, pod: Pod) -> dict[str, int]:
        """Number the pod's revision among those of its set, in the order of their first appearance; alias the pod."""
        owner = controller_of(pod)
        if owner is not None and owner.kind == "ReplicaSet":
            parent = self.aliases.get(("ReplicaSet", owner.name))
            if parent is not None:
                self._children[parent] = self._children.get(parent, 0) + 1
                self.aliases["Pod", pod.metadata.name] = f"{parent}:{self._children[parent]}"
        revision = pod.metadata.labels.get("controller-revision-hash")
        if revision is None:
            return {}
        group = f"{pod.namespace}/{owner.name if owner is not None else pod.metadata.generate_name}"
        seen = self._revisions.setdefault(group, [])
        if revision not in seen:
            seen.append(revision)
        return {"revision": seen.index(revision) + 1}

    def _name_replica_set(self, obj: Object) -> None:
        assert isinstance(obj, ReplicaSet)
        owner = controller_of(obj)
        if owner is not None and owner.kind == "Deployment":
            key = f"{obj.namespace}/{owner.name}"
            self._children[key] = self._children.get(key, 0) + 1
            self.aliases["ReplicaSet", obj.name] = f"{owner.name}:{self._children[key]}"

    # ---- volumes and nodes ----------------------------------------------------------------------------------

    def _volume(self, type_: ChangeType, old: Object | None, new: Object) -> Events:
        assert isinstance(new, PersistentVolume)
        old = old if isinstance(old, PersistentVolume) else _NO_VOLUME
        if type_ == "DELETED":
            yield "Deleted", {}
            return
        claim = new.spec.claim_ref
        if type_ == "ADDED":
            if "pv.kubernetes.io/provisioned-by" in new.metadata.annotations and claim is not None:
                n = self._server.incarnation_of("PersistentVolumeClaim", claim.namespace, claim.name)
                self.aliases["PersistentVolume", new.name] = f"pv:{claim.name}:{n}"
            yield "Created", {}
        if new.status.phase != old.status.phase and new.status.phase != "Pending":
            bound = {"claim": claim.name} if new.status.phase == "Bound" and claim is not None else {}
            yield new.status.phase, bound
        if new.deleting and not old.deleting:
            yield "Terminating", {}

    def _node(self, type_: ChangeType, old: Object | None, new: Object) -> Events:
        assert isinstance(new, Node)
        if type_ == "DELETED":
            yield "Deleted", {}
            return
        if type_ == "ADDED":
            if self._server.incarnation(new) > 1:
                yield "Created", {}
            return
        assert isinstance(old, Node)
        yield from _node_changes(new, old)


def _wanted(workload: StatefulSet | Deployment) -> int:
    return 0 if workload.deleting else workload.spec.replicas


def _pod_status(new: Pod, old: Pod) -> list[Event]:
    events: list[Event] = []
    now, was = new.status, old.status
    if now.conditions is not was.conditions and not new.spec.node_name:
        if _is_unschedulable(new) and not _is_unschedulable(old):
            events.append(("Unschedulable", {}))
    if (
        now.container_statuses is not was.container_statuses
        or now.init_container_statuses is not was.init_container_statuses
    ):
        events += _containers(new, old)
    if now.phase != was.phase:
        events.append(("Phase", {"phase": now.phase}))
    if now.conditions is not was.conditions:
        ready = is_pod_ready(new)
        if ready != is_pod_ready(old):
            events.append(("Ready" if ready else "NotReady", {}))
    return events


def _is_unschedulable(pod: Pod) -> bool:
    condition = pod_condition(pod, "PodScheduled")
    return condition is not None and condition.status == "False" and condition.reason == "Unschedulable"


def _statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    return pod.status.init_container_statuses + pod.status.container_statuses


def _containers(new: Pod, old: Pod) -> list[Event]:
    waiting: list[Event] = []
    started: list[Event] = []
    exited: list[Event] = []
    before = {s.name: s for s in _statuses(old)}
    for status in _statuses(new):
        was = before.get(status.name, _NO_STATUS)
        if status is was:
            continue
        name, state, had = status.name, status.state, was.state
        if state.waiting is not None:
            reason = state.waiting.reason
            if reason in WAITING_REASONS and reason != (had.waiting.reason if had.waiting else ""):
                waiting.append(("Waiting", {"container": name, "reason": reason}))
        if state.running is not None and (had.running is None or was.restart_count != status.restart_count):
            started.append(("Started", {"container": name, "restart": status.restart_count}))
        if state.terminated is not None or status.last_state.terminated is not None:
            exited += _exits(status, was)
    return waiting + started + exited


def _exits(status: ContainerStatus, was: ContainerStatus) -> list[Event]:
    seen = (was.state.terminated, was.last_state.terminated)
    return [
        ("Exited", {"container": status.name, "code": ended.exit_code, "reason": ended.reason})
        for ended in (status.last_state.terminated, status.state.terminated)
        if ended is not None and ended not in seen
    ]


def _claim(type_: ChangeType, old: Object | None, new: Object) -> Events:
    assert isinstance(new, PersistentVolumeClaim)
    old = old if isinstance(old, PersistentVolumeClaim) else _NO_CLAIM
    if type_ == "DELETED":
        yield "Deleted", {}
        return
    if type_ == "ADDED":
        yield "Created", {}
    node = new.metadata.annotations.get(SELECTED_NODE)
    if node and node != old.metadata.annotations.get(SELECTED_NODE):
        yield "Selected", {"node": node}
    if new.status.phase != old.status.phase:
        if new.status.phase == "Bound":
            yield "Bound", {"volume": new.spec.volume_name}
        elif new.status.phase == "Lost":
            yield "Lost", {}
    if new.deleting and not old.deleting:
        yield "Terminating", {}


_NODE_STATE = {"True": "Ready", "False": "NotReady", "Unknown": "Unknown"}


def _node_changes(new: Node, old: Node) -> Events:
    ready = condition_of(new.status.conditions, "Ready")
    was = condition_of(old.status.conditions, "Ready")
    if ready is not None and was is not None and ready.status != was.status:
        yield _NODE_STATE[ready.status], {}
    taints = {(t.key, t.effect) for t in new.spec.taints}
    had = {(t.key, t.effect) for t in old.spec.taints}
    for key, effect in sorted(taints - had):
        yield "Tainted", {"key": key, "effect": effect}
    for key, effect in sorted(had - taints):
        yield "Untainted", {"key": key, "effect": effect}
    if new.spec.unschedulable != old.spec.unschedulable:
        yield ("Cordoned" if new.spec.unschedulable else "Uncordoned"), {}


def _endpoint_slice(type_: ChangeType, old: Object | None, new: Object) -> Events:
    assert isinstance(new, EndpointSlice)
    old = old if isinstance(old, EndpointSlice) else None
    had = old.endpoints if old is not None else ()
    has = new.endpoints if type_ != "DELETED" else ()
    if had is has:
        return ()
    service = new.metadata.labels.get(SERVICE_NAME, new.metadata.name)
    had, has = _without_shared(had, has)
    before = {_target(e): e for e in had}
    after = {_target(e): e for e in has}
    events: list[Event] = []
    for pod, endpoint in after.items():
        was = before.get(pod)
        c = endpoint.conditions
        if was is None or was.conditions != c:
            shown = {"ready": c.ready, "serving": c.serving, "terminating": c.terminating}
            events.append(("Endpoint", {"service": service, "pod": pod, **shown}))
    events += [("Removed", {"service": service, "pod": pod}) for pod in before if pod not in after]
    return events


def _without_shared(had: Endpoints, has: Endpoints) -> tuple[Endpoints, Endpoints]:
    """Drop what two versions of a slice share at both ends: most endpoints do not change, and keep their order."""
    shorter = min(len(had), len(has))
    first = 0
    while first < shorter and had[first] is has[first]:
        first += 1
    last = 0
    while last < shorter - first and had[-1 - last] is has[-1 - last]:
        last += 1
    return had[first : len(had) - last], has[first : len(has) - last]


def _target(endpoint: Endpoint) -> str:
    return endpoint.target_ref.name if endpoint.target_ref is not None else ",".join(endpoint.addresses)


def _status(type_: ChangeType, old: Object | None, new: Object) -> Events:
    if type_ == "DELETED":
        return ()
    names, counters = _COUNTERS[new.kind]
    now = counters(new.status)  # type: ignore[attr-defined]
    before = counters(old.status) if old is not None else (0,) * len(names)  # type: ignore[attr-defined]
    return [("Status", dict(zip(names, now, strict=True)))] if now != before else ()


def _attachment(type_: ChangeType, old: Object | None, new: Object) -> Events:
    assert isinstance(new, VolumeAttachment)
    old = old if isinstance(old, VolumeAttachment) else None
    detail = {"volume": new.spec.source.persistent_volume_name or "", "node": new.spec.node_name}
    if type_ == "DELETED":
        yield "Detached", detail
        return
    if type_ == "ADDED":
        yield "Attaching", detail
    if new.status.attached and not (old is not None and old.status.attached):
        yield "Attached", detail
    if new.deleting and not (old is not None and old.deleting):
        yield "Detaching", detail
