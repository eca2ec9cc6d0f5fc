"""What applications went through, read from their rows: when they could not be written to, what they lost and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from k8sim.metrics.intervals import Interval
from k8sim.sim.trace import NO_CAUSE, Row, Trace
from k8sim.sim.units import SECOND

Key = tuple[str, str, int]
"""Namespace, application, shard (0 when it has only one)."""
COUNTS = ("acknowledged", "refused", "lost", "surviving")


@dataclass(frozen=True)
class Loss:
    """Acknowledged writes that were lost at a moment, or, negative, found again. ``row`` is its row in the trace."""

    t: int
    writes: float
    cause: str
    path: str
    member: str
    row: int


@dataclass
class Shard:
    """One part of an application's data."""

    key: Key
    down: dict[str, list[Interval]] = field(default_factory=lambda: {"writes": [], "reads": []})
    begun: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    counts: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    copies: list[tuple[int, int, int]] = field(default_factory=list)
    leaders: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Member:
    """One member of an application: when it was in sync, when two processes had its identity."""

    namespace: str
    application: str
    name: str
    in_sync: list[Interval] = field(default_factory=list)
    catching_up: list[Interval] = field(default_factory=list)
    doubled: list[Interval] = field(default_factory=list)


@dataclass
class Applications:
    """All of a run."""

    shards: dict[Key, Shard] = field(default_factory=dict)
    members: dict[tuple[str, str, str], Member] = field(default_factory=dict)


def applications(log: Trace) -> Applications:
    """Read all applications in one pass."""
    found = Applications()
    for i, row in enumerate(log):
        if row.kind == "Application":
            key = (row.namespace, row.name, row.detail.get("shard", 0))
            _application(found, found.shards.setdefault(key, Shard(key)), row, i)
        elif row.kind == "Member":
            _member(_member_of(found, row.namespace, row.detail["application"], row.name), row, i)
    return found


def _member_of(found: Applications, namespace: str, application: str, name: str) -> Member:
    key = (namespace, application, name)
    return found.members.setdefault(key, Member(*key))


def _application(found: Applications, shard: Shard, row: Row, i: int) -> None:
    t, detail = row.t, row.detail
    for what, word in (("writes", "Writes"), ("reads", "Reads")):
        if row.event == f"{word}Unavailable":
            shard.begun.setdefault(what, t)
            if not (shard.down[what] and shard.down[what][-1].until_ns is None):
                shard.down[what].append(Interval(t, None, i, NO_CAUSE, detail["reason"]))
        elif row.event == f"{word}Available":
            shard.begun.setdefault(what, t)
            _end(shard.down[what], t, i)
    if row.event == "Lost":
        shard.losses.append(Loss(t, detail["writes"], detail["cause"], detail["path"], detail["member"], i))
    elif row.event == "Found":
        shard.losses.append(Loss(t, -detail["writes"], "found again", "", detail["member"], i))
    elif row.event == "Counts":
        shard.counts.append((t, {name: detail[name] for name in COUNTS}))
    elif row.event == "Leader":
        shard.leaders.append((t, detail["member"]))
    elif row.event == "Copies":
        shard.copies.append((t, detail["full"], detail["wanted"]))
        namespace, application, _ = shard.key
        full = set(detail["members"])
        for name in full:
            _member_of(found, namespace, application, name)
        for member in found.members.values():
            if (member.namespace, member.application) == (namespace, application) and "shard" not in detail:
                _follow(member.in_sync, member.name in full, t, i)


def _follow(intervals: list[Interval], now: bool, t: int, i: int) -> None:
    open_ = bool(intervals) and intervals[-1].until_ns is None
    if now and not open_:
        intervals.append(Interval(t, None, i))
    elif not now:
        _end(intervals, t, i)


def _end(intervals: list[Interval], t: int, i: int) -> None:
    if intervals and intervals[-1].until_ns is None:
        last = intervals.pop()
        intervals.append(Interval(last.since_ns, t, last.row, i, last.reason))


def _member(member: Member, row: Row, i: int) -> None:
    if row.event in ("CatchingUp", "Copying"):
        _follow(member.catching_up, True, row.t, i)
    elif row.event == "InSync":
        _end(member.catching_up, row.t, i)
    elif row.event == "TwoProcesses":
        _follow(member.doubled, True, row.t, i)
    elif row.event == "OneProcess":
        _end(member.doubled, row.t, i)


def by_application(found: Applications) -> Iterator[tuple[tuple[str, str], list[Shard]]]:
    """Yield each application with its shards."""
    groups: dict[tuple[str, str], list[Shard]] = {}
    for (namespace, name, _), shard in found.shards.items():
        groups.setdefault((namespace, name), []).append(shard)
    yield from groups.items()


def service(shards: Sequence[Shard], what: str, end_ns: int) -> tuple[float, float]:
    """Return for which share of the time shards gave a service (writes, reads), and for how many s not: the mean."""
    known = [s for s in shards if what in s.begun]
    span = sum(end_ns - s.begun[what] for s in known)
    down = sum(i.length_ns(end_ns) for s in known for i in s.down[what])
    return (1 - down / span if span else math.nan), (down / len(known) / SECOND if known else 0.0)
