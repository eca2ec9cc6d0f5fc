"""What a new volume begins with: nothing, a snapshot, or another claim's volume.

Source: kubernetes-csi/external-provisioner pkg/controller/{controller,clone_controller}.go; storage.md 6.5, 6.6.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.quantity import parse_quantity
from k8sim.api.snapshots import ALLOW_MODE_CHANGE, GROUP, is_bound_to, with_finalizer, without_finalizer
from k8sim.api.storage import StorageClass, VolumeSnapshot, VolumeSnapshotContent
from k8sim.api.volume_matching import storage_request
from k8sim.apiserver.client import Client
from k8sim.apiserver.watch import Change
from k8sim.csi.rpc import RpcError
from k8sim.csi.sidecar import NotYet, Steps
from k8sim.machines.content import Prefix
from k8sim.machines.disks import Storage
from k8sim.sim.clock import Event

if TYPE_CHECKING:
    from k8sim.csi.provisioner import Provisioner

SNAPSHOT_FINALIZER: Final = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"
CLONING_FINALIZER: Final = "provisioner.storage.kubernetes.io/cloning-protection"


@dataclass(frozen=True)
class Beginning:
    """What is in a volume when it is made."""

    content: Prefix = ()
    filesystem: str = ""
    snapshot: str = ""


Origin = Callable[[Storage], Beginning]
"""What the storage system copies, read at the moment at which it makes the volume."""


def nothing(storage: Storage) -> Beginning:
    """Begin with an empty volume."""
    return Beginning()


@dataclass(frozen=True)
class FromSnapshot:
    """Begin with a snapshot."""

    handle: str

    def __call__(self, storage: Storage) -> Beginning:
        """Return its content."""
        snapshot = storage.snapshots.get(self.handle)
        if snapshot is not None and snapshot.deleted:
            raise RpcError("NotFound", f"snapshot {self.handle} not found")
        if snapshot is None:
            return Beginning(((self.handle, 0),))
        return Beginning(snapshot.content, snapshot.filesystem, snapshot.name)


@dataclass(frozen=True)
class FromVolume:
    """Begin with what another volume holds: whatever has reached the storage, in use or not."""

    handle: str

    def __call__(self, storage: Storage) -> Beginning:
        """Return the volume's content now."""
        disk = storage.disk(self.handle)
        if disk.lost:
            raise RpcError("NotFound", f"volume {self.handle} not found")
        return Beginning(disk.content, disk.filesystem)


