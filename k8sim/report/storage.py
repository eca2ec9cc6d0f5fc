"""What a run's summary says of storage: content lost or out of reach, and storage that is paid for without use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from k8sim.metrics.storagecost import wasted
from k8sim.metrics.volumes import absences, content_losses
from k8sim.sim.units import SECOND, format_duration

if TYPE_CHECKING:
    from k8sim.result import Result


def storage_lines(result: Result) -> Iterator[Text]:
    """Yield a line for each path of loss, for each reason of absence, and for what leaks; nothing if all is well."""
    end = result.scenario.duration_ns
    lost = Counter((loss.fate, loss.event, loss.path, loss.why) for loss in content_losses(result.log))
    for (fate, event, path, why), n in lost.items():
        what = "snapshot" if event == "SnapshotDestroyed" else "volume"
        yield Text(f"  {n} {what}{'s' if n > 1 else ''} {fate}: {why}{_number(path)}", "red")
    away = absences(result.log)
    for path in dict.fromkeys(a.path for a in away):
        mine = [a for a in away if a.path == path]
        total = sum((end if a.end_ns is None else a.end_ns) - a.start_ns for a in mine)
        still = sum(a.end_ns is None for a in mine)
        tail = f", {still} still at the end" if still else ""
        length = format_duration(round(total / SECOND) * SECOND)
        yield Text(f"  out of reach for {length}{tail}: {mine[0].why}{_number(path)}", "yellow")
    # What is Released only until it is destroyed is no leak.
    waste = [w for w in wasted(result.log, end) if w.until_ns == end]
    if waste:
        kinds = ", ".join(f"{n} {what}{'s' if n > 1 else ''}" for what, n in Counter(w.what for w in waste).items())
        yield Text(f"  paid for without use: {sum(w.gib_hours for w in waste):.1f} GiB-hours ({kinds})", "yellow")


def _number(path: str) -> str:
    return f" ({path})" if path[:1] == "L" and path[1:].isdigit() else ""
