"""What snapshots are worth: not there when they are needed, or not of one moment.

An observer that changes nothing.

Source: storage.md 9.2, L30, L31, L33.
"""

from __future__ import annotations

from collections.abc import Mapping

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import Object
from k8sim.api.snapshots import content_name
from k8sim.api.storage import VolumeSnapshot, VolumeSnapshotContent
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.machines.content import Snapshot
from k8sim.machines.disks import Storage, location


def skew_ns(snapshots: list[Snapshot]) -> int:
    """Return how far apart the moments of snapshots are; 0 if the application was at rest in all of them."""
    if all(s.quiesced for s in snapshots):
        return 0
    moments = [s.cut_ns for s in snapshots]
    return max(moments) - min(moments)


class Backups:
    """Watches snapshots, and the volumes that were made from them."""

    def __init__(self, server: APIServer, storage: Storage) -> None:
        self.server = server
        self.storage = storage

    def start(self) -> None:
        """Begin to watch."""
        self.storage.observers.append(self._on_storage)
        self.server.watch(VolumeSnapshotContent, self._on_content)
        self.server.watch(VolumeSnapshot, self._on_snapshot)

    def _on_storage(self, event: str, name: str, detail: Mapping[str, object], row: int) -> None:
        if event == "Mounted":
            self._note_skew(name, str(detail["node"]), row)
        elif event == "Destroyed":
            self._note_missing(name, row)

    def _note_skew(self, name: str, node: str, row: int) -> None:
        """Note a pod whose volumes were restored from different moments: what one says of the other is not so."""
        disk = self.storage.disk(name)
        if not disk.made_from:
            return
        for holder in disk.mounts.values():
            if holder.node == node:
                held = (self.storage.disk(n) for n in self.storage.mounted_by(node, holder.uid))
                restored = {d.name: self.storage.snapshots[d.made_from] for d in held if d.made_from}
                skew = skew_ns(list(restored.values()))
                if skew:
                    detail = {"path": "L30", "pod": holder.name, "volumes": sorted(restored), "skew": skew}
                    self._note(name, "Skewed", row, detail)

    def _note_missing(self, name: str, row: int) -> None:
        """Note snapshots of a volume that is gone which are no use: asked for, and never ready."""
        for snapshot in self.server.list(VolumeSnapshot):
            if not snapshot.status.ready_to_use and self._source(snapshot) == name:
                self._note(name, "BackupMissing", row, {"path": "L33", "snapshot": snapshot.name})

    def _source(self, snapshot: VolumeSnapshot) -> str:
        """Return where the volume is (or was) that a snapshot was asked for of."""
        bound_to = snapshot.status.bound_volume_snapshot_content_name or content_name(snapshot)
        content = self.server.find(VolumeSnapshotContent, "", bound_to)
        if content is not None:
            return content.spec.source.volume_handle or ""
        wanted = snapshot.spec.source.persistent_volume_claim_name or ""
        claim = self.server.find(PersistentVolumeClaim, snapshot.namespace, wanted)
        volume = self.server.find(PersistentVolume, "", claim.spec.volume_name) if claim is not None else None
        return location(volume) if volume is not None else ""

    def _on_content(self, change: Change) -> None:
        if change.type == "DELETED":
            self._left_over("SnapshotOrphaned", change.new, change.row)

    def _on_snapshot(self, change: Change) -> None:
        """Note a snapshot that is kept although nobody asks for it any more: its content says Retain."""
        snapshot = change.new
        assert isinstance(snapshot, VolumeSnapshot)
        name = snapshot.status.bound_volume_snapshot_content_name or ""
        content = self.server.find(VolumeSnapshotContent, "", name) if change.type == "DELETED" else None
        if content is not None and not content.deleting:
            self._left_over("SnapshotReleased", content, change.row)

    def _left_over(self, event: str, content: Object, row: int) -> None:
        assert isinstance(content, VolumeSnapshotContent)
        snapshot = self.storage.snapshots.get(content.status.snapshot_handle or "")
        if snapshot is not None and not snapshot.deleted:
            self._note(snapshot.source, event, row, {"path": "L31", "snapshot": snapshot.name})

    def _note(self, name: str, event: str, cause: int, detail: Mapping[str, object]) -> None:
        self.server.sim.trace.append(self.server.sim.clock.now, "Volume", name, event, detail, cause)
