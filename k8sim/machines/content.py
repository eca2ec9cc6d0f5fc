"""What a volume or a snapshot holds, and what a pod sees of it.

Content is a position, not bytes. A volume has its own line of writes; ``written`` is how far writers have got (page
cache of their node), ``durable`` how far the storage has it. A snapshot is a durable position of a line, and a volume
made from one begins with that prefix. So "is this write still somewhere?" is a comparison of numbers.

Source of the byte model: storage.md 9.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from k8sim.sim.trace import NO_CAUSE

Prefix = tuple[tuple[str, int], ...]
"""What a volume began with: (line, position) of each ancestor, the oldest first."""


@dataclass(frozen=True)
class View:
    """What a pod sees of a volume.

    Parameters
    ----------
    directories
        The directories of the volume that its containers mount: their subPaths, "" for the whole.
    covered
        The paths in the volume on which every container that mounts it has another mount.
    """

    directories: tuple[str, ...] = ("",)
    covered: tuple[str, ...] = ()


def hidden_from(view: View, written: View) -> list[str]:
    """Return what a pod with one view does not see of what was written with another one."""
    unseen = [d for d in written.directories if not any(_holds(seen, d) for seen in view.directories)]
    return [*unseen, *(path for path in view.covered if path not in written.covered)]


def _holds(directory: str, path: str) -> bool:
    return not directory or path == directory or path.startswith(f"{directory}/")


@dataclass(frozen=True)
class Holder:
    """A pod that has a volume mounted."""

    node: str
    uid: str
    namespace: str = ""
    name: str = ""


@dataclass
class Disk:
    """One volume. ``name`` is where it is: a driver's handle, or a path of a node or server.

    Parameters
    ----------
    limit, over_limit
        Whom to tell when it holds more than it should, which nothing prevents.
    bounded
        Its size is enforced; else only ``pool`` has an end, which it shares with others.
    made_from
        The snapshot that it was made from.
    lost, out_of_reach
        By which path its content is gone, and by which nobody gets at it; "": neither.
    mounts
        The pods that have it, by (node, UID); those on nodes in ``fenced`` get nothing written.
    filesystem
        What it was formatted with; "": nothing, so what has been written is raw.
    view
        How the pod saw it that has written what is there.
    erased
        How often all that was in it has been replaced by nothing, as formatting does.
    gauge
        Tells how far the storage has what a writer with a steady flow wrote, where there is one.
    """

    name: str
    driver: str = ""
    size: int = 0
    zones: tuple[str, ...] = ()
    node: str = ""
    bounded: bool = True
    pool: str = ""
    born_from: Prefix = ()
    made_from: str = ""
    written: int = 0
    durable: int = 0
    attached: dict[str, int] = field(default_factory=dict)
    mounts: dict[tuple[str, str], Holder] = field(default_factory=dict)
    fenced: dict[str, None] = field(default_factory=dict)
    writers: dict[str, int] = field(default_factory=dict)
    lost: str = ""
    out_of_reach: str = ""
    full: bool = False
    limit: int = 0
    over_limit: Callable[[], None] | None = None
    filesystem: str = ""
    view: View | None = None
    erased: int = 0
    made_ns: int = 0
    lost_ns: int = 0
    row: int = NO_CAUSE
    gauge: Callable[[], int] | None = None

    @property
    def line(self) -> str:
        """The line of writes that it goes on."""
        return f"{self.name}~{self.erased}" if self.erased else self.name

    @property
    def content(self) -> Prefix:
        """What can be read from the storage."""
        if self.gauge is not None:
            self.durable = self.gauge()
        return (*self.born_from, (self.line, self.durable))

    @property
    def held(self) -> int:
        """How many bytes have been written to it, and what it began with."""
        return sum(position for _, position in self.born_from) + self.written


@dataclass
class Snapshot:
    """A moment of a volume, kept by the storage.

    ``quiesced``: the application had been brought to rest, so nothing of its own was missing (application-consistent);
    else it is what a power loss would have left (crash-consistent), and lacks what was ``cached``. ``in_use``: a pod
    had the volume. ``tied``: it is lost with its volume.
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
    cached: int = 0
    in_use: bool = False
    filesystem: str = ""
    deleted: bool = False
    deleted_ns: int = 0
