"""A Deployment's status and conditions, and how long a rollout may be without progress.

Source: pkg/controller/deployment/progress.go, sync.go (calculateStatus), util/deployment_util.go; workloads.md 2.2.
"""

from __future__ import annotations

from k8sim.api.apps import Deployment, DeploymentStatus
from k8sim.api.meta import Condition, condition_of
from k8sim.api.struct import Time, replace
from k8sim.controllers.deployment.replica_sets import ReplicaSets
from k8sim.controllers.deployment.rounding import max_unavailable

SECOND_NS = 1_000_000_000
PROGRESSING, AVAILABLE, REPLICA_FAILURE = "Progressing", "Available", "ReplicaFailure"
NEW_RS, FOUND_NEW_RS, RS_UPDATED = "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated"
NEW_RS_AVAILABLE, TIMED_OUT, FAILED_CREATE = (
    "NewReplicaSetAvailable",
    "ProgressDeadlineExceeded",
    "ReplicaSetCreateError",
)
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
_ENOUGH = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
_NOT_ENOUGH = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
NO_DEADLINE = 2**31 - 1
"""A progressDeadlineSeconds of MaxInt32 means that there is none."""


def has_progress_deadline(deployment: Deployment) -> bool:
    """Tell whether a rollout without progress is to be reported."""
    return deployment.spec.progress_deadline_seconds != NO_DEADLINE


def new_condition(type_: str, status: str, reason: str, message: str, now: Time) -> Condition:
    """Return a condition that was updated, and changed, now."""
    return Condition(
        type=type_, status=status, reason=reason, message=message, last_update_time=now, last_transition_time=now
    )


def with_condition(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """Set a condition, unless status and reason are the same; moved to the end (SetDeploymentCondition)."""
    old = condition_of(conditions, new.type)
    if old is not None and old.status == new.status:
        if old.reason == new.reason:
            return conditions
        new = replace(new, last_transition_time=old.last_transition_time)
    return (*without_condition(conditions, new.type), new)


def without_condition(conditions: tuple[Condition, ...], type_: str) -> tuple[Condition, ...]:
    """Remove a condition."""
    if condition_of(conditions, type_) is None:
        return conditions
    return tuple(c for c in conditions if c.type != type_)


def calculate_status(deployment: Deployment, sets: ReplicaSets, now: Time) -> DeploymentStatus:
    """Count what the ReplicaSets' statuses say, and set the condition Available."""
    replicas = ready = available = specified = 0
    terminating: int | None = 0
    for rs in sets.all:
        status = rs.status
        replicas += status.replicas
        ready += status.ready_replicas
        available += status.available_replicas
        specified += rs.spec.replicas
        if terminating is not None:
            ending = status.terminating_replicas
            terminating = None if ending is None else terminating + ending
    enough = available >= deployment.spec.replicas - max_unavailable(deployment)
    return DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        replicas=replicas,
        updated_replicas=sets.new.status.replicas if sets.new is not None else 0,
        ready_replicas=ready,
        available_replicas=available,
        unavailable_replicas=max(0, specified - available),
        terminating_replicas=terminating,
        collision_count=deployment.status.collision_count,
        conditions=_with_availability(deployment.status.conditions, enough, now),
    )


def _with_availability(conditions: tuple[Condition, ...], enough: bool, now: Time) -> tuple[Condition, ...]:
    status, reason, message = _ENOUGH if enough else _NOT_ENOUGH
    known = condition_of(conditions, AVAILABLE)
    if known is not None and known.status == status and known.reason == reason:
        return conditions
    return with_condition(conditions, new_condition(AVAILABLE, status, reason, message, now))


def rollout_status(deployment: Deployment, sets: ReplicaSets, now_ns: int, now: Time) -> DeploymentStatus:
    """Return the status at the end of a rollout step, progress included (syncRolloutStatus).

    Parameters
    ----------
    now_ns, now
        The time, and the same time as the API stores it.
    """
    status = calculate_status(deployment, sets, now)
    conditions = status.conditions
    if has_progress_deadline(deployment):
        known = condition_of(deployment.status.conditions, PROGRESSING)
        is_over = known is not None and known.reason == NEW_RS_AVAILABLE
        if not is_over or status.replicas != status.updated_replicas:
            conditions = _with_progress(deployment, status, sets, now_ns, now)
    else:
        conditions = without_condition(conditions, PROGRESSING)
    failure = _replica_failure(sets)
    if failure is not None:
        conditions = with_condition(conditions, failure)
    else:
        conditions = without_condition(conditions, REPLICA_FAILURE)
    return status if conditions is status.conditions else replace(status, conditions=conditions)


