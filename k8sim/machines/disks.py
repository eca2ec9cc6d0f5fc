"""Storage as it is: volumes, who can reach them, what becomes of what is in them (`k8sim.machines.content`).

Everything here is truth, not knowledge: components learn of it through calls of a driver.

Source of the byte model: storage.md 9.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Final

from k8sim.api.core import PersistentVolume
from k8sim.machines.content import Disk, Holder, Prefix, Snapshot, View, hidden_from
from k8sim.machines.storagecalls import FOR_EVER, StorageCalls
from k8sim.sim.trace import NO_CAUSE

if TYPE_CHECKING:
    from k8sim.sim.simulation import Simulation

TMPFS: Final = "tmpfs"
"""What lies under this root of a machine is gone when its power is."""

KUBELET_PODS: Final = "/var/lib/kubelet/pods"
"""Where a kubelet has the emptyDir volumes that are on its machine's disk."""

DEFAULT_FILESYSTEM: Final = "ext4"
"""What a CSI driver makes where nothing is asked for (external-provisioner --default-fstype, k8s.io/mount-utils)."""

WHOLE: Final = View()


def location(volume: PersistentVolume, node: str = "") -> str:
    """Return where the content of a volume is, as seen from a node: hostPath is another place on every node."""
    spec = volume.spec
    if spec.csi is not None:
        return spec.csi.volume_handle
    if spec.nfs is not None:
        return f"nfs://{spec.nfs.server}{spec.nfs.path}"
    if spec.local is not None:
        return f"{_pinned_node(volume) or node}:{spec.local.path}"
    if spec.host_path is not None:
        return f"{node}:{spec.host_path.path}"
    return volume.name


def _pinned_node(volume: PersistentVolume) -> str:
    """Return the node that a local volume's node affinity names, "" if it names none."""
    affinity = volume.spec.node_affinity
    terms = affinity.required.node_selector_terms if affinity is not None and affinity.required is not None else ()
    for term in terms:
        for requirement in term.match_expressions:
            if requirement.key == "kubernetes.io/hostname" and requirement.operator == "In" and requirement.values:
                return requirement.values[0]
    return ""


StorageObserver = Callable[[str, str, Mapping[str, object], int], None]
"""Called with event, volume, detail and row of what happens to a volume, when it has happened."""


class Fates:
    """What a cluster's objects say of why something happens to a volume; this is what is said without any objects."""

    def path_of_claim(self, uid: str) -> str:
        """Return the path of a volume that is deleted for want of its claim."""
        return "L10"

    def path_of_detach(self, name: str, node: str) -> str:
        """Return the path of a volume that is taken from a node on which it is mounted."""
        return "L21"

    def path_of_sharing(self, name: str, newcomer: Holder, others: Sequence[Holder]) -> str:
        """Return the path of a volume that a pod mounts while others have it; "": that is as it should be."""
        return "L20" if any(other.node != newcomer.node for other in others) else "L25"

    def names(self, name: str) -> bool:
        """Tell whether there is a PersistentVolume for a volume."""
        return False


