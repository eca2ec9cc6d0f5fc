"""Storage as it is: volumes, who can reach them, what is in them, and what becomes of it.

Content is a position, not bytes. A volume has its own line of writes; ``written`` is how far writers have got (page
cache of their node), ``durable`` how far the storage has it. A snapshot is a durable position of a line, and a volume
made from one begins with that prefix. So "is this write still somewhere?" is a comparison of numbers.

Everything here is truth, not knowledge: components learn of it through calls of a driver.

Source of the byte model: storage.md 9.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from k8sim.api.core import PersistentVolume
from k8sim.machines.storagecalls import StorageCalls
from k8sim.sim.trace import NO_CAUSE

if TYPE_CHECKING:
    from k8sim.sim.simulation import Simulation

TMPFS: Final = "tmpfs"
"""What lies under this root of a machine is gone when its power is."""

Prefix = tuple[tuple[str, int], ...]
"""What a volume began with: (line, position) of each ancestor, the oldest first."""


@dataclass
class Disk:
    """One volume. ``name`` is where it is: a driver's handle, or a path of a node or server.

    ``lost`` says by which path its content is gone ("": it is not), ``out_of_reach`` by which path nobody gets at it.
    ``mounts`` holds the pods that have it: (node, UID) -> name; those on nodes in ``fenced`` get nothing written.
    ``gauge``, where there is one, tells how far the storage has what a writer with a steady flow wrote.
    """

    name: str
    driver: str = ""
    size: int = 0
    zones: tuple[str, ...] = ()
    node: str = ""
    born_from: Prefix = ()
    written: int = 0
    durable: int = 0
    attached: dict[str, int] = field(default_factory=dict)
    mounts: dict[tuple[str, str], str] = field(default_factory=dict)
    fenced: dict[str, None] = field(default_factory=dict)
    writers: dict[str, int] = field(default_factory=dict)
    lost: str = ""
    out_of_reach: str = ""
    full: bool = False
    made_ns: int = 0
    lost_ns: int = 0
    row: int = NO_CAUSE
    gauge: Callable[[], int] | None = None

    @property
    def content(self) -> Prefix:
        """What can be read from the storage."""
        if self.gauge is not None:
            self.durable = self.gauge()
        return (*self.born_from, (self.name, self.durable))


@dataclass
class Snapshot:
    """A moment of a volume, kept by the storage.

    ``quiesced``: the application had been brought to rest, so nothing of its own was missing (application-consistent);
    else it is what a power loss would have left (crash-consistent). ``tied``: it is lost with its volume.
    """

    name: str
    driver: str
    source: str
    content: Prefix
    size: int
    cut_ns: int
    ready_ns: int
    quiesced: bool = False
    tied: bool = False
    deleted: bool = False
    deleted_ns: int = 0


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


class Storage(StorageCalls):
    """All volumes and snapshots of the simulated world."""

    def __init__(self, sim: Simulation) -> None:
        super().__init__(sim)
        self.disks: dict[str, Disk] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.groups: dict[str, int] = {}  # the group that a volume's files were given last
        self.observers: list[StorageObserver] = []
        self.path_of_claim: Callable[[str], str] = lambda uid: "L10"
        self.path_of_detach: Callable[[str, str], str] = lambda name, node: "L21"
        self._at_path: dict[str, dict[str, None]] = {}
        self._written_on: dict[str, dict[str, None]] = {}
        self._in_memory: dict[str, dict[str, None]] = {}
        self._tied: dict[str, list[str]] = {}
        self._attached_to: dict[str, dict[str, None]] = {}
        self._mounted_on: dict[str, dict[tuple[str, str], None]] = {}

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
            found = self.disks[name] = Disk(name)
            node, _, path = name.partition(":")
            if path.startswith("/"):
                self._at_path.setdefault(path, {})[name] = None
            elif path.startswith(TMPFS):
                self._in_memory.setdefault(node, {})[name] = None
        return found

    def at_path(self, path: str) -> list[str]:
        """Return the volumes that are this path of some node."""
        return [name for name in self._at_path.get(path, ()) if name in self.disks]

    def make(self, disk: Disk, cause: int = NO_CAUSE) -> Disk:
        """Make a volume; the same name twice is the same volume."""
        known = self.disks.get(disk.name)
        if known is not None and not known.lost:
            return known
        self.disks[disk.name] = disk
        disk.made_ns = self.sim.clock.now
        detail: dict[str, object] = {"driver": disk.driver, "size": disk.size}
        if disk.born_from:
            line, position = disk.born_from[-1]
            source = self.disks.get(line)
            behind = source.durable - position if source is not None else 0
            detail |= {"from": disk.born_from, "behind": behind, "path": "L28"}
        disk.row = self._note(disk.name, "Made", cause, **detail)
        return disk

    def destroy(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a volume's content. ``path`` is the row of the table of losses (`k8sim.machines.losses`)."""
        disk = self.disk(name)
        if disk.lost:
            return
        disk.lost, disk.lost_ns = path, self.sim.clock.now
        disk.row = self._note(name, "Destroyed", cause, path=path, durable=disk.durable, content=disk.content)
        for snapshot in self._tied.pop(name, ()):
            self.delete_snapshot(snapshot, "L31", cause)

    def wipe(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy what was written to a volume, which goes on to exist, empty. Nothing written: nothing lost."""
        disk = self.disks.get(name)
        if disk is None or disk.lost or not (disk.written or disk.born_from):
            return
        self._note(name, "Destroyed", cause, path=path, durable=disk.durable, content=disk.content)
        del self.disks[name]

    def destroy_path(self, path_on_node: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a directory, on whichever nodes there is one of that name."""
        for name in self.at_path(path_on_node):
            self.destroy(name, path, cause)

    def attach(self, name: str, node: str, cause: int = NO_CAUSE) -> None:
        """Connect a volume to a machine."""
        disk = self.disk(name)
        disk.fenced.pop(node, None)
        if node not in disk.attached:
            disk.attached[node] = self._note(name, "Attached", cause, node=node)
            self._attached_to.setdefault(node, {})[name] = None
            if len(disk.attached) > 1:
                self._note(name, "SharedByNodes", cause, path="L23", nodes=sorted(disk.attached))

    def detach(self, name: str, node: str, cause: int = NO_CAUSE, fenced: bool = True) -> None:
        """Disconnect a volume from a machine. Without fencing a machine that still has it mounted goes on writing."""
        disk = self.disk(name)
        if disk.attached.pop(node, None) is None:
            return
        del self._attached_to[node][name]
        row = self._note(name, "Detached", cause, node=node)
        if any(n == node for n, _ in disk.mounts):
            path = self.path_of_detach(name, node)
            row = self._note(name, "PulledAway", row, path=path, node=node, fenced=fenced)
            if fenced:
                disk.fenced[node] = None
                self.lose_cache(name, node, path, row)

    def attached_to(self, node: str, driver: str) -> list[str]:
        """Return a driver's volumes that are attached to a machine."""
        return [n for n in self._attached_to.get(node, ()) if self.disks[n].driver == driver]

    def mount(
        self, name: str, node: str, pod: str, shared: str = "L20", cause: int = NO_CAUSE, pod_name: str = ""
    ) -> None:
        """Note that a pod (its UID) has a volume from now on. ``shared``: the path if other nodes' pods have it too."""
        disk = self.disk(name)
        nodes = sorted({n for n, _ in disk.mounts if n != node and n not in disk.fenced})
        others = any(n == node and uid != pod for n, uid in disk.mounts)
        disk.mounts[node, pod] = pod_name or pod
        row = self._note(name, "Mounted", cause, node=node, pod=pod_name or pod)
        self._mounted_on.setdefault(node, {})[name, pod] = None
        self.within_reach(name, row)
        if nodes:
            self._note(name, "SecondWriter", row, path=shared, nodes=[*nodes, node])
        elif others and shared != "L26":
            self._note(name, "SecondWriter", row, path="L25", nodes=[node])

    def unmount(self, name: str, node: str, pod: str, cause: int = NO_CAUSE) -> None:
        """Note that a pod no longer has a volume."""
        disk = self.disks.get(name)
        pod_name = disk.mounts.pop((node, pod), None) if disk is not None else None
        if pod_name is not None:
            del self._mounted_on[node][name, pod]
            self._note(name, "Unmounted", cause, node=node, pod=pod_name)

    def unmount_all(self, node: str, pod: str, cause: int = NO_CAUSE) -> None:
        """Note that a pod has nothing any more."""
        for name, uid in list(self._mounted_on.get(node, ())):
            if uid == pod:
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
        """Append bytes to a volume through a node's page cache; return the position reached: less if it is full."""
        disk = self.disk(name)
        held = sum(position for _, position in disk.born_from) + disk.written
        if disk.size and held + amount > disk.size:
            amount = max(0, disk.size - held)
            if not disk.full:
                disk.full = True
                self._note(name, "Full", NO_CAUSE, path="L36", size=disk.size)
        disk.written += amount
        disk.writers[node] = disk.written
        self._written_on.setdefault(node, {})[name] = None
        return disk.written

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
            self.unmount(name, node, pod, cause)
        for name in self._in_memory.pop(node, ()):
            self.wipe(name, "L5", cause)
        for name in self._written_on.pop(node, ()):
            if node in self.disk(name).writers:
                self.lose_cache(name, node, "L2", cause)

    def surviving(self, line: str) -> int:
        """Return how far into a line of writes some volume or snapshot still reaches."""
        contents = [d.content for d in self.disks.values() if not d.lost]
        contents += [s.content for s in self.snapshots.values() if not s.deleted]
        return max((p for content in contents for name, p in content if name == line), default=0)

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
        snapshot = Snapshot(
            name, disk.driver, source, disk.content, disk.size, now, now + ready_after_ns, quiesced, tied
        )
        self.snapshots[name] = snapshot
        if tied:
            self._tied.setdefault(source, []).append(name)
        cached = disk.written - disk.durable
        detail: dict[str, object] = {"snapshot": name, "position": disk.durable, "cached": cached, "quiesced": quiesced}
        if cached:
            detail["path"] = "L29"
        self._note(source, "SnapshotCut", cause, **detail)
        return snapshot

    def delete_snapshot(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a snapshot."""
        snapshot = self.snapshots.get(name)
        if snapshot is not None and not snapshot.deleted:
            snapshot.deleted, snapshot.deleted_ns = True, self.sim.clock.now
            self._note(snapshot.source, "SnapshotDestroyed", cause, snapshot=name, path=path)
