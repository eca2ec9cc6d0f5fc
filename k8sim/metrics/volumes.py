"""What became of the content of volumes: from the trace alone.

Source: storage.md 9.1, 9.2 (`k8sim.machines.losses`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from k8sim.machines.losses import LOSS_PATHS
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    import pandas as pd

    from k8sim.result import Result

ENDED: Final = {
    "Destroyed": "lost", "CacheLost": "lost", "SnapshotDestroyed": "lost", "BackupMissing": "lost",
    "SecondWriter": "divergent", "SharedByNodes": "divergent", "Torn": "divergent", "Skewed": "divergent",
    "Orphaned": "orphaned", "Replaced": "inaccessible", "Behind": "inaccessible", "SourceDropped": "inaccessible",
    "Full": "unacknowledged",
}  # fmt: skip
"""Rows about content, and what has become of it."""


@dataclass(frozen=True)
class Loss:
    """Something that happened to content.

    Parameters
    ----------
    amount
        Bytes that nothing else holds any more, or that are concerned; a byte is counted for the first cause that took
        its last copy. 0 where no writer is simulated.
    rpo_ns
        Of a volume restored from a snapshot: how much time's writes it lacks.
    """

    t: int
    volume: str
    event: str
    fate: str
    path: str
    why: str
    amount: int
    rpo_ns: int | None = None


@dataclass(frozen=True)
class Absence:
    """A time in which content was intact and out of reach; ``end_ns`` None: it is so at the end.

    ``ended_by`` says what it is then: Accessible, or Inaccessible for another reason, Destroyed, Orphaned.
    """

    volume: str
    path: str
    why: str
    start_ns: int
    end_ns: int | None
    ended_by: str = ""


def why_of(path: str) -> str:
    """Return what a path of loss is, in words; a fault's name says it itself."""
    return LOSS_PATHS[path].act if path in LOSS_PATHS else path


def content_losses(log: Trace) -> Iterator[Loss]:
    """Yield what happened to the content of volumes, in order."""
    for row in log:
        if row.kind == "Volume" and row.event in ENDED:
            path, fate = str(row.detail.get("path", "")), ENDED[row.event]
            amount = row.detail.get("amount", row.detail.get("durable", row.detail.get("behind", 0)))
            if row.event == "Behind" and row.detail["source_lost"]:
                fate, amount = "lost", 0  # counted when the source was destroyed
            yield Loss(row.t, row.name, row.event, fate, path, why_of(path), amount, row.detail.get("rpo"))


def absences(log: Trace) -> list[Absence]:
    """Return when content was out of reach; a volume that is destroyed is no longer."""
    begun: dict[str, tuple[str, int]] = {}
    found = []

    def end(name: str, t: int | None, by: str = "") -> None:
        if name in begun:
            path, since = begun.pop(name)
            found.append(Absence(name, path, why_of(path), since, t, by))

    for row in log:
        if row.kind != "Volume":
            continue
        if row.event in ("Inaccessible", "Accessible", "Destroyed", "Orphaned"):
            end(row.name, row.t, row.event)
        if row.event == "Inaccessible":
            begun[row.name] = (str(row.detail["path"]), row.t)
    for name in list(begun):
        end(name, None)
    return sorted(found, key=lambda a: (a.start_ns, a.volume))


# ---- as frames --------------------------------------------------------------------------------------------------


def _called(result: Result, place: str) -> str:
    return result.aliases.get(("PersistentVolume", place), place)


def losses(result: Result) -> pd.DataFrame:
    """Return what happened to the content of volumes.

    Columns: ``time_s``, ``volume``, ``event``, ``fate`` (lost, divergent, orphaned, inaccessible, unacknowledged),
    ``path`` (row of `k8sim.machines.losses`, or a fault's name), ``why``, ``bytes`` (0 where no writer is simulated),
    ``rpo_s`` (of what was restored; else NaN).
    """
    import pandas as pd  # slow to import

    rows = [
        (
            loss.t / SECOND, _called(result, loss.volume), loss.event, loss.fate, loss.path, loss.why, loss.amount,
            float("nan") if loss.rpo_ns is None else loss.rpo_ns / SECOND,
        )
        for loss in content_losses(result.log)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["time_s", "volume", "event", "fate", "path", "why", "bytes", "rpo_s"])


def inaccessibility(result: Result) -> pd.DataFrame:
    """Return when the content of volumes was intact and out of reach.

    Columns: ``volume``, ``path``, ``why``, ``start_s``, ``end_s`` (NaN: it is so at the end), ``duration_s`` (up to
    the end), ``ended_by`` (Accessible; Inaccessible for another reason, Destroyed, Orphaned).
    """
    import pandas as pd

    end = result.scenario.duration_ns
    rows = [
        (
            _called(result, a.volume), a.path, a.why, a.start_ns / SECOND,
            float("nan") if a.end_ns is None else a.end_ns / SECOND,
            ((end if a.end_ns is None else a.end_ns) - a.start_ns) / SECOND, a.ended_by,
        )
        for a in absences(result.log)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["volume", "path", "why", "start_s", "end_s", "duration_s", "ended_by"])
