"""What a Job does now: count ended pods, decide whether it is over, create or delete pods.

Source: pkg/controller/job/job_controller.go (syncJob, manageJob), backoff_utils.go.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from k8sim.api.batch import Job
from k8sim.api.core import Pod
from k8sim.api.meta import Condition, condition_of
from k8sim.api.pods import is_pod_active, is_pod_ready, is_pod_terminal
from k8sim.controllers.job.indexes import index_of, parse_indexes

SECOND_NS = 1_000_000_000
FINALIZER = "batch.kubernetes.io/job-tracking"
BACKOFF_NS, BACKOFF_MAX_NS = 10 * SECOND_NS, 600 * SECOND_NS
MAX_CREATE_OR_DELETE = 500


@dataclass(frozen=True)
class Verdict:
    """How a job ends."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Counts:
    """A job's pods, those already in the status included."""

    active: tuple[Pod, ...]
    ready: int
    terminating: int
    new_succeeded: tuple[Pod, ...]
    new_failed: tuple[Pod, ...]
    succeeded: int
    failed: int
    succeeded_indexes: frozenset[int]


@dataclass(frozen=True)
class Plan:
    """Pods to create (by index, or None) or to delete, and when to look again (None: at the next event)."""

    create: tuple[int | None, ...] = ()
    delete: tuple[Pod, ...] = ()
    again_after_ns: int | None = None


def is_finished(job: Job) -> bool:
    """Tell whether a job is Complete or Failed."""
    return finished_condition(job) is not None


def finished_condition(job: Job) -> Condition | None:
    """Return the condition that ended the job."""
    for type_ in ("Complete", "Failed"):
        condition = condition_of(job.status.conditions, type_)
        if condition is not None and condition.status == "True":
            return condition
    return None


def is_pod_failed(pod: Pod, job: Job) -> bool:
    """Tell whether a pod counts as failed; one that is being deleted does, unless only ended pods are replaced."""
    if pod.status.phase == "Failed":
        return True
    if job.spec.pod_replacement_policy == "Failed":
        return False
    return pod.deleting and pod.status.phase != "Succeeded"


def count(job: Job, pods: Sequence[Pod], released: Collection[str] = ()) -> Counts:
    """Count a job's pods; ended ones count once, as long as they carry the tracking finalizer.

    ``released`` are UIDs of pods whose finalizer is gone, even if the cache does not show that yet.
    """
    known = {
        *job.status.uncounted_terminated_pods.succeeded,
        *job.status.uncounted_terminated_pods.failed,
        *released,
    }
    fresh = [p for p in pods if FINALIZER in p.metadata.finalizers and p.uid not in known]
    succeeded = tuple(p for p in fresh if p.status.phase == "Succeeded")
    failed = tuple(p for p in fresh if is_pod_failed(p, job))
    active = tuple(p for p in pods if is_pod_active(p))
    uncounted = job.status.uncounted_terminated_pods
    done = parse_indexes(job.status.completed_indexes)
    done |= {i for p in pods if p.status.phase == "Succeeded" and (i := index_of(p)) is not None}
    total = job.status.succeeded + len(uncounted.succeeded) + len(succeeded)
    return Counts(
        active=active,
        ready=sum(is_pod_ready(p) for p in active),
        terminating=sum(p.deleting and not is_pod_terminal(p) for p in pods),
        new_succeeded=succeeded,
        new_failed=failed,
        succeeded=len(done) if job.spec.completion_mode == "Indexed" else total,
        failed=job.status.failed + len(uncounted.failed) + len(failed),
        succeeded_indexes=frozenset(done),
    )


def verdict(job: Job, counts: Counts, now_ns: int) -> Verdict | None:
    """Decide whether the job is over, and how; a failure once decided stays."""
    target = condition_of(job.status.conditions, "FailureTarget")
    if target is not None and target.status == "True":
        return Verdict("Failed", target.reason, target.message)
    if counts.failed > job.spec.backoff_limit or _past_backoff_limit_on_failure(job, counts):
        return Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if (due := deadline_ns(job)) is not None and now_ns >= due:
        return Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    if job.spec.completions is None:
        complete = counts.succeeded > 0 and not counts.active
    else:
        complete = counts.succeeded >= job.spec.completions
    return Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods") if complete else None


