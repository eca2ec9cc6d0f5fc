"""Decisions of the external resizer: which size to ask for, and what a claim's status says meanwhile.

Source: kubernetes-csi/external-resizer pkg/controller/expand_and_recover.go, pkg/util/util.go; storage.md 4.2, 4.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import Condition, set_condition
from k8sim.api.quantity import format_quantity, parse_quantity
from k8sim.api.struct import Time, replace
from k8sim.api.volume_matching import storage_capacity, storage_request

CONTROLLER_IN_PROGRESS: Final = "ControllerResizeInProgress"
CONTROLLER_INFEASIBLE: Final = "ControllerResizeInfeasible"
NODE_PENDING: Final = "NodeResizePending"
NODE_IN_PROGRESS: Final = "NodeResizeInProgress"
NODE_INFEASIBLE: Final = "NodeResizeInfeasible"

ClaimChange = Callable[[PersistentVolumeClaim], PersistentVolumeClaim]

RESIZING: Final = "Resizing"
FILE_SYSTEM_PENDING: Final = "FileSystemResizePending"
CONTROLLER_ERROR: Final = "ControllerResizeError"
NODE_ERROR: Final = "NodeResizeError"

NON_FINAL: Final = frozenset({"Canceled", "DeadlineExceeded", "Unavailable", "ResourceExhausted", "Aborted"})
INFEASIBLE: Final = frozenset({"InvalidArgument", "OutOfRange", "NotFound"})


def resize_status(claim: PersistentVolumeClaim) -> str:
    """Return how far an expansion is, "" if none is under way."""
    return claim.status.allocated_resource_statuses.get("storage", "")


def allocated(claim: PersistentVolumeClaim) -> int:
    """Return the size that the latest attempt asked for, 0 if there was none."""
    return parse_quantity(claim.status.allocated_resources.get("storage", "0"))


def capacity(claim: PersistentVolumeClaim) -> int:
    """Return the size that the claim has."""
    return parse_quantity(claim.status.capacity.get("storage", "0"))


def resize_target(claim: PersistentVolumeClaim, volume: PersistentVolume, failed_finally: bool) -> int | None:
    """Return the size to ask the driver for now, or None if there is nothing to do.

    An attempt whose outcome is not known is repeated as it was, even if the request was lowered meanwhile.

    Parameters
    ----------
    failed_finally
        The last attempt got a definite no.
    """
    request, status = storage_request(claim), resize_status(claim)
    if request <= capacity(claim):
        return None
    attempted = allocated(claim)
    if status in (NODE_PENDING, NODE_IN_PROGRESS) and storage_capacity(volume) >= attempted:
        return None  # the node's half of an earlier growth comes first
    if status == NODE_INFEASIBLE:
        return attempted
    if status == CONTROLLER_IN_PROGRESS and not failed_finally:
        return attempted
    return request


def _with(
    claim: PersistentVolumeClaim,
    size: int | None,
    status: str,
    *conditions: Condition,
    dropped: frozenset[str] = frozenset(),
) -> PersistentVolumeClaim:
    kept = tuple(c for c in claim.status.conditions if c.type not in dropped)
    for condition in conditions:
        kept = set_condition(kept, condition)
    resources = dict(claim.status.allocated_resources)
    if size is not None:
        resources["storage"] = format_quantity(size, binary=True)
    statuses = {k: v for k, v in claim.status.allocated_resource_statuses.items() if k != "storage"}
    if status:
        statuses["storage"] = status
    new = replace(claim.status, conditions=kept, allocated_resources=resources, allocated_resource_statuses=statuses)
    return replace(claim, status=new)


def in_progress(claim: PersistentVolumeClaim, target: int, now: Time) -> PersistentVolumeClaim:
    """Return the claim with an attempt under way."""
    resizing = Condition(type=RESIZING, status="True", last_transition_time=now)
    return _with(claim, target, CONTROLLER_IN_PROGRESS, resizing)


def failed(claim: PersistentVolumeClaim, code: str, message: str, now: Time) -> PersistentVolumeClaim:
    """Return the claim after a definite no of the driver."""
    status = CONTROLLER_INFEASIBLE if code in INFEASIBLE else resize_status(claim)
    error = Condition(type=CONTROLLER_ERROR, status="True", message=message, last_transition_time=now)
    return _with(claim, None, status, error)


def node_pending(claim: PersistentVolumeClaim, now: Time) -> PersistentVolumeClaim:
    """Return the claim whose volume has grown and whose file system has not."""
    pending = Condition(
        type=FILE_SYSTEM_PENDING,
        status="True",
        message="Waiting for user to (re-)start a pod to finish file system resize of volume on node.",
        last_transition_time=now,
    )
    return _with(claim, None, NODE_PENDING, pending, dropped=frozenset({CONTROLLER_ERROR}))


def node_failed(claim: PersistentVolumeClaim, code: str, now: Time) -> PersistentVolumeClaim:
    """Return the claim whose file system could not be grown."""
    status = NODE_INFEASIBLE if code in INFEASIBLE else NODE_PENDING
    error = Condition(type=NODE_ERROR, status="True", message=f"rpc error: code = {code}", last_transition_time=now)
    return _with(claim, None, status, error)


def finished(claim: PersistentVolumeClaim, size: int) -> PersistentVolumeClaim:
    """Return the claim that has grown."""
    done = _with(claim, None, "", dropped=frozenset({RESIZING, FILE_SYSTEM_PENDING, CONTROLLER_ERROR, NODE_ERROR}))
    has = {**done.status.capacity, "storage": format_quantity(size, binary=True)}
    return replace(done, status=replace(done.status, capacity=has))
