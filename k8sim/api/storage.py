"""The storage and snapshot groups: classes, attachments, drivers, snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from k8sim.api.meta import LabelSelector, LabelSelectorRequirement, Object
from k8sim.api.struct import Struct, Time


class TopologySelectorTerm(Struct, frozen=True):
    """Allowed topologies of a class."""

    match_label_expressions: tuple[LabelSelectorRequirement, ...] = ()


class StorageClass(Object, frozen=True):
    """A kind of storage: who makes it and how it is bound and reclaimed."""

    api_version: ClassVar[str] = "storage.k8s.io/v1"
    kind: ClassVar[str] = "StorageClass"
    plural: ClassVar[str] = "storageclasses"
    namespaced: ClassVar[bool] = False

    provisioner: str = ""
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    reclaim_policy: str = "Delete"
    volume_binding_mode: str = "Immediate"
    allow_volume_expansion: bool = False
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()
    mount_options: tuple[str, ...] = ()


class VolumeAttributesClass(Object, frozen=True):
    """Attributes of volumes that a driver can change while they are in use, such as their throughput."""

    api_version: ClassVar[str] = "storage.k8s.io/v1"
    kind: ClassVar[str] = "VolumeAttributesClass"
    plural: ClassVar[str] = "volumeattributesclasses"
    namespaced: ClassVar[bool] = False

    driver_name: str = ""
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)


class VolumeAttachmentSource(Struct, frozen=True):
    """The volume that is to be attached."""

    persistent_volume_name: str | None = None


class VolumeAttachmentSpec(Struct, frozen=True):
    """Driver, node and volume."""

    attacher: str = ""
    node_name: str = ""
    source: VolumeAttachmentSource = VolumeAttachmentSource()


class VolumeError(Struct, frozen=True):
    """An error of the driver. ``error_code`` is the number of its gRPC code, if it came as one."""

    time: Time | None = None
    message: str = ""
    error_code: int | None = None


class VolumeAttachmentStatus(Struct, frozen=True):
    """Whether it is attached."""

    attached: bool = False
    attach_error: VolumeError | None = None
    detach_error: VolumeError | None = None


class VolumeAttachment(Object, frozen=True):
    """The intent to attach a volume to a node, and its outcome."""

    api_version: ClassVar[str] = "storage.k8s.io/v1"
    kind: ClassVar[str] = "VolumeAttachment"
    plural: ClassVar[str] = "volumeattachments"
    namespaced: ClassVar[bool] = False

    spec: VolumeAttachmentSpec = VolumeAttachmentSpec()
    status: VolumeAttachmentStatus = VolumeAttachmentStatus()


class CSIDriverSpec(Struct, frozen=True):
    """Abilities that a driver declares."""

    attach_required: bool = True
    storage_capacity: bool = False
    fs_group_policy: str = "ReadWriteOnceWithFSType"
    node_allocatable_update_period_seconds: int | None = None


class CSIDriver(Object, frozen=True):
    """A CSI driver."""

    api_version: ClassVar[str] = "storage.k8s.io/v1"
    kind: ClassVar[str] = "CSIDriver"
    plural: ClassVar[str] = "csidrivers"
    namespaced: ClassVar[bool] = False

    spec: CSIDriverSpec = CSIDriverSpec()


class VolumeNodeResources(Struct, frozen=True):
    """How many volumes a node takes."""

    count: int | None = None


class CSINodeDriver(Struct, frozen=True):
    """A driver on a node."""

    name: str = ""
    node_id: str = msgspec.field(default="", name="nodeID")
    topology_keys: tuple[str, ...] = ()
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(Struct, frozen=True):
    """Drivers on a node."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(Object, frozen=True):
    """What CSI drivers a node has."""

    api_version: ClassVar[str] = "storage.k8s.io/v1"
    kind: ClassVar[str] = "CSINode"
    plural: ClassVar[str] = "csinodes"
    namespaced: ClassVar[bool] = False

    spec: CSINodeSpec = CSINodeSpec()


class CSIStorageCapacity(Object, frozen=True):
    """Free space that a driver reports for a class and a topology."""

    api_version: ClassVar[str] = "storage.k8s.io/v1"
    kind: ClassVar[str] = "CSIStorageCapacity"
    plural: ClassVar[str] = "csistoragecapacities"

    node_topology: LabelSelector | None = None
    storage_class_name: str = ""
    capacity: str | None = None
    maximum_volume_size: str | None = None


SNAPSHOT_GROUP = "snapshot.storage.k8s.io/v1"


class VolumeSnapshotClass(Object, frozen=True):
    """Who takes snapshots and what becomes of them."""

    api_version: ClassVar[str] = SNAPSHOT_GROUP
    kind: ClassVar[str] = "VolumeSnapshotClass"
    plural: ClassVar[str] = "volumesnapshotclasses"
    namespaced: ClassVar[bool] = False

    driver: str = ""
    deletion_policy: str = ""
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)


class VolumeSnapshotSource(Struct, frozen=True):
    """A claim to be copied, or existing content."""

    persistent_volume_claim_name: str | None = None
    volume_snapshot_content_name: str | None = None


class VolumeSnapshotSpec(Struct, frozen=True):
    """What to snapshot."""

    source: VolumeSnapshotSource = VolumeSnapshotSource()
    volume_snapshot_class_name: str | None = None


class VolumeSnapshotStatus(Struct, frozen=True):
    """How far it is."""

    bound_volume_snapshot_content_name: str | None = None
    creation_time: Time | None = None
    ready_to_use: bool | None = None
    restore_size: str | None = None
    error: Mapping[str, Any] | None = None


class VolumeSnapshot(Object, frozen=True):
    """A request for a copy of a claim at a moment."""

    api_version: ClassVar[str] = SNAPSHOT_GROUP
    kind: ClassVar[str] = "VolumeSnapshot"
    plural: ClassVar[str] = "volumesnapshots"

    spec: VolumeSnapshotSpec = VolumeSnapshotSpec()
    status: VolumeSnapshotStatus = VolumeSnapshotStatus()


class VolumeSnapshotContentSource(Struct, frozen=True):
    """The volume or the existing snapshot behind a content."""

    volume_handle: str | None = None
    snapshot_handle: str | None = None


class SnapshotReference(Struct, frozen=True):
    """The snapshot that a content belongs to."""

    namespace: str = ""
    name: str = ""
    uid: str = ""


class VolumeSnapshotContentSpec(Struct, frozen=True):
    """What a snapshot's content is."""

    volume_snapshot_ref: SnapshotReference = SnapshotReference()
    deletion_policy: str = ""
    driver: str = ""
    volume_snapshot_class_name: str | None = None
    source: VolumeSnapshotContentSource = VolumeSnapshotContentSource()
    source_volume_mode: str | None = None


class VolumeSnapshotContentStatus(Struct, frozen=True):
    """How far it is."""

    snapshot_handle: str | None = None
    creation_time: Time | None = None
    restore_size: int | None = None
    ready_to_use: bool | None = None
    error: Mapping[str, Any] | None = None


class VolumeSnapshotContent(Object, frozen=True):
    """A snapshot in the storage system."""

    api_version: ClassVar[str] = SNAPSHOT_GROUP
    kind: ClassVar[str] = "VolumeSnapshotContent"
    plural: ClassVar[str] = "volumesnapshotcontents"
    namespaced: ClassVar[bool] = False

    spec: VolumeSnapshotContentSpec = VolumeSnapshotContentSpec()
    status: VolumeSnapshotContentStatus = VolumeSnapshotContentStatus()