def deadline_ns(job: Job) -> int | None:
    """Return when activeDeadlineSeconds are over."""
    if job.spec.active_deadline_seconds is None or job.status.start_time is None or job.spec.suspend:
        return None
    return job.status.start_time + job.spec.active_deadline_seconds * SECOND_NS


def _past_backoff_limit_on_failure(job: Job, counts: Counts) -> bool:
    """Tell whether restarted containers have used up the limit (restartPolicy OnFailure)."""
    if job.spec.template.spec.restart_policy != "OnFailure":
        return False
    restarts = sum(
        s.restart_count
        for p in counts.active
        for s in (*p.status.init_container_statuses, *p.status.container_statuses)
    )
    return restarts > 0 if job.spec.backoff_limit == 0 else restarts >= job.spec.backoff_limit


def manage(job: Job, counts: Counts, remaining_backoff_ns: int) -> Plan:
    """Decide how to get to the wanted number of active pods (manageJob)."""
    active = len(counts.active)
    if job.spec.suspend:
        return Plan(delete=counts.active[:MAX_CREATE_OR_DELETE])
    wanted = job.spec.parallelism
    if job.spec.completions is not None:
        wanted = max(0, min(job.spec.completions - counts.succeeded, wanted))
    elif counts.succeeded:
        wanted = min(active, wanted)
    if active > wanted:
        # The least advanced go first.
        victims = sorted(counts.active, key=lambda p: (bool(p.spec.node_name), p.status.phase == "Running", p.name))
        return Plan(delete=tuple(victims[: min(active - wanted, MAX_CREATE_OR_DELETE)]))
    missing = wanted - active
    if job.spec.pod_replacement_policy == "Failed":
        missing -= counts.terminating
    if missing <= 0:
        return Plan()
    if remaining_backoff_ns > 0:
        return Plan(again_after_ns=remaining_backoff_ns)
    missing = min(missing, MAX_CREATE_OR_DELETE)
    if job.spec.completion_mode != "Indexed":
        return Plan(create=(None,) * missing)
    taken = counts.succeeded_indexes | {i for p in counts.active if (i := index_of(p)) is not None}
    free = [i for i in range(job.spec.completions or 0) if i not in taken]
    return Plan(create=tuple(free[:missing]))


class Backoff:
    """Failures in a row of a job's pods: each doubles the wait for the next pod, from 10 s up to 10 min."""

    def __init__(self) -> None:
        self.failures = 0
        self.last_failure_ns = 0

    def record(self, succeeded: Sequence[Pod], failed: Sequence[Pod], now_ns: int) -> None:
        """Take in pods that have ended since the last sync, in the order in which they ended."""
        ended = [(finish_time_ns(p, now_ns), False) for p in failed]
        ended += [(finish_time_ns(p, now_ns), True) for p in succeeded]
        for when, success in sorted(ended):
            self.failures = 0 if success else self.failures + 1
            self.last_failure_ns = 0 if success else when

    def remaining_ns(self, now_ns: int) -> int:
        """Return how long not to create a pod."""
        if not self.failures:
            return 0
        delay = min(BACKOFF_NS << min(self.failures - 1, 20), BACKOFF_MAX_NS)
        return max(0, self.last_failure_ns + delay - now_ns)


def finish_time_ns(pod: Pod, now_ns: int) -> int:
    """Return when a pod ended: with its last container, or else when it was deleted (getFinishedTime)."""
    ends = [s.state.terminated.finished_at for s in pod.status.container_statuses if s.state.terminated is not None]
    known = [end for end in ends if end is not None]
    if known:
        return max(known)
    if pod.metadata.deletion_timestamp is not None:
        return min(pod.metadata.deletion_timestamp, now_ns)
    return now_ns
