"""Which Deployments need a sync, and what a sync does around the decision.

The controller works on its copy of the Deployment, as Kubernetes does: after a first status write in a sync (a new
revision), a second one meets a conflict, and the sync is tried again.

Source: pkg/controller/deployment/deployment_controller.go, sync.go, rolling.go, recreate.go; workloads.md 2.2.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

from k8sim.api.apps import Deployment, DeploymentStatus, ReplicaSet
from k8sim.api.core import Pod
from k8sim.api.meta import Condition, OwnerReference, controller_of, share_all_but_status, with_meta
from k8sim.api.selectors import selector_matches
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.deployment.control import (
    Plan,
    Scale,
    is_scaling_event,
    new_size,
    old_pods_running,
    roll_out,
    scale,
    scale_up_for_recreate,
    shrink_all,
)
from k8sim.controllers.deployment.progress import (
    FAILED_CREATE,
    FOUND_NEW_RS,
    NEW_RS,
    PROGRESSING,
    calculate_status,
    has_progress_deadline,
    new_condition,
    paused_condition,
    rollout_status,
    stuck_check_after_ns,
    timed_out,
    with_condition,
)
from k8sim.controllers.deployment.replica_sets import (
    REVISION,
    ReplicaSets,
    Settled,
    annotations_of_new,
    equal_ignore_hash,
    new_replica_set,
    next_revision,
    size_annotations,
    split,
    surplus,
)
from k8sim.controllers.ownership import (
    CONTROLLER_INDEX,
    ORPHAN_INDEX,
    claim_objects,
    controller_before,
    index_by_controller,
)
from k8sim.sim.clock import Event

Requests = Generator[Event, Any, None]


class DeploymentController(Controller):
    """Rolls out Deployments through ReplicaSets."""

    name = "deployment-controller"
    workers = 5
    max_retries = 15

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.deployments = self.informers.of(Deployment)
        self.sets = self.informers.of(ReplicaSet)
        self.pods = self.informers.of(Pod)
        index_by_controller(self.sets)
        index_by_controller(self.pods)
        self._waiting: dict[str, str] = {}
        self._settled: dict[str, Settled] = {}
        self._written: dict[str, tuple[Deployment, ReplicaSet]] = {}
        self.deployments.add_handler(self._deployment_changed)
        self.sets.add_handler(self._set_changed)
        self.pods.add_owners_handler("ReplicaSet", self._pod_changed)

    # ---- which Deployments ----------------------------------------------------------------------------------

    def _deployment_changed(self, change: Change) -> None:
        if change.type == "DELETED":
            self._waiting.pop(change.new.uid, None)
            self._settled.pop(change.new.uid, None)
            self._written.pop(change.new.uid, None)
        self.queue.add(change.new.key, change.row)

    def _set_changed(self, change: Change) -> None:
        rs, old = change.new, change.old
        ref = controller_of(rs)
        old_ref = controller_before(old, rs, ref)
        if old_ref is not ref and old_ref is not None and (ref is None or ref.uid != old_ref.uid):
            self._wake(rs.namespace, old_ref, change.row)
        if ref is not None:
            self._wake(rs.metadata.namespace, ref, change.row)
        elif change.type == "ADDED" or (
            change.type == "MODIFIED" and (old_ref is not None or rs.metadata.labels != old.metadata.labels)  # type: ignore[union-attr]
        ):
            for deployment in self.deployments.list(rs.namespace):
                if selector_matches(deployment.spec.selector, rs.metadata.labels):
                    self.queue.add(deployment.key, change.row)

    def _wake(self, namespace: str, ref: OwnerReference, row: int) -> None:
        """Queue the Deployment that a controller reference names, if it is the one with that UID."""
        if ref.kind == "Deployment":
            key = (namespace, ref.name)
            deployment = self.deployments.find(key)
            if deployment is not None and deployment.metadata.uid == ref.uid:
                self.queue.add(key, row)

    def _pod_changed(self, change: Change) -> None:
        """Only the end of the last pod wakes, and only a Deployment with Recreate."""
        if change.type != "DELETED":
            return
        pod_ref = controller_of(change.new)
        if pod_ref is None or pod_ref.kind != "ReplicaSet":
            return
        rs = self.sets.get(change.new.namespace, pod_ref.name)
        ref = controller_of(rs) if rs is not None and rs.uid == pod_ref.uid else None
        if ref is None:
            return
        deployment = self.deployments.get(change.new.namespace, ref.name)
        if deployment is not None and deployment.uid == ref.uid and deployment.spec.strategy.type == "Recreate":
            sets = self.sets.by_index(CONTROLLER_INDEX, ref.uid)
            if not any(True for rs in sets for _ in self.pods.by_index(CONTROLLER_INDEX, rs.uid)):
                self.queue.add(deployment.key, change.row)

    # ---- one sync -------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Find the ReplicaSets, then scale them or roll out."""
        deployment = self.deployments.find(key)
        if deployment is None:
            return
        cached = list(self.sets.by_index(CONTROLLER_INDEX, deployment.metadata.uid))
        orphans = list(self.sets.by_index(ORPHAN_INDEX, deployment.metadata.namespace))
        if self._is_echo(deployment, [*cached, *orphans]):
            self._check_again_if_stuck(deployment, deployment.status, client)
            return
        settled = self._settled.get(deployment.metadata.uid) if not orphans else None
        found = settled.found_again(deployment, cached) if settled is not None else None
        if found is not None:
            yield from self._roll_out(deployment, found, client)
            return
        found = split(deployment, (yield from self._claim_sets(deployment, [*cached, *orphans], client)))
        if deployment.metadata.deletion_timestamp is not None:
            yield from self._write_status(deployment, calculate_status(deployment, found, self._now()), client)
            return
        condition = paused_condition(deployment, self._now())
        if condition is not None:
            deployment = _with_progress_condition(deployment, condition)
            yield from client.update_status(deployment)
        if deployment.spec.paused or is_scaling_event(deployment, found):
            yield from self._scale(deployment, found, client)
            return
        may_create = deployment.spec.strategy.type != "Recreate"
        synced, sets = yield from self._sync_revision(deployment, found, client, may_create)
        if condition is None and synced is deployment and sets is found and not orphans:
            self._remember(deployment, cached, found)
        yield from self._roll_out(synced, sets, client)

    def _remember(self, deployment: Deployment, cached: Sequence[ReplicaSet], found: ReplicaSets) -> None:
        """Remember that a sync found nothing to put right before the rollout's next step."""
        if found.new is not None and len(found.old) + 1 == len(cached):  # none is to be released
            roles = [rs.metadata.uid for rs in (found.new, *found.old)]
            self._settled[deployment.metadata.uid] = Settled(deployment, cached, roles)

    def _scale(self, deployment: Deployment, found: ReplicaSets, client: Client) -> Requests:
        """Follow a change of size, or of anything while paused; the rollout waits."""
        deployment, found = yield from self._sync_revision(deployment, found, client, create=False)
        plan = scale(deployment, found)
        if deployment.spec.paused:
            plan = plan._replace(delete=tuple(surplus(deployment, found.old)), waiting="the Deployment is paused")
        yield from self._apply(deployment, plan, client)
        yield from self._write_status(deployment, calculate_status(deployment, found, self._now()), client)

    def _roll_out(self, deployment: Deployment, found: ReplicaSets, client: Client) -> Requests:
        """Take the next step of a rollout; but for the new ReplicaSet of a Recreate, all ReplicaSets are there."""
        if deployment.spec.strategy.type == "Recreate":
            return self._recreate(deployment, found, client)
        return self._carry_out(deployment, found, roll_out(deployment, found), client)

    def _recreate(self, deployment: Deployment, found: ReplicaSets, client: Client) -> Requests:
        first = self._end_old_pods(found) if found.old else None
        if first is not None:
            yield from self._carry_out(deployment, found, first, client)
            return
        if found.new is None:
            deployment, found = yield from self._sync_revision(deployment, found, client, create=True)
        yield from self._carry_out(deployment, found, scale_up_for_recreate(deployment, found), client)

    def _end_old_pods(self, found: ReplicaSets) -> Plan | None:
        """Return what has to happen before a Recreate makes pods, None if no old ones are left."""
        shrink = shrink_all(found)
        pods = (pod for rs in found.old for pod in self.pods.by_index(CONTROLLER_INDEX, rs.uid))
        if shrink or old_pods_running(found, pods):
            return Plan(shrink, waiting="waiting for old pods to end")
        return None

    def _carry_out(self, deployment: Deployment, sets: ReplicaSets, plan: Plan, client: Client) -> Requests:
        """Apply a plan and write the status of the rollout."""
        yield from self._apply(deployment, plan, client)
        status = rollout_status(deployment, sets, self.clock.now, self._now())
        if status == deployment.status:
            self._check_again_if_stuck(deployment, status, client)
            return
        written = yield from client.update_status(replace(deployment, status=status))
        if sets.new is not None and not sets.old and not plan.scales and share_all_but_status(written, deployment):
            self._written[deployment.metadata.uid] = (written, sets.new)

    def _is_echo(self, deployment: Deployment, sets: Sequence[ReplicaSet]) -> bool:
        """Tell whether a sync sees the status that the last one has written, and else what that one saw.

        It would do nothing, as the last one has given its only ReplicaSet no other size, unless time has run out.
        """
        written, rs = self._written.get(deployment.metadata.uid, (None, None))
        return (
            deployment is written
            and len(sets) == 1
            and sets[0] is rs
            and not timed_out(deployment, deployment.status, self.clock.now)
        )

    def _apply(self, deployment: Deployment, plan: Plan, client: Client) -> Requests:
        self._tell(deployment, plan.waiting, client)
        scaled: dict[str, ReplicaSet] = {}
        for step in plan.scales:
            step = step._replace(rs=scaled.get(step.rs.name, step.rs))
            scaled[step.rs.name] = yield from self._scale_replica_set(deployment, step, client)
        for rs in plan.delete:
            with suppress(NotFound):
                yield from client.delete(ReplicaSet, *rs.key)

    def _scale_replica_set(
        self, deployment: Deployment, step: Scale, client: Client
    ) -> Generator[Event, Any, ReplicaSet]:
        rs, was = step.rs, step.rs.spec.replicas
        annotations = size_annotations(deployment)
        stale = any(rs.metadata.annotations.get(k) != v for k, v in annotations.items())
        if step.replicas == was and not stale:
            return rs
        new = with_meta(rs, annotations={**rs.metadata.annotations, **annotations})
        updated = yield from client.update(replace(new, spec=replace(rs.spec, replicas=step.replicas)))
        if step.replicas != was:
            way = "up" if step.replicas > was else "down"
            message = f"Scaled {way} replica set {rs.name} from {was} to {step.replicas}"
            client.event(deployment, "Normal", "ScalingReplicaSet", message)
        return updated

    def _tell(self, deployment: Deployment, waiting: str, client: Client) -> None:
        """Put into the trace why nothing more happens, when that changes."""
        if waiting == self._waiting.get(deployment.metadata.uid, ""):
            return
        self._waiting[deployment.uid] = waiting
        if waiting:
            detail = {"controller": "Deployment", "reason": waiting}
            trace, now = self.sim.trace, self.clock.now
            trace.append(now, "Controller", deployment.name, "Waiting", detail, client.cause, deployment.namespace)

    # ---- status ---------------------------------------------------------------------------------------------

    def _now(self) -> Time:
        return Time(self.clock.truncated())

    def _write_status(self, deployment: Deployment, status: DeploymentStatus, client: Client) -> Requests:
        """Write a status that differs from the known one."""
        if status != deployment.status:
            yield from client.update_status(replace(deployment, status=status))

    def _check_again_if_stuck(self, deployment: Deployment, status: DeploymentStatus, client: Client) -> None:
        """Come back when the progress deadline has passed (requeueStuckDeployment)."""
        after = stuck_check_after_ns(deployment, status, self.clock.now)
        if after is None:
            return
        if after == 0:
            self.queue.add_rate_limited(deployment.key, client.cause)
        else:
            self.queue.add_after(deployment.key, after, client.cause)

    # ---- ReplicaSets ----------------------------------------------------------------------------------------

    def _claim_sets(
        self, deployment: Deployment, candidates: Sequence[ReplicaSet], client: Client
    ) -> Generator[Event, Any, list[ReplicaSet]]:
        found: list[ReplicaSet] = yield from claim_objects(
            client, deployment, candidates, lambda rs: selector_matches(deployment.spec.selector, rs.metadata.labels)
        )
        return found

    def _sync_revision(
        self, deployment: Deployment, found: ReplicaSets, client: Client, create: bool
    ) -> Generator[Event, Any, tuple[Deployment, ReplicaSets]]:
        """Take the new ReplicaSet, or create it; keep revision numbers (getAllReplicaSetsAndSyncRevision).

        Returns
        -------
        deployment, sets
            The Deployment as this sync now has it: with its new annotation and condition, at its old version.
        """
        if found.new is not None:
            deployment, new = yield from self._sync_existing(deployment, found, client)
            return deployment, found if new is found.new else found._replace(new=new)
        if not create:
            return deployment, found
        deployment, new = yield from self._create_new(deployment, found, client)
        return deployment, found._replace(new=new)

    def _sync_existing(
        self, deployment: Deployment, found: ReplicaSets, client: Client
    ) -> Generator[Event, Any, tuple[Deployment, ReplicaSet]]:
        new = found.new
        assert new is not None
        annotations = annotations_of_new(deployment, new, next_revision(found.old))
        min_ready = deployment.spec.min_ready_seconds
        if annotations != new.metadata.annotations or new.spec.min_ready_seconds != min_ready:
            wanted = with_meta(new, annotations=annotations)
            wanted = replace(wanted, spec=replace(wanted.spec, min_ready_seconds=min_ready))
            return deployment, (yield from client.update(wanted))
        changed = _with_revision(deployment, new.metadata.annotations.get(REVISION, ""))
        if has_progress_deadline(deployment) and not _has_progress_condition(deployment):
            message = f'Found new replica set "{new.name}"'
            changed = _with_progress_condition(
                changed, new_condition(PROGRESSING, "True", FOUND_NEW_RS, message, self._now())
            )
        if changed is not deployment:
            yield from client.update_status(changed)
        return changed, new

    def _create_new(
        self, deployment: Deployment, found: ReplicaSets, client: Client
    ) -> Generator[Event, Any, tuple[Deployment, ReplicaSet]]:
        size = new_size(deployment, found.old, 0)
        rs = new_replica_set(deployment, found.old, size)
        created: ReplicaSet | None = None
        try:
            created = yield from client.create(rs)
        except AlreadyExists as error:
            existing = yield from self._already_exists(deployment, rs, error, client)
        except ApiError as error:
            yield from self._report_failed_create(deployment, rs, error, client)
            raise
        else:
            existing = created
            if size > 0:
                message = f"Scaled up replica set {created.name} from 0 to {size}"
                client.event(deployment, "Normal", "ScalingReplicaSet", message)
        changed = _with_revision(deployment, str(next_revision(found.old)))
        if created is not None and has_progress_deadline(deployment):
            message = f'Created new replica set "{created.name}"'
            condition = new_condition(PROGRESSING, "True", NEW_RS, message, self._now())
            changed = _with_progress_condition(changed, condition)
        if changed is not deployment:
            yield from client.update_status(changed)
        return changed, existing

    def _already_exists(
        self, deployment: Deployment, rs: ReplicaSet, error: AlreadyExists, client: Client
    ) -> Generator[Event, Any, ReplicaSet]:
        """Use our own ReplicaSet that the cache did not show; any other means a collision of hashes."""
        known = self.sets.find(rs.key)
        if known is None:
            raise error
        ref = controller_of(known)
        ours = ref is not None and ref.uid == deployment.uid
        if ours and equal_ignore_hash(known.spec.template, deployment.spec.template):
            return known
        collided = replace(deployment.status, collision_count=deployment.status.collision_count + 1)
        yield from client.update_status(replace(deployment, status=collided))
        raise error

    def _report_failed_create(
        self, deployment: Deployment, rs: ReplicaSet, error: ApiError, client: Client
    ) -> Requests:
        message = f'Failed to create new replica set "{rs.name}": {error.message}'
        if has_progress_deadline(deployment):
            condition = new_condition(PROGRESSING, "False", FAILED_CREATE, message, self._now())
            with suppress(ApiError):  # there is a bigger problem to report
                yield from client.update_status(_with_progress_condition(deployment, condition))
        client.event(deployment, "Warning", FAILED_CREATE, message)


def _has_progress_condition(deployment: Deployment) -> bool:
    return any(c.type == PROGRESSING for c in deployment.status.conditions)


def _with_progress_condition(deployment: Deployment, condition: Condition) -> Deployment:
    conditions = with_condition(deployment.status.conditions, condition)
    return replace(deployment, status=replace(deployment.status, conditions=conditions))


def _with_revision(deployment: Deployment, number: str) -> Deployment:
    annotations = deployment.metadata.annotations
    if annotations.get(REVISION) == number:
        return deployment
    return with_meta(deployment, annotations={**annotations, REVISION: number})
