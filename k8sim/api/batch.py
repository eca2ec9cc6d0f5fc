"""The batch group, as far as schedules need it: Job, CronJob."""

from __future__ import annotations

from typing import ClassVar

from k8sim.api.core import ObjectReference, PodTemplateSpec
from k8sim.api.meta import Condition, LabelSelector, Object, ObjectMeta
from k8sim.api.struct import Struct, Time


class JobSpec(Struct, frozen=True):
    """What a job is to do."""

    parallelism: int = 1
    completions: int | None = None
    backoff_limit: int = 6
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool = False
    completion_mode: str = "NonIndexed"
    pod_replacement_policy: str = "TerminatingOrFailed"
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()


class UncountedTerminatedPods(Struct, frozen=True):
    """UIDs of ended pods that still carry the tracking finalizer, or are not yet in the counters."""

    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class JobStatus(Struct, frozen=True):
    """How far a job is."""

    active: int = 0
    ready: int | None = None
    succeeded: int = 0
    failed: int = 0
    terminating: int | None = None
    completed_indexes: str = ""
    uncounted_terminated_pods: UncountedTerminatedPods = UncountedTerminatedPods()
    start_time: Time | None = None
    completion_time: Time | None = None
    conditions: tuple[Condition, ...] = ()


class Job(Object, frozen=True):
    """Pods that run to completion."""

    api_version: ClassVar[str] = "batch/v1"
    kind: ClassVar[str] = "Job"
    plural: ClassVar[str] = "jobs"

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class JobTemplateSpec(Struct, frozen=True):
    """What a CronJob makes jobs from."""

    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpec = JobSpec()


class CronJobSpec(Struct, frozen=True):
    """When and what to run."""

    schedule: str = ""
    time_zone: str | None = None
    suspend: bool = False
    concurrency_policy: str = "Allow"
    starting_deadline_seconds: int | None = None
    successful_jobs_history_limit: int = 3
    failed_jobs_history_limit: int = 1
    job_template: JobTemplateSpec = JobTemplateSpec()


class CronJobStatus(Struct, frozen=True):
    """What runs, and when it last ran."""

    active: tuple[ObjectReference, ...] = ()
    last_schedule_time: Time | None = None
    last_successful_time: Time | None = None


class CronJob(Object, frozen=True):
    """Jobs by the clock."""

    api_version: ClassVar[str] = "batch/v1"
    kind: ClassVar[str] = "CronJob"
    plural: ClassVar[str] = "cronjobs"

    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()
