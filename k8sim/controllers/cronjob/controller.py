"""Which CronJobs need a sync, and what a sync does: no polling, the next run is a deadline.

Source: pkg/controller/cronjob/cronjob_controllerv2.go.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from k8sim.api.batch import CronJob, CronJobStatus, Job
from k8sim.api.core import ObjectReference
from k8sim.api.meta import controller_of
from k8sim.api.scheme import EPOCH, format_time
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.cronjob.control import NextRun, decide, finished, new_job, surplus_jobs
from k8sim.controllers.cronjob.schedule import Schedule, parse_schedule
from k8sim.controllers.ownership import CONTROLLER_INDEX, index_by_controller
from k8sim.sim.clock import Event
from k8sim.sim.units import MINUTE

Requests = Generator[Event, Any, None]


class CronJobController(Controller):
    """Starts Jobs by the clock."""

    name = "cronjob-controller"
    workers = 5

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.cron_jobs = self.informers.of(CronJob)
        self.jobs = self.informers.of(Job)
        index_by_controller(self.jobs)
        self._schedules: dict[tuple[str, str | None], Schedule | None] = {}
        self.cron_jobs.add_handler(lambda change: self.queue.add(change.new.key, change.row))
        self.jobs.add_handler(self._job_changed)

    def _job_changed(self, change: Change) -> None:
        ref = controller_of(change.new)
        if ref is not None and ref.kind == "CronJob":
            cron_job = self.cron_jobs.get(change.new.namespace, ref.name)
            if cron_job is not None and cron_job.uid == ref.uid:
                self.queue.add(cron_job.key, change.row)

    # ---- the calendar ---------------------------------------------------------------------------------------

    def _schedule(self, cron_job: CronJob) -> Schedule | None:
        """Return the parsed schedule, None if it cannot be read."""
        key = (cron_job.spec.schedule, cron_job.spec.time_zone)
        if key not in self._schedules:
            try:
                zone = ZoneInfo(key[1]) if key[1] else UTC
                self._schedules[key] = parse_schedule(key[0], zone)
            except (ValueError, KeyError, OSError):
                self._schedules[key] = None
        return self._schedules[key]

    def _next_run(self, schedule: Schedule) -> NextRun:
        """Turn a schedule into simulated time; the wall clock's whole seconds lie at the clock's phase."""
        phase = self.clock.second_phase_ns

        def next_run(after_ns: int) -> int | None:
            found = schedule.next(EPOCH + timedelta(microseconds=(after_ns - phase) // 1000))
            return None if found is None else round((found - EPOCH) / timedelta(microseconds=1)) * 1000 + phase

        return next_run

    # ---- one sync -------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Note ended jobs, start a job if one is due, delete old ones, write the status."""
        cron_job = self.cron_jobs.find(key)
        if cron_job is None:
            return
        jobs = list(self.jobs.by_index(CONTROLLER_INDEX, cron_job.uid))
        status = self._note_jobs(cron_job, jobs, client)
        cron_job = replace(cron_job, status=status)
        errors: list[ApiError] = []
        if not cron_job.deleting and not cron_job.spec.suspend:
            try:
                status = yield from self._run_if_due(cron_job, client)
            except ApiError as error:
                errors.append(error)
        for job in surplus_jobs(cron_job, jobs):
            yield from self._delete_job(cron_job, job.key, client)
        stored = self.cron_jobs.find(key)
        if stored is not None and stored.uid == cron_job.uid and status != stored.status:
            yield from client.update_status(replace(cron_job, status=status))
        if errors:
            raise errors[0]

    def _note_jobs(self, cron_job: CronJob, jobs: list[Job], client: Client) -> CronJobStatus:
        status = cron_job.status
        by_uid = {job.uid: job for job in jobs}
        active = []
        last = status.last_successful_time
        for ref in status.active:
            job = by_uid.get(ref.uid)
            end = finished(job) if job is not None else None
            if job is not None and end is None:
                active.append(ref)
            elif end is not None:
                message = f"Saw completed job: {ref.name}, condition: {end.type}"
                client.event(cron_job, "Normal", "SawCompletedJob", message)
            elif self.jobs.get(cron_job.namespace, ref.name) is None and not self._cache_lags(ref):
                client.event(cron_job, "Normal", "MissingJob", f"Active job went missing: {ref.name}")
            else:
                active.append(ref)
        for job in jobs:
            ended = job.status.completion_time
            if ended is not None and (last is None or ended > last):
                last = ended
        return replace(status, active=tuple(active), last_successful_time=last)

    def _cache_lags(self, ref: ObjectReference) -> bool:
        """Tell whether the cache of jobs is older than a job that this controller started."""
        return self.jobs.resource_version < int(ref.resource_version or 0)

    def _run_if_due(self, cron_job: CronJob, client: Client) -> Generator[Event, Any, CronJobStatus]:
        status = cron_job.status
        schedule = self._schedule(cron_job)
        if schedule is None:
            message = f"unparseable schedule: {cron_job.spec.schedule}"
            client.event(cron_job, "Warning", "UnparseableSchedule", message)
            return status
        decision = decide(cron_job, self.clock.now, self._next_run(schedule), lambda run: self._job_name(cron_job, run))
        if decision.event is not None:
            client.event(cron_job, *decision.event)
        if decision.replace:
            for ref in status.active:
                yield from self._delete_job(cron_job, (cron_job.namespace, ref.name), client)
            status = replace(status, active=())
        if decision.run_ns is not None:
            status = yield from self._start(cron_job, status, decision.run_ns, client)
        if decision.again_ns is not None:
            self.queue.add_after(cron_job.key, decision.again_ns - self.clock.now, client.cause)
        return status

    def _start(
        self, cron_job: CronJob, status: CronJobStatus, run_ns: int, client: Client
    ) -> Generator[Event, Any, CronJobStatus]:
        name = self._job_name(cron_job, run_ns)
        try:
            job = yield from client.create(new_job(cron_job, name, format_time(run_ns - self.clock.second_phase_ns)))
        except AlreadyExists:
            known = self.jobs.get(cron_job.namespace, name)
            ref = controller_of(known) if known is not None else None
            if known is None or ref is None or ref.uid != cron_job.uid:
                return status
            job = known
        except ApiError as error:
            client.event(cron_job, "Warning", "FailedCreate", f"Error creating job: {error.message}")
            raise
        else:
            client.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {name}")
        started = ObjectReference(
            api_version=job.api_version,
            kind=job.kind,
            namespace=job.namespace,
            name=job.name,
            uid=job.uid,
            resource_version=str(job.metadata.resource_version),
        )
        return replace(status, active=(*status.active, started), last_schedule_time=Time(run_ns))

    def _job_name(self, cron_job: CronJob, run_ns: int) -> str:
        """Return the name of a run's job: the CronJob's and the minute of the run."""
        minutes = int(EPOCH.timestamp()) // 60 + (run_ns - self.clock.second_phase_ns) // MINUTE
        return f"{cron_job.name}-{minutes}"

    def _delete_job(self, cron_job: CronJob, key: Key, client: Client) -> Requests:
        with suppress(NotFound):
            yield from client.delete(Job, *key, propagation="Background")
            client.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {key[1]}")
