"""Decisions of the snapshot controller.

Source: kubernetes-csi/external-snapshotter pkg/common-controller/snapshot_controller.go; storage.md 6.2-6.4.
"""

from __future__ import annotations

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import ObjectMeta
from k8sim.api.quantity import format_quantity
from k8sim.api.snapshots import GROUP, content_name
from k8sim.api.storage import (
    SnapshotReference,
    VolumeSnapshot,
    VolumeSnapshotClass,
    VolumeSnapshotContent,
    VolumeSnapshotContentSource,
    VolumeSnapshotContentSpec,
    VolumeSnapshotStatus,
)
from k8sim.api.struct import replace


def source_problem(
    snapshot: VolumeSnapshot, claim: PersistentVolumeClaim | None, volume: PersistentVolume | None
) -> str | None:
    """Return what keeps a claim from being snapshotted now, or None."""
    name = snapshot.spec.source.persistent_volume_claim_name
    if claim is None:
        return f'the claim "{name}" does not exist'
    if claim.deleting:
        return f'the claim "{name}" is being deleted'
    if claim.status.phase != "Bound":
        return f'the claim "{name}" is not yet bound to a volume'
    if volume is None:
        return f'the volume "{claim.spec.volume_name}" does not exist'
    if volume.spec.csi is None:
        return f'the volume "{volume.name}" is not a CSI volume'
    return None


def new_content(
    snapshot: VolumeSnapshot, storage_class: VolumeSnapshotClass, volume: PersistentVolume
) -> VolumeSnapshotContent:
    """Return the content for a snapshot of a volume."""
    assert volume.spec.csi is not None
    reference = SnapshotReference(namespace=snapshot.namespace, name=snapshot.name, uid=snapshot.uid)
    annotations = {k: v for k, v in snapshot.metadata.annotations.items() if k.startswith("k8sim.dev/")}
    return VolumeSnapshotContent(
        metadata=ObjectMeta(name=content_name(snapshot), annotations=annotations),
        spec=VolumeSnapshotContentSpec(
            volume_snapshot_ref=reference,
            deletion_policy=storage_class.deletion_policy,
            driver=storage_class.driver,
            volume_snapshot_class_name=storage_class.name,
            source=VolumeSnapshotContentSource(volume_handle=volume.spec.csi.volume_handle),
            source_volume_mode=volume.spec.volume_mode,
        ),
    )


def copied_status(snapshot: VolumeSnapshot, content: VolumeSnapshotContent) -> VolumeSnapshotStatus:
    """Return a snapshot's status as its content tells it."""
    told = content.status
    size = snapshot.status.restore_size
    if told.restore_size is not None:
        size = format_quantity(told.restore_size, binary=True)
    return replace(
        snapshot.status,
        bound_volume_snapshot_content_name=content.name,
        creation_time=told.creation_time,
        ready_to_use=bool(told.ready_to_use),
        restore_size=size,
        error=told.error,
    )


def restores_from(claim: PersistentVolumeClaim, snapshot: VolumeSnapshot) -> bool:
    """Tell whether a claim that is still Pending is to be made from the snapshot."""
    source = claim.spec.data_source
    return (
        claim.status.phase == "Pending"
        and source is not None
        and (source.api_group, source.kind, source.name) == (GROUP, "VolumeSnapshot", snapshot.name)
        and claim.namespace == snapshot.namespace
    )
