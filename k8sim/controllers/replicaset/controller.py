"""Which ReplicaSets need a sync, and what a sync does around the decision.

Source: pkg/controller/replicaset/replica_set.go; workloads.md 2.1.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from k8sim.api.apps import ReplicaSet, ReplicaSetStatus
from k8sim.api.core import Pod
from k8sim.api.meta import OwnerReference, controller_of
from k8sim.api.pods import is_pod_active, is_pod_ready
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.changed import Changed
from k8sim.controllers.concurrent import concurrently, raise_first_of
from k8sim.controllers.consistency import ConsistencyStore
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.expectations import Expectations
from k8sim.controllers.ownership import (
    CONTROLLER_INDEX,
    ORPHAN_INDEX,
    Adoption,
    claim_object,
    controller_before,
    index_by_controller,
    release,
)
from k8sim.controllers.pod_template import pod_from_template
from k8sim.controllers.replicaset.control import (
    Plan,
    calculate_status,
    manage_replicas,
    slow_start_batches,
    status_to_write,
)
from k8sim.controllers.replicaset.tally import Tally
from k8sim.sim.clock import Event
from k8sim.sim.units import SECOND

Requests = Generator[Event, Any, None]


class ReplicaSetController(Controller):
    """Keeps a number of pods."""

    name = "replicaset-controller"
    workers = 5

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.sets = self.informers.of(ReplicaSet)
        self.pods = self.informers.of(Pod)
        index_by_controller(self.pods)
        index_by_controller(self.sets)
        self.written = ConsistencyStore(self.sets, self.pods)  # type: ignore[arg-type]
        self.expectations = Expectations()
        self._changed = Changed()
        self._tallies: dict[str, Tally] = {}
        self._strangers: dict[str, dict[str, None]] = {}
        self.sets.add_handler(self._set_changed)
        self.pods.add_owners_handler("ReplicaSet", self._pod_changed)

    # ---- which sets -----------------------------------------------------------------------------------------

    def _set_changed(self, change: Change) -> None:
        uid = change.new.metadata.uid
        if change.type == "DELETED":
            self.expectations.forget(uid)
            self.written.clear(uid)
            self._changed.forget(uid)
            self._tallies.pop(uid, None)
            self._strangers.pop(uid, None)
        self.queue.add(change.new.key, change.row)

    def _pod_changed(self, change: Change) -> None:
        pod, old = change.new, change.old
        ref = controller_of(pod)
        old_ref = controller_before(old, pod, ref)
        if old_ref is not ref and old_ref is not None and (ref is None or ref.uid != old_ref.uid):
            self._wake(pod.namespace, pod.name, old_ref, change.row)
        if ref is not None:
            rs = self._wake(pod.metadata.namespace, pod.metadata.name, ref, change.row)
            if rs is None:
                return
            if change.type == "DELETED" or pod.metadata.deletion_timestamp is not None:
                self.expectations.deletion_observed(rs.uid, pod.name)
            elif change.type == "ADDED":
                self.expectations.creation_observed(rs.metadata.uid)
            elif rs.spec.min_ready_seconds > 0 and is_pod_ready(pod) and not is_pod_ready(old):  # type: ignore[arg-type]
                # One second more, as the controller's clock may be ahead of the kubelet's.
                self.queue.add_after(rs.key, (rs.spec.min_ready_seconds + 1) * SECOND, change.row)
        elif change.type == "ADDED" or (
            change.type == "MODIFIED" and (old_ref is not None or pod.metadata.labels != old.metadata.labels)  # type: ignore[union-attr]
        ):
            for rs in self.sets.list(pod.namespace):
                if selector_matches(rs.spec.selector, pod.metadata.labels):
                    self.queue.add(rs.key, change.row)

    def _wake(self, namespace: str, pod: str, ref: OwnerReference, row: int) -> ReplicaSet | None:
        """Queue the ReplicaSet that a controller reference names, if it is the one with that UID."""
        if ref.kind != "ReplicaSet":
            return None
        self._changed.mark(ref.uid, pod)
        key = (namespace, ref.name)
        rs = self.sets.find(key)
        if rs is None or rs.metadata.uid != ref.uid:
            return None
        self.queue.add(key, row)
        return rs

    # ---- one sync -------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Claim pods, create or delete if the cache shows all that was done before, write the status."""
        rs = self.sets.find(key)
        if rs is None:
            return
        self.written.ensure_ready(rs.metadata.uid)
        may_act = self.expectations.satisfied(rs.metadata.uid, self.clock.now)
        tally = yield from self._claim_pods(rs, client)
        tally.advance(self.clock.now)
        if tally.settled is rs:
            return
        failure: ApiError | None = None
        is_complete = False
        counted = calculate_status(rs, tally, None, Time(self.clock.truncated()))
        if may_act:
            plan = manage_replicas(rs, tally, lambda: self._related_pods(rs), self.clock.now)
            is_complete = not plan.create and not plan.delete
            try:
                yield from self._carry_out(rs, plan, client)
            except ApiError as error:
                failure = error
                counted = calculate_status(rs, tally, error.message, Time(self.clock.truncated()))
        version = yield from self._update_status(rs, counted, client)
        if failure is not None:
            raise failure
        if rs.spec.min_ready_seconds and counted.ready_replicas != counted.available_replicas:
            due = tally.next_available_ns()
            delay = due - self.clock.now if due is not None else rs.spec.min_ready_seconds * SECOND
            self.queue.add_after(key, delay, client.cause)
        elif is_complete:
            tally.settled = version

    def _update_status(
        self, rs: ReplicaSet, counted: ReplicaSetStatus, client: Client
    ) -> Generator[Event, Any, ReplicaSet | None]:
        """Write the status, if need be; return the version that then has it, None if it may differ in more."""
        status = status_to_write(rs, counted)
        if status is None:
            return rs
        version: ReplicaSet | None = None
        try:
            version = updated = yield from client.update_status(replace(rs, status=status))
        except ApiError:  # one more try, on the version that is stored
            fresh = yield from client.get(ReplicaSet, *rs.key)
            updated = yield from client.update_status(replace(fresh, status=status))
        self.written.wrote(rs.metadata.uid, updated)
        return version

    def _related_pods(self, rs: ReplicaSet) -> Iterable[Pod]:
        """All pods of the ReplicaSets that have the same controller (getIndirectlyRelatedPods)."""
        ref = controller_of(rs)
        siblings = [rs] if ref is None else self.sets.by_index(CONTROLLER_INDEX, ref.uid)
        return (pod for sibling in siblings for pod in self.pods.by_index(CONTROLLER_INDEX, sibling.uid))

    # ---- creating and deleting ------------------------------------------------------------------------------

    def _carry_out(self, rs: ReplicaSet, plan: Plan, client: Client) -> Requests:
        if plan.create:
            yield from self._create(rs, plan.create, client)
        elif plan.delete:
            self.expectations.expect(rs.uid, self.clock.now, deletions=[p.name for p in plan.delete])
            raise_first_of(
                (yield from concurrently(self.clock, [self._delete(rs, p, client) for p in plan.delete]))[:1]
            )

    def _create(self, rs: ReplicaSet, count: int, client: Client) -> Requests:
        self.expectations.expect(rs.uid, self.clock.now, creations=count)
        successes = 0
        for size in slow_start_batches(count):
            errors = yield from concurrently(self.clock, [self._create_pod(rs, client) for _ in range(size)])
            successes += size - len(errors)
            if errors:
                self.expectations.creation_observed(rs.uid, count - successes)
                raise_first_of(errors[:1])

    def _create_pod(self, rs: ReplicaSet, client: Client) -> Requests:
        try:
            pod = yield from client.create(pod_from_template(rs.spec.template, rs))
        except ApiError as error:
            client.event(rs, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self.written.wrote(rs.metadata.uid, pod)
        client.event(rs, "Normal", "SuccessfulCreate", f"Created pod: {pod.metadata.name}")

    def _delete(self, rs: ReplicaSet, pod: Pod, client: Client) -> Requests:
        try:
            yield from client.delete(Pod, *pod.key)
        except ApiError as error:
            self.expectations.deletion_observed(rs.uid, pod.name)
            if isinstance(error, NotFound):
                return
            client.event(rs, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        client.event(rs, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")

    # ---- claiming -------------------------------------------------------------------------------------------

    def _claim_pods(self, rs: ReplicaSet, client: Client) -> Generator[Event, Any, Tally]:
        """Bring the tally up to date; adopt and release active pods as ownership has it."""
        uid = rs.metadata.uid
        tally = self._tallies.get(uid) or Tally(rs)
        if tally.rs is not rs:
            tally = tally.refitted(rs)
        self._tallies[uid] = tally
        strangers = self._strangers.setdefault(uid, {})
        for name in self._changed.take(uid):
            pod = self.pods.find((rs.metadata.namespace, name))
            ref = controller_of(pod) if pod is not None else None
            strangers.pop(name, None)
            if pod is None or ref is None or ref.uid != uid:
                tally.remove(name)
            elif selector_matches(rs.spec.selector, pod.metadata.labels):
                tally.put(pod)
            else:
                tally.remove(name)
                strangers[name] = None
        orphans = list(self.pods.by_index(ORPHAN_INDEX, rs.metadata.namespace))
        if orphans or strangers:
            yield from self._adopt_and_release(rs, tally, orphans, list(strangers), client)
        return tally

    def _adopt_and_release(
        self, rs: ReplicaSet, tally: Tally, orphans: list[Pod], strangers: list[str], client: Client
    ) -> Requests:
        errors: list[ApiError] = []
        adoption = Adoption(client, rs)
        for pod in orphans:
            matches = is_pod_active(pod) and selector_matches(rs.spec.selector, pod.metadata.labels)
            if claim_object(pod, rs, matches) == "adopt":
                try:
                    if (yield from adoption.adopt(pod)):
                        tally.put(pod)
                except ApiError as error:
                    errors.append(error)
        for name in strangers:
            stranger = self.pods.get(rs.namespace, name)
            if stranger is None or not is_pod_active(stranger) or claim_object(stranger, rs, False) != "release":
                continue
            try:
                yield from release(client, stranger, rs)
            except ApiError as error:
                errors.append(error)
        raise_first_of(errors)
