"""The snapshot controller: pairs VolumeSnapshots with contents, and protects what they are made from.

Source: kubernetes-csi/external-snapshotter pkg/common-controller/{snapshot_controller,snapshot_controller_base}.go;
storage.md 6.2-6.4.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any, ClassVar

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import with_meta
from k8sim.api.snapshots import (
    BEING_DELETED,
    BOUND_FINALIZER,
    CLAIM_FINALIZER,
    SOURCE_FINALIZER,
    content_name,
    default_snapshot_class,
    is_bound_to,
    with_finalizer,
    without_finalizer,
)
from k8sim.api.storage import VolumeSnapshot, VolumeSnapshotClass, VolumeSnapshotContent
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.snapshot import control
from k8sim.sim.clock import Event
from k8sim.sim.units import MINUTE, SECOND

SNAPSHOTS_BY_CLAIM = "claim"


class SnapshotError(ApiError):
    """What keeps a snapshot back, with the reason of its event; tried again with back-off."""

    def __init__(self, event: str, message: str) -> None:
        super().__init__(message)
        self.event = event


class SnapshotController(Controller):
    """Makes contents for snapshots, and binds and releases them."""

    name: ClassVar[str] = "snapshot-controller"
    workers: ClassVar[int] = 10
    base_delay_ns: ClassVar[int] = SECOND
    max_delay_ns: ClassVar[int] = 5 * MINUTE

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.snapshots = self.informers.of(VolumeSnapshot)
        self.contents = self.informers.of(VolumeSnapshotContent)
        self.classes = self.informers.of(VolumeSnapshotClass)
        self.claims = self.informers.of(PersistentVolumeClaim)
        self.volumes = self.informers.of(PersistentVolume)
        self.snapshots.add_index(
            SNAPSHOTS_BY_CLAIM, lambda s: [(s.namespace, s.spec.source.persistent_volume_claim_name)]
        )
        self.snapshots.add_handler(self._on_snapshot)
        self.contents.add_handler(self._on_content)

    def _on_snapshot(self, change: Change) -> None:
        self.queue.add(change.new.key, change.row)

    def _on_content(self, change: Change) -> None:
        content = change.new
        assert isinstance(content, VolumeSnapshotContent)
        ref = content.spec.volume_snapshot_ref
        if self.snapshots.get(ref.namespace, ref.name) is not None:
            self.queue.add((ref.namespace, ref.name), change.row)

    # ---- one snapshot -----------------------------------------------------------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Bring a snapshot and its content together, or take them apart."""
        snapshot = self.snapshots.find(key)
        if snapshot is None:
            return
        try:
            if snapshot.deleting:
                yield from self._delete(snapshot, client)
            else:
                yield from self._create(snapshot, client)
        except SnapshotError as error:
            yield from self._write_error(key, error, client)
            raise

    def _create(self, snapshot: VolumeSnapshot, client: Client) -> Sync:
        content = self._content_of(snapshot)
        wanted = [SOURCE_FINALIZER, *([BOUND_FINALIZER] if content is not None else [])]
        protected = with_finalizer(snapshot, *wanted)
        if protected is not snapshot:
            yield from client.update(protected)  # comes back as an event
            return
        if snapshot.status.ready_to_use and content is None:
            yield from self._write_status(snapshot, replace(snapshot.status, ready_to_use=False), client)
            raise SnapshotError("SnapshotContentMissing", "VolumeSnapshotContent is missing")
        if content is None:
            if snapshot.spec.source.volume_snapshot_content_name is not None:
                raise SnapshotError("SnapshotContentMissing", "VolumeSnapshotContent is missing")
            yield from self._make_content(snapshot, client)
            return
        if not is_bound_to(content, snapshot):
            message = "VolumeSnapshotContent is bound to another VolumeSnapshot"
            raise SnapshotError("SnapshotContentMisbound", message)
        if not content.spec.volume_snapshot_ref.uid:
            reference = replace(content.spec.volume_snapshot_ref, uid=snapshot.uid)
            spec = replace(content.spec, volume_snapshot_ref=reference)
            content = yield from client.update(replace(content, spec=spec))
        yield from self._follow(snapshot, content, client)

    def _content_of(self, snapshot: VolumeSnapshot) -> VolumeSnapshotContent | None:
        name = snapshot.spec.source.volume_snapshot_content_name or content_name(snapshot)
        return self.contents.get("", name)

    def _follow(self, snapshot: VolumeSnapshot, content: VolumeSnapshotContent, client: Client) -> Sync:
        """Copy the content's status, say what is new, and let the claim go when the snapshot is ready."""
        old, new = snapshot.status, control.copied_status(snapshot, content)
        yield from self._write_status(snapshot, new, client)
        if old.creation_time is None and new.creation_time is not None:
            client.event(snapshot, "Normal", "SnapshotCreated", f"Snapshot {snapshot.name} was successfully created")
        if not old.ready_to_use and new.ready_to_use:
            client.event(snapshot, "Normal", "SnapshotReady", f"Snapshot {snapshot.name} is ready to use")
        if new.ready_to_use:
            yield from self._release_claim(snapshot, client)

    def _make_content(self, snapshot: VolumeSnapshot, client: Client) -> Sync:
        claim = self.claims.get(snapshot.namespace, snapshot.spec.source.persistent_volume_claim_name or "")
        volume = self.volumes.get("", claim.spec.volume_name) if claim is not None else None
        problem = control.source_problem(snapshot, claim, volume)
        if problem is not None or claim is None or volume is None or volume.spec.csi is None:
            raise SnapshotError("SnapshotContentCreationFailed", f"Failed to create snapshot content: {problem}")
        storage_class = yield from self._class_of(snapshot, volume.spec.csi.driver, client)
        if storage_class is None:
            return
        if storage_class.driver != volume.spec.csi.driver:
            message = "Failed to create snapshot content: the class is of another driver"
            raise SnapshotError("SnapshotContentCreationFailed", message)
        held = with_finalizer(claim, CLAIM_FINALIZER)
        if held is not claim:
            yield from client.update(held)
        try:
            content = yield from client.create(control.new_content(snapshot, storage_class, volume))
        except AlreadyExists:
            return
        client.event(snapshot, "Normal", "CreatingSnapshot", f"Waiting for a snapshot {snapshot.name} to be created.")
        status = replace(
            snapshot.status, bound_volume_snapshot_content_name=content.name, ready_to_use=False, error=None
        )
        yield from self._write_status(snapshot, status, client)

    def _class_of(
        self, snapshot: VolumeSnapshot, driver: str, client: Client
    ) -> Generator[Event, Any, VolumeSnapshotClass | None]:
        """Return the snapshot's class; None if the default has just been written into it."""
        name = snapshot.spec.volume_snapshot_class_name
        if name is not None:
            found = self.classes.get("", name)
            if found is None:
                raise SnapshotError("GetSnapshotClassFailed", f'failed to get class "{name}"')
            return found
        default = default_snapshot_class(self.classes.list(), driver)
        if isinstance(default, str):
            raise SnapshotError("SetDefaultSnapshotClassFailed", f"Failed to set default snapshot class: {default}")
        spec = replace(snapshot.spec, volume_snapshot_class_name=default.name)
        yield from client.update(replace(snapshot, spec=spec))
        return None

    def _release_claim(self, snapshot: VolumeSnapshot, client: Client) -> Sync:
        """Let the claim go that the snapshot was taken from, unless another one of it is not ready."""
        name = snapshot.spec.source.persistent_volume_claim_name
        claim = self.claims.get(snapshot.namespace, name) if name is not None else None
        if claim is None or CLAIM_FINALIZER not in claim.metadata.finalizers:
            return
        for other in self.snapshots.by_index(SNAPSHOTS_BY_CLAIM, claim.key):
            if other.uid != snapshot.uid and not other.status.ready_to_use and not other.deleting:
                return
        yield from client.update(without_finalizer(claim, CLAIM_FINALIZER))

    # ---- deletion ---------------------------------------------------------------------------------------------------

    def _delete(self, snapshot: VolumeSnapshot, client: Client) -> Sync:
        if any(control.restores_from(claim, snapshot) for claim in self.claims.list(snapshot.namespace)):
            raise SnapshotError("SnapshotDeletePending", f"Snapshot {snapshot.name} is being used to restore a PVC")
        content = self._content_of(snapshot)
        if content is not None and is_bound_to(content, snapshot):
            if BEING_DELETED not in content.metadata.annotations:
                annotations = {**content.metadata.annotations, BEING_DELETED: "yes"}
                content = yield from client.update(with_meta(content, annotations=annotations))
            if content.spec.deletion_policy == "Delete":
                if not content.deleting:
                    with suppress(NotFound):
                        yield from client.delete(VolumeSnapshotContent, "", content.name)
                if self.contents.get("", content.name) is not None:
                    return  # its end comes as an event
        yield from self._release_claim(snapshot, client)
        free = without_finalizer(snapshot, SOURCE_FINALIZER, BOUND_FINALIZER)
        if free is not snapshot:
            yield from client.update(free)

    # ---- writes -----------------------------------------------------------------------------------------------------

    def _write_status(self, snapshot: VolumeSnapshot, status: object, client: Client) -> Sync:
        if status != snapshot.status:
            yield from client.patch_status(VolumeSnapshot, *snapshot.key, lambda s: replace(s, status=status))

    def _write_error(self, key: Key, error: SnapshotError, client: Client) -> Sync:
        """Write an error into the status and say it, unless the status says so already."""
        try:
            snapshot = yield from client.get(VolumeSnapshot, *key)
        except NotFound:
            return
        known = snapshot.status.error or {}
        if known.get("message") == error.message:
            return
        told = {"time": Time(self.clock.truncated()), "message": error.message}
        yield from self._write_status(snapshot, replace(snapshot.status, error=told, ready_to_use=False), client)
        client.event(snapshot, "Warning", error.event, error.message)
