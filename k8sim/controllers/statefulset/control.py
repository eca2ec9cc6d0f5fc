"""The control loop's decision: what to do with a set's pods now, and if nothing, why.

`update_stateful_set` is pure. Its plan is a sequence of batches; the lanes of a batch run at the same time, the actions
of a lane one after the other, and an error in a batch ends the pass after that batch. The order of precedence:
recreate and repair, scale up, scale down, rolling update. OrderedReady stops at the first pod that is not settled.

Source: pkg/controller/statefulset/stateful_set_control.go; workloads.md 1.6-1.10.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from k8sim.api.apps import ControllerRevision, StatefulSet, StatefulSetStatus
from k8sim.api.core import Pod
from k8sim.api.struct import IntOrString
from k8sim.controllers.statefulset.claims import (
    ClaimLookup,
    deletes_on_scaling,
    deletes_on_set_deletion,
    pod_claim_is_stale,
)
from k8sim.controllers.statefulset.identity import (
    gets_current_revision,
    new_versioned_stateful_set_pod,
    pod_name,
    start_ordinal,
)
from k8sim.controllers.statefulset.replicas import Replica, Replicas
from k8sim.controllers.statefulset.status import status_of

MAX_BATCH_SIZE = 500


class CreatePod(NamedTuple):
    """Create missing claims, then the pod."""

    pod: Pod
    ordinal: int


class CreateMissingClaims(NamedTuple):
    """Create the claims that a Pending pod lacks, and give its claims their owners."""

    pod: Pod
    ordinal: int


class UpdatePod(NamedTuple):
    """Bring a pod's labels, volumes and claims' owners in line; does nothing if they are by then."""

    pod: Pod
    ordinal: int


class UpdateClaims(NamedTuple):
    """Give the claims of a condemned pod the owner that the retention policy wants."""

    pod: Pod
    ordinal: int


class DeletePod(NamedTuple):
    """Delete a pod; ``for_update`` tells that the rolling update wants it replaced."""

    pod: Pod
    for_update: bool = False


Action = CreatePod | CreateMissingClaims | UpdatePod | UpdateClaims | DeletePod
Lane = tuple[Action, ...]
Batch = tuple[Lane, ...]


class Plan(NamedTuple):
    """What one sync is to do.

    Attributes
    ----------
    batches
        In order; an error skips all later batches.
    status
        The status as counted at the start; it is also what an unfinished pass writes.
    waiting
        Why no more is done than this, "" if all is as the spec wants it.
    """

    batches: tuple[Batch, ...]
    status: StatefulSetStatus
    waiting: str = ""


def are_alike_to_decide_on(a: StatefulSetStatus, b: StatefulSetStatus) -> bool:
    """Tell whether the next sync decides the same, whichever of two statuses the set has; it counts pods anew."""
    return (
        a.current_revision == b.current_revision
        and a.current_replicas == b.current_replicas
        and a.collision_count == b.collision_count
        and a.conditions == b.conditions
    )


class Phase(NamedTuple):
    """One phase's part of the plan; ``stop`` tells that later phases have to wait."""

    batches: list[Batch]
    stop: bool
    waiting: str = ""


def update_stateful_set(
    sts: StatefulSet,
    replicas: Replicas,
    claims: ClaimLookup,
    current: ControllerRevision,
    update: ControllerRevision,
    collision_count: int,
    now_ns: int,
    max_unavailable_enabled: bool = False,
) -> Plan:
    """Decide what a sync does.

    Parameters
    ----------
    sts, replicas, claims
        The set, its claimed pods and its claims, as the caches show them at the start of the sync.
    current, update
        Revisions that the set comes from and goes to.
    now_ns
        The one time for all decisions about availability.
    max_unavailable_enabled
        Feature gate MaxUnavailableStatefulSet.
    """
    replicas.advance(now_ns)
    status = status_of(sts, replicas, current.metadata.name, update.metadata.name, collision_count)
    if sts.metadata.deletion_timestamp is not None:
        return Plan((), status, "the set is being deleted")
    phase = process_replicas(sts, replicas, claims, current, update)
    batches = phase.batches
    if not phase.stop:
        phase = process_condemned(sts, replicas)
        batches = batches + phase.batches
    if not phase.stop:
        phase = update_replicas(sts, replicas, current, update, max_unavailable_enabled)
        batches = batches + phase.batches
    return Plan(tuple(batches), status, phase.waiting)


def is_monotonic(sts: StatefulSet) -> bool:
    """Tell whether pods come and go one at a time (allowsBurst is the opposite)."""
    return sts.spec.pod_management_policy != "Parallel"


