"""Which DaemonSets need a sync, and what a sync does around the decision.

Source: pkg/controller/daemon/daemon_controller.go, update.go (constructHistory, cleanupHistory).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any

from k8sim.api.apps import ControllerRevision, DaemonSet, DaemonSetStatus
from k8sim.api.core import Node, Pod
from k8sim.api.meta import controller_of, with_meta
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.concurrent import concurrently, raise_first_of
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.daemonset.control import BURST_REPLICAS, PodsByNode, manage, rolling_update, status_of
from k8sim.controllers.daemonset.nodes import HASH_LABEL, node_should_run_daemon_pod, pod_template, target_node
from k8sim.controllers.expectations import Expectations
from k8sim.controllers.history import (
    HASH_LABEL as REVISION_HASH_LABEL,
)
from k8sim.controllers.history import (
    create_controller_revision,
    new_controller_revision,
    next_revision,
    sort_controller_revisions,
    update_controller_revision,
)
from k8sim.controllers.ownership import CONTROLLER_INDEX, ORPHAN_INDEX, claim_objects, index_by_controller
from k8sim.controllers.pod_template import pod_from_template
from k8sim.sim.clock import Event
from k8sim.sim.units import MINUTE, SECOND

Requests = Generator[Event, Any, None]
FAILED_POD_BACKOFF_NS, FAILED_POD_BACKOFF_MAX_NS = 1 * SECOND, 15 * MINUTE


class DaemonSetController(Controller):
    """Keeps a pod on every fitting node."""

    name = "daemon-set-controller"
    workers = 2

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.sets = self.informers.of(DaemonSet)
        self.pods = self.informers.of(Pod)
        self.nodes = self.informers.of(Node)
        self.revisions = self.informers.of(ControllerRevision)
        index_by_controller(self.pods)
        index_by_controller(self.revisions)
        self.expectations = Expectations()
        self._backoff: dict[tuple[str, str], tuple[int, int]] = {}
        self.sets.add_handler(self._set_changed)
        self.pods.add_owners_handler("DaemonSet", self._pod_changed)
        self.nodes.add_handler(self._node_changed, of_status=False)

    # ---- which sets -----------------------------------------------------------------------------------------

    def _set_changed(self, change: Change) -> None:
        if change.type == "DELETED":
            self.expectations.forget(change.new.uid)
        self.queue.add(change.new.key, change.row)

    def _pod_changed(self, change: Change) -> None:
        pod = change.new
        for obj in (change.old, pod):
            ref = controller_of(obj) if obj is not None else None
            if ref is None or ref.kind != "DaemonSet":
                continue
            daemon_set = self.sets.get(pod.namespace, ref.name)
            if daemon_set is None or daemon_set.uid != ref.uid:
                continue
            if obj is pod:
                if change.type == "DELETED" or pod.deleting:
                    self.expectations.deletion_observed(ref.uid, pod.name)
                elif change.type == "ADDED":
                    self.expectations.creation_observed(ref.uid)
            self.queue.add(daemon_set.key, change.row)

    def _node_changed(self, change: Change) -> None:
        """Wake those sets for which a new node fits, or a changed one fits differently."""
        node, old = change.new, change.old
        assert isinstance(node, Node)
        if change.type == "DELETED":
            return
        if old is not None and _same_for_daemons(node, old):  # type: ignore[arg-type]
            return
        for daemon_set in self.sets.list():
            fit = node_should_run_daemon_pod(node, daemon_set)
            if fit.should_run if old is None else fit != node_should_run_daemon_pod(old, daemon_set):  # type: ignore[arg-type]
                self.queue.add(daemon_set.key, change.row)

    # ---- one sync -------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Create and delete pods, go on with an update, write the status, trim the history."""
        daemon_set = self.sets.find(key)
        if daemon_set is None or daemon_set.deleting:
            return
        current, old = yield from self._history(daemon_set, client)
        hash_ = current.metadata.labels[HASH_LABEL]
        pods = yield from self._pods_by_node(daemon_set, client)
        nodes = self.nodes.list()
        now = self.clock.now
        generation = daemon_set.status.observed_generation
        errors: list[ApiError] = []
        if self.expectations.satisfied(daemon_set.uid, now):
            generation = daemon_set.metadata.generation
            try:
                yield from self._update(daemon_set, nodes, pods, hash_, client)
                yield from self._trim_history(daemon_set, old, pods, client)
            except ApiError as error:
                errors.append(error)
        status = status_of(daemon_set, nodes, pods, hash_, self.clock.now, generation)
        yield from self._write_status(daemon_set, status, client)
        raise_first_of(errors)
        if daemon_set.spec.min_ready_seconds and status.number_ready != status.number_available:
            self.queue.add_after(key, daemon_set.spec.min_ready_seconds * SECOND, client.cause)

    def _update(
        self, daemon_set: DaemonSet, nodes: list[Node], pods: PodsByNode, hash_: str, client: Client
    ) -> Requests:
        plan = manage(daemon_set, nodes, pods, hash_, self.clock.now)
        ended = [pod for pod in plan.ended if self._may_delete_ended(daemon_set, pod, client)]
        yield from self._sync_nodes(daemon_set, plan.delete + ended, plan.create_on, hash_, client)
        if daemon_set.spec.update_strategy.type != "RollingUpdate":
            return
        if self.expectations.satisfied(daemon_set.uid, self.clock.now):
            plan = rolling_update(daemon_set, nodes, pods, hash_, self.clock.now)
            yield from self._sync_nodes(daemon_set, plan.delete, plan.create_on, hash_, client)

    def _may_delete_ended(self, daemon_set: DaemonSet, pod: Pod, client: Client) -> bool:
        """Delete ended pods of a node less and less often, so as not to fight with a kubelet that rejects them."""
        node, now = pod.spec.node_name, self.clock.now
        if pod.status.phase == "Failed":
            last, delay = self._backoff.get((daemon_set.uid, node), (0, 0))
            if delay and now - last < delay:
                self.queue.add_after(daemon_set.key, last + delay - now, client.cause)
                return False
            forgotten = now - last > 2 * FAILED_POD_BACKOFF_MAX_NS
            longer = min(2 * delay, FAILED_POD_BACKOFF_MAX_NS) if delay and not forgotten else FAILED_POD_BACKOFF_NS
            self._backoff[daemon_set.uid, node] = (now, longer)
            reason, what = "FailedDaemonPod", "failed"
        else:
            reason, what = "SucceededDaemonPod", "succeeded"
        message = f"Found {what} daemon pod {pod.namespace}/{pod.name} on node {node}, will try to kill it"
        client.event(daemon_set, "Warning" if what == "failed" else "Normal", reason, message)
        return True

    def _sync_nodes(
        self, daemon_set: DaemonSet, delete: list[Pod], create_on: list[str], hash_: str, client: Client
    ) -> Requests:
        create_on, delete = create_on[:BURST_REPLICAS], delete[:BURST_REPLICAS]
        if not create_on and not delete:
            return
        self.expectations.expect(daemon_set.uid, self.clock.now, len(create_on), [p.name for p in delete])
        errors: list[ApiError] = []
        position, size = 0, 1
        while position < len(create_on) and not errors:
            batch = create_on[position : position + size]
            lanes = [self._create(daemon_set, node, hash_, client) for node in batch]
            errors = yield from concurrently(self.clock, lanes)
            position, size = position + size, size * 2
        if errors:  # those that were not tried will not come
            self.expectations.creation_observed(daemon_set.uid, max(0, len(create_on) - position))
        errors += yield from concurrently(self.clock, [self._delete(daemon_set, pod, client) for pod in delete])
        raise_first_of(errors)

    def _create(self, daemon_set: DaemonSet, node: str, hash_: str, client: Client) -> Requests:
        try:
            pod = yield from client.create(pod_from_template(pod_template(daemon_set, hash_, node), daemon_set))
        except ApiError as error:
            self.expectations.creation_observed(daemon_set.uid)
            client.event(daemon_set, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        client.event(daemon_set, "Normal", "SuccessfulCreate", f"Created pod: {pod.name}")

    def _delete(self, daemon_set: DaemonSet, pod: Pod, client: Client) -> Requests:
        try:
            yield from client.delete(Pod, *pod.key)
        except ApiError as error:
            self.expectations.deletion_observed(daemon_set.uid, pod.name)
            if isinstance(error, NotFound):
                return
            client.event(daemon_set, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        client.event(daemon_set, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")

    def _write_status(self, daemon_set: DaemonSet, status: DaemonSetStatus, client: Client) -> Requests:
        if status != daemon_set.status:
            try:
                yield from client.update_status(replace(daemon_set, status=status))
            except ApiError:  # one more try, on the version that is stored
                fresh = yield from client.get(DaemonSet, *daemon_set.key)
                yield from client.update_status(replace(fresh, status=status))

    # ---- pods and history -----------------------------------------------------------------------------------

    def _pods_by_node(self, daemon_set: DaemonSet, client: Client) -> Generator[Event, Any, dict[str, list[Pod]]]:
        owned: Iterable[Pod] = self.pods.by_index(CONTROLLER_INDEX, daemon_set.uid)
        candidates = [*owned, *self.pods.by_index(ORPHAN_INDEX, daemon_set.namespace)]
        mine: list[Pod] = yield from claim_objects(
            client, daemon_set, candidates, lambda p: selector_matches(daemon_set.spec.selector, p.metadata.labels)
        )
        pods: dict[str, list[Pod]] = {}
        for pod in mine:
            if node := target_node(pod):
                pods.setdefault(node, []).append(pod)
        return pods

    def _history(
        self, daemon_set: DaemonSet, client: Client
    ) -> Generator[Event, Any, tuple[ControllerRevision, list[ControllerRevision]]]:
        """Return the revision of the template, made or renumbered if need be, and all others."""
        revisions = sort_controller_revisions(self.revisions.by_index(CONTROLLER_INDEX, daemon_set.uid))
        template = daemon_set.spec.template
        equal = [r for r in revisions if r.data == template]
        others = [r for r in revisions if r.data != template]
        number = next_revision(others)
        if not equal:
            revision = new_controller_revision(daemon_set, template, number, 0)
            hash_ = revision.metadata.labels[REVISION_HASH_LABEL]
            revision = with_meta(revision, labels={**template.metadata.labels, HASH_LABEL: hash_})
            current, _ = yield from create_controller_revision(client, daemon_set, revision, 0)
            return current, others
        current = equal[-1]
        if current.revision < number:
            current = yield from update_controller_revision(client, current, number)
        return current, others

    def _trim_history(
        self, daemon_set: DaemonSet, old: list[ControllerRevision], pods: PodsByNode, client: Client
    ) -> Requests:
        surplus = len(old) - daemon_set.spec.revision_history_limit
        if surplus <= 0:
            return
        live = {p.metadata.labels.get(HASH_LABEL) for here in pods.values() for p in here}
        for revision in [r for r in old if r.metadata.labels.get(HASH_LABEL) not in live][:surplus]:
            with suppress(NotFound):
                yield from client.delete(ControllerRevision, *revision.key)


def _same_for_daemons(new: Node, old: Node) -> bool:
    return new.metadata.labels == old.metadata.labels and new.spec == old.spec
