"""Which Jobs need a sync, and what a sync does around the decision (pkg/controller/job/job_controller.go)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

from k8sim.api.batch import Job, JobStatus, UncountedTerminatedPods
from k8sim.api.core import Pod
from k8sim.api.meta import Condition, ObjectMeta, condition_of, controller_of, with_meta
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.concurrent import concurrently, raise_first_of
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.expectations import Expectations
from k8sim.controllers.job.control import (
    FINALIZER,
    Backoff,
    Counts,
    Plan,
    Verdict,
    count,
    deadline_ns,
    is_finished,
    manage,
    verdict,
)
from k8sim.controllers.job.indexes import INDEX, format_indexes
from k8sim.controllers.ownership import CONTROLLER_INDEX, index_by_controller
from k8sim.controllers.pod_template import pod_from_template
from k8sim.sim.clock import Event
from k8sim.sim.units import MINUTE, SECOND

Requests = Generator[Event, Any, None]
BATCH_PERIOD_NS = 1 * SECOND
"""How long events of pods are gathered before a sync (syncJobBatchPeriod)."""


class JobController(Controller):
    """Runs pods to completion."""

    name = "job-controller"
    workers = 5
    base_delay_ns = 1 * SECOND
    max_delay_ns = 1 * MINUTE

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.jobs = self.informers.of(Job)
        self.pods = self.informers.of(Pod)
        index_by_controller(self.pods)
        self.expectations = Expectations()
        self._backoffs: dict[str, Backoff] = {}
        self._seen_ended: dict[str, set[str]] = {}
        self._released: dict[str, set[str]] = {}
        self.jobs.add_handler(self._job_changed)
        self.pods.add_owners_handler("Job", self._pod_changed)

    # ---- which jobs -----------------------------------------------------------------------------------------

    def _job_changed(self, change: Change) -> None:
        job, old = change.new, change.old
        if change.type == "DELETED":
            self.expectations.forget(job.uid)
            self._backoffs.pop(job.uid, None)
            self._seen_ended.pop(job.uid, None)
            self._released.pop(job.uid, None)
        if old is not None and change.type == "MODIFIED" and job.metadata.generation == old.metadata.generation:
            self.queue.add_after(job.key, BATCH_PERIOD_NS, change.row)
        else:
            self.queue.add(job.key, change.row)

    def _pod_changed(self, change: Change) -> None:
        pod = change.new
        assert isinstance(pod, Pod)
        ref = controller_of(pod)
        if ref is None or ref.kind != "Job":
            return
        if change.type == "DELETED" or pod.deleting:
            self.expectations.deletion_observed(ref.uid, pod.name)
        elif change.type == "ADDED":
            self.expectations.creation_observed(ref.uid)
        job = self.jobs.get(pod.namespace, ref.name)
        if job is not None and job.uid == ref.uid:
            self.queue.add_after(job.key, BATCH_PERIOD_NS, change.row)
        elif FINALIZER in pod.metadata.finalizers:
            self._release_orphan(pod)

    def _release_orphan(self, pod: Pod) -> None:
        """A pod whose job is gone must not be held by the job's finalizer."""
        client = self.client()
        self.tasks.append(self.clock.spawn(_quietly(self._remove_finalizer(pod, client))))

    # ---- one sync -------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Count ended pods, end the job or manage its pods, and write the status."""
        job = self.jobs.find(key)
        if job is None:
            return
        pods = list(self.pods.by_index(CONTROLLER_INDEX, job.uid))
        if is_finished(job):
            yield from self._remove_finalizers([p for p in pods if FINALIZER in p.metadata.finalizers], client)
            return
        may_act = self.expectations.satisfied(job.uid, self.clock.now)
        counts = count(job, pods, self._released.get(job.uid, set()))
        backoff = self._record_ended(job, counts)
        started = self._with_start(job, client)
        end = verdict(started, counts, self.clock.now)
        plan = Plan()
        errors: list[ApiError] = []
        if end is not None:
            plan = Plan(delete=counts.active)
        elif may_act and not job.deleting:
            plan = manage(started, counts, backoff.remaining_ns(self.clock.now))
        try:
            yield from self._carry_out(job, plan, client)
        except ApiError as error:
            errors.append(error)
            plan = Plan()
        yield from self._track(job, pods, counts, plan, self._status(started, counts, plan, end, client), client)
        raise_first_of(errors)
        if plan.again_after_ns is not None:
            self.queue.add_after(key, plan.again_after_ns, client.cause)

    def _record_ended(self, job: Job, counts: Counts) -> Backoff:
        """Count each ended pod once for the back-off, also when a status write has failed in between."""
        backoff = self._backoffs.setdefault(job.uid, Backoff())
        seen = self._seen_ended.setdefault(job.uid, set())
        failed = tuple(p for p in counts.new_failed if p.uid not in seen)
        succeeded = tuple(p for p in counts.new_succeeded if p.uid not in seen)
        seen.update(p.uid for p in (*failed, *succeeded))
        backoff.record(succeeded, failed, self.clock.now)
        return backoff

    def _with_start(self, job: Job, client: Client) -> Job:
        """A job that is not suspended starts at its first sync; a suspended one has no start time."""
        status = job.status
        if job.spec.suspend:
            if status.start_time is not None:
                client.event(job, "Normal", "Suspended", "Job suspended")
            return replace(job, status=replace(status, start_time=None))
        if status.start_time is None:
            status = replace(status, start_time=Time(self.clock.truncated()))
            job = replace(job, status=status)
        due = deadline_ns(job)
        if due is not None and due > self.clock.now:
            self.queue.add_after(job.key, due - self.clock.now, client.cause)
        return job

    def _status(self, job: Job, counts: Counts, plan: Plan, end: Verdict | None, client: Client) -> JobStatus:
        status = job.status
        active = len(counts.active) + len(plan.create) - len(plan.delete)
        terminating = counts.terminating + len(plan.delete)
        now = Time(self.clock.truncated())
        conditions = status.conditions
        if end is not None:
            early = "FailureTarget" if end.type == "Failed" else "SuccessCriteriaMet"
            conditions = _with(conditions, early, end, now)
            if not active and not terminating:
                conditions = _with(conditions, end.type, end, now)
                kind = "Warning" if end.type == "Failed" else "Normal"
                reason = end.reason if end.type == "Failed" else "Completed"
                client.event(job, kind, reason, end.message if end.type == "Failed" else "Job completed")
        completed = end is not None and end.type == "Complete" and not active and not terminating
        return replace(
            status,
            active=max(0, active),
            ready=counts.ready,
            terminating=terminating,
            conditions=conditions,
            completed_indexes=format_indexes(counts.succeeded_indexes),
            completion_time=now if completed else status.completion_time,
        )

    # ---- ended pods are counted exactly once ----------------------------------------------------------------

    def _track(
        self, job: Job, pods: list[Pod], counts: Counts, plan: Plan, status: JobStatus, client: Client
    ) -> Requests:
        """Note ended pods in the status, take their finalizers off, and move them into the counters.

        In this order, so that none is lost or counted twice (trackJobStatusAndRemoveFinalizers).
        """
        known = status.uncounted_terminated_pods
        uncounted = UncountedTerminatedPods(
            succeeded=(*known.succeeded, *(p.uid for p in counts.new_succeeded)),
            failed=(*known.failed, *(p.uid for p in counts.new_failed)),
        )
        stored = job
        if uncounted.succeeded or uncounted.failed:
            interim = replace(
                status,
                uncounted_terminated_pods=uncounted,
                conditions=tuple(c for c in status.conditions if c.type not in ("Complete", "Failed")),
                completion_time=job.status.completion_time,
            )
            if interim != job.status:
                stored = yield from client.update_status(replace(job, status=interim))
            uids = {*uncounted.succeeded, *uncounted.failed}
            ended = [p for p in pods if p.uid in uids and FINALIZER in p.metadata.finalizers]
            yield from self._remove_finalizers(ended, client)
            self._released.setdefault(job.uid, set()).update(uids)
            status = replace(
                status,
                succeeded=status.succeeded + len(uncounted.succeeded),
                failed=status.failed + len(uncounted.failed),
                uncounted_terminated_pods=UncountedTerminatedPods(),
            )
        if status != stored.status:
            yield from client.update_status(replace(stored, status=status))

    def _remove_finalizers(self, pods: list[Pod], client: Client) -> Requests:
        lanes = [self._remove_finalizer(pod, client) for pod in pods]
        raise_first_of((yield from concurrently(self.clock, lanes)))

    def _remove_finalizer(self, pod: Pod, client: Client) -> Requests:
        def without(stored: Pod) -> Pod:
            if stored.uid != pod.uid:
                return stored
            return with_meta(stored, finalizers=tuple(f for f in stored.metadata.finalizers if f != FINALIZER))

        with suppress(NotFound):
            yield from client.patch(Pod, *pod.key, without)

    # ---- creating and deleting ------------------------------------------------------------------------------

    def _carry_out(self, job: Job, plan: Plan, client: Client) -> Requests:
        if plan.create:
            yield from self._create(job, plan.create, client)
        elif plan.delete:
            self.expectations.expect(job.uid, self.clock.now, deletions=[p.name for p in plan.delete])
            lanes = [self._delete(job, pod, client) for pod in plan.delete]
            raise_first_of((yield from concurrently(self.clock, lanes)))

    def _create(self, job: Job, indexes: tuple[int | None, ...], client: Client) -> Requests:
        self.expectations.expect(job.uid, self.clock.now, creations=len(indexes))
        position, size = 0, 1
        while position < len(indexes):
            batch = indexes[position : position + size]
            errors = yield from concurrently(self.clock, [self._create_pod(job, i, client) for i in batch])
            position, size = position + len(batch), size * 2
            if errors:
                self.expectations.creation_observed(job.uid, len(indexes) - position)
                raise_first_of(errors[:1])

    def _create_pod(self, job: Job, index: int | None, client: Client) -> Requests:
        try:
            pod = yield from client.create(new_pod(job, index))
        except ApiError as error:
            self.expectations.creation_observed(job.uid)
            client.event(job, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        client.event(job, "Normal", "SuccessfulCreate", f"Created pod: {pod.name}")

    def _delete(self, job: Job, pod: Pod, client: Client) -> Requests:
        try:
            yield from client.delete(Pod, *pod.key)
        except ApiError as error:
            self.expectations.deletion_observed(job.uid, pod.name)
            if isinstance(error, NotFound):
                return
            client.event(job, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        client.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")


def new_pod(job: Job, index: int | None) -> Pod:
    """Return a new pod of a job, with the finalizer that keeps it until it is counted."""
    labels = {
        "batch.kubernetes.io/controller-uid": job.uid,
        "batch.kubernetes.io/job-name": job.name,
        "controller-uid": job.uid,
        "job-name": job.name,
    }
    spec = job.spec.template.spec
    if index is not None:
        labels[INDEX] = str(index)
        spec = replace(spec, hostname=f"{job.name}-{index}")
    pod = pod_from_template(job.spec.template, job, labels=labels, spec=spec)
    meta: ObjectMeta = replace(pod.metadata, finalizers=(*pod.metadata.finalizers, FINALIZER))
    if index is not None:
        annotations = {**meta.annotations, INDEX: str(index)}
        meta = replace(meta, generate_name=f"{job.name}-{index}-", annotations=annotations)
    return replace(pod, metadata=meta)


def _with(conditions: tuple[Condition, ...], type_: str, end: Verdict, now: Time) -> tuple[Condition, ...]:
    known = condition_of(conditions, type_)
    if known is not None and known.status == "True":
        return conditions
    new = Condition(
        type=type_,
        status="True",
        reason=end.reason,
        message=end.message,
        last_transition_time=now,
        last_probe_time=now,
    )
    return (*(c for c in conditions if c.type != type_), new)


def _quietly(requests: Requests) -> Requests:
    with suppress(ApiError):
        yield from requests
