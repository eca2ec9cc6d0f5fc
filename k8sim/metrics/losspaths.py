"""What a run lost, by path: one row for each of section 9.2 of the storage specification, whether it happened or not.

Source: storage.md 9.1 (what is counted), `k8sim.machines.losses` (the paths).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sim.machines.losses import LOSS_PATHS
from k8sim.metrics.applications import applications
from k8sim.metrics.volumes import absences, content_losses
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    import pandas as pd

    from k8sim.result import Result


@dataclass
class Toll:
    """What one path has cost: how often it happened, and in bytes, writes of applications, time out of reach."""

    times: int = 0
    amount: int = 0
    writes: float = 0.0
    away_ns: int = 0


def tolls(log: Trace, end_ns: int) -> dict[str, Toll]:
    """Return the toll of every path; faults that lose content by themselves come after the paths, by their names."""
    found = {path: Toll() for path in LOSS_PATHS}
    for loss in content_losses(log):
        toll = found.setdefault(loss.path, Toll())
        toll.times += 1
        toll.amount += loss.amount
    for absence in absences(log):
        toll = found.setdefault(absence.path, Toll())
        toll.times += 1
        toll.away_ns += (end_ns if absence.end_ns is None else absence.end_ns) - absence.start_ns
    for shard in applications(log).shards.values():
        for lost in shard.losses:
            if lost.path:
                toll = found.setdefault(lost.path, Toll())
                toll.times += 1
                toll.writes += lost.writes
    return found


def loss_paths(result: Result) -> pd.DataFrame:
    """Return what each path of loss has cost.

    Columns: ``path``, ``act``, ``fate`` (the worst that it does), ``times``, ``bytes``, ``writes`` (of applications),
    ``away_s`` (how long content was out of reach, over all volumes).
    """
    import pandas as pd  # slow to import

    rows = []
    for path, toll in tolls(result.log, result.scenario.duration_ns).items():
        known = LOSS_PATHS.get(path)
        act, fate = (known.act, known.fate) if known is not None else (path, "lost")
        rows.append((path, act, fate, toll.times, toll.amount, toll.writes, toll.away_ns / SECOND))
    return pd.DataFrame(rows, columns=["path", "act", "fate", "times", "bytes", "writes", "away_s"])
