"""The status of a set.

Source: pkg/controller/statefulset/stateful_set_control.go (updateStatus), stateful_set_utils.go (inconsistentStatus,
completeRollingUpdate); workloads.md 1.12.
"""

from __future__ import annotations

from k8sim.api.apps import StatefulSet, StatefulSetStatus
from k8sim.api.struct import replace
from k8sim.controllers.statefulset.replicas import Replicas


def status_of(
    sts: StatefulSet, replicas: Replicas, current: str, update: str, collision_count: int
) -> StatefulSetStatus:
    """Count a set's pods by the names of its current and update revision."""
    return StatefulSetStatus(
        observed_generation=sts.metadata.generation,
        replicas=replicas.created,
        ready_replicas=replicas.ready,
        available_replicas=replicas.available,
        current_replicas=replicas.alive_at(current),
        updated_replicas=replicas.alive_at(update),
        current_revision=current,
        update_revision=update,
        collision_count=collision_count,
        conditions=sts.status.conditions,
    )


def inconsistent_status(sts: StatefulSet, status: StatefulSetStatus) -> bool:
    """Tell whether a status has to be written; a change of collisionCount alone does not count."""
    stored = sts.status
    return (
        status.observed_generation > stored.observed_generation
        or status.replicas != stored.replicas
        or status.current_replicas != stored.current_replicas
        or status.ready_replicas != stored.ready_replicas
        or status.updated_replicas != stored.updated_replicas
        or status.available_replicas != stored.available_replicas
        or status.current_revision != stored.current_revision
        or status.update_revision != stored.update_revision
    )


def complete_rolling_update(sts: StatefulSet, status: StatefulSetStatus) -> StatefulSetStatus:
    """Make the update revision the current one when all pods are at it and ready; availability is not asked for."""
    if (
        sts.spec.update_strategy.type == "RollingUpdate"
        and status.updated_replicas == status.replicas
        and status.ready_replicas == status.replicas
        and status.replicas == sts.spec.replicas
    ):
        return replace(status, current_replicas=status.updated_replicas, current_revision=status.update_revision)
    return status


def status_to_write(sts: StatefulSet, counted: StatefulSetStatus, deleted_for_update: int) -> StatefulSetStatus:
    """Return the status at the end of a pass: pods that the rolling update deleted are taken off the current ones."""
    if deleted_for_update:
        counted = replace(counted, current_replicas=counted.current_replicas - deleted_for_update)
    return complete_rolling_update(sts, counted)
