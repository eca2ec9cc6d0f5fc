"""How a Deployment scales its ReplicaSets.

`roll_out` is pure: it looks at the ReplicaSets (spec and status) and says which to give another size. In one sync
either the new one grows or old ones shrink, and the sync ends with a status; the next step waits for an event.

Source: pkg/controller/deployment/rolling.go, recreate.go, sync.go (scale), util/deployment_util.go; workloads.md 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from k8sim.api.apps import Deployment, ReplicaSet
from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_terminal
from k8sim.controllers.deployment.replica_sets import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    ReplicaSets,
    active,
    by_creation,
    surplus,
    wanted,
)
from k8sim.controllers.deployment.rounding import max_surge, max_unavailable


class Scale(NamedTuple):
    """Give a ReplicaSet a size; its annotations are brought up to date even if it has that size."""

    rs: ReplicaSet
    replicas: int
    quiet: bool = False


class Plan(NamedTuple):
    """What one sync does: scale in this order (an error ends the sync), then delete ReplicaSets, then the status."""

    scales: tuple[Scale, ...] = ()
    delete: tuple[ReplicaSet, ...] = ()
    waiting: str = ""


# ---- a rollout ------------------------------------------------------------------------------------------------------


def roll_out(deployment: Deployment, sets: ReplicaSets) -> Plan:
    """Decide the next step of a rolling update; the new ReplicaSet exists."""
    assert sets.new is not None
    grow = scale_new(deployment, sets)
    if grow is not None:
        return Plan((grow,), waiting=f"waiting for pods of {sets.new.name} to become available")
    shrink = scale_old(deployment, sets)
    if shrink:
        return Plan(tuple(shrink), waiting="waiting for old pods to go")
    waiting = ""
    if wanted(sets.old):
        waiting = f"waiting for pods of {sets.new.name} to become available"
    return Plan((), _cleanup(deployment, sets), waiting)


def _cleanup(deployment: Deployment, sets: ReplicaSets) -> tuple[ReplicaSet, ...]:
    return tuple(surplus(deployment, sets.old)) if sets.old and is_complete(deployment) else ()


def is_complete(deployment: Deployment) -> bool:
    """Tell whether the stored status says that the rollout is complete (DeploymentComplete)."""
    status, replicas = deployment.status, deployment.spec.replicas
    return (
        status.updated_replicas == replicas
        and status.replicas == replicas
        and status.available_replicas == replicas
        and status.observed_generation >= deployment.metadata.generation
    )


def new_size(deployment: Deployment, others: Iterable[ReplicaSet], size: int) -> int:
    """Return the size that the new ReplicaSet may have now (NewRSNewReplicas).

    Parameters
    ----------
    others
        All other ReplicaSets; what counts is what they want, so pods that are still ending do not count.
    size
        Its size so far.
    """
    desired = deployment.spec.replicas
    if deployment.spec.strategy.type != "RollingUpdate":
        return desired
    room = desired + max_surge(deployment) - wanted(others) - size
    return size if room <= 0 else size + min(room, desired - size)


def scale_new(deployment: Deployment, sets: ReplicaSets) -> Scale | None:
    """Grow the new ReplicaSet as far as maxSurge allows, or cut it to spec.replicas (reconcileNewReplicaSet)."""
    new, desired = sets.new, deployment.spec.replicas
    assert new is not None
    if new.spec.replicas == desired:
        return None
    size = desired if new.spec.replicas > desired else new_size(deployment, sets.old, new.spec.replicas)
    return Scale(new, size) if size != new.spec.replicas else None


def scale_old(deployment: Deployment, sets: ReplicaSets) -> list[Scale]:
    """Shrink old ReplicaSets: first pods that are not available, then as many as maxUnavailable allows.

    How much is computed before the unhealthy ones are looked at, from the new ReplicaSet's size and available pods: so
    a new pod that never becomes available protects even an unhealthy old one (reconcileOldReplicaSets).
    """
    new, old = sets.new, active(sets.old)
    assert new is not None
    if not old:
        return []
    min_available = deployment.spec.replicas - max_unavailable(deployment)
    budget = wanted(sets.all) - min_available - (new.spec.replicas - new.status.available_replicas)
    if budget <= 0:
        return []
    sizes = {rs.name: rs.spec.replicas for rs in old}
    cleaned = 0
    for rs in by_creation(old):  # cleanupUnhealthyReplicas
        step = min(budget - cleaned, sizes[rs.name] - rs.status.available_replicas)
        if step > 0:
            sizes[rs.name] -= step
            cleaned += step
    spare = sum(rs.status.available_replicas for rs in (*old, new)) - min_available
    scales = [Scale(rs, sizes[rs.name]) for rs in by_creation(old) if sizes[rs.name] != rs.spec.replicas]
    for rs in by_creation(old):  # scaleDownOldReplicaSetsForRollingUpdate
        step = min(sizes[rs.name], spare)
        if step > 0:
            sizes[rs.name] -= step
            spare -= step
            scales.append(Scale(rs, sizes[rs.name]))
    return scales


# ---- Recreate -------------------------------------------------------------------------------------------------------


def shrink_all(sets: ReplicaSets) -> tuple[Scale, ...]:
    """Recreate: give every old ReplicaSet the size 0 (scaleDownOldReplicaSetsForRecreate)."""
    return tuple(Scale(rs, 0) for rs in active(sets.old))


def old_pods_running(sets: ReplicaSets, pods_of_old: Iterable[Pod]) -> bool:
    """Tell whether pods of another ReplicaSet exist that have not ended; those that are being deleted count too."""
    if any(rs.status.replicas > 0 for rs in sets.old):
        return True
    return any(not is_pod_terminal(pod) for pod in pods_of_old)


def scale_up_for_recreate(deployment: Deployment, sets: ReplicaSets) -> Plan:
    """Recreate: give the new ReplicaSet its full size, once no old pod runs."""
    assert sets.new is not None
    scales: tuple[Scale, ...] = ()
    if sets.new.spec.replicas != deployment.spec.replicas:
        scales = (Scale(sets.new, deployment.spec.replicas),)
    return Plan(scales, _cleanup(deployment, sets))


# ---- a change of size -----------------------------------------------------------------------------------------------


def is_scaling_event(deployment: Deployment, sets: ReplicaSets) -> bool:
    """Tell whether a ReplicaSet was last scaled for another size of the Deployment."""
    for rs in active(sets.all):
        desired = rs.metadata.annotations.get(DESIRED_REPLICAS)
        if desired is not None and int(desired) != deployment.spec.replicas:
            return True
    return False


def scale(deployment: Deployment, sets: ReplicaSets) -> Plan:
    """Give the ReplicaSets the Deployment's new size: one alone takes it all, several share it by their sizes."""
    desired = deployment.spec.replicas
    only = _active_or_latest(sets)
    if only is not None:
        return Plan((Scale(only, desired),) if only.spec.replicas != desired else ())
    if _is_saturated(deployment, sets.new):
        return Plan(shrink_all(sets))
    if deployment.spec.strategy.type == "RollingUpdate":
        return Plan(tuple(_proportionally(deployment, active(sets.all))))
    return Plan()


