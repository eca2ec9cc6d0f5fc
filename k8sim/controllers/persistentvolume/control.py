"""Decisions of the volume controller: what a claim's and a volume's state ask for.

Two-way pointers: a claim names its volume (spec.volumeName) and a volume its claim (spec.claimRef), and neither is
trusted alone. A binding is complete when both point at each other and the claim carries ``bind-completed``; from then
on the claim is never matched again, only found intact or Lost. Written like Kubernetes' own code in "space shuttle
style": every case has its branch.

Source: pkg/controller/volume/persistentvolume/pv_controller.go; storage.md 1.4, 1.5, 1.9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.csi_migration import migration_annotations
from k8sim.api.meta import with_meta
from k8sim.api.storage import StorageClass
from k8sim.api.struct import Time, replace
from k8sim.api.volume_matching import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    MIGRATED_TO,
    PRE_RESIZE_CAPACITY,
    PROVISIONED_BY,
    SELECTED_NODE,
    VolumeIndex,
    check_volume_satisfies_claim,
    claim_class,
    claim_has_class,
    is_delay_binding,
    is_volume_bound_to_claim,
)
from k8sim.controllers.persistentvolume.plugins import IN_TREE_PREFIX

T = TypeVar("T", PersistentVolume, PersistentVolumeClaim)

IN_TREE_FINALIZER: Final = "kubernetes.io/pv-controller"


@dataclass(frozen=True)
class Say:
    """A Kubernetes Event to record."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True)
class Bind:
    """Bind the claim to the volume."""

    volume: PersistentVolume


@dataclass(frozen=True)
class AssignClass:
    """Write the default class into a claim that was made before there was one."""

    name: str


@dataclass(frozen=True)
class Provision:
    """Have a volume made."""


@dataclass(frozen=True)
class Wait:
    """Leave the claim Pending; it is looked at again when it changes or at the next resync."""

    say: Say | None = None


@dataclass(frozen=True)
class Lose:
    """The claim is Lost."""

    say: Say


@dataclass(frozen=True)
class Refuse:
    """A state that should not be: an error, seen again at the next resync."""

    problem: str


ClaimDecision = Bind | AssignClass | Provision | Wait | Lose | Refuse


