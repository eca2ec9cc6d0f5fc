"""What a ReplicaSet does about its number of pods, and what its status says.

Source: pkg/controller/replicaset/replica_set.go (manageReplicas), replica_set_utils.go (calculateStatus);
workloads.md 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from k8sim.api.apps import ReplicaSet, ReplicaSetStatus
from k8sim.api.core import Pod
from k8sim.api.meta import Condition, condition_of
from k8sim.api.struct import Time, replace
from k8sim.controllers.replicaset.tally import Tally
from k8sim.controllers.replicaset.victims import pods_to_delete

BURST_REPLICAS = 500
REPLICA_FAILURE = "ReplicaFailure"


class Plan(NamedTuple):
    """How many pods to create, or which to delete: never both."""

    create: int = 0
    delete: tuple[Pod, ...] = ()


def manage_replicas(rs: ReplicaSet, tally: Tally, related: Callable[[], Iterable[Pod]], now_ns: int) -> Plan:
    """Decide how to get from the active pods to spec.replicas: at most 500 at a time.

    A pod with a deletionTimestamp is no longer active: its replacement does not wait for its end.
    """
    if rs.deleting:
        return Plan()
    surplus = tally.active - rs.spec.replicas
    if surplus < 0:
        return Plan(create=min(-surplus, BURST_REPLICAS))
    if surplus > 0:
        count = min(surplus, BURST_REPLICAS)
        return Plan(delete=tuple(pods_to_delete(tally.active_pods(), related(), count, now_ns)))
    return Plan()


def slow_start_batches(count: int) -> list[int]:
    """Return the sizes of the batches in which pods are created: 1, 2, 4, ... (slowStartBatch)."""
    sizes = []
    size = 1
    while count > 0:
        sizes.append(min(size, count))
        count -= size
        size *= 2
    return sizes


def calculate_status(rs: ReplicaSet, tally: Tally, failure: str | None, now: Time) -> ReplicaSetStatus:
    """Return the status; ``failure`` is the error of a create or delete in this sync."""
    return ReplicaSetStatus(
        observed_generation=rs.status.observed_generation,
        replicas=tally.active,
        fully_labeled_replicas=tally.fully_labeled,
        ready_replicas=tally.ready,
        available_replicas=tally.available,
        terminating_replicas=tally.terminating,
        conditions=_conditions(rs, tally.active - rs.spec.replicas, failure, now),
    )


def _conditions(rs: ReplicaSet, surplus: int, failure: str | None, now: Time) -> tuple[Condition, ...]:
    conditions = rs.status.conditions
    known = condition_of(conditions, REPLICA_FAILURE)
    if failure is not None and known is None:
        reason = "FailedCreate" if surplus < 0 else "FailedDelete" if surplus > 0 else ""
        new = Condition(type=REPLICA_FAILURE, status="True", reason=reason, message=failure, last_transition_time=now)
        return (*conditions, new)
    if failure is None and known is not None:
        return tuple(c for c in conditions if c.type != REPLICA_FAILURE)
    return conditions


def status_to_write(rs: ReplicaSet, status: ReplicaSetStatus) -> ReplicaSetStatus | None:
    """Return the status to write, None if the stored one already says so (updateReplicaSetStatus)."""
    if status == rs.status and rs.metadata.generation == rs.status.observed_generation:
        return None
    return replace(status, observed_generation=rs.metadata.generation)