def _active_or_latest(sets: ReplicaSets) -> ReplicaSet | None:
    """Return the only active ReplicaSet, or if none is active the newest (FindActiveOrLatest)."""
    alive = active(sets.all)
    if len(alive) == 1:
        return alive[0]
    if alive:
        return None
    return sets.new if sets.new is not None else next(reversed(by_creation(sets.old)), None)


def _is_saturated(deployment: Deployment, rs: ReplicaSet | None) -> bool:
    desired = deployment.spec.replicas
    return (
        rs is not None
        and rs.spec.replicas == desired
        and rs.metadata.annotations.get(DESIRED_REPLICAS) == str(desired)
        and rs.status.available_replicas == desired
    )


def _proportionally(deployment: Deployment, sets: Sequence[ReplicaSet]) -> list[Scale]:
    desired = deployment.spec.replicas
    allowed = desired + max_surge(deployment) if desired > 0 else 0
    to_add = allowed - wanted(sets)
    age = {rs.name: i for i, rs in enumerate(by_creation(sets))}
    newer_first = -1 if to_add > 0 else 1
    ordered = sorted(sets, key=lambda rs: (-rs.spec.replicas, newer_first * age[rs.name])) if to_add else list(sets)
    added = 0
    sizes = []
    for rs in ordered:
        share = _share(deployment, rs, to_add, added)
        added += share
        sizes.append(rs.spec.replicas + share)
    if sizes and to_add:
        sizes[0] = max(0, sizes[0] + to_add - added)
    return [Scale(rs, size) for rs, size in zip(ordered, sizes, strict=True)]


def _share(deployment: Deployment, rs: ReplicaSet, to_add: int, added: int) -> int:
    """Return how many of the replicas to add (negative: to remove) are this one's (GetReplicaSetProportion)."""
    rest = to_add - added
    if rs.spec.replicas == 0 or to_add == 0 or rest == 0:
        return 0
    fraction = _fraction(deployment, rs)
    return min(fraction, rest) if to_add > 0 else max(fraction, rest)


def _fraction(deployment: Deployment, rs: ReplicaSet) -> int:
    desired, size = deployment.spec.replicas, rs.spec.replicas
    if desired == 0:
        return -size
    before = int(rs.metadata.annotations.get(MAX_REPLICAS, "0")) or deployment.status.replicas
    if before == 0:
        return 0
    exact = size * (desired + max_surge(deployment)) / before
    return int(exact + 0.5) - size