class Storage(StorageCalls):
    """All volumes and snapshots of the simulated world."""

    def __init__(self, sim: Simulation) -> None:
        super().__init__(sim)
        self.disks: dict[str, Disk] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.groups: dict[str, int] = {}  # the group that a volume's files were given last
        self.observers: list[StorageObserver] = []
        self.write_observers: list[Callable[[Disk], None]] = []
        self.fates: Fates = Fates()
        self._views: list[Storage] = [self]
        self._copies: dict[str, list[Disk | Snapshot]] = {}
        self._pools: dict[str, tuple[int, list[Disk]]] = {}
        self._at_path: dict[str, dict[str, None]] = {}
        self._written_on: dict[str, dict[str, None]] = {}
        self._in_memory: dict[str, dict[str, None]] = {}
        self._tied: dict[str, list[str]] = {}
        self._attached_to: dict[str, dict[str, None]] = {}
        self._mounted_on: dict[str, dict[tuple[str, str], None]] = {}

    def beside(self) -> Storage:
        """Return the same storage as a second cluster sees it, which has its own objects and reasons."""
        view = copy(self)
        view.fates = Fates()
        self._views.append(view)
        return view

    def named_elsewhere(self, name: str) -> bool:
        """Tell whether another cluster has a PersistentVolume for a volume."""
        return any(view.fates.names(name) for view in self._views if view is not self)

    def _note(self, name: str, event: str, cause: int, **detail: object) -> int:
        row = self.sim.trace.append(self.sim.clock.now, "Volume", name, event, detail, cause)
        for observer in self.observers:
            observer(event, name, detail, row)
        return row

    # ---- volumes ----------------------------------------------------------------------------------------------------

    def disk(self, name: str) -> Disk:
        """Return a volume, which begins to exist when it is first looked at (a static volume was always there)."""
        found = self.disks.get(name)
        if found is None:
            found = Disk(name)
            self._add(found)
        return found

    def _add(self, disk: Disk) -> None:
        self.disks[disk.name] = disk
        self._keep_track(disk)
        node, _, path = disk.name.partition(":")
        if path.startswith("/"):
            self._at_path.setdefault(path, {})[disk.name] = None
        elif path.startswith(TMPFS):
            self._in_memory.setdefault(node, {})[disk.name] = None

    def at_path(self, path: str) -> list[str]:
        """Return the volumes that are this path of some node."""
        return [name for name in self._at_path.get(path, ()) if name in self.disks]

    def make(self, disk: Disk, cause: int = NO_CAUSE) -> Disk:
        """Make a volume; the same name twice is the same volume."""
        known = self.disks.get(disk.name)
        if known is not None and not known.lost:
            return known
        self._add(disk)
        if disk.pool in self._pools:
            self._pools[disk.pool][1].append(disk)
        disk.made_ns = self.sim.clock.now
        detail: dict[str, object] = {"driver": disk.driver, "size": disk.size}
        if disk.born_from:
            detail["from"] = disk.born_from
        disk.row = self._note(disk.name, "Made", cause, **detail)
        if disk.born_from:
            self._note_what_it_lacks(disk)
        return disk

    def _keep_track(self, copy_of_content: Disk | Snapshot) -> None:
        for line, _ in copy_of_content.content:
            self._copies.setdefault(line, []).append(copy_of_content)

    def _note_what_it_lacks(self, disk: Disk) -> None:
        """Note what a volume made from another one's content does not have: later writes, and what was in caches."""
        line, position = disk.born_from[-1]
        source, snapshot = self.disks.get(line), self.snapshots.get(disk.made_from)
        if snapshot is not None and snapshot.cached:
            self._note(disk.name, "Torn", disk.row, path="L29", snapshot=snapshot.name, amount=snapshot.cached)
        reached = source.content[-1][1] if source is not None else 0
        if source is None or reached <= position:
            return
        detail: dict[str, object] = {"behind": reached - position, "source": line, "source_lost": source.lost}
        if snapshot is not None:
            detail["rpo"] = (source.lost_ns or self.sim.clock.now) - snapshot.cut_ns
        self._note(disk.name, "Behind", disk.row, path="L28", **detail)

    def destroy(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a volume's content. ``path`` is the row of the table of losses (`k8sim.machines.losses`)."""
        disk = self.disk(name)
        if disk.lost:
            return
        path = "L35" if self.named_elsewhere(name) else path
        content = disk.content
        disk.lost, disk.lost_ns = path, self.sim.clock.now
        disk.row = self._note_destroyed(disk, content, path, cause)
        for snapshot in self._tied.pop(name, ()):
            self.delete_snapshot(snapshot, "L31", cause)

    def _note_destroyed(self, disk: Disk, content: Prefix, path: str, cause: int) -> int:
        """Note that content is gone; ``amount`` is what no other volume or snapshot has."""
        reached = (*content[:-1], (content[-1][0], max(disk.durable, disk.written)))
        amount = self._only_copy(reached)
        return self._note(
            disk.name, "Destroyed", cause, path=path, durable=disk.durable, amount=amount, content=content
        )

    def _only_copy(self, content: Prefix) -> int:
        """Return how much of content that is gone nothing else has."""
        return sum(max(0, position - self.surviving(line)) for line, position in content)

    def wipe(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Remove a directory with what was written to it. Nothing written: nothing lost."""
        disk = self.disks.get(name)
        if disk is None or disk.lost or not (disk.written or disk.born_from):
            return
        content = disk.content
        disk.lost = path
        self._note_destroyed(disk, content, path, cause)
        self._copies[disk.line].remove(disk)
        del self.disks[name]

    def mount_filesystem(self, name: str, wanted: str, cause: int = NO_CAUSE) -> str:
        """Mount a volume as a file system, which is made if there is none; return what speaks against it.

        What was written to the volume as to a raw device is gone when it is formatted (L41).
        """
        disk = self.disk(name)
        if not disk.filesystem:
            if disk.held:
                self._erase(disk, "L41", cause)
            disk.filesystem = wanted or DEFAULT_FILESYSTEM
        elif wanted not in ("", disk.filesystem):
            self.beyond_reach(name, "L41", cause)
            return f"wrong fs type: the volume has {disk.filesystem}, {wanted} is asked for"
        return ""

    def _erase(self, disk: Disk, path: str, cause: int) -> None:
        """Replace what is in a volume by nothing, under whoever has it."""
        content = disk.content
        disk.erased += 1
        disk.born_from, disk.written, disk.durable = (), 0, 0
        disk.writers.clear()
        self._copies.setdefault(disk.line, []).append(disk)
        self._note(
            disk.name, "Destroyed", cause, path=path, durable=0, amount=self._only_copy(content), content=content
        )

    def grow(self, name: str, size: int, cause: int = NO_CAUSE) -> None:
        """Make a volume larger."""
        disk = self.disk(name)
        if size > disk.size:
            disk.size, disk.full = size, False
            self._note(name, "Grown", cause, size=size)

    def destroy_path(self, path_on_node: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a directory, on whichever nodes there is one of that name."""
        for name in self.at_path(path_on_node):
            self.destroy(name, path, cause)

    def attach(self, name: str, node: str, cause: int = NO_CAUSE, exclusive: bool = True) -> None:
        """Connect a volume to a machine. ``exclusive``: it is meant for one machine at a time."""
        disk = self.disk(name)
        disk.fenced.pop(node, None)
        if node not in disk.attached:
            disk.attached[node] = self._note(name, "Attached", cause, node=node)
            self._attached_to.setdefault(node, {})[name] = None
            if exclusive and len(disk.attached) > 1:
                path = "L35" if self.named_elsewhere(name) else "L23"
                self._note(name, "SharedByNodes", cause, path=path, nodes=sorted(disk.attached), amount=0)

    def detach(self, name: str, node: str, cause: int = NO_CAUSE, fenced: bool = True) -> None:
        """Disconnect a volume from a machine. Without fencing a machine that still has it mounted goes on writing."""
        disk = self.disk(name)
        if disk.attached.pop(node, None) is None:
            return
        del self._attached_to[node][name]
        row = self._note(name, "Detached", cause, node=node)
        if self._is_mounted(name, node):
            path = self.fates.path_of_detach(name, node)
            row = self._note(name, "PulledAway", row, path=path, node=node, fenced=fenced)
            if fenced:
                disk.fenced[node] = None
                self.lose_cache(name, node, path, row)

    def attached_to(self, node: str, driver: str) -> list[str]:
        """Return a driver's volumes that are attached to a machine."""
        return [n for n in self._attached_to.get(node, ()) if self.disks[n].driver == driver]

    def mount(self, name: str, holder: Holder, view: View = WHOLE, cause: int = NO_CAUSE) -> None:
        """Note that a pod has a volume from now on, and what it sees of it."""
        disk, node = self.disk(name), holder.node
        others = [
            h for h in disk.mounts.values() if h.uid != holder.uid and (h.node == node or h.node not in disk.fenced)
        ]
        disk.mounts[node, holder.uid] = holder
        self._mounted_on.setdefault(node, {})[name, holder.uid] = None
        row = self._note(name, "Mounted", cause, node=node, pod=holder.name or holder.uid)
        self.within_reach(name, row)
        path = self.fates.path_of_sharing(name, holder, others) if others else ""
        if path:
            nodes = sorted({node, *(h.node for h in others)})
            path = "L35" if path == "L23" and self.named_elsewhere(name) else path
            damaged = disk.durable if path in ("L23", "L35") else 0  # a file system for one machine, on two
            self._note(name, "SecondWriter", row, path=path, nodes=nodes, amount=damaged)
        if disk.view is None or not disk.held:
            disk.view = view
        hidden = hidden_from(view, disk.view)
        if hidden:
            self.beyond_reach(name, "L42", row, hidden=hidden)

    def unmount(self, name: str, node: str, pod: str, cause: int = NO_CAUSE, flushes: bool = True) -> None:
        """Note that a pod no longer has a volume.

        Files of a server are flushed with the last mount on a machine; a device that is attached, when it is unstaged;
        a directory of the machine stays in its cache.
        """
        disk = self.disks.get(name)
        holder = disk.mounts.pop((node, pod), None) if disk is not None else None
        if holder is not None:
            del self._mounted_on[node][name, pod]
            self._note(name, "Unmounted", cause, node=node, pod=holder.name or pod)
            if flushes and not self._is_device_or_directory(name) and not self._is_mounted(name, node):
                self.sync(name, node)

    def _is_device_or_directory(self, name: str) -> bool:
        _, _, path = name.partition(":")
        return bool(self.disk(name).attached) or (path.startswith(("/", TMPFS)) and not path.startswith("//"))

    def _is_mounted(self, name: str, node: str) -> bool:
        return any(n == node for n, _ in self.disk(name).mounts)

    def mounted_by(self, node: str, pod: str) -> list[str]:
        """Return the volumes that a pod (its UID) has."""
        return [name for name, uid in self._mounted_on.get(node, ()) if uid == pod]

    def unmount_all(self, node: str, pod: str, cause: int = NO_CAUSE) -> None:
        """Note that a pod has nothing any more."""
        for name in self.mounted_by(node, pod):
            self.unmount(name, node, pod, cause)

    def beyond_reach(self, name: str, path: str, cause: int = NO_CAUSE, **detail: object) -> None:
        """Note that nobody gets at a volume's content, and why."""
        disk = self.disk(name)
        if disk.out_of_reach != path and not disk.lost:
            disk.out_of_reach = path
            self._note(name, "Inaccessible", cause, path=path, durable=disk.durable, **detail)

    def leave_behind(self, path_on_node: str, here: str, cause: int = NO_CAUSE) -> None:
        """Note that what nodes have under a path is left behind by a pod that has the path of another node now."""
        for name in self.at_path(path_on_node):
            disk = self.disks[name]
            if name != here and not disk.mounts and disk.written:
                self.beyond_reach(name, "L9", cause)

    def within_reach(self, name: str, cause: int = NO_CAUSE) -> None:
        """Note that somebody gets at a volume's content again."""
        disk = self.disk(name)
        if disk.out_of_reach:
            path, disk.out_of_reach = disk.out_of_reach, ""
            self._note(name, "Accessible", cause, path=path)

    # ---- content ----------------------------------------------------------------------------------------------------

    def write(self, name: str, amount: int, node: str) -> int:
        """Append bytes to a volume through a node's page cache; return the position reached: less if it is full.

        What is written to a volume that was destroyed under its pod is lost at once.
        """
        disk = self.disk(name)
        if disk.lost:
            self._note(name, "CacheLost", disk.row, path=disk.lost, node=node, position=disk.durable, amount=amount)
            return disk.written
        room = self._room(disk)
        if amount > room:
            if not disk.full:
                disk.full = True
                self._note(name, "Full", NO_CAUSE, path="L36", size=disk.size, amount=amount - room)
            amount = room
        disk.written += amount
        if disk.over_limit is not None and disk.held > disk.limit:
            tell, disk.over_limit = disk.over_limit, None
            tell()
        disk.writers[node] = disk.written
        self._written_on.setdefault(node, {})[name] = None
        for observer in self.write_observers:
            observer(disk)
        return disk.written

    def limit(self, name: str, size: int, over_limit: Callable[[], None]) -> None:
        """Have it told, once, when a volume holds more than so many bytes, which nothing prevents."""
        disk = self.disk(name)
        disk.limit, disk.over_limit = size, over_limit

    def limit_pool(self, pool: str, size: int) -> None:
        """Let the volumes of a pool have so many bytes together."""
        self._pools.setdefault(pool, (size, []))

    def _room(self, disk: Disk) -> int:
        """Return how many bytes can still be written to a volume."""
        room = disk.size - disk.held if disk.size and disk.bounded else FOR_EVER
        size, neighbours = self._pools.get(disk.pool, (FOR_EVER, ()))
        return max(0, min(room, size - sum(d.held for d in neighbours if not d.lost)))

    def sync(self, name: str, node: str) -> int:
        """Let what a node wrote reach the storage; return the durable position."""
        disk = self.disk(name)
        if node in disk.writers and not disk.lost:
            disk.durable = max(disk.durable, disk.writers.pop(node))
        return disk.durable

    def sync_node(self, node: str) -> None:
        """Let all that a node wrote reach the storage, as an orderly shutdown does."""
        for name in list(self._written_on.get(node, ())):
            self.sync(name, node)

    def lose_cache(self, name: str, node: str, path: str, cause: int = NO_CAUSE) -> int:
        """Lose what a node wrote and had not synced; return how much that was."""
        disk = self.disk(name)
        reached = disk.writers.pop(node, disk.durable)
        lost = max(0, reached - disk.durable)
        if lost:
            self._note(name, "CacheLost", cause, path=path, node=node, position=disk.durable, amount=lost)
            disk.written = disk.durable
        return lost

    def power_lost(self, node: str, cause: int = NO_CAUSE) -> None:
        """Lose the page cache of a machine."""
        for name, pod in list(self._mounted_on.get(node, ())):
            self.unmount(name, node, pod, cause, flushes=False)
        for name in self._in_memory.pop(node, ()):
            self.wipe(name, "L5", cause)
        for name in self._written_on.pop(node, ()):
            if node in self.disk(name).writers:
                self.lose_cache(name, node, "L2", cause)

    def machine_gone(self, node: str, cause: int = NO_CAUSE) -> None:
        """Lose what lies on the disks of a machine that will never be there again."""
        for name, disk in list(self.disks.items()):
            place, _, path = name.partition(":")
            if path.startswith(KUBELET_PODS) and place == node:
                self.wipe(name, "L4", cause)
            elif node in (place, disk.node):
                self.destroy(name, "L8", cause)

    def surviving(self, line: str) -> int:
        """Return how far into a line of writes some volume or snapshot still reaches."""
        copies = (c for c in self._copies.get(line, ()) if not (c.lost if isinstance(c, Disk) else c.deleted))
        return max((p for c in copies for name, p in c.content if name == line), default=0)

    # ---- snapshots --------------------------------------------------------------------------------------------------

    def cut(
        self,
        name: str,
        source: str,
        ready_after_ns: int,
        cause: int = NO_CAUSE,
        quiesced: bool = False,
        tied: bool = False,
    ) -> Snapshot:
        """Fix the durable content of a volume at this moment; the same name twice is the same snapshot."""
        known = self.snapshots.get(name)
        if known is not None and not known.deleted:
            return known
        disk, now = self.disk(source), self.sim.clock.now
        if quiesced:
            for node in list(disk.writers):
                self.sync(source, node)
        content = disk.content
        cached = disk.written - disk.durable
        snapshot = Snapshot(
            name, disk.driver, source, content, disk.size, now, now + ready_after_ns, quiesced, tied, cached,
            in_use=bool(disk.mounts), filesystem=disk.filesystem,
        )  # fmt: skip
        self.snapshots[name] = snapshot
        self._keep_track(snapshot)
        if tied:
            self._tied.setdefault(source, []).append(name)
        detail: dict[str, object] = {"snapshot": name, "position": disk.durable, "cached": cached, "quiesced": quiesced}
        self._note(source, "SnapshotCut", cause, **detail)
        return snapshot

    def delete_snapshot(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a snapshot."""
        snapshot = self.snapshots.get(name)
        if snapshot is not None and not snapshot.deleted:
            snapshot.deleted, snapshot.deleted_ns = True, self.sim.clock.now
            amount = self._only_copy(snapshot.content)
            self._note(snapshot.source, "SnapshotDestroyed", cause, snapshot=name, path=path, amount=amount)
