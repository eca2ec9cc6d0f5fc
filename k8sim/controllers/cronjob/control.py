"""Whether a CronJob starts a job now, and when to look again.

Source: pkg/controller/cronjob/cronjob_controllerv2.go (syncCronJob), utils.go (mostRecentScheduleTime).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from k8sim.api.batch import CronJob, Job
from k8sim.api.meta import Condition, ObjectMeta, condition_of, controller_ref

SECOND_NS = 1_000_000_000
NEXT_SCHEDULE_DELTA_NS = 100_000_000
"""How long after the minute a run is started, so that clocks that differ a little do not matter."""
TOO_MANY_MISSED = 100
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
NextRun = Callable[[int], int | None]
"""The first run after a time (ns of simulated time)."""


class Decision(NamedTuple):
    """What to do about the schedule.

    Attributes
    ----------
    run_ns
        The time of the schedule to start a job for, or None.
    replace
        Delete the jobs that still run first (concurrencyPolicy Replace).
    event
        (type, reason, message) to tell, or None.
    again_ns
        When to look again, None if never.
    """

    run_ns: int | None = None
    replace: bool = False
    event: tuple[str, str, str] | None = None
    again_ns: int | None = None


class Missed(NamedTuple):
    """The most recent run that is due, and how many were missed since the last one."""

    run_ns: int | None
    times: int


def finished(job: Job) -> Condition | None:
    """Return the condition that ended a job."""
    for type_ in ("Complete", "Failed"):
        condition = condition_of(job.status.conditions, type_)
        if condition is not None and condition.status == "True":
            return condition
    return None


def most_recent_schedule_time(cron_job: CronJob, now_ns: int, next_run: NextRun) -> Missed:
    """Return the latest run not after now that has not been started."""
    earliest = cron_job.status.last_schedule_time
    if earliest is None:
        earliest = cron_job.metadata.creation_timestamp or 0  # type: ignore[assignment]
    deadline = cron_job.spec.starting_deadline_seconds
    since = int(earliest or 0)
    if deadline is not None:
        since = max(since, now_ns - deadline * SECOND_NS)
    run, count = None, 0
    while (after := next_run(since)) is not None and after <= now_ns:
        run, count, since = after, count + 1, after
    return Missed(run, count)


def decide(cron_job: CronJob, now_ns: int, next_run: NextRun, job_name: Callable[[int], str]) -> Decision:
    """Decide whether to start a job now (syncCronJob).

    Parameters
    ----------
    job_name
        The name of the job of a run.
    """
    spec, status = cron_job.spec, cron_job.status
    upcoming = next_run(now_ns)
    again = None if upcoming is None else upcoming + NEXT_SCHEDULE_DELTA_NS
    missed = most_recent_schedule_time(cron_job, now_ns, next_run)
    run = missed.run_ns
    told = None
    if missed.times > TOO_MANY_MISSED:
        told = ("Warning", "TooManyMissedTimes", f"too many missed start times: {missed.times}")
    if run is None:
        return Decision(again_ns=again, event=told)
    if spec.starting_deadline_seconds is not None and run + spec.starting_deadline_seconds * SECOND_NS < now_ns:
        return Decision(event=("Warning", "MissSchedule", "Missed scheduled time to start a job"), again_ns=again)
    if status.last_schedule_time == run or any(ref.name == job_name(run) for ref in status.active):
        return Decision(again_ns=again, event=told)
    if spec.concurrency_policy == "Forbid" and status.active:
        message = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return Decision(event=("Normal", "JobAlreadyActive", message), again_ns=again)
    return Decision(run, spec.concurrency_policy == "Replace" and bool(status.active), told, again)


def surplus_jobs(cron_job: CronJob, jobs: Sequence[Job]) -> list[Job]:
    """Return finished jobs beyond the history limits, the oldest first."""
    ended = [(j, c.type) for j in jobs if (c := finished(j)) is not None]
    surplus: list[Job] = []
    for type_, limit in (
        ("Complete", cron_job.spec.successful_jobs_history_limit),
        ("Failed", cron_job.spec.failed_jobs_history_limit),
    ):
        kind = sorted((j for j, t in ended if t == type_), key=lambda j: (j.status.start_time or 0, j.name))
        surplus += kind[: max(0, len(kind) - limit)]
    return surplus


def new_job(cron_job: CronJob, name: str, scheduled_at: str) -> Job:
    """Return the job of a run (getJobFromTemplate2)."""
    template = cron_job.spec.job_template
    return Job(
        metadata=ObjectMeta(
            name=name,
            namespace=cron_job.namespace,
            labels=template.metadata.labels,
            annotations={**template.metadata.annotations, SCHEDULED_AT: scheduled_at},
            owner_references=(controller_ref(cron_job),),
        ),
        spec=template.spec,
    )
