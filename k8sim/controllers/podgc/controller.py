"""Pod garbage collector: a run every 20 s that removes pods whose end no kubelet will confirm.

Only a run at which there may be something to remove is an event.

Source: pkg/controller/podgc/gc_controller.go; workloads.md 4.8.
"""

from __future__ import annotations

from k8sim.api.core import Node, Pod
from k8sim.api.pods import is_pod_terminal
from k8sim.api.struct import Time
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.podgc.control import excess_terminated, failed, is_out_of_service
from k8sim.controllers.podgc.settings import PodGCSettings
from k8sim.sim.trace import NO_CAUSE


class PodGCController(Controller):
    """One loop. The only key of its queue is the run."""

    name = "podgc"
    workers = 1

    def __init__(self, context: ControllerContext, settings: PodGCSettings | None = None) -> None:
        super().__init__(context)
        self.settings = settings or PodGCSettings()
        self._pass_delay = self.sim.latencies.sampler("podGCPass", self.name)
        self._quarantine: dict[str, int] = {}
        self._ended = 0
        self._unscheduled: dict[Key, None] = {}
        self._missing: dict[str, int] = {}
        self._next_run = 0
        self._due: int | None = None
        self._nodes = self.informers.of(Node)
        self._pods = self.informers.of(Pod)
        self._pods.add_index("spec.nodeName", lambda p: (p.spec.node_name,) if p.spec.node_name else ())
        self._out_of_service: dict[str, None] = {}
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod, of_status="end")

    def start(self) -> None:
        """Start. At t = 0 the loop has been running for a while; later (a restart) the first run is now."""
        super().start()
        self._next_run = self.clock.now
        if self._next_run == 0:
            self._next_run = int(self.sim.streams.uniform(self.name, "phase") * self.settings.period_ns)
        self._plan(NO_CAUSE)

    # ---- observe --------------------------------------------------------------------------------------------

    def _on_node(self, change: Change) -> None:
        node = change.new
        assert isinstance(node, Node)
        if change.type == "DELETED":
            self._out_of_service.pop(node.name, None)
            if self._pods.by_index("spec.nodeName", node.name):
                self._missing[node.name] = change.row
        else:
            self._missing.pop(node.metadata.name, None)
            if is_out_of_service(node):
                self._out_of_service[node.name] = None
            else:
                self._out_of_service.pop(node.metadata.name, None)
        self._plan(change.row)

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        if change.type == "MODIFIED" and _is_the_same_to_the_collector(old, pod):  # type: ignore[arg-type]
            return
        gone = change.type == "DELETED"
        was_ended = isinstance(old, Pod) and is_pod_terminal(old)
        self._ended += (not gone and is_pod_terminal(pod)) - was_ended
        node = pod.spec.node_name
        if not gone and not node and pod.deleting:
            self._unscheduled[pod.key] = None
        elif self._unscheduled:
            self._unscheduled.pop(pod.key, None)
        if not gone and node and self._nodes.get("", node) is None:
            self._missing.setdefault(node, change.row)
        self._plan(change.row)

    def _plan(self, cause: int) -> None:
        """Plan the next run if it may find something."""
        too_many_ended = 0 < self.settings.terminated_pod_gc_threshold < self._ended
        has_work = self._missing or self._out_of_service or self._unscheduled or too_many_ended
        if self._due is not None or not has_work:
            return
        if self._next_run < self.clock.now:
            self._next_run = self.clock.next_on_grid(self._next_run, self.settings.period_ns)
        self._due = self._next_run
        self.queue.add_after(("", "run"), self._due - self.clock.now, cause)

    # ---- act ------------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Run once: ended pods, pods of machines that are off, pods without a node, unscheduled ones; in this order."""
        # The snapshot of the run; removing pods does not change what else the run does.
        for pod in excess_terminated(self._pods.list(), self.settings.terminated_pod_gc_threshold):
            yield from self._remove(pod, False, client)
        for name in list(self._out_of_service):
            for pod in list(self._pods.by_index("spec.nodeName", name)):
                if pod.deleting:
                    yield from self._remove(pod, False, client)
        yield from self._collect_orphans(client)
        for pod_key in list(self._unscheduled):
            unscheduled = self._pods.get(*pod_key)
            if unscheduled is not None and unscheduled.deleting and not unscheduled.spec.node_name:
                yield from self._remove(unscheduled, False, client)
        self._next_run = self.clock.now + self._pass_delay.draw() + self.settings.period_ns
        self._due = None
        self._plan(client.cause)

    def _collect_orphans(self, client: Client) -> Sync:
        """Remove pods of nodes that have been gone for the quarantine, if the API server confirms that.

        The second run after the one that noticed is due at the same moment as the end of the quarantine: which comes
        first is a race, and if the run does the pods wait for the next one.
        """
        looked = self.clock.now + self._pass_delay.draw()
        for name in list(self._missing):
            if not self._pods.by_index("spec.nodeName", name):
                del self._missing[name]
                self._quarantine.pop(name, None)
                continue
            until = self._quarantine.get(name)
            if until is None:
                self._quarantine[name] = looked + self.settings.quarantine_ns + self._pass_delay.draw()
            elif until <= looked:
                del self._quarantine[name]
                yield from self._collect_orphans_of(name, client)
        for name in [n for n in self._quarantine if n not in self._missing]:
            del self._quarantine[name]

    def _collect_orphans_of(self, node: str, client: Client) -> Sync:
        client.cause = self._missing.get(node, client.cause)
        try:
            yield from client.get(Node, "", node)
        except NotFound:
            for pod in list(self._pods.by_index("spec.nodeName", node)):
                yield from self._remove(pod, True, client)
        except ApiError:
            return  # quarantined anew at the next run

    def _remove(self, pod: Pod, node_gone: bool, client: Client) -> Sync:
        """Mark the pod Failed, unless it has ended, and delete it with grace 0."""
        now = Time(self.clock.truncated())
        try:
            if not is_pod_terminal(pod):
                yield from client.patch_status(Pod, *pod.key, lambda p: failed(p, node_gone, now))
            yield from client.delete(Pod, *pod.key, grace_period_seconds=0)
        except ApiError:
            return  # the next run tries again


def _is_the_same_to_the_collector(old: Pod, new: Pod) -> bool:
    """Tell whether a new version of a pod is where the old one was, has ended as it had, and is deleted as it was."""
    return (
        old.spec.node_name == new.spec.node_name
        and old.status.phase == new.status.phase
        and old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
    )
