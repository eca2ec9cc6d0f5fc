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
from typing import Final

from k8sim.api.core import PersistentVolume
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE

FOR_EVER: Final = 2**62

Prefix = tuple[tuple[str, int], ...]
"""What a volume began with: (line, position) of each ancestor, the oldest first."""


@dataclass
class Disk:
    """One volume. ``name`` is where it is: a driver's handle, or a path of a node or server.

    ``lost`` says by which path its content is gone ("": it is not); ``reachable`` False: intact, but nobody gets at it.
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
    writers: dict[str, int] = field(default_factory=dict)
    lost: str = ""
    reachable: bool = True
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


class Storage:
    """All volumes and snapshots of the simulated world."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.disks: dict[str, Disk] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.groups: dict[str, int] = {}  # the group that a volume's files were given last
        self.observers: list[StorageObserver] = []
        self._attached_to: dict[str, dict[str, None]] = {}
        self._outages: list[tuple[str, frozenset[str], str, int]] = []

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
        return found

    def make(self, disk: Disk, cause: int = NO_CAUSE) -> Disk:
        """Make a volume; the same name twice is the same volume."""
        known = self.disks.get(disk.name)
        if known is not None and not known.lost:
            return known
        self.disks[disk.name] = disk
        detail = {"driver": disk.driver, "size": disk.size, "from": disk.born_from}
        disk.row = self._note(disk.name, "Made", cause, **detail)
        return disk

    def destroy(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a volume's content. ``path`` is the row of the table of losses (`k8sim.machines.losses`)."""
        disk = self.disk(name)
        if disk.lost:
            return
        disk.lost = path
        disk.row = self._note(name, "Destroyed", cause, path=path, durable=disk.durable, content=disk.content)
        for snapshot in self.snapshots.values():
            if snapshot.source == name and snapshot.tied:
                self.delete_snapshot(snapshot.name, "L31", cause)

    def attach(self, name: str, node: str, cause: int = NO_CAUSE) -> None:
        """Connect a volume to a machine."""
        disk = self.disk(name)
        if node not in disk.attached:
            disk.attached[node] = self._note(name, "Attached", cause, node=node)
            self._attached_to.setdefault(node, {})[name] = None
            if len(disk.attached) > 1:
                self._note(name, "SharedByNodes", cause, nodes=sorted(disk.attached))

    def detach(self, name: str, node: str, cause: int = NO_CAUSE, fenced: bool = True) -> None:
        """Disconnect a volume from a machine. Without fencing a machine that still has it mounted goes on writing."""
        disk = self.disk(name)
        if node in disk.attached and fenced:
            self.lose_cache(name, node, "L21", cause)
        if disk.attached.pop(node, None) is not None:
            del self._attached_to[node][name]
            self._note(name, "Detached", cause, node=node)

    def attached_to(self, node: str, driver: str) -> list[str]:
        """Return a driver's volumes that are attached to a machine."""
        return [n for n in self._attached_to.get(node, ()) if self.disks[n].driver == driver]

    # ---- content ----------------------------------------------------------------------------------------------------

    def write(self, name: str, amount: int, node: str) -> int:
        """Append to a volume from a node's page cache; return the position reached."""
        disk = self.disk(name)
        disk.written += amount
        disk.writers[node] = disk.written
        return disk.written

    def sync(self, name: str, node: str) -> int:
        """Let what a node wrote reach the storage; return the durable position."""
        disk = self.disk(name)
        if node in disk.writers and not disk.lost:
            disk.durable = max(disk.durable, disk.writers.pop(node))
        return disk.durable

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
        for name, disk in self.disks.items():
            if node in disk.writers:
                self.lose_cache(name, node, "L2", cause)

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
        self._note(
            source, "SnapshotCut", cause, snapshot=name, position=disk.durable, cached=disk.written - disk.durable
        )
        return snapshot

    def delete_snapshot(self, name: str, path: str, cause: int = NO_CAUSE) -> None:
        """Destroy a snapshot."""
        snapshot = self.snapshots.get(name)
        if snapshot is not None and not snapshot.deleted:
            snapshot.deleted = True
            self._note(snapshot.source, "SnapshotDestroyed", cause, snapshot=name, path=path)

    # ---- what breaks ------------------------------------------------------------------------------------------------

    def fail_calls(self, calls: frozenset[str], code: str, until_ns: int = FOR_EVER, driver: str = "") -> None:
        """Let calls fail with a code until some time; "" is every driver, an empty set every call."""
        self._outages.append((driver, calls, code, until_ns))

    def failure_of(self, driver: str, call: str) -> str:
        """Return the code with which a call fails now, "" if it does not."""
        now = self.sim.clock.now
        self._outages = [o for o in self._outages if o[3] > now]
        for wanted, calls, code, _ in self._outages:
            if wanted in ("", driver) and (not calls or call in calls):
                return code
        return ""
