"""Intervals of time between rows of a trace: when something was so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from k8sim.sim.trace import NO_CAUSE, Row, Trace


@dataclass(frozen=True)
class Interval:
    """From a row to another. ``until_ns`` None: it lasts at the end of the run; rows are numbers in the trace."""

    since_ns: int
    until_ns: int | None
    row: int = NO_CAUSE
    ended_by: int = NO_CAUSE
    reason: str = ""

    def length_ns(self, end_ns: int) -> int:
        """Return how long it lasted, up to the end of the run at most."""
        return (end_ns if self.until_ns is None else self.until_ns) - self.since_ns


def total_ns(intervals: Iterable[Interval], end_ns: int) -> int:
    """Return how long they lasted together; they must not overlap."""
    return sum(i.length_ns(end_ns) for i in intervals)


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the times in which at least one of them lasted, without overlaps."""
    merged: list[Interval] = []
    for i in sorted(intervals, key=lambda i: i.since_ns):
        last = merged[-1] if merged else None
        if last is None or (last.until_ns is not None and last.until_ns < i.since_ns):
            merged.append(i)
        elif last.until_ns is not None and (i.until_ns is None or i.until_ns > last.until_ns):
            merged[-1] = replace(last, until_ns=i.until_ns, ended_by=i.ended_by)
    return merged


def share_above(steps: Sequence[tuple[int, int]], needed: int, since_ns: int, end_ns: int) -> float:
    """Return the share of a time in which a count was at least so high.

    Parameters
    ----------
    steps
        (moment, count from then on), in order; before the first it is 0.
    """
    if end_ns <= since_ns:
        return float("nan")
    good, count, last = 0, 0, since_ns
    for moment, new in steps:
        if moment > last:
            good += (min(moment, end_ns) - last) * (count >= needed)
            last = min(moment, end_ns)
        count = new
    return (good + (end_ns - last) * (count >= needed)) / (end_ns - since_ns)


def chain(log: Trace, row: int) -> list[Row]:
    """Return a row and what led to it, the row first; a row that is not there gives none."""
    return log.chain(row) if row != NO_CAUSE else []


def causes_text(log: Trace, row: int) -> str:
    """Return the chain of causes in one line, what came first at the left."""
    words = [f"{r.kind} {r.name} {r.event}" for r in reversed(chain(log, row))]
    shortened = [w for i, w in enumerate(words) if i == 0 or w != words[i - 1]]
    return " > ".join(shortened)


def root(log: Trace, row: int) -> str:
    """Return what stands at the beginning of a chain of causes."""
    rows = chain(log, row)
    if not rows:
        return ""
    first = rows[-1]
    return str(first.detail.get("what", f"{first.name}")) if first.kind == "Step" else f"{first.kind} {first.name}"
