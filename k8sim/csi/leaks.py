"""Storage that nobody uses and somebody pays for: released and orphaned volumes, orphaned snapshots.

Source: storage.md 1.11, 9.1 (orphaned), L17-L19.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from k8sim.api.core import PersistentVolume
from k8sim.api.storage import VolumeSnapshotContent
from k8sim.machines.disks import Snapshot, Storage, location
from k8sim.sim.units import HOUR

GIB: Final = 2**30
LeakKind = Literal["released volume", "failed volume", "orphaned volume", "orphaned snapshot"]


@dataclass(frozen=True)
class Leak:
    """One piece of storage. ``since_ns`` is when it became useless; ``gib_hours`` what it has cost since."""

    kind: LeakKind
    name: str
    size: int
    since_ns: int
    gib_hours: float


@dataclass(frozen=True)
class Usage:
    """What all volumes and snapshots have cost, in GiB-hours."""

    volumes: float
    snapshots: float
    leaked: float


def _gib_hours(size: int, since_ns: int, now_ns: int) -> float:
    return size / GIB * max(0, now_ns - since_ns) / HOUR


def find_leaks(
    volumes: Iterable[PersistentVolume], contents: Iterable[VolumeSnapshotContent], storage: Storage
) -> list[Leak]:
    """Return what is paid for and of no use, as the objects and the storage are now, the largest cost first."""
    now, trace = storage.sim.clock.now, storage.sim.trace
    known: set[str] = set()
    leaks = []
    for volume in volumes:
        name = location(volume)
        known.add(name)
        disk = storage.disks.get(name)
        if volume.status.phase in ("Released", "Failed") and (disk is None or not disk.lost):
            since = volume.status.last_phase_transition_time or 0
            kind: LeakKind = "released volume" if volume.status.phase == "Released" else "failed volume"
            size = disk.size if disk is not None else 0
            leaks.append(Leak(kind, volume.name, size, since, _gib_hours(size, since, now)))
    gone = {row.name: row.t for row in trace if row.kind == "Volume" and row.event == "Orphaned"}
    for name, disk in storage.disks.items():
        if disk.driver and not disk.lost and name not in known:
            since = gone.get(name, disk.made_ns)
            leaks.append(Leak("orphaned volume", name, disk.size, since, _gib_hours(disk.size, since, now)))
    held = {content.status.snapshot_handle for content in contents}
    for snapshot in storage.snapshots.values():
        if not snapshot.deleted and snapshot.name not in held:
            cost = _gib_hours(snapshot.size, snapshot.cut_ns, now)
            leaks.append(Leak("orphaned snapshot", snapshot.name, snapshot.size, snapshot.cut_ns, cost))
    return sorted(leaks, key=lambda leak: (-leak.gib_hours, leak.name))


def snapshot_cost(snapshot: Snapshot, now_ns: int) -> float:
    """Return what a snapshot has cost, taken for as large as its volume (what it really holds is the vendor's)."""
    return _gib_hours(snapshot.size, snapshot.cut_ns, snapshot.deleted_ns or now_ns)


def usage(leaks: Iterable[Leak], storage: Storage) -> Usage:
    """Return what has been paid for so far."""
    now = storage.sim.clock.now
    volumes = sum(_gib_hours(d.size, d.made_ns, d.lost_ns or now) for d in storage.disks.values() if d.driver)
    snapshots = sum(snapshot_cost(s, now) for s in storage.snapshots.values())
    return Usage(volumes, snapshots, sum(leak.gib_hours for leak in leaks))