def decide_claim(
    claim: PersistentVolumeClaim,
    volumes: VolumeIndex,
    get_class: Callable[[str], StorageClass | None],
    default_class: Callable[[], StorageClass | None],
    unscheduled_pods: Callable[[PersistentVolumeClaim], Sequence[str]],
) -> ClaimDecision:
    """Decide what becomes of a claim (syncClaim). A dying claim can still be bound: deletionTimestamp is not asked."""
    if BIND_COMPLETED in claim.metadata.annotations:
        return _decide_bound_claim(claim, volumes)
    if claim.spec.volume_name:
        return _decide_preselected_claim(claim, volumes)
    delay = is_delay_binding(claim, get_class)
    volume = volumes.find_best_match(claim, delay)
    if volume is not None:
        return Bind(volume)
    if not claim_has_class(claim):
        default = default_class()
        if default is not None:
            return AssignClass(default.name)
    if delay and SELECTED_NODE not in claim.metadata.annotations:
        return Wait(_waiting_for_pod(unscheduled_pods(claim)))
    if claim_class(claim):
        return Provision()
    return Wait(
        Say("Normal", "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
    )


def _waiting_for_pod(pods: Sequence[str]) -> Say:
    if pods:
        return Say("Normal", "WaitForPodScheduled", f"waiting for pod {','.join(pods)} to be scheduled")
    return Say("Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")


def _decide_preselected_claim(claim: PersistentVolumeClaim, volumes: VolumeIndex) -> ClaimDecision:
    """Decide on a claim that names a volume without being bound; its class' binding mode does not matter."""
    volume = volumes.get(claim.spec.volume_name)
    if volume is None:
        return Wait()
    ref = volume.spec.claim_ref
    if ref is None:
        problem = check_volume_satisfies_claim(volume, claim)
        if problem is None:
            return Bind(volume)
        return Wait(Say("Warning", "VolumeMismatch", f'Cannot bind to requested volume "{volume.name}": {problem}'))
    if is_volume_bound_to_claim(volume, claim):
        return Bind(volume)
    if BOUND_BY_CONTROLLER not in claim.metadata.annotations:
        message = f'volume "{volume.name}" already bound to a different claim.'
        return Wait(Say("Warning", "FailedBinding", message))
    return Refuse(f'invalid binding of claim "{claim.name}" to volume "{volume.name}": volume already claimed')


def _decide_bound_claim(claim: PersistentVolumeClaim, volumes: VolumeIndex) -> ClaimDecision:
    """Decide on a claim whose binding was completed once: intact, to be repaired, or Lost."""
    if not claim.spec.volume_name:
        message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return Lose(Say("Warning", "ClaimLost", message))
    volume = volumes.get(claim.spec.volume_name)
    if volume is None:
        message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return Lose(Say("Warning", "ClaimLost", message))
    ref = volume.spec.claim_ref
    if ref is None or ref.uid == claim.uid:
        return Bind(volume)
    message = "Two claims are bound to the same volume, this one is bound incorrectly"
    return Lose(Say("Warning", "ClaimMisbound", message))


VolumeDecision = Literal["available", "bound", "release", "sync-claim", "mode-mismatch", "unbind"]


def decide_volume(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> VolumeDecision:
    """Decide what becomes of a volume (syncVolume).

    Parameters
    ----------
    claim
        The claim that claimRef means, by name and UID; None if it is gone or there is no such reference.
    """
    ref = volume.spec.claim_ref
    if ref is None or not ref.uid:
        return "available"
    if claim is None:
        return "release"
    if not claim.spec.volume_name:
        if claim.spec.volume_mode != volume.spec.volume_mode:
            return "mode-mismatch"
        return "sync-claim"
    if claim.spec.volume_name == volume.name:
        return "bound"
    provisioned = PROVISIONED_BY in volume.metadata.annotations
    if provisioned and volume.spec.persistent_volume_reclaim_policy == "Delete":
        return "release"  # made for a claim that took another one: surplus
    return "unbind"


def is_volume_released(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> bool:
    """Tell, on a fresh copy, whether a volume is really to be reclaimed (isVolumeReleased)."""
    ref = volume.spec.claim_ref
    if ref is None or not ref.uid:
        return False
    if claim is not None and claim.uid == ref.uid:
        return bool(claim.spec.volume_name) and claim.spec.volume_name != volume.name
    return True


# ---- what the writes write ------------------------------------------------------------------------------------------


def bind_claim_to_volume(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaim:
    """Return the claim pointing at the volume, its binding complete; the very object if it already is."""
    annotations = dict(claim.metadata.annotations)
    spec = claim.spec
    if spec.volume_name != volume.name:
        spec = replace(spec, volume_name=volume.name)
        annotations.setdefault(BOUND_BY_CONTROLLER, "yes")
    annotations.setdefault(BIND_COMPLETED, "yes")
    if spec is claim.spec and annotations == claim.metadata.annotations:
        return claim
    return replace(with_meta(claim, annotations=annotations), spec=spec)


def bound_status(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaim:
    """Return the claim Bound. The capacity is copied only when the phase changes: later growth is the resizer's."""
    status = replace(claim.status, phase="Bound", access_modes=volume.spec.access_modes)
    if claim.status.phase != "Bound":
        capacity = volume.metadata.annotations.get(PRE_RESIZE_CAPACITY, volume.spec.capacity.get("storage", "0"))
        status = replace(
            status,
            capacity={**status.capacity, "storage": capacity},
            current_volume_attributes_class_name=volume.spec.volume_attributes_class_name,
        )
    return replace(claim, status=status)


def unbound_status(claim: PersistentVolumeClaim, phase: str) -> PersistentVolumeClaim:
    """Return the claim Pending or Lost, with nothing in its hands."""
    return replace(claim, status=replace(claim.status, phase=phase, access_modes=(), capacity={}))


def with_phase(volume: PersistentVolume, phase: str, now: Time, message: str = "") -> PersistentVolume:
    """Return the volume in a phase; the very object if it is in it already."""
    if volume.status.phase == phase:
        return volume
    status = replace(volume.status, phase=phase, message=message, last_phase_transition_time=now)
    return replace(volume, status=status)


def unbound_volume(volume: PersistentVolume) -> PersistentVolume:
    """Return the volume without its claim: a controller's choice is undone, a user's pre-binding only loses its UID."""
    ref = volume.spec.claim_ref
    if ref is None:
        return volume
    if BOUND_BY_CONTROLLER in volume.metadata.annotations:
        annotations = {k: v for k, v in volume.metadata.annotations.items() if k != BOUND_BY_CONTROLLER}
        volume = with_meta(volume, annotations=annotations)
        return replace(volume, spec=replace(volume.spec, claim_ref=None))
    return replace(volume, spec=replace(volume.spec, claim_ref=replace(ref, uid="")))


def with_migration_annotations(obj: T) -> T:
    """Return the object saying which CSI driver has taken over from its provisioner; the very object if it does."""
    annotations = migration_annotations(obj.metadata.annotations)
    return obj if annotations is obj.metadata.annotations else with_meta(obj, annotations=annotations)


def with_deletion_finalizer(volume: PersistentVolume) -> PersistentVolume:
    """Return the volume with or without the finalizer of in-tree provisioned volumes (modifyDeletionFinalizers)."""
    provisioner = volume.metadata.annotations.get(PROVISIONED_BY, "")
    if not provisioner.startswith(IN_TREE_PREFIX) or MIGRATED_TO in volume.metadata.annotations:
        return volume
    finalizers = volume.metadata.finalizers
    policy = volume.spec.persistent_volume_reclaim_policy
    if policy == "Delete" and IN_TREE_FINALIZER not in finalizers:
        if not volume.deleting and volume.status.phase == "Bound":
            return with_meta(volume, finalizers=(*finalizers, IN_TREE_FINALIZER))
    elif policy != "Delete" and IN_TREE_FINALIZER in finalizers:
        return with_meta(volume, finalizers=tuple(f for f in finalizers if f != IN_TREE_FINALIZER))
    return volume