# ---- slots in range (1.7) -------------------------------------------------------------------------------------------


def process_replicas(
    sts: StatefulSet, replicas: Replicas, claims: ClaimLookup, current: ControllerRevision, update: ControllerRevision
) -> Phase:
    """Recreate, create and repair the pods in range (processReplica for all)."""
    if not is_monotonic(sts):
        return _process_replicas_in_parallel(sts, replicas, claims, current, update)
    first = replicas.unsettled.first()
    repairs: list[Batch] = []
    if replicas.acting:
        settled = [ordinal for ordinal in replicas.acting if first is None or ordinal < first]
        repairs = [((UpdatePod(replicas[ordinal].pod, ordinal),),) for ordinal in settled]
    if first is None:
        return Phase(repairs, stop=False)
    name = pod_name(sts, first)
    if first in replicas.empty:
        if pod_claim_is_stale(sts, first, claims):
            return Phase(repairs, True, f"a claim of {name} still belongs to the former pod")
        create = CreatePod(new_versioned_stateful_set_pod(sts, current, update, first), first)
        return Phase([*repairs, ((create,),)], True, f"waiting for {name} to become Ready")
    replica = replicas[first]
    if replica.terminal:
        delete: list[Batch] = [] if replica.terminating else [((DeletePod(replica.pod),),)]
        return Phase(repairs + delete, True, f"waiting for {name}, which has ended, to be gone")
    missing: list[Batch] = [((CreateMissingClaims(replica.pod, first),),)] if replica.needs_claims else []
    return Phase(repairs + missing, True, _unsettled_because(name, replica))


def _unsettled_because(name: str, replica: Replica) -> str:
    if replica.terminating:
        return f"waiting for {name} to terminate"
    if not replica.ready:
        return f"waiting for {name} to become Ready"
    return f"waiting for {name} to be Ready for minReadySeconds"


def _process_replicas_in_parallel(
    sts: StatefulSet, replicas: Replicas, claims: ClaimLookup, current: ControllerRevision, update: ControllerRevision
) -> Phase:
    start = start_ordinal(sts)
    lanes: list[tuple[int, Lane]] = []
    waiting = ""
    for ordinal in sorted({*replicas.acting, *replicas.empty}) if replicas.acting else replicas.empty:
        lane: list[Action] = []
        if ordinal in replicas.empty:
            if pod_claim_is_stale(sts, ordinal, claims):
                waiting = waiting or f"a claim of {pod_name(sts, ordinal)} still belongs to the former pod"
                continue
            pod = new_versioned_stateful_set_pod(sts, current, update, ordinal)
            lane.append(CreatePod(pod, ordinal))
            if sts.spec.volume_claim_templates and (deletes_on_scaling(sts) or deletes_on_set_deletion(sts)):
                lane.append(UpdatePod(pod, ordinal))  # the cache may not show the claims' new owners yet
        else:
            replica = replicas[ordinal]
            if replica.terminal:
                lane += [] if replica.terminating else [DeletePod(replica.pod)]
            else:
                lane += [CreateMissingClaims(replica.pod, ordinal)] if replica.needs_claims else []
                lane += [] if replica.matches else [UpdatePod(replica.pod, ordinal)]
        if lane:
            lanes.append((ordinal - start, tuple(lane)))
    return Phase(in_batches(lanes), False, waiting)


def batch_of(position: int) -> int:
    """Return the batch that a position is in: batches of 1, 2, 4, ... 256, then 500 (slowStartBatch)."""
    doubling = 2 * 256 - 1
    if position < doubling:
        return (position + 1).bit_length() - 1
    return 9 + (position - doubling) // MAX_BATCH_SIZE


def in_batches(lanes: Iterable[tuple[int, Lane]]) -> list[Batch]:
    """Group lanes by the batch of their position among all pods; positions without a request count too."""
    batches: dict[int, list[Lane]] = {}
    for position, lane in lanes:
        batches.setdefault(batch_of(position), []).append(lane)
    return [tuple(batches[number]) for number in sorted(batches)]


# ---- pods out of range (1.7b) ---------------------------------------------------------------------------------------


