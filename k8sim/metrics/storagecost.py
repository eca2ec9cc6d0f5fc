"""What storage costs, and what of it is paid for without use: from the trace alone.

A volume or snapshot is paid for from when it is made until it is destroyed, whatever becomes of its object.

Source: storage.md 1.11, 9.1 (orphaned), L17-L19, L31.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from k8sim.sim.trace import Row, Trace
from k8sim.sim.units import HOUR, SECOND

if TYPE_CHECKING:
    import pandas as pd

    from k8sim.result import Result

GIB: Final = 2**30
VOLUME, SNAPSHOT = "volume", "snapshot"
Asset = tuple[str, str]
"""A volume by its place, or a snapshot by its handle."""
USELESS: Final = {
    "Orphaned": (VOLUME, "orphaned volume"),
    "SnapshotReleased": (SNAPSHOT, "released snapshot"),
    "SnapshotOrphaned": (SNAPSHOT, "orphaned snapshot"),
}
"""Rows from which on something is of no use."""


@dataclass(frozen=True)
class Paid:
    """A time in which a volume or snapshot of some size was paid for; ``what`` says of what kind, or why uselessly."""

    what: str
    name: str
    size: int
    since_ns: int
    until_ns: int

    @property
    def gib_hours(self) -> float:
        """What it has cost."""
        return self.size / GIB * (self.until_ns - self.since_ns) / HOUR


class _Bill:
    """Intervals that are open, by asset, and those that have ended."""

    def __init__(self) -> None:
        self.sizes: dict[Asset, int] = {}
        self.ended: list[Paid] = []
        self._open: dict[Asset, Paid] = {}

    def begin(self, asset: Asset, what: str, t: int) -> None:
        """Begin an interval, unless one of that kind and size has begun."""
        known, size = self._open.get(asset), self.sizes.get(asset, 0)
        if known is None or (known.what, known.size) != (what, size):
            self.end(asset, t)
            self._open[asset] = Paid(what, asset[1], size, t, t)

    def grow(self, asset: Asset, t: int) -> None:
        """Go on with another size, if an interval has begun."""
        if asset in self._open:
            self.begin(asset, self._open[asset].what, t)

    def end(self, asset: Asset, t: int) -> None:
        """End an interval, if one has begun."""
        begun = self._open.pop(asset, None)
        if begun is not None:
            self.ended.append(replace(begun, until_ns=t))

    def close(self, t: int) -> list[Paid]:
        """End all, and return them: the most expensive ones first."""
        for asset in list(self._open):
            self.end(asset, t)
        return sorted(self.ended, key=lambda paid: (-paid.gib_hours, paid.name))


def paid_for(log: Trace, end_ns: int) -> list[Paid]:
    """Return all volumes and snapshots, for as long as they existed, with the sizes that they had."""
    bill = _Bill()
    for row in log:
        if row.kind == "Volume":
            asset = _asset(row, bill.sizes)
            if row.event in ("Made", "Named", "Grown"):
                _know_size(bill.sizes, row)
                bill.begin(asset, VOLUME, row.t)
            elif row.event == "SnapshotCut":
                bill.sizes[asset] = bill.sizes.get((VOLUME, row.name), 0)
                bill.begin(asset, SNAPSHOT, row.t)
            elif row.event in ("Destroyed", "SnapshotDestroyed"):
                bill.end(asset, row.t)
    return bill.close(end_ns)


def wasted(log: Trace, end_ns: int) -> list[Paid]:
    """Return what was Released, Failed or orphaned, for as long as it was.

    A snapshot is released when its VolumeSnapshot is gone while its content is kept, and orphaned when that is gone,
    too. A volume for which no PersistentVolume was ever written has been orphaned from its beginning.
    """
    bill = _Bill()
    places: dict[str, str] = {}
    nameless: dict[Asset, int] = {}
    for row in log:
        if row.kind == "PersistentVolume" and row.name in places:
            asset = (VOLUME, places[row.name])
            if row.event in ("Released", "Failed"):
                bill.begin(asset, f"{row.event.lower()} volume", row.t)
            elif row.event in ("Bound", "Available"):
                bill.end(asset, row.t)
        elif row.kind == "Volume":
            asset = _asset(row, bill.sizes)
            _know_size(bill.sizes, row)
            if row.event == "Grown":
                bill.grow(asset, row.t)
            elif row.event == "Made":
                nameless[asset] = row.t
            elif row.event == "Named":
                places[str(row.detail["volume"])] = row.name
                nameless.pop(asset, None)
                bill.end(asset, row.t)
            elif row.event == "SnapshotCut":
                bill.sizes[asset] = bill.sizes.get((VOLUME, row.name), 0)
            elif row.event in USELESS:
                bill.begin(asset, USELESS[row.event][1], row.t)
            elif row.event in ("Destroyed", "SnapshotDestroyed"):
                nameless.pop(asset, None)
                bill.end(asset, row.t)
    for asset, since in nameless.items():
        bill.begin(asset, "orphaned volume", since)
    return bill.close(end_ns)


def _know_size(sizes: dict[Asset, int], row: Row) -> None:
    if row.event in ("Made", "Named", "Grown"):
        sizes[VOLUME, row.name] = max(sizes.get((VOLUME, row.name), 0), int(row.detail["size"]))


def _asset(row: Row, known: dict[Asset, int]) -> Asset:
    """Return what a row is about; what is at a path of some node belongs to the volume that is this path of any."""
    if "snapshot" in row.detail and row.event.startswith("Snapshot"):
        return SNAPSHOT, str(row.detail["snapshot"])
    _, _, path = row.name.partition(":")
    anywhere = (VOLUME, f"*:{path}")
    return anywhere if anywhere in known else (VOLUME, row.name)


# ---- as frames --------------------------------------------------------------------------------------------------

_COLUMNS: Final = ["what", "name", "size_gib", "since_s", "until_s", "gib_hours"]


def _frame(intervals: Iterator[Paid], result: Result) -> pd.DataFrame:
    import pandas as pd  # slow to import

    aliases = result.aliases
    rows = [
        (
            paid.what, aliases.get(("PersistentVolume", paid.name), paid.name), paid.size / GIB,
            paid.since_ns / SECOND, paid.until_ns / SECOND, paid.gib_hours,
        )
        for paid in intervals
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def storage_cost(result: Result) -> pd.DataFrame:
    """Return all storage that was paid for.

    Columns: ``what`` (volume, snapshot), ``name``, ``size_gib``, ``since_s``, ``until_s``, ``gib_hours``. A snapshot
    is taken for as large as its volume: what it really holds is the vendor's business.
    """
    return _frame(iter(paid_for(result.log, result.scenario.duration_ns)), result)


def leaked_storage(result: Result) -> pd.DataFrame:
    """Return storage that was paid for and of no use.

    Columns: ``what`` (released, failed or orphaned volume; released or orphaned snapshot), ``name``, ``size_gib``,
    ``since_s``, ``until_s``, ``gib_hours``.
    """
    return _frame(iter(wasted(result.log, result.scenario.duration_ns)), result)