def _with_progress(
    deployment: Deployment, status: DeploymentStatus, sets: ReplicaSets, now_ns: int, now: Time
) -> tuple[Condition, ...]:
    what = f'ReplicaSet "{sets.new.name}"' if sets.new is not None else f'Deployment "{deployment.metadata.name}"'
    conditions = status.conditions
    if completes(deployment, status):
        message = f"{what} has successfully progressed."
        return with_condition(conditions, new_condition(PROGRESSING, "True", NEW_RS_AVAILABLE, message, now))
    if progresses(deployment.status, status):
        new = new_condition(PROGRESSING, "True", RS_UPDATED, f"{what} is progressing.", now)
        known = condition_of(deployment.status.conditions, PROGRESSING)
        if known is not None and known.status == "True":
            new = replace(new, last_transition_time=known.last_transition_time)
        return (*without_condition(conditions, PROGRESSING), new)
    if timed_out(deployment, status, now_ns):
        return with_condition(
            conditions, new_condition(PROGRESSING, "False", TIMED_OUT, f"{what} has timed out progressing.", now)
        )
    return conditions


def completes(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Tell whether a status means that the rollout is complete (DeploymentComplete)."""
    replicas = deployment.spec.replicas
    return status.updated_replicas == status.replicas == status.available_replicas == replicas


def progresses(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    """Tell whether there has been progress: more new pods, fewer old ones, more ready or available ones."""
    return (
        new.updated_replicas > old.updated_replicas
        or new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        or new.ready_replicas > old.ready_replicas
        or new.available_replicas > old.available_replicas
    )


def timed_out(deployment: Deployment, status: DeploymentStatus, now_ns: int) -> bool:
    """Tell whether the rollout has been without progress for longer than its deadline (DeploymentTimedOut)."""
    condition = condition_of(status.conditions, PROGRESSING)
    if condition is None or condition.reason == NEW_RS_AVAILABLE:
        return False
    if condition.reason == TIMED_OUT:
        return True
    since = condition.last_update_time or 0
    return since + deployment.spec.progress_deadline_seconds * SECOND_NS < now_ns


def _replica_failure(sets: ReplicaSets) -> Condition | None:
    """Return the failure that the new ReplicaSet reports, else that of any other (getReplicaFailures)."""
    for rs in (sets.new, *sets.old) if sets.new is not None else sets.old:
        condition = condition_of(rs.status.conditions, REPLICA_FAILURE)
        if condition is not None:
            return condition
    return None


def stuck_check_after_ns(deployment: Deployment, status: DeploymentStatus, now_ns: int) -> int | None:
    """Return after what time an idle rollout has to be looked at again; 0 means at the next back-off, None never."""
    condition = condition_of(deployment.status.conditions, PROGRESSING)
    if not has_progress_deadline(deployment) or condition is None:
        return None
    if completes(deployment, status) or condition.reason == TIMED_OUT:
        return None
    deadline = (condition.last_update_time or 0) + deployment.spec.progress_deadline_seconds * SECOND_NS
    remaining = deadline - now_ns
    return remaining + SECOND_NS if remaining >= SECOND_NS else 0


def paused_condition(deployment: Deployment, now: Time) -> Condition | None:
    """Return the condition to set because the Deployment was paused or resumed (checkPausedConditions)."""
    if not has_progress_deadline(deployment):
        return None
    condition = condition_of(deployment.status.conditions, PROGRESSING)
    if condition is not None and condition.reason == TIMED_OUT:
        return None
    noted = condition is not None and condition.reason == PAUSED
    if deployment.spec.paused and not noted:
        return new_condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now)
    if not deployment.spec.paused and noted:
        return new_condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now)
    return None
