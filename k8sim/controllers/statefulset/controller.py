"""Which sets need a sync, and what a sync does around the decision.

Source: pkg/controller/statefulset/stateful_set.go, stateful_set_control.go (UpdateStatefulSet, performUpdate),
stateful_set_status_updater.go; workloads.md 1.3, 1.4.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from k8sim.api.apps import ControllerRevision, StatefulSet, StatefulSetStatus
from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import Object, OwnerReference, controller_of
from k8sim.api.pods import is_pod_ready
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.changed import Changed
from k8sim.controllers.concurrent import concurrently, raise_first_of
from k8sim.controllers.consistency import ConsistencyStore
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.history import create_controller_revision, update_controller_revision
from k8sim.controllers.ownership import (
    CONTROLLER_INDEX,
    ORPHAN_INDEX,
    Adoption,
    claim_object,
    controller_before,
    index_by_controller,
    release,
)
from k8sim.controllers.retry import DEFAULT_RETRY
from k8sim.controllers.statefulset.claims import ClaimLookup
from k8sim.controllers.statefulset.control import Batch, Plan, are_alike_to_decide_on, update_stateful_set
from k8sim.controllers.statefulset.identity import claim_name, parent_and_ordinal
from k8sim.controllers.statefulset.pod_control import StatefulPodControl
from k8sim.controllers.statefulset.replicas import Replicas, same_identity
from k8sim.controllers.statefulset.revisions import History, UpdateRevision, current_revision_of, surplus_revisions
from k8sim.controllers.statefulset.status import inconsistent_status, status_to_write
from k8sim.sim.clock import Event
from k8sim.sim.units import HOUR, SECOND


class StatefulSetController(Controller):
    """Keeps the pods of StatefulSets."""

    name = "statefulset-controller"
    workers = 5

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.sets = self.informers.of(StatefulSet)
        self.pods = self.informers.of(Pod)
        self.claims = self.informers.of(PersistentVolumeClaim)
        self.revisions = self.informers.of(ControllerRevision)
        index_by_controller(self.pods)
        index_by_controller(self.revisions)
        self.written = ConsistencyStore(self.sets, self.pods, self.claims)  # type: ignore[arg-type]
        self.views = Views(self)
        self._max_unavailable = self.sim.enabled("MaxUnavailableStatefulSet")
        self._histories: dict[str, History] = {}
        self._waiting: dict[str, str] = {}
        self._gone: dict[Key, list[str]] = {}
        self.sets.add_handler(self._set_changed)
        self.pods.add_owners_handler("StatefulSet", self._pod_changed)
        self.claims.add_handler(self._claim_changed)

    def start(self) -> None:
        """Start the workers, and the resync that looks at every set again after 12 to 24 hours."""
        super().start()
        factor = 1 + self.sim.streams.uniform_at("kube-controller-manager", "resync period", 0)
        self._resync_ns = int(12 * HOUR * factor)
        self.clock.call_after(self._resync_ns, self._resync, rank=self.rank)

    def _resync(self) -> None:
        if self.stopped:
            return
        for sts in self.sets.list():
            self.queue.add(sts.key)
        self.clock.call_after(self._resync_ns, self._resync, rank=self.rank)

    # ---- which sets -----------------------------------------------------------------------------------------

    def _set_changed(self, change: Change) -> None:
        meta = change.new.metadata
        key = (meta.namespace, meta.name)
        if change.type == "DELETED":
            self._gone.setdefault(key, []).append(meta.uid)  # a sync may be under way
        self.queue.add(key, change.row)

    def _claim_changed(self, change: Change) -> None:
        self.views.claim_changed(change.new)  # wakes nobody

    def _pod_changed(self, change: Change) -> None:
        pod, old = change.new, change.old
        ref = controller_of(pod)
        old_ref = controller_before(old, pod, ref)
        if old_ref is not ref and old_ref is not None and (ref is None or ref.uid != old_ref.uid):
            self._wake(pod.namespace, pod.name, old_ref, change.row)
        if ref is not None:
            sts = self._wake(pod.metadata.namespace, pod.metadata.name, ref, change.row)
            if sts is not None and sts.spec.min_ready_seconds > 0 and change.type == "MODIFIED":
                if is_pod_ready(pod) and not is_pod_ready(old):  # type: ignore[arg-type]
                    self.queue.add_after(sts.key, sts.spec.min_ready_seconds * SECOND, change.row)
        elif change.type == "ADDED" or (
            change.type == "MODIFIED" and (old_ref is not None or pod.metadata.labels != old.metadata.labels)  # type: ignore[union-attr]
        ):
            for sts in self.sets.list(pod.namespace):
                if selector_matches(sts.spec.selector, pod.metadata.labels):
                    self.queue.add(sts.key, change.row)

    def _wake(self, namespace: str, pod: str, ref: OwnerReference, row: int) -> StatefulSet | None:
        """Queue the set that a controller reference names, if it is the one with that UID."""
        if ref.kind != "StatefulSet":
            return None
        self.views.changed.mark(ref.uid, pod)
        key = (namespace, ref.name)
        sts = self.sets.find(key)
        if sts is None or sts.metadata.uid != ref.uid:
            return None
        self.queue.add(key, row)
        return sts

    # ---- one sync -------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync | None:
        """Claim revisions and pods, decide, carry out the plan, write the status, trim the history.

        None of that if all is as it was when a sync of this version of the set found nothing to do.
        """
        for uid in self._gone.pop(key, ()) if self._gone else ():
            self._forget(uid)
        sts = self.sets.find(key)
        if sts is None:
            return None
        self.written.ensure_ready(sts.metadata.uid)
        history = self._history(sts)
        if history.has_orphans:
            return self._adopt_revisions_and_sync(sts, client)
        unclaimed = self.views.refresh(sts)
        if not unclaimed and self.views.is_settled(sts, history, self.clock.now):
            return None
        return self._claim_and_update(sts, history, unclaimed, client)

    def _adopt_revisions_and_sync(self, sts: StatefulSet, client: Client) -> Sync:
        yield from self._adopt_revisions(sts, client)
        history = self._history(sts)
        unclaimed = self.views.refresh(sts)
        if unclaimed or not self.views.is_settled(sts, history, self.clock.now):
            yield from self._claim_and_update(sts, history, unclaimed, client)

    def _claim_and_update(self, sts: StatefulSet, history: History, unclaimed: bool, client: Client) -> Sync:
        if unclaimed:
            yield from self.views.adopt_and_release(sts, client)
            history = self._history(sts)
        errors: list[ApiError] = []
        live = set()
        status: StatefulSetStatus | None = None
        version: StatefulSet | None = sts
        idle = False
        try:
            update, collisions = history.update.revision, sts.status.collision_count
            if history.update.how != "use":
                update, collisions = yield from self._make_update_revision(sts, history.update, client)
            current = current_revision_of(sts, history.revisions, update)
            live = {current.metadata.name, update.metadata.name}
            plan = self._decide(sts, current, update, collisions, client)
            deleted = (yield from self._carry_out(sts, plan.batches, client, errors)) if plan.batches else 0
            status = status_to_write(sts, plan.status, deleted)
            idle = not plan.batches
            if inconsistent_status(sts, status):  # even if a batch has failed
                version = yield from self._update_status(sts, status, client)
        except ApiError as error:
            errors.append(error)
        if len(history.revisions) > sts.spec.revision_history_limit:
            yield from self._truncate_history(sts, history.revisions, live, client, errors)
        if errors:
            raise_first_of(errors)
        if status is not None and sts.spec.min_ready_seconds and status.ready_replicas != status.available_replicas:
            self.queue.add_after(sts.key, self._next_available_ns(sts) - self.clock.now, client.cause)
        elif idle and version is not None and history.is_complete(sts):
            if version is sts or are_alike_to_decide_on(version.status, sts.status):
                self.views.settle(version, history)

    def _forget(self, uid: str) -> None:
        """Drop what is known of a set that is gone."""
        self.views.forget(uid)
        self.written.clear(uid)
        self._histories.pop(uid, None)
        self._waiting.pop(uid, None)

    def _decide(
        self, sts: StatefulSet, current: ControllerRevision, update: ControllerRevision, collisions: int, client: Client
    ) -> Plan:
        uid = sts.metadata.uid
        now = self.clock.now
        replicas = self.views.of(sts, update.metadata.name)
        plan = update_stateful_set(
            sts,
            replicas,
            replicas.claims,
            current,
            update,
            collisions,
            now,
            self._max_unavailable,
        )
        if plan.waiting != self._waiting.get(uid, ""):
            self._waiting[uid] = plan.waiting
            if plan.waiting:
                detail = {"controller": "StatefulSet", "reason": plan.waiting}
                self.sim.trace.append(now, "Controller", sts.name, "Waiting", detail, client.cause, sts.namespace)
        return plan

    def _carry_out(
        self, sts: StatefulSet, batches: Sequence[Batch], client: Client, errors: list[ApiError]
    ) -> Generator[Event, Any, int]:
        """Apply a plan batch by batch until one fails; return how many pods the rolling update has deleted."""
        control = StatefulPodControl(client, sts, self.claim_lookup(sts), self.pods, self.written)
        for batch in batches:
            failed = yield from concurrently(self.clock, [control.run(lane) for lane in batch])
            if failed:
                errors += failed
                break
        return control.deleted_for_update

    def _update_status(
        self, sts: StatefulSet, status: StatefulSetStatus, client: Client
    ) -> Generator[Event, Any, StatefulSet | None]:
        """Write the status; return the version that then has it, None if it may differ from the set in more."""
        version, attempts = sts, 0
        while True:
            attempts += 1
            try:
                updated = yield from client.update_status(replace(version, status=status))
            except ApiError as error:
                version = self.sets.find(sts.key) or version
                yield DEFAULT_RETRY.wait_after(error, attempts, client)
            else:
                self.written.wrote(sts.metadata.uid, updated)
                return updated if version is sts else None

    def _next_available_ns(self, sts: StatefulSet) -> int:
        due = self.views.next_available_ns(sts.uid)
        return due if due is not None else self.clock.now + sts.spec.min_ready_seconds * SECOND

    def claim_lookup(self, sts: StatefulSet) -> ClaimLookup:
        """Return how to find the set's claims in the cache."""
        return lambda name: self.claims.get(sts.namespace, name)

    # ---- revisions ------------------------------------------------------------------------------------------

    def _history(self, sts: StatefulSet) -> History:
        """Return the set's revisions, looked for anew if the cache has heard of one or the template is another."""
        uid, version = sts.metadata.uid, self.revisions.resource_version
        known = self._histories.get(uid)
        if known is not None and known.still_holds(sts, version):
            return known
        owned = self.revisions.by_index(CONTROLLER_INDEX, uid)
        history = self._histories[uid] = History(sts, owned, self._orphan_revisions(sts), version)
        return history

    def _orphan_revisions(self, sts: StatefulSet) -> list[ControllerRevision]:
        orphans = self.revisions.by_index(ORPHAN_INDEX, sts.metadata.namespace)
        return [r for r in orphans if selector_matches(sts.spec.selector, r.metadata.labels)]

    def _adopt_revisions(self, sts: StatefulSet, client: Client) -> Generator[Event, Any, None]:
        adoption = Adoption(client, sts)
        for revision in self._orphan_revisions(sts):
            yield from adoption.adopt(revision)

    def _make_update_revision(
        self, sts: StatefulSet, choice: UpdateRevision, client: Client
    ) -> Generator[Event, Any, tuple[ControllerRevision, int]]:
        """Create the revision of the set's template, or give an old one a new number; return the collision count too.

        With `current_revision_of` it is getStatefulSetRevisions.
        """
        collisions = sts.status.collision_count
        if choice.how == "create":
            return (yield from create_controller_revision(client, sts, choice.revision, collisions))
        return (yield from update_controller_revision(client, choice.revision, choice.number)), collisions

    def _truncate_history(
        self,
        sts: StatefulSet,
        revisions: list[ControllerRevision],
        live: set[str],
        client: Client,
        errors: list[ApiError],
    ) -> Generator[Event, Any, None]:
        live |= set(self.views.revisions(sts.uid))
        for revision in surplus_revisions(sts, revisions, live):
            try:
                yield from client.delete(ControllerRevision, *revision.key)
            except NotFound:
                pass
            except ApiError as error:
                errors.append(error)
                return


