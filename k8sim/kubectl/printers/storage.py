"""Rows of claims, volumes, classes, attachments, drivers and snapshots."""

from __future__ import annotations

from collections.abc import Iterable

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.storage import (
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    StorageClass,
    VolumeAttachment,
    VolumeAttributesClass,
    VolumeSnapshot,
    VolumeSnapshotClass,
    VolumeSnapshotContent,
)
from k8sim.kubectl.printers.text import UNSET, age

CLAIM_COLUMNS = (
    "Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age",
)  # fmt: skip
VOLUME_COLUMNS = (
    "Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass", "VolumeAttributesClass",
    "Reason", "Age",
)  # fmt: skip
MODE_WIDE = ("VolumeMode",)
CLASS_COLUMNS = ("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age")
ATTRIBUTES_CLASS_COLUMNS = ("Name", "DriverName", "Age")
ATTACHMENT_COLUMNS = ("Name", "Attacher", "PV", "Node", "Attached", "Age")
CSI_DRIVER_COLUMNS = (
    "Name", "AttachRequired", "PodInfoOnMount", "StorageCapacity", "TokenRequests", "RequiresRepublish", "Modes", "Age",
)  # fmt: skip
CSI_NODE_COLUMNS = ("Name", "Drivers", "Age")
CAPACITY_COLUMNS = ("Name", "StorageClassName", "Capacity")
SNAPSHOT_COLUMNS = (
    "Name", "ReadyToUse", "SourcePVC", "SourceSnapshotContent", "RestoreSize", "SnapshotClass", "SnapshotContent",
    "CreationTime", "Age",
)  # fmt: skip
SNAPSHOT_CLASS_COLUMNS = ("Name", "Driver", "DeletionPolicy", "Age")
SNAPSHOT_CONTENT_COLUMNS = (
    "Name", "ReadyToUse", "RestoreSize", "DeletionPolicy", "Driver", "VolumeSnapshotClass", "VolumeSnapshot",
    "VolumeSnapshotNamespace", "Age",
)  # fmt: skip
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def access_modes(modes: Iterable[str]) -> str:
    """Return access modes in short, in Kubernetes' order."""
    given = set(modes)
    return ",".join(short for mode, short in _MODES.items() if mode in given)


def claim_row(obj: PersistentVolumeClaim, now_ns: int) -> list[str]:
    """Return the cells of a claim; capacity and modes only once it has a volume."""
    bound = bool(obj.spec.volume_name)
    return [
        obj.name,
        "Terminating" if obj.deleting else obj.status.phase,
        obj.spec.volume_name,
        obj.status.capacity.get("storage", "") if bound else "",
        access_modes(obj.status.access_modes) if bound else "",
        obj.spec.storage_class_name or "",
        obj.spec.volume_attributes_class_name or UNSET,
        age(obj.metadata.creation_timestamp, now_ns),
        obj.spec.volume_mode or UNSET,
    ]


def volume_row(obj: PersistentVolume, now_ns: int) -> list[str]:
    """Return the cells of a volume."""
    claim = obj.spec.claim_ref
    return [
        obj.name,
        obj.spec.capacity.get("storage", ""),
        access_modes(obj.spec.access_modes),
        obj.spec.persistent_volume_reclaim_policy,
        "Terminating" if obj.deleting else obj.status.phase,
        "" if claim is None else f"{claim.namespace}/{claim.name}",
        obj.spec.storage_class_name,
        obj.spec.volume_attributes_class_name or UNSET,
        obj.status.reason,
        age(obj.metadata.creation_timestamp, now_ns),
        obj.spec.volume_mode or UNSET,
    ]


def class_row(obj: StorageClass, now_ns: int) -> list[str]:
    """Return the cells of a StorageClass."""
    default = any(obj.metadata.annotations.get(key) == "true" for key in DEFAULT_CLASS)
    return [
        f"{obj.name} (default)" if default else obj.name,
        obj.provisioner,
        obj.reclaim_policy,
        obj.volume_binding_mode,
        _bool(obj.allow_volume_expansion),
        age(obj.metadata.creation_timestamp, now_ns),
    ]


def attributes_class_row(obj: VolumeAttributesClass, now_ns: int) -> list[str]:
    """Return the cells of a VolumeAttributesClass."""
    return [obj.name, obj.driver_name, age(obj.metadata.creation_timestamp, now_ns)]


def _bool(value: bool | None) -> str:
    return "" if value is None else str(value).lower()


def attachment_row(obj: VolumeAttachment, now_ns: int) -> list[str]:
    """Return the cells of a VolumeAttachment."""
    return [
        obj.name,
        obj.spec.attacher,
        obj.spec.source.persistent_volume_name or "",
        obj.spec.node_name,
        _bool(obj.status.attached),
        age(obj.metadata.creation_timestamp, now_ns),
    ]


def csi_driver_row(obj: CSIDriver, now_ns: int) -> list[str]:
    """Return the cells of a CSIDriver; fields without effect on the simulation have what the manifest says."""
    spec, others = obj.spec, obj.spec.extra or {}
    return [
        obj.name,
        _bool(spec.attach_required),
        _bool(others.get("podInfoOnMount", False)),
        _bool(spec.storage_capacity),
        ",".join(request.get("audience", "") for request in others.get("tokenRequests", ())) or "<unset>",
        _bool(others.get("requiresRepublish", False)),
        ",".join(others.get("volumeLifecycleModes", ("Persistent",))),
        age(obj.metadata.creation_timestamp, now_ns),
    ]


def csi_node_row(obj: CSINode, now_ns: int) -> list[str]:
    """Return the cells of a CSINode."""
    return [obj.name, str(len(obj.spec.drivers)), age(obj.metadata.creation_timestamp, now_ns)]


def capacity_row(obj: CSIStorageCapacity, now_ns: int) -> list[str]:
    """Return the cells of a CSIStorageCapacity."""
    return [obj.name, obj.storage_class_name, obj.capacity or UNSET]


def snapshot_row(obj: VolumeSnapshot, now_ns: int) -> list[str]:
    """Return the cells of a VolumeSnapshot."""
    spec, status = obj.spec, obj.status
    return [
        obj.name,
        _bool(status.ready_to_use),
        spec.source.persistent_volume_claim_name or "",
        spec.source.volume_snapshot_content_name or "",
        status.restore_size or "",
        spec.volume_snapshot_class_name or "",
        status.bound_volume_snapshot_content_name or "",
        "" if status.creation_time is None else age(status.creation_time, now_ns),
        age(obj.metadata.creation_timestamp, now_ns),
    ]


def snapshot_class_row(obj: VolumeSnapshotClass, now_ns: int) -> list[str]:
    """Return the cells of a VolumeSnapshotClass."""
    return [obj.name, obj.driver, obj.deletion_policy, age(obj.metadata.creation_timestamp, now_ns)]


def snapshot_content_row(obj: VolumeSnapshotContent, now_ns: int) -> list[str]:
    """Return the cells of a VolumeSnapshotContent."""
    spec, status = obj.spec, obj.status
    return [
        obj.name,
        _bool(status.ready_to_use),
        "" if status.restore_size is None else str(status.restore_size),
        spec.deletion_policy,
        spec.driver,
        spec.volume_snapshot_class_name or "",
        spec.volume_snapshot_ref.name,
        spec.volume_snapshot_ref.namespace,
        age(obj.metadata.creation_timestamp, now_ns),
    ]
