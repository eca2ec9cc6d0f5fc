"""Decisions about a volume whose claim asks for another VolumeAttributesClass.

Source: kubernetes-csi/external-resizer pkg/modifycontroller/{modify_volume,modify_status}.go; storage.md 6.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal

from k8sim.api.core import ModifyVolumeStatus, PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import Condition, set_condition
from k8sim.api.struct import Time, replace

ModifyStatus = Literal["Pending", "InProgress", "Infeasible"]
PENDING: Final[ModifyStatus] = "Pending"
IN_PROGRESS: Final[ModifyStatus] = "InProgress"
INFEASIBLE: Final[ModifyStatus] = "Infeasible"

MODIFYING: Final = "ModifyingVolume"
MODIFY_ERROR: Final = "ModifyVolumeError"

ClaimChange = Callable[[PersistentVolumeClaim], PersistentVolumeClaim]


def classes_of(claim: PersistentVolumeClaim) -> set[str]:
    """Return the names of all attributes classes that a claim has to do with: wanted, present, and being applied."""
    names = {claim.spec.volume_attributes_class_name, claim.status.current_volume_attributes_class_name}
    if claim.status.modify_volume_status is not None:
        names.add(claim.status.modify_volume_status.target_volume_attributes_class_name)
    return {name for name in names if name}


def is_class_used(name: str, claims: Iterable[PersistentVolumeClaim], volumes: Iterable[PersistentVolume]) -> bool:
    """Tell whether an attributes class is named by any claim or volume."""
    return any(name in classes_of(claim) for claim in claims) or any(
        volume.spec.volume_attributes_class_name == name for volume in volumes
    )


def modify_target(claim: PersistentVolumeClaim, uncertain: bool) -> str | None:
    """Return the class to apply to a claim's volume now, None if it has what it wants.

    Parameters
    ----------
    uncertain
        The outcome of the last attempt is not known: it is repeated as it was.
    """
    wanted = claim.spec.volume_attributes_class_name
    under_way = claim.status.modify_volume_status
    if claim.status.phase != "Bound" or not wanted:
        return None
    if uncertain and under_way is not None:
        return under_way.target_volume_attributes_class_name
    has_it = wanted == claim.status.current_volume_attributes_class_name
    return None if has_it and under_way is None else wanted


def under_way(target: str, status: ModifyStatus, now: Time, error: str = "") -> ClaimChange:
    """Return the change that says how far a modification is."""

    def change(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
        conditions = _without(claim, MODIFYING, MODIFY_ERROR)
        if status == IN_PROGRESS:
            text = "ModifyVolume operation in progress."
            going_on = Condition(type=MODIFYING, status="True", message=text, last_transition_time=now)
            conditions = set_condition(conditions, going_on)
        if error:
            failed = Condition(type=MODIFY_ERROR, status="True", message=error, last_transition_time=now)
            conditions = set_condition(conditions, failed)
        told = ModifyVolumeStatus(target_volume_attributes_class_name=target, status=status)
        return replace(claim, status=replace(claim.status, conditions=conditions, modify_volume_status=told))

    return change


def modified(target: str) -> ClaimChange:
    """Return the change that says that the volume has the class now."""

    def change(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
        status = replace(
            claim.status,
            conditions=_without(claim, MODIFYING, MODIFY_ERROR),
            current_volume_attributes_class_name=target,
            modify_volume_status=None,
        )
        return replace(claim, status=status)

    return change


def _without(claim: PersistentVolumeClaim, *types: str) -> tuple[Condition, ...]:
    return tuple(c for c in claim.status.conditions if c.type not in types)