class Views:
    """For each set its claimed pods, kept up to date with what has changed since the last sync.

    Attributes
    ----------
    changed
        Pods, by the UIDs of sets that own them, or owned them.
    """

    def __init__(self, controller: StatefulSetController) -> None:
        self._controller = controller
        self._views: dict[str, Replicas] = {}
        self.changed = Changed()
        self._strangers: dict[str, dict[str, None]] = {}
        self._changed_claims: dict[str, dict[int, None]] = {}
        self._claim_prefixes: dict[tuple[str, str], dict[str, None]] = {}

    # ---- what has changed -----------------------------------------------------------------------------------

    def claim_changed(self, claim: Object) -> None:
        """Remember that a claim has changed, if a set may have made it."""
        prefix, ordinal = parent_and_ordinal(claim.name)
        for uid in self._claim_prefixes.get((claim.namespace, prefix), ()):
            self._changed_claims[uid][ordinal] = None

    def forget(self, uid: str) -> None:
        """Drop what is known of a set that is gone."""
        view = self._views.pop(uid, None)
        self.changed.forget(uid)
        self._strangers.pop(uid, None)
        if view is not None:
            del self._changed_claims[uid]
            for prefix in _claim_prefixes(view.sts):
                del self._claim_prefixes[prefix][uid]

    # ---- reads ----------------------------------------------------------------------------------------------

    def of(self, sts: StatefulSet, update_revision: str) -> Replicas:
        """Return the set's pods, filed for an update revision."""
        uid = sts.metadata.uid
        view = self._views[uid]
        if sts is not view.sts or update_revision != view.update_revision:
            view = self._views[uid] = view.refitted(sts, update_revision)
        return view

    def settle(self, sts: StatefulSet, history: History) -> None:
        """Remember that nothing is to be done for a set while pods, claims and revisions stay as they are."""
        view = self._views[sts.metadata.uid]
        view.settled = (sts, history, view.filings)

    def is_settled(self, sts: StatefulSet, history: History, now_ns: int) -> bool:
        """Tell whether nothing is to be done, as the last sync of this very version has found."""
        view = self._views[sts.metadata.uid]
        view.advance(now_ns)
        if view.settled is None:
            return False
        version, revisions, filings = view.settled
        return version is sts and revisions is history and filings == view.filings

    def next_available_ns(self, uid: str) -> int | None:
        """Return when the next Ready pod becomes available."""
        return self._views[uid].next_available_ns()

    def revisions(self, uid: str) -> list[str]:
        """Return the revisions that the set's pods name."""
        view = self._views.get(uid)
        return view.revisions() if view is not None else []

    # ---- claiming -------------------------------------------------------------------------------------------

    def refresh(self, sts: StatefulSet) -> bool:
        """Bring the set's view up to date; tell whether there are pods to adopt or to release.

        Those are pods without a controller, and strangers, which the set owns and which are no members of it.
        """
        pods = self._controller.pods
        uid = sts.metadata.uid
        view = self._views.get(uid) or self._new_view(sts)
        strangers = self._strangers[uid]
        for name in self.changed.take(uid):
            pod = pods.find((sts.metadata.namespace, name))
            known = view.find(name)
            if pod is not None and known is not None and sts.spec is view.sts.spec and same_identity(pod, known.pod):
                view.put(pod, known)  # it is the set's, and a member, as before
                continue
            ref = controller_of(pod) if pod is not None else None
            strangers.pop(name, None)
            if pod is None or ref is None or ref.uid != uid:
                view.remove(name)
            elif _is_member(pod, sts):
                view.put(pod)
            else:
                view.remove(name)
                strangers[name] = None
        changed_claims = self._changed_claims[uid]
        if changed_claims:
            for ordinal in changed_claims:
                view.claims_changed(ordinal)
            changed_claims.clear()
        return bool(strangers or pods.by_index(ORPHAN_INDEX, sts.metadata.namespace))

    def _new_view(self, sts: StatefulSet) -> Replicas:
        lookup = self._controller.claim_lookup(sts)
        view = self._views[sts.uid] = Replicas(sts, "", lookup, now_ns=self._controller.clock.now)
        self._strangers[sts.uid] = {}
        self._changed_claims[sts.uid] = {}
        for prefix in _claim_prefixes(sts):
            self._claim_prefixes.setdefault(prefix, {})[sts.uid] = None
        return view

    def adopt_and_release(self, sts: StatefulSet, client: Client) -> Generator[Event, Any, None]:
        """Adopt and release pods as ownership has it (with `refresh`: getPodsForStatefulSet)."""
        pods = self._controller.pods
        view = self._views[sts.metadata.uid]
        strangers = list(self._strangers[sts.metadata.uid])
        errors: list[ApiError] = []
        adoption = Adoption(client, sts)
        for pod in list(pods.by_index(ORPHAN_INDEX, sts.metadata.namespace)):
            if claim_object(pod, sts, _is_member(pod, sts)) == "adopt":
                try:
                    if (yield from adoption.adopt(pod)):
                        view.put(pod)
                except ApiError as error:
                    errors.append(error)
        for name in strangers:
            stranger = pods.get(sts.namespace, name)
            if stranger is not None and claim_object(stranger, sts, matches=False) == "release":
                try:
                    yield from release(client, stranger, sts)
                except ApiError as error:
                    errors.append(error)
        raise_first_of(errors)


def _is_member(pod: Pod, sts: StatefulSet) -> bool:
    """Tell whether a pod has the set's labels and a name of the set's (isMemberOf and the selector)."""
    return parent_and_ordinal(pod.metadata.name)[0] == sts.metadata.name and selector_matches(
        sts.spec.selector, pod.metadata.labels
    )


def _claim_prefixes(sts: StatefulSet) -> list[tuple[str, str]]:
    return [
        (sts.namespace, claim_name(sts, template, 0).removesuffix("-0")) for template in sts.spec.volume_claim_templates
    ]
