"""The snapshotter beside a driver: has snapshots cut and deleted, and tells when they are ready.

Source: kubernetes-csi/external-snapshotter pkg/sidecar-controller/{snapshot_controller,csi_handler}.go; storage.md 6.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from k8sim.api.meta import with_meta
from k8sim.api.snapshots import (
    BEING_CREATED,
    BEING_DELETED,
    CONSISTENCY,
    CONTENT_FINALIZER,
    with_finalizer,
    without_finalizer,
)
from k8sim.api.storage import VolumeSnapshotContent, VolumeSnapshotContentStatus
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.rpc import IN_BACKGROUND, SNAPSHOT_TIMEOUT_NS, Backend, RpcError
from k8sim.csi.sidecar import Key, NotYet, Sidecar, Steps
from k8sim.machines.content import Snapshot

NON_FINAL = IN_BACKGROUND | {"ResourceExhausted"}


class Snapshotter(Sidecar):
    """Takes and deletes the snapshots of one driver."""

    name: ClassVar[str] = "csi-snapshotter"
    workers: ClassVar[int] = 10

    def __init__(self, server: APIServer, backend: Backend) -> None:
        super().__init__(server, backend)
        self.contents = self.informers.of(VolumeSnapshotContent)
        self.content_queue = self.queue(self._sync)
        self.contents.add_handler(self._on_content)

    def _on_content(self, change: Change) -> None:
        content = change.new
        assert isinstance(content, VolumeSnapshotContent)
        if change.type != "DELETED" and content.spec.driver == self.driver.name and _asks_for_a_look(change):
            self.content_queue.add(content.key, change.row)

    def _sync(self, key: Key, client: Client) -> Steps:
        content = self.contents.get(*key)
        if content is None:
            return
        if content.deleting:
            yield from self._delete(content, client)
            return
        protected = with_finalizer(content, CONTENT_FINALIZER)
        if protected is not content:
            content = yield from client.update(protected)
        if content.status.ready_to_use:
            return
        if content.spec.source.volume_handle is not None:
            yield from self._create(content, client)
        else:
            yield from self._import(content, client)

    # ---- creation ---------------------------------------------------------------------------------------------------

    def _create(self, content: VolumeSnapshotContent, client: Client) -> Steps:
        if content.status.snapshot_handle is None and BEING_CREATED not in content.metadata.annotations:
            annotations = {**content.metadata.annotations, BEING_CREATED: "yes"}
            content = yield from client.update(with_meta(content, annotations=annotations))
        handle, source = f"snapshot-{content.spec.volume_snapshot_ref.uid}", content.spec.source.volume_handle or ""
        quiesced = content.metadata.annotations.get(CONSISTENCY) == "application"
        cause = client.cause
        try:
            snapshot = yield from self.backend.call(
                "snapshotCut", handle, lambda: self._cut(handle, source, quiesced, cause), SNAPSHOT_TIMEOUT_NS
            )
        except RpcError as error:
            yield from self._create_failed(content, error, client)
            raise
        yield from self._tell(content, snapshot, client)
        if BEING_CREATED in content.metadata.annotations:
            yield from client.patch(VolumeSnapshotContent, "", content.name, _not_being_created)
        if self.clock.now < snapshot.ready_ns:
            raise NotYet(f"snapshot {handle} is not ready to use")

    def _cut(self, handle: str, source: str, quiesced: bool, cause: int) -> Snapshot:
        storage = self.backend.storage
        known = storage.snapshots.get(handle)
        if known is not None and not known.deleted:
            return known
        if storage.disk(source).lost:
            raise RpcError("NotFound", f"volume {source} not found")
        until_ready = storage.draw(self.driver.name, "snapshotReady", handle)
        return storage.cut(handle, source, until_ready, cause, quiesced, not self.driver.snapshots_survive_volume)

    def _create_failed(self, content: VolumeSnapshotContent, error: RpcError, client: Client) -> Steps:
        """Write the error; after a definite one nothing is under way any more in the storage system."""
        told = {
            "time": Time(self.clock.truncated()),
            "message": f"Failed to check and update snapshot content: {error}",
        }
        if (content.status.error or {}).get("message") != told["message"]:
            yield from self._write(content, lambda s: replace(s, error=told, ready_to_use=False), client)
        if error.code not in NON_FINAL:
            yield from client.patch(VolumeSnapshotContent, "", content.name, _not_being_created)

    def _import(self, content: VolumeSnapshotContent, client: Client) -> Steps:
        """Take over a snapshot that an administrator knows of; one that we do not know is believed."""
        handle = content.spec.source.snapshot_handle or ""
        snapshot = self.backend.storage.snapshots.get(handle)
        if snapshot is None:
            snapshot = Snapshot(handle, self.driver.name, "", (), 0, 0, 0)
        if snapshot.deleted:
            raise RpcError("NotFound", f"snapshot {handle} not found")
        yield from self._tell(content, snapshot, client)
        if self.clock.now < snapshot.ready_ns:
            raise NotYet(f"snapshot {handle} is not ready to use")

    def _tell(self, content: VolumeSnapshotContent, snapshot: Snapshot, client: Client) -> Steps:
        ready = self.clock.now >= snapshot.ready_ns

        def change(status: VolumeSnapshotContentStatus) -> VolumeSnapshotContentStatus:
            return replace(
                status,
                snapshot_handle=snapshot.name,
                creation_time=Time(snapshot.cut_ns),
                restore_size=snapshot.size or None,
                ready_to_use=ready,
                error=None,
            )

        yield from self._write(content, change, client)

    def _write(
        self,
        content: VolumeSnapshotContent,
        change: Callable[[VolumeSnapshotContentStatus], VolumeSnapshotContentStatus],
        client: Client,
    ) -> Steps:
        yield from client.patch_status(
            VolumeSnapshotContent, "", content.name, lambda c: replace(c, status=change(c.status))
        )

    # ---- deletion ---------------------------------------------------------------------------------------------------

    def _delete(self, content: VolumeSnapshotContent, client: Client) -> Steps:
        annotations = content.metadata.annotations
        if BEING_DELETED not in annotations:
            return  # its VolumeSnapshot lives
        if BEING_CREATED in annotations:
            yield from self._create(content, client)  # only a definite answer ends what was begun
            return
        handle = content.status.snapshot_handle or content.spec.source.snapshot_handle
        if content.spec.deletion_policy == "Delete" and handle is not None:
            storage, cause = self.backend.storage, client.cause
            yield from self.backend.call(
                "snapshotDelete", handle, lambda: storage.delete_snapshot(handle, "L31", cause), SNAPSHOT_TIMEOUT_NS
            )
        free = without_finalizer(content, CONTENT_FINALIZER)
        if free is not content:
            yield from client.update(free)


def _asks_for_a_look(change: Change) -> bool:
    """Tell whether a change is one of those that the sidecar itself does not make (ShouldEnqueueContentChange)."""
    old, new = change.old, change.new
    if not isinstance(old, VolumeSnapshotContent) or not isinstance(new, VolumeSnapshotContent):
        return True
    if old.deleting != new.deleting or old.spec != new.spec:
        return True
    return _foreign_annotations(old) != _foreign_annotations(new)


def _foreign_annotations(content: VolumeSnapshotContent) -> dict[str, str]:
    return {k: v for k, v in content.metadata.annotations.items() if k != BEING_CREATED}


def _not_being_created(content: VolumeSnapshotContent) -> VolumeSnapshotContent:
    return with_meta(content, annotations=_foreign_annotations(content))
