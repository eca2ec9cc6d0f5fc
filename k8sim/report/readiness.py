"""Who was not ready, when, and why: one pass over the history of pods and their workloads.

An identity (a pod name that its set keeps) is *away* from the moment it is deleted or loses its Ready condition until a
pod of that name is Ready again, as the API server sees it. Starting for the first time is not being away, nor is being
gone because nobody wants the pod any more (scaled down, its workload deleted).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from k8sim.api.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from k8sim.api.core import Node, Pod
from k8sim.api.meta import condition_of, controller_of
from k8sim.api.pods import is_pod_ready
from k8sim.apiserver.watch import Change
from k8sim.report.reasons import REPLACED, REVISION, UPDATED, pod_state, why_deleted, why_not_ready

_SIZED: Final = ("StatefulSet", "Deployment", "ReplicaSet", "DaemonSet")
BARE: Final = "Pod"
"""Kind of the group of all pods without a controller."""


@dataclass(frozen=True)
class Absence:
    """A time during which an identity was away; ``end_ns`` None: until the end of the run."""

    start_ns: int
    end_ns: int | None
    why: str

    def length_ns(self, run_end_ns: int) -> int:
        """Return how long it was within the run."""
        return (run_end_ns if self.end_ns is None else self.end_ns) - self.start_ns


@dataclass
class Identity:
    """A pod name and what became of its pods.

    ``first_ready_ns`` counts from the creation of its first pod. ``state`` is how it ended, in words.
    """

    name: str
    made: int = 0
    restarts: int = 0
    created_ns: int = 0
    first_ready_ns: int | None = None
    absences: list[Absence] = field(default_factory=list)
    state: str = ""
    wanted: bool = True
    away_since_ns: int | None = None
    away_why: str = ""
    revision: str = ""

    def leave(self, t: int, why: str) -> None:
        """Begin an absence, unless the identity is away already."""
        if self.away_since_ns is None:
            self.away_since_ns, self.away_why = t, why

    def come_back(self, t: int | None) -> None:
        """End the absence, if there is one."""
        if self.away_since_ns is not None:
            self.absences.append(Absence(self.away_since_ns, t, self.away_why))
            self.away_since_ns = None


@dataclass
class Workload:
    """A StatefulSet, Deployment, ... with all its pods, or the pods without a controller.

    Attributes
    ----------
    complete_ns
        When all the pods it asks for were Ready for the first time.
    short_ns, worst
        How long fewer were Ready than had been before, after that, though still asked for; the fewest.
    """

    kind: str
    namespace: str
    name: str
    identities: dict[str, Identity] = field(default_factory=dict)
    desired: int = 0
    ready: int = 0
    deleted: bool = False
    complete_ns: int | None = None
    short_ns: int = 0
    worst: int | None = None
    level: int = 0
    changed_ns: int = 0

    @property
    def sized(self) -> bool:
        """Whether it asks for a number of pods that are to be Ready (a Job does not)."""
        return self.kind in _SIZED

    @property
    def made(self) -> int:
        """How many pods were created for it."""
        return sum(i.made for i in self.identities.values())

    @property
    def restarts(self) -> int:
        """How many container restarts there were."""
        return sum(i.restarts for i in self.identities.values())

    def advance(self, t: int) -> None:
        """Account for the time up to now."""
        if self.ready < self.level:
            self.short_ns += t - self.changed_ns
        self.changed_ns = t

    def settle(self, t: int) -> None:
        """Take the new counts into account."""
        self.level = min(self.level, self.desired)
        if self.ready >= self.desired > 0:
            self.level = self.desired
            if self.complete_ns is None:
                self.complete_ns = t
        elif self.ready < self.level and (self.worst is None or self.ready < self.worst):
            self.worst = self.ready


Key = tuple[str, str, str]


class _Pass:
    def __init__(self) -> None:
        self.workloads: dict[Key, Workload] = {}
        self._pods: dict[tuple[str, str], tuple[Pod, Workload]] = {}
        self._sets: dict[tuple[str, str], StatefulSet] = {}
        self._deployment_of: dict[tuple[str, str], str] = {}
        self._lost_nodes: set[str] = set()

    def see(self, t: int, change: Change) -> None:
        obj = change.new
        if isinstance(obj, Pod):
            self._pod(t, change, obj)
        elif isinstance(obj, StatefulSet | Deployment | ReplicaSet | DaemonSet):
            self._workload(t, change, obj)
        elif isinstance(obj, Node):
            ready = condition_of(obj.status.conditions, "Ready")
            if change.type != "DELETED" and ready is not None and ready.status == "True":
                self._lost_nodes.discard(obj.name)
            else:
                self._lost_nodes.add(obj.name)

    def finish(self, t: int) -> None:
        for workload in self.workloads.values():
            workload.advance(t)
            for name, identity in workload.identities.items():
                identity.come_back(None)
                entry = self._pods.get((workload.namespace, name))
                if entry is not None and entry[1] is workload:
                    identity.state = pod_state(entry[0], t, self._lost_nodes)
                elif identity.wanted and not workload.deleted and workload.kind in ("StatefulSet", BARE):
                    identity.state = "missing"
                else:
                    identity.state = "gone"

    # ---- workloads ------------------------------------------------------------------------------------------

    def _workload(self, t: int, change: Change, obj: StatefulSet | Deployment | ReplicaSet | DaemonSet) -> None:
        if isinstance(obj, ReplicaSet):
            owner = controller_of(obj)
            if owner is not None and owner.kind == "Deployment":
                self._deployment_of[obj.key] = owner.name
                return
        workload = self._named(obj.kind, obj.namespace, obj.name)
        workload.advance(t)
        workload.deleted = change.type == "DELETED" or obj.deleting
        wanted = obj.status.desired_number_scheduled if isinstance(obj, DaemonSet) else obj.spec.replicas
        workload.desired = 0 if workload.deleted else wanted
        workload.settle(t)
        if isinstance(obj, StatefulSet):
            self._sets[obj.key] = obj
            for name, identity in workload.identities.items():
                if not _wants(obj, name) or workload.deleted:
                    identity.wanted = False
                    identity.come_back(t)

    def _named(self, kind: str, namespace: str, name: str) -> Workload:
        key = (kind, namespace, name)
        if key not in self.workloads:
            self.workloads[key] = Workload(kind, namespace, name)
        return self.workloads[key]

    def _of(self, pod: Pod) -> Workload:
        owner = controller_of(pod)
        if owner is None:
            known = self._pods.get(pod.key)
            # An orphan stays with the workload that made it, for those who read.
            return known[1] if known is not None else self._named(BARE, pod.namespace, "")
        if owner.kind == "ReplicaSet":
            deployment = self._deployment_of.get((pod.namespace, owner.name))
            if deployment is not None:
                return self._named("Deployment", pod.namespace, deployment)
        return self._named(owner.kind, pod.namespace, owner.name)

    # ---- pods -----------------------------------------------------------------------------------------------

    def _pod(self, t: int, change: Change, pod: Pod) -> None:
        workload = self._of(pod)
        identity = workload.identities.setdefault(pod.name, Identity(pod.name, created_ns=t))
        old = change.old if isinstance(change.old, Pod) else None
        there = change.type != "DELETED"
        if change.type == "ADDED":
            identity.made += 1
            identity.wanted = True
            revision = pod.metadata.labels.get(REVISION, "")
            if identity.away_why == REPLACED and revision != identity.revision:
                identity.away_why = UPDATED  # the set's status did not yet name the new revision
            identity.revision = revision
        ready = there and is_pod_ready(pod) and not pod.deleting
        before = self._pods.get(pod.key)
        was_ready = before is not None and is_pod_ready(before[0]) and not before[0].deleting
        if before is not None and before[1] is not workload:
            _count(before[1], t, -was_ready)
            _count(workload, t, +was_ready)
        _count(workload, t, ready - was_ready)
        if there:
            self._pods[pod.key] = (pod, workload)
            identity.restarts += max(_restarts(pod) - (_restarts(old) if old is not None else 0), 0)
        else:
            self._pods.pop(pod.key, None)
        if ready and not was_ready:
            identity.come_back(t)
            if identity.first_ready_ns is None:
                identity.first_ready_ns = t - identity.created_ns
        elif was_ready and not ready:
            self._left(t, change, pod, workload, identity)

    def _left(self, t: int, change: Change, pod: Pod, workload: Workload, identity: Identity) -> None:
        owner = self._sets.get((workload.namespace, workload.name)) if workload.kind == "StatefulSet" else None
        if pod.deleting or change.type == "DELETED":
            on_purpose = workload.deleted or (owner is not None and not _wants(owner, pod.name))
            if on_purpose or (workload.kind == BARE and change.actor == "kubectl"):
                identity.wanted = False
                return
            identity.leave(t, why_deleted(change, pod, owner))
        else:
            identity.leave(t, why_not_ready(change, pod))


def _wants(owner: StatefulSet, name: str) -> bool:
    ordinal = name.removeprefix(f"{owner.name}-")
    start = owner.spec.ordinals.start if owner.spec.ordinals is not None else 0
    return ordinal.isdigit() and start <= int(ordinal) < start + owner.spec.replicas


def _restarts(pod: Pod) -> int:
    return sum(s.restart_count for s in pod.status.container_statuses + pod.status.init_container_statuses)


def _count(workload: Workload, t: int, step: int) -> None:
    if step:
        workload.advance(t)
        workload.ready += step
        if not workload.sized:
            workload.desired = workload.ready
        workload.settle(t)


def readiness(history: Iterable[tuple[int, Change]], end_ns: int) -> list[Workload]:
    """Return the workloads in the order of their first appearance.

    Parameters
    ----------
    history
        All changes of all objects, in order.
    end_ns
        When the run ended.
    """
    state = _Pass()
    for t, change in history:
        state.see(t, change)
    state.finish(end_ns)
    return list(state.workloads.values())
