"""The state that checkers look at, rebuilt from the history of the objects and the rows of the trace.

It is built anew here, by plain bookkeeping, so that a checker shares nothing with the components it watches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from k8sim.api.apps import ControllerRevision, StatefulSet
from k8sim.api.core import Node, Pod
from k8sim.api.meta import Object, condition_of, controller_of
from k8sim.api.pods import claim_names, is_pod_ready, is_pod_terminal
from k8sim.apiserver.watch import Change
from k8sim.guarantees.circumstances import (
    CIRCUMSTANCES,
    CUTS,
    ENDS_BY_ITSELF,
    NODE_FAULTS,
    RELIST,
    SECOND,
    ZONE_LABEL,
    Fault,
    is_edited,
)
from k8sim.sim.trace import NO_CAUSE, Row

LAG: Final = 2 * SECOND
"""How old a controller's view may be (watch delay, queue, requests): of what is younger nothing is held against it."""


class Process(NamedTuple):
    """A container that runs on a machine."""

    key: tuple[str, str]
    uid: str
    container: str
    node: str
    since: int


class World:
    """What is known at a moment of a run.

    Attributes
    ----------
    occurred
        Names of faults and words of `CIRCUMSTANCES` that have happened so far, with the time of the last.
    faults
        Those that have begun, with where and how long.
    edited
        Kinds of which somebody has changed an object by hand, with the time of the last.
    unprotected
        Kinds of which somebody has taken the finalizers from an object by hand, with the time of the last.
    let_go
        Claims whose pod was removed while it might still run, and how; volumes that were taken from a node by force.
    removed
        UIDs of pods whose object was removed while it might still run, and how.
    """

    def __init__(self, gates: Callable[[str], bool] = lambda gate: False, patience_ns: int = 900 * SECOND) -> None:
        self.gates = gates
        self._patience = patience_ns
        self.now = 0
        self.row = NO_CAUSE
        self.objects: dict[str, dict[tuple[str, str], Object]] = {}
        self.processes: dict[tuple[str, str], Process] = {}
        self.occurred: dict[str, int] = {}
        self.faults: list[Fault] = []
        self.edited: dict[str, int] = {}
        self.unprotected: dict[str, int] = {}
        self.let_go: dict[tuple[str, str], str] = {}
        self.removed: dict[str, str] = {}
        self.last_action = 0
        self._unready_since: dict[str, int] = {}
        self._deleting_since: dict[str, int] = {}
        self._gone: dict[tuple[str, str, str], tuple[int, Object]] = {}
        self._spec_changed: dict[str, int] = {}
        self._pods_of: dict[str, dict[tuple[str, str], None]] = {}
        self._stirred: dict[str, int] = {}
        self._last_row: dict[tuple[str, str], int] = {}

    # ---- bookkeeping ------------------------------------------------------------------------------------------------

    def apply(self, t: int, change: Change) -> None:
        """Take in a change of an object."""
        self.now, self.row = t, change.row
        obj = change.new
        kind = self.objects.setdefault(obj.kind, {})
        if change.type == "DELETED":
            kind.pop(obj.key, None)
            self._gone[(obj.kind, *obj.key)] = (t, obj)
        else:
            kind[obj.key] = obj
        self._stirred[obj.metadata.uid] = t
        if change.old is None or _respecified(change.old, obj):
            self._spec_changed[obj.uid] = t
        if obj.deleting and not (change.old is not None and change.old.deleting):
            self._deleting_since.setdefault(obj.uid, t)
        if change.actor == "kubectl" and change.old is not None:
            self._by_hand(t, change.old, obj)
        if isinstance(obj, Pod):
            self._pod(t, change, obj)
        elif obj.kind == "Node" and change.type == "DELETED":
            self.occurred["node deleted"] = t

    def _by_hand(self, t: int, old: Object, new: Object) -> None:
        if is_edited(old, new):
            self.edited[new.kind] = t
        if set(old.metadata.finalizers) - set(new.metadata.finalizers):
            self.unprotected[new.kind] = t

    def _pod(self, t: int, change: Change, pod: Pod) -> None:
        ready = is_pod_ready(pod)
        was = isinstance(change.old, Pod) and is_pod_ready(change.old)
        self._last_row[pod.key] = change.row
        if was and not ready:
            self._unready_since[pod.uid] = t
        owner = controller_of(pod)
        if owner is not None:
            self._stirred[owner.uid] = t
            children = self._pods_of.setdefault(owner.uid, {})
            if change.type == "DELETED":
                children.pop(pod.key, None)
            else:
                children[pod.key] = None
        if change.type == "DELETED" and not change.actor.startswith("kubelet"):
            how = "pod garbage collection" if change.actor in ("podgc", "garbagecollector") else "forced deletion"
            if how == "forced deletion" and is_pod_terminal(pod):
                how = "final phase"
            elif how == "forced deletion" and self.node_is_silent(pod):
                how = "forced deletion on a silent node"
            if pod.spec.node_name:  # its kubelet may also be about to start it
                self.removed[pod.uid] = how
                self.let_go.update({(pod.namespace, claim): how for claim in claim_names(pod)})
            self.occurred[how] = t

    def see(self, row: Row, number: int) -> None:
        """Take in a row of the trace."""
        self.now, self.row = row.t, number
        if row.kind == "Container":
            self._container(row)
        elif row.kind in ("Step", "Fault") and row.event == "Begins":
            self._begins(row)
        elif row.kind == "Command":
            self.last_action = max(self.last_action, row.t)
        elif row.kind == "Volume" and row.event == "PulledAway":
            self.let_go["", row.name] = "forced detach"

    def _begins(self, row: Row) -> None:
        lasts = row.detail.get("for")
        least, most = ENDS_BY_ITSELF.get(row.name, (None, None)) if lasts is None else (lasts, lasts)
        not_before = None if least is None else row.t + least
        until = None if most is None else row.t + most
        self.last_action = max(self.last_action, until or row.t)
        self.occurred[row.name] = row.t
        self.faults.append(Fault(row.name, row.detail.get("target") or "", row.t, not_before, until))

    def _container(self, row: Row) -> None:
        uid, container = row.detail.get("uid", ""), row.detail.get("container", "")
        if row.event == "Started":
            key = (row.namespace, row.name)
            self.processes[uid, container] = Process(key, uid, container, row.detail["node"], row.t)
        elif row.event in ("Exited", "Lost"):
            self.processes.pop((uid, container), None)

    # ---- questions --------------------------------------------------------------------------------------------------

    def find(self, kind: str, namespace: str, name: str) -> Any:
        """Return an object as it is now, or None."""
        return self.objects.get(kind, {}).get((namespace, name))

    def all(self, kind: str) -> Iterable[Any]:
        """Return all objects of a kind."""
        return list(self.objects.get(kind, {}).values())

    def controller(self, obj: Object, kind: str) -> Any:
        """Return the controller of an object, if it is of a kind and still there."""
        ref = controller_of(obj)
        if ref is None or ref.kind != kind:
            return None
        found = self.find(kind, obj.namespace, ref.name)
        return found if found is not None and found.uid == ref.uid else None

    def pods_of(self, owner: Object) -> list[Pod]:
        """Return the pods that an object controls."""
        pods = self.objects.get("Pod", {})
        return [pod for key in self._pods_of.get(owner.uid, ()) if isinstance(pod := pods.get(key), Pod)]

    def recently(self, when: int | None, within: int = LAG) -> bool:
        """Tell whether something happened so recently that a controller may not know it."""
        return when is not None and self.now - when <= within

    def spec_changed_recently(self, obj: Object) -> bool:
        """Tell whether somebody has just changed what an object is to be."""
        return self.recently(self._spec_changed.get(obj.uid))

    def deleting_since(self, obj: Object) -> int | None:
        """Return when the deletion of an object began."""
        return self._deleting_since.get(obj.uid)

    def gone(self, kind: str, namespace: str, name: str) -> tuple[int, Object] | None:
        """Return the last object of a name that was removed, and when."""
        return self._gone.get((kind, namespace, name))

    def gone_recently(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object that was removed just now."""
        found = self.gone(kind, namespace, name)
        return found[1] if found is not None and self.recently(found[0]) else None

    def seen_ready(self, pod: Pod) -> bool:
        """Tell whether a controller may take a pod to be Ready and not terminating."""
        if pod.deleting and not self.recently(self.deleting_since(pod)):
            return False
        return is_pod_ready(pod) or self.recently(self._unready_since.get(pod.uid))

    def stirred(self, obj: Object) -> int:
        """Return when something happened last that makes an object's controller look.

        It, or a pod of its, changed; or the controller began anew: it did so then, or somewhat later.
        """
        anew = (when for fault in self.faults if (when := fault.controllers_anew) is not None)
        return max((self._stirred.get(obj.uid, 0), *anew))

    def patient_since(self, when: int) -> bool:
        """Tell whether so much time has passed since then that what was to come has come."""
        return self.now - max(when, self.last_action) >= self._patience

    def node_is_silent(self, obj: Object) -> bool:
        """Tell whether an object is a pod whose node's kubelet does not answer, or whose node is gone."""
        if not isinstance(obj, Pod) or not obj.spec.node_name:
            return False
        node = self.find("Node", "", obj.spec.node_name)
        ready = condition_of(node.status.conditions, "Ready") if node is not None else None
        return ready is None or ready.status != "True"

    def fault_lasts(self, name: str, target: str = "", longer: int = 0) -> bool:
        """Tell whether a fault, of a target or of any, goes on or has ended only so much time ago."""
        return any(f.name == name and target in ("", f.target) and f.lasts(self.now, longer) for f in self.faults)

    def is_cut_off(self, node: str) -> bool:
        """Tell whether a fault keeps a node's kubelet from hearing of changes."""
        return any(f.name in CUTS and f.lasts(self.now, RELIST) and self._hits(f, node) for f in self.faults)

    def excuses(self, word: str, node: str = "") -> bool:
        """Tell whether a circumstance has occurred; a fault: one that has not been over for long, and hit the node."""
        if word == "node deleted" and node:
            return self.gone("Node", "", node) is not None
        if word in CIRCUMSTANCES:
            return word in self.occurred
        return any(f.name == word and f.lasts(self.now, self._patience) and self._hits(f, node) for f in self.faults)

    def _hits(self, fault: Fault, name: str) -> bool:
        """Tell whether a fault is one of a node or of its zone, or not of nodes at all; of "" all faults are."""
        if not name or fault.name not in NODE_FAULTS:
            return True
        gone = self.gone("Node", "", name)
        node = self.find("Node", "", name) or (gone[1] if gone is not None else None)
        return fault.target in (name, node.metadata.labels.get(ZONE_LABEL) if node is not None else None)

    def nodes_missing(self) -> bool:
        """Tell whether some node cannot take pods: gone, silent or cordoned."""
        silent = any(
            n.spec.unschedulable or (c := condition_of(n.status.conditions, "Ready")) is None or c.status != "True"
            for n in self.all("Node")
        )
        return silent or any(kind == "Node" and self.find(kind, "", name) is None for kind, _, name in self._gone)

    def last_row_of(self, pod: Pod) -> int:
        """Return the trace row that said something of a pod last."""
        return self._last_row.get(pod.key, NO_CAUSE)

    def running(self, uid: str) -> list[Process]:
        """Return the containers of a pod that run, on whatever machine."""
        return [p for p in self.processes.values() if p.uid == uid]

    def update_revision(self, sts: StatefulSet) -> str:
        """Return the name of a set's newest revision."""
        # With a cache that lacks the newest one the controller gives its number again: then the younger one counts.
        owned = sorted(self._revisions_of(sts), key=lambda r: r.revision)
        return owned[-1].name if owned else ""

    def revisions(self, sts: StatefulSet) -> int:
        """Return how many templates of a set are remembered."""
        return len(self._revisions_of(sts))

    def _revisions_of(self, sts: StatefulSet) -> list[ControllerRevision]:
        return [
            r
            for r in self.all("ControllerRevision")
            if isinstance(r, ControllerRevision) and any(o.uid == sts.uid for o in r.metadata.owner_references)
        ]


def _respecified(old: Object, new: Object) -> bool:
    if isinstance(old, Node) and isinstance(new, Node):  # nodes count no versions
        return old.spec != new.spec
    return old.metadata.generation != new.metadata.generation


def deletion_begins(change: Change) -> bool:
    """Tell whether a change is the beginning of an object's deletion."""
    was = change.old is not None and change.old.deleting
    return not was and (change.type == "DELETED" or change.new.deleting)


def ordinal_of(name: str) -> int:
    """Return the number at the end of a pod's name, -1 if there is none."""
    tail = name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1
