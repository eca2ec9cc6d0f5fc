"""What the scheduler's informers tell its cache and its queue (pkg/scheduler/eventhandlers.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.pods import is_pod_terminal
from k8sim.api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from k8sim.apiserver.informer import Informer, SharedInformers
from k8sim.apiserver.watch import Change
from k8sim.scheduler import framework as fw
from k8sim.scheduler.cache import Cache
from k8sim.scheduler.nominator import Nominator
from k8sim.scheduler.preemption import priority_of
from k8sim.scheduler.queue import SchedulingQueue
from k8sim.sim.clock import Clock

SCHEDULER_NAME: Final = "default-scheduler"
_ACTION: Final = {"ADDED": fw.ADD, "MODIFIED": fw.UPDATE, "DELETED": fw.DELETE}


class EventHandlers:
    """Handlers of all informers; ``kick`` is called whenever the queue may have something to do."""

    def __init__(
        self, clock: Clock, cache: Cache, queue: SchedulingQueue, nominator: Nominator, kick: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._cache = cache
        self._queue = queue
        self._nominator = nominator
        self._kick = kick

    def register(self, informers: SharedInformers) -> None:
        """Add the handlers; nodes first, as pods refer to them."""
        informers.of(Node).add_handler(self._on_node)
        informers.of(Pod).add_handler(self._on_pod, of_status="end")
        others: tuple[Informer[Any], ...] = (
            informers.of(PersistentVolumeClaim),
            informers.of(PersistentVolume),
            informers.of(StorageClass),
            informers.of(CSINode),
            informers.of(CSIDriver),
            informers.of(CSIStorageCapacity),
            informers.of(VolumeAttachment),
        )
        for informer in others:
            informer.add_handler(self._on_other)

    # ---- nodes and storage ----------------------------------------------------------------------------------

    def _on_node(self, change: Change) -> None:
        node, old = change.new, change.old
        assert isinstance(node, Node)
        if change.type == "DELETED":
            self._move(fw.NODE_DELETE, node, None, change.row)
            self._cache.remove_node(node)
            return
        self._cache.set_node(node)
        if not isinstance(old, Node):
            self._move(fw.NODE_ADD, None, node, change.row)
            return
        for event in node_events(old, node):
            self._move(event, old, node, change.row)

    def _on_other(self, change: Change) -> None:
        event = fw.Event(change.new.kind, _ACTION[change.type])
        if change.type == "DELETED":
            self._move(event, change.new, None, change.row)
        else:
            self._move(event, change.old, change.new, change.row)

    # ---- pods -----------------------------------------------------------------------------------------------

    def _on_pod(self, change: Change) -> None:
        """Sort a pod's change by what the pod was and is to the scheduler; ended pods are as good as deleted.

        Most changes are of the status of a pod that goes on where it is: those do not come here.
        """
        new, old = change.new, change.old
        assert isinstance(new, Pod)
        was = old if isinstance(old, Pod) and not is_pod_terminal(old) else None
        if change.type == "DELETED" or is_pod_terminal(new):
            if was is not None:
                self._pod_gone(was, change.row)
        elif new.spec.node_name:
            self._assigned_pod(was, new, change.row)
        elif new.spec.scheduler_name == SCHEDULER_NAME:
            self._pending_pod(was, new, change.row)

    def _assigned_pod(self, was: Pod | None, new: Pod, row: int) -> None:
        self._cache.add_pod(new)
        if was is None or not was.spec.node_name:
            self._queue.delete(new.metadata.uid)
            self._nominator.delete(new.metadata.uid)
            self._move(fw.ASSIGNED_POD_ADD, None, new, row)
        elif was.metadata.labels != new.metadata.labels:
            self._move(fw.ASSIGNED_POD_LABEL, was, new, row)

    def _pending_pod(self, was: Pod | None, new: Pod, row: int) -> None:
        if was is None:
            self._queue.add(new, self._clock.now, row)
        elif self._cache.is_assumed(new.uid):
            if new.deleting and not was.deleting:
                self.forget(new, row)
            return
        else:
            self._queue.update(was, new, pod_events(was, new), self._clock.now, row)
            self._nomination_changed(was, new, row)
        self._nominator.update(new)
        self._kick()

    def _nomination_changed(self, was: Pod, new: Pod, row: int) -> None:
        """A nomination that is taken back makes room for pods that are no more important."""
        nominated = was.status.nominated_node_name
        if nominated and nominated != new.status.nominated_node_name:
            self._nominator.delete(new.uid)
            self._move(fw.ASSIGNED_POD_DELETE, was, None, row, lambda pod: priority_of(pod) <= priority_of(was))

    def _pod_gone(self, was: Pod, row: int) -> None:
        self._nominator.delete(was.uid)
        if was.spec.node_name:
            self._cache.remove_pod(was.uid)
            self._move(fw.ASSIGNED_POD_DELETE, was, None, row)
            return
        self._queue.delete(was.uid)
        if self._cache.is_assumed(was.uid):
            self.forget(was, row)
        elif was.status.nominated_node_name:
            self._move(fw.ASSIGNED_POD_DELETE, was, None, row, lambda pod: priority_of(pod) <= priority_of(was))

    def forget(self, pod: Pod, row: int) -> None:
        """Take a pod off the node that it was assumed on: there is room again."""
        if self._cache.forget_pod(pod.uid):
            self._move(fw.ASSIGNED_POD_DELETE, pod, None, row)

    def _move(
        self, event: fw.Event, old: Any, new: Any, row: int, eligible: Callable[[Pod], bool] | None = None
    ) -> None:
        if self._queue.is_of_interest(event):
            self._queue.move_all(event, old, new, self._clock.now, row, eligible)
            self._kick()


def node_events(old: Node, new: Node) -> list[fw.Event]:
    """Return what has changed of a node that may matter (framework.NodeSchedulingPropertiesChange)."""
    events = []
    if old.status.allocatable != new.status.allocatable:
        events.append(fw.NODE_ALLOCATABLE)
    if old.metadata.labels != new.metadata.labels:
        events.append(fw.NODE_LABEL)
    if old.spec.taints != new.spec.taints or old.spec.unschedulable != new.spec.unschedulable:
        events.append(fw.NODE_TAINT)
    return events


def pod_events(old: Pod, new: Pod) -> list[fw.Event]:
    """Return what has changed of a waiting pod that may matter (framework.PodSchedulingPropertiesChange)."""
    events = []
    if old.metadata.labels != new.metadata.labels:
        events.append(fw.POD_LABEL)
    if old.spec.tolerations != new.spec.tolerations:
        events.append(fw.POD_TOLERATION)
    if old.spec.scheduling_gates and not new.spec.scheduling_gates:
        events.append(fw.POD_GATES_ELIMINATED)
    return events
