"""kube-scheduler as a process: takes pods from the queue one at a time, binds them asynchronously.

A cycle decides on what the cache shows at its start and takes effect at its end; meanwhile events change the cache and are
remembered for the pod in flight. Binding (waiting for volumes among it) goes on beside the next cycles, with the pod
assumed on its node.

Source: pkg/scheduler/{scheduler,schedule_one,eventhandlers}.go; node.md 7.1, 7.2.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from k8sim.api.core import Node, Pod
from k8sim.api.meta import Condition, condition_of, set_condition
from k8sim.api.pods import is_pod_terminal
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.informer import SharedInformers
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.scheduler import framework as fw
from k8sim.scheduler.algorithm import Algorithm, Found
from k8sim.scheduler.cache import Cache
from k8sim.scheduler.plugins.registry import default_plugins
from k8sim.scheduler.queue import QueuedPod, SchedulingQueue
from k8sim.sim.clock import Event, rank
from k8sim.sim.simulation import Simulation

Steps = Generator[Event, Any, None]

SCHEDULER_NAME: Final = "default-scheduler"
ACTOR: Final = "kube-scheduler"
POD_SCHEDULED: Final = "PodScheduled"


class Scheduler:
    """The scheduler of one cluster, with a cache of its own."""

    def __init__(self, sim: Simulation, server: APIServer, informers: SharedInformers) -> None:
        self.sim = sim
        self.clock = sim.clock
        self.server = server
        self.informers = informers
        self.rank = rank("kube-scheduler")
        self.pods = informers.of(Pod)
        self.cache = Cache()
        self.plugins = default_plugins()
        self.algorithm = Algorithm(self.plugins, self.cache.nodes, sim.streams)
        hints = {plugin.name: plugin.events() for plugin in self.plugins}
        self.queue = SchedulingQueue(hints, second_phase_ns=sim.clock.second_phase_ns)
        self._wake = self.clock.signal(self.rank)
        self._flush_at: int | None = None
        self._started_at = 0
        self._reasons: dict[str, str] = {}

    def start(self) -> None:
        """Fill the cache and begin to schedule."""
        self._started_at = self.clock.now
        self.informers.of(Node).add_handler(self._on_node)
        self.pods.add_handler(self._on_pod)
        self.clock.spawn(self._run())

    # ---- event handlers -------------------------------------------------------------------------------------

    def _on_node(self, change: Change) -> None:
        node = change.new
        assert isinstance(node, Node)
        if change.type == "DELETED":
            self._move(fw.NODE_DELETE, node, None, change.row)
            self.cache.remove_node(node)
            return
        self.cache.set_node(node)
        if change.type == "ADDED":
            self._move(fw.NODE_ADD, None, node, change.row)
            return
        old = change.old
        assert isinstance(old, Node)
        for event in node_events(old, node):
            self._move(event, old, node, change.row)

    def _on_pod(self, change: Change) -> None:
        """Sort a pod's change by what the pod was and is to the scheduler; ended pods are as good as deleted."""
        new, old = change.new, change.old
        assert isinstance(new, Pod)
        assert isinstance(old, Pod | None)
        gone = change.type == "DELETED" or is_pod_terminal(new)
        was = old if old is not None and not is_pod_terminal(old) else None
        if gone:
            if was is not None:
                self._pod_gone(was, change.row)
        elif new.spec.node_name:
            self._assigned_pod(was, new, change.row)
        elif new.spec.scheduler_name == SCHEDULER_NAME:
            self._pending_pod(was, new, change.row)

    def _assigned_pod(self, was: Pod | None, new: Pod, row: int) -> None:
        self.cache.add_pod(new)
        if was is None or not was.spec.node_name:
            self.queue.delete(new.uid)
            self._move(fw.ASSIGNED_POD_ADD, None, new, row)
        elif was.metadata.labels != new.metadata.labels:
            self._move(fw.ASSIGNED_POD_LABEL, was, new, row)

    def _pending_pod(self, was: Pod | None, new: Pod, row: int) -> None:
        if was is None:
            self.queue.add(new, self.clock.now, row)
        elif self.cache.is_assumed(new.uid):
            if new.deleting and not was.deleting:
                self._forget(new, row)
            return
        else:
            self.queue.update(was, new, pod_events(was, new), self.clock.now, row)
        self._kick()

    def _pod_gone(self, was: Pod, row: int) -> None:
        if was.spec.node_name:
            self.cache.remove_pod(was.uid)
            self._move(fw.ASSIGNED_POD_DELETE, was, None, row)
        else:
            self.queue.delete(was.uid)
            if self.cache.is_assumed(was.uid):
                self._forget(was, row)
        self._reasons.pop(was.uid, None)

    def _forget(self, pod: Pod, row: int) -> None:
        if self.cache.forget_pod(pod.uid):
            self._move(fw.ASSIGNED_POD_DELETE, pod, None, row)

    def _move(self, event: fw.Event, old: Any, new: Any, row: int) -> None:
        if self.queue.is_of_interest(event):
            self.queue.move_all(event, old, new, self.clock.now, row)
            self._kick()

    # ---- timers ---------------------------------------------------------------------------------------------

    def _kick(self) -> None:
        """Let the loop look at the queue, and see to it that it is flushed in time."""
        self._wake.set()
        at = self.queue.next_flush(self._started_at)
        if at is not None and (self._flush_at is None or at < self._flush_at):
            self._flush_at = at
            self.clock.call_at(at, self._flush, at, rank=self.rank)

    def _flush(self, at: int) -> None:
        if self._flush_at == at:
            self._flush_at = None
            self.queue.flush(self.clock.now)
            self._kick()

    # ---- the scheduling cycle -------------------------------------------------------------------------------

    def _run(self) -> Steps:
        while True:
            queued = self.queue.pop(self.clock.now)
            if queued is None:
                yield self._wake.wait()
            elif queued.pod.deleting or self.cache.is_assumed(queued.pod.uid):
                self.queue.done(queued.pod.uid)
            else:
                yield from self._schedule_one(queued)

    def _schedule_one(self, queued: QueuedPod) -> Steps:
        pod = queued.pod
        client = Client(self.server, ACTOR, rank(ACTOR, pod.uid), entity=pod.uid)
        client.cause = queued.cause
        result = self.algorithm.schedule(pod)
        yield self.clock.sleep(self.sim.latencies.draw("schedulingCycle", pod.uid), self.rank)
        if isinstance(result, Found):
            self.cache.assume_pod(pod, result.node)
            self.queue.done(pod.uid)
            self.clock.spawn(self._bind(queued, result, client))
        else:
            yield from self._fail(queued, result.plugins, "Unschedulable", result.message(), client)

    def _bind(self, queued: QueuedPod, found: Found, client: Client) -> Steps:
        pod = queued.pod
        try:
            yield from client.bind(pod, found.node)
        except ApiError as error:
            self._forget(pod, client.cause)
            yield from self._fail(queued, (), "SchedulerError", error.message, client)
        else:
            message = f"Successfully assigned {pod.namespace}/{pod.name} to {found.node}"
            client.event(pod, "Normal", "Scheduled", message)
            self._reasons.pop(pod.uid, None)

    def _fail(self, queued: QueuedPod, plugins: tuple[str, ...], reason: str, message: str, client: Client) -> Steps:
        """Put the pod back and say why (handleSchedulingFailure); nothing of that if it is gone or bound meanwhile."""
        cached = self.pods.get(*queued.pod.key)
        if cached is None or cached.uid != queued.pod.uid or cached.spec.node_name:
            self.queue.done(queued.pod.uid)
            return
        queued.pod = cached
        self.queue.fail(queued, plugins, self.clock.now)
        self._kick()
        self._say(cached, plugins, message, client.cause)
        client.event(cached, "Warning", "FailedScheduling", message)
        condition = Condition(type=POD_SCHEDULED, status="False", reason=reason, message=message)
        if not _says(cached, condition):
            condition = replace(condition, last_transition_time=Time(self.clock.truncated()))
            yield from self._patch(cached, condition, client)

    def _patch(self, pod: Pod, condition: Condition, client: Client) -> Steps:
        def change(stored: Pod) -> Pod:
            conditions = set_condition(stored.status.conditions, condition)
            return replace(stored, status=replace(stored.status, conditions=conditions))

        try:
            yield from client.patch_status(Pod, *pod.key, change)
        except NotFound:
            pass
        except ApiError:
            pass  # logged by the real scheduler, no more

    def _say(self, pod: Pod, plugins: tuple[str, ...], message: str, cause: int) -> None:
        """Leave a row that says why the pod waits, if that has changed."""
        if self._reasons.get(pod.uid) != message:
            self._reasons[pod.uid] = message
            detail = {"object": f"Pod/{pod.name}", "reason": message, "plugins": plugins}
            self.sim.trace.append(self.clock.now, "Scheduler", pod.name, "Waiting", detail, cause, pod.namespace)


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


def _says(pod: Pod, condition: Condition) -> bool:
    known = condition_of(pod.status.conditions, condition.type)
    return known is not None and (known.status, known.reason, known.message) == (
        condition.status, condition.reason, condition.message,
    )  # fmt: skip