class DataSources:
    """Checks the data sources of a driver's claims, and protects them meanwhile."""

    def __init__(self, provisioner: Provisioner) -> None:
        self.provisioner = provisioner
        self.claims = provisioner.informers.of(PersistentVolumeClaim)
        self.volumes = provisioner.informers.of(PersistentVolume)
        self.snapshots = provisioner.informers.of(VolumeSnapshot)
        self.contents = provisioner.informers.of(VolumeSnapshotContent)
        self.clone_queue = provisioner.queue(self._sync_clone_source)

    def check(
        self, claim: PersistentVolumeClaim, storage_class: StorageClass, client: Client
    ) -> Generator[Event, Any, Origin | None]:
        """Return what to begin with; None if somebody else populates the claim. NotYet while it cannot be had."""
        source = claim.spec.data_source or claim.spec.data_source_ref
        if source is None:
            return nothing
        if source.namespace not in (None, claim.namespace):
            raise NotYet("a data source in another namespace needs CrossNamespaceVolumeDataSource, which is off")
        if source.kind == "VolumeSnapshot" and source.api_group == GROUP:
            return (yield from self._snapshot(claim, source.name, client))
        if source.kind == "PersistentVolumeClaim" and not source.api_group:
            return (yield from self._clone(claim, source.name, storage_class, client))
        return None

    # ---- restore ----------------------------------------------------------------------------------------------------

    def _snapshot(self, claim: PersistentVolumeClaim, name: str, client: Client) -> Generator[Event, Any, Origin]:
        snapshot = self.snapshots.get(claim.namespace, name)
        if snapshot is None:
            raise NotYet(f"error getting snapshot {name} from api server")
        begun = SNAPSHOT_FINALIZER in snapshot.metadata.finalizers
        if snapshot.deleting and not begun:
            raise NotYet(f"snapshot {name} is currently being deleted")
        content = self.contents.get("", snapshot.status.bound_volume_snapshot_content_name or "")
        handle = self._usable_handle(claim, snapshot, content)
        if not begun:
            yield from client.update(with_finalizer(snapshot, SNAPSHOT_FINALIZER))
        return FromSnapshot(handle)

    def _usable_handle(
        self, claim: PersistentVolumeClaim, snapshot: VolumeSnapshot, content: VolumeSnapshotContent | None
    ) -> str:
        if content is None or not is_bound_to(content, snapshot):
            raise NotYet(f"snapshot {snapshot.name} is not bound")
        if content.spec.driver != self.provisioner.driver.name:
            raise NotYet("requested volume is of another driver than the snapshot")
        if not snapshot.status.ready_to_use or content.status.snapshot_handle is None:
            raise NotYet(f"snapshot {snapshot.name} is not Ready")
        size = parse_quantity(snapshot.status.restore_size or "0")
        if storage_request(claim) < size:
            raise NotYet(f"requested volume size is less than the size {size} for the source snapshot {snapshot.name}")
        mode = content.spec.source_volume_mode
        allowed = content.metadata.annotations.get(ALLOW_MODE_CHANGE) == "true"
        if mode is not None and mode != claim.spec.volume_mode and not allowed:
            raise NotYet(f"requested volume modifies the mode of the source volume, {mode}")
        return content.status.snapshot_handle

    # ---- clone ------------------------------------------------------------------------------------------------------

    def _clone(
        self, claim: PersistentVolumeClaim, name: str, storage_class: StorageClass, client: Client
    ) -> Generator[Event, Any, Origin]:
        source = self.claims.get(claim.namespace, name)
        volume = self.volumes.get("", source.spec.volume_name) if source is not None else None
        if not self.provisioner.driver.clones:
            raise RpcError("InvalidArgument", "CSI driver does not support clone operations")
        if source is None or source.deleting or source.status.phase != "Bound":
            raise NotYet(f"the claim in dataSource, {name}, is not there or not bound")
        if volume is None or volume.status.phase != "Bound" or volume.spec.csi is None:
            raise NotYet(f"the volume of the claim in dataSource, {name}, is not bound")
        if volume.spec.csi.driver != self.provisioner.driver.name:
            raise NotYet("the source volume is of another driver")
        if storage_request(claim) < storage_request(source):
            raise NotYet("requested volume size is less than that of the source claim")
        if claim.spec.volume_mode != source.spec.volume_mode:
            raise NotYet("the source claim and destination claim have different volume modes")
        held = with_finalizer(source, CLONING_FINALIZER)
        if held is not source:
            yield from client.update(held)
        return FromVolume(volume.spec.csi.volume_handle)

    # ---- afterwards -------------------------------------------------------------------------------------------------

    def done(self, claim: PersistentVolumeClaim, client: Client) -> Steps:
        """Let the snapshot go that a volume was made from, unless others are being made from it."""
        source = claim.spec.data_source
        if source is None or source.kind != "VolumeSnapshot":
            return
        snapshot = self.snapshots.get(claim.namespace, source.name)
        if snapshot is None or SNAPSHOT_FINALIZER not in snapshot.metadata.finalizers:
            return
        if not self._wanted_by_others(claim, "VolumeSnapshot", source.name):
            current = yield from client.get(VolumeSnapshot, *snapshot.key)
            yield from client.update(without_finalizer(current, SNAPSHOT_FINALIZER))

    def _wanted_by_others(self, claim: PersistentVolumeClaim | None, kind: str, name: str, namespace: str = "") -> bool:
        for other in self.claims.list(claim.namespace if claim is not None else namespace):
            source = other.spec.data_source
            if claim is not None and other.uid == claim.uid:
                continue
            if other.status.phase == "Pending" and source is not None and (source.kind, source.name) == (kind, name):
                return True
        return False

    def claim_changed(self, claim: PersistentVolumeClaim, change: Change) -> None:
        """Look at a claim that was cloned from and is being deleted, and at what a claim was cloned from."""
        if claim.deleting and CLONING_FINALIZER in claim.metadata.finalizers:
            self.clone_queue.add(claim.key, change.row)
        source = claim.spec.data_source
        if source is not None and source.kind == "PersistentVolumeClaim":
            self.clone_queue.add((claim.namespace, source.name), change.row)

    def _sync_clone_source(self, key: tuple[str, str], client: Client) -> Steps:
        claim = self.claims.get(*key)
        if claim is None or not claim.deleting or CLONING_FINALIZER not in claim.metadata.finalizers:
            return
        if not self._wanted_by_others(None, "PersistentVolumeClaim", claim.name, claim.namespace):
            yield from client.update(without_finalizer(claim, CLONING_FINALIZER))