def process_condemned(sts: StatefulSet, replicas: Replicas) -> Phase:
    """Give the claims of condemned pods their owners, then delete the pods, highest ordinal first."""
    if not is_monotonic(sts):
        return _process_condemned_in_parallel(replicas)
    highest = replicas.condemned.last()
    if highest is None:
        return Phase([], stop=False)
    aligned: list[Batch] = [
        ((UpdateClaims(replicas[o].pod, o),),) for o in sorted(replicas.condemned_claims, reverse=True)
    ]
    replica = replicas[highest]
    name = replica.pod.name
    if replica.terminating:
        return Phase(aligned, True, f"waiting for {name} to terminate")
    # Every pod in range is available here, so the first unavailable pod is a condemned one.
    first_unavailable = replicas.condemned_unavailable.first()
    if highest in replicas.condemned_unavailable and highest != first_unavailable:
        return Phase(aligned, True, f"waiting for {name} to become available, as {sts.name}-{first_unavailable} is not")
    return Phase([*aligned, ((DeletePod(replica.pod),),)], True, f"waiting for {name} to terminate")


def _process_condemned_in_parallel(replicas: Replicas) -> Phase:
    if not replicas.condemned_alive and not replicas.condemned_claims:
        return Phase([], stop=False)
    position = {ordinal: i for i, ordinal in enumerate(sorted(replicas.condemned, reverse=True))}
    claims = in_batches((position[o], (UpdateClaims(replicas[o].pod, o),)) for o in replicas.condemned_claims)
    deletes = in_batches((position[o], (DeletePod(replicas[o].pod),)) for o in replicas.condemned_alive)
    return Phase(claims + deletes, stop=False)


# ---- rolling update (1.10) ------------------------------------------------------------------------------------------


def update_replicas(
    sts: StatefulSet,
    replicas: Replicas,
    current: ControllerRevision,
    update: ControllerRevision,
    max_unavailable_enabled: bool,
) -> Phase:
    """Delete outdated pods, from the highest ordinal down to the partition."""
    strategy = sts.spec.update_strategy
    if strategy.type == "OnDelete":
        outdated = len(replicas.outdated)
        return Phase([], True, f"OnDelete: {outdated} outdated pods wait to be deleted by hand" if outdated else "")
    partition = 0 if strategy.rolling_update is None else strategy.rolling_update.partition or 0
    lowest = start_ordinal(sts) + partition
    if max_unavailable_enabled:
        return _update_up_to_max_unavailable(sts, replicas, lowest)
    outdated_top, unavailable_top = replicas.outdated.last(), replicas.unavailable.last()
    top = max((o for o in (outdated_top, unavailable_top) if o is not None), default=-1)
    if top < lowest:
        return Phase([], True, _held_back(sts, replicas, lowest))
    if top == outdated_top:
        pod = replicas[top].pod
        return Phase([((DeletePod(pod, for_update=True),),)], True, f"waiting for {pod.name} to be replaced")
    if top in replicas.empty and current.name != update.name and gets_current_revision(sts, top):
        # Without a rollingUpdate object, the pod that a parallel pass has just created is itself outdated.
        pod = new_versioned_stateful_set_pod(sts, current, update, top)
        return Phase([((DeletePod(pod, for_update=True),),)], True, f"waiting for {pod.name} to be replaced")
    return Phase([], True, f"waiting for {pod_name(sts, top)} to become available" if replicas.outdated else "")


def _held_back(sts: StatefulSet, replicas: Replicas, lowest: int) -> str:
    if not replicas.outdated:
        return ""
    return f"partition {lowest - start_ordinal(sts)} holds back {len(replicas.outdated)} outdated pods"


def _update_up_to_max_unavailable(sts: StatefulSet, replicas: Replicas, lowest: int) -> Phase:
    """With the gate on: as many deletes at once as maxUnavailable leaves room for, counted over all pods in range."""
    rolling = sts.spec.update_strategy.rolling_update
    limit = max_unavailable(rolling.max_unavailable if rolling is not None else None, sts.spec.replicas)
    room = limit - len(replicas.unavailable)
    if room <= 0:
        return Phase([], True, f"{len(replicas.unavailable)} pods are unavailable" if replicas.outdated else "")
    targets = [ordinal for ordinal in sorted(replicas.outdated, reverse=True) if ordinal >= lowest][:room]
    if not targets:
        return Phase([], True, _held_back(sts, replicas, lowest))
    deletes: list[Batch] = [((DeletePod(replicas[ordinal].pod, for_update=True),),) for ordinal in targets]
    return Phase(deletes, True, f"waiting for {pod_name(sts, targets[0])} to be replaced")


def max_unavailable(value: IntOrString | None, replicas: int) -> int:
    """Return how many pods may be unavailable: percentages are rounded down, at least 1."""
    if value is None:
        return 1
    if isinstance(value, str):
        value = int(value.rstrip("%")) * replicas // 100
    return max(1, value)
