"""What became of the content of volumes, and what storage is paid for without use: from the trace alone.

Source: storage.md 9.1, 9.2 (`k8sim.machines.losses`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from k8sim.machines.losses import LOSS_PATHS
from k8sim.sim.trace import Trace
from k8sim.sim.units import HOUR, SECOND

if TYPE_CHECKING:
    import pandas as pd

    from k8sim.result import Result

GIB: Final = 2**30
ENDED: Final = {
    "Destroyed": "lost", "CacheLost": "lost", "SnapshotDestroyed": "lost", "SecondWriter": "divergent",
    "SharedByNodes": "divergent", "Orphaned": "orphaned", "Replaced": "inaccessible",
}  # fmt: skip
"""Rows about content, and what has become of it."""


@dataclass(frozen=True)
class Loss:
    """Something that happened to content. ``amount``: what was written there, in bytes (0: nobody was simulated)."""

    t: int
    volume: str
    event: str
    fate: str
    path: str
    why: str
    amount: int


@dataclass(frozen=True)
class Absence:
    """A time in which content was intact and out of reach; ``end_ns`` None: it is so at the end."""

    volume: str
    path: str
    why: str
    start_ns: int
    end_ns: int | None


@dataclass(frozen=True)
class Waste:
    """A volume or snapshot that is paid for and of no use."""

    what: str
    name: str
    size: int
    since_ns: int
    until_ns: int

    @property
    def gib_hours(self) -> float:
        """What it has cost."""
        return self.size / GIB * (self.until_ns - self.since_ns) / HOUR


def why_of(path: str) -> str:
    """Return what a path of loss is, in words; a fault's name says it itself."""
    return LOSS_PATHS[path].act if path in LOSS_PATHS else path


def content_losses(log: Trace) -> Iterator[Loss]:
    """Yield what happened to the content of volumes, in order."""
    for row in log:
        if row.kind == "Volume" and row.event in ENDED:
            path, amount = str(row.detail.get("path", "")), row.detail.get("amount", row.detail.get("durable", 0))
            yield Loss(row.t, row.name, row.event, ENDED[row.event], path, why_of(path), int(str(amount)))


def absences(log: Trace) -> list[Absence]:
    """Return when content was out of reach; a volume that is destroyed is no longer."""
    begun: dict[str, tuple[str, int]] = {}
    found = []

    def end(name: str, t: int | None) -> None:
        if name in begun:
            path, since = begun.pop(name)
            found.append(Absence(name, path, why_of(path), since, t))

    for row in log:
        if row.kind != "Volume":
            continue
        if row.event == "Inaccessible":
            end(row.name, row.t)
            begun[row.name] = (str(row.detail["path"]), row.t)
        elif row.event in ("Accessible", "Destroyed"):
            end(row.name, row.t)
    for name in list(begun):
        end(name, None)
    return sorted(found, key=lambda a: (a.start_ns, a.volume))


def wasted(log: Trace, end_ns: int, aliases: dict[tuple[str, str], str]) -> list[Waste]:
    """Return the volumes that were Released, Failed or orphaned, and orphaned snapshots, for as long as they were."""
    places = {alias: real for (kind, real), alias in aliases.items() if kind == "PersistentVolume"}
    size: dict[str, int] = {}
    cut: dict[str, tuple[int, str]] = {}
    since: dict[tuple[str, str], tuple[str, int]] = {}
    found = []

    def end(key: tuple[str, str], t: int) -> None:
        if key in since:
            what, begin = since.pop(key)
            source = cut[key[1]][1] if key[1] in cut else key[1]
            found.append(Waste(what, key[1], size.get(source, 0), begin, t))

    for row in log:
        if row.kind == "PersistentVolume":
            key = ("volume", places.get(row.name, row.name))
            if row.event in ("Released", "Failed"):
                since.setdefault(key, (f"{row.event.lower()} volume", row.t))
            elif row.event in ("Bound", "Available"):
                end(key, row.t)
        elif row.kind == "Volume":
            key, snapshot = ("volume", row.name), str(row.detail.get("snapshot", ""))
            if row.event == "Made":
                size[row.name] = int(str(row.detail.get("size", 0)))
            elif row.event == "Orphaned":
                since.setdefault(key, ("orphaned volume", row.t))
            elif row.event == "Destroyed":
                end(key, row.t)
            elif row.event == "SnapshotCut":
                cut[snapshot] = (row.t, row.name)
            elif row.event == "SnapshotOrphaned":
                since.setdefault(("snapshot", snapshot), ("orphaned snapshot", row.t))
            elif row.event == "SnapshotDestroyed":
                end(("snapshot", snapshot), row.t)
    for key in list(since):
        end(key, end_ns)
    return sorted(found, key=lambda w: (-w.gib_hours, w.name))


# ---- as frames --------------------------------------------------------------------------------------------------


def _called(result: Result, place: str) -> str:
    return result.aliases.get(("PersistentVolume", place), place)


def losses(result: Result) -> pd.DataFrame:
    """Return what happened to the content of volumes.

    Columns: ``time_s``, ``volume``, ``event``, ``fate`` (lost, divergent, orphaned, inaccessible), ``path`` (row of
    `k8sim.machines.losses`, or a fault's name), ``why``, ``bytes`` (0 where no writer is simulated).
    """
    import pandas as pd  # slow to import

    rows = [
        (loss.t / SECOND, _called(result, loss.volume), loss.event, loss.fate, loss.path, loss.why, loss.amount)
        for loss in content_losses(result.log)
    ]
    return pd.DataFrame(rows, columns=["time_s", "volume", "event", "fate", "path", "why", "bytes"])


def inaccessibility(result: Result) -> pd.DataFrame:
    """Return when the content of volumes was intact and out of reach.

    Columns: ``volume``, ``path``, ``why``, ``start_s``, ``end_s`` (NaN: it is so at the end), ``duration_s`` (up to
    the end).
    """
    import pandas as pd

    end = result.scenario.duration_ns
    rows = [
        (
            _called(result, a.volume), a.path, a.why, a.start_ns / SECOND,
            float("nan") if a.end_ns is None else a.end_ns / SECOND,
            ((end if a.end_ns is None else a.end_ns) - a.start_ns) / SECOND,
        )
        for a in absences(result.log)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["volume", "path", "why", "start_s", "end_s", "duration_s"])


def leaked_storage(result: Result) -> pd.DataFrame:
    """Return storage that was paid for and of no use.

    Columns: ``what`` (released, failed or orphaned volume; orphaned snapshot), ``name``, ``size_gib``, ``since_s``,
    ``until_s``, ``gib_hours``.
    """
    import pandas as pd

    rows = [
        (w.what, _called(result, w.name), w.size / GIB, w.since_ns / SECOND, w.until_ns / SECOND, w.gib_hours)
        for w in wasted(result.log, result.scenario.duration_ns, result.aliases)
    ]
    return pd.DataFrame(rows, columns=["what", "name", "size_gib", "since_s", "until_s", "gib_hours"])
