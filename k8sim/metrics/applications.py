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
    """One part of an application's data.

    ``no_quorum`` None: it has not had a majority yet, or needs none.
    ``holders``: who has or should have a copy, at last.
    """

    key: Key
    down: dict[str, list[Interval]] = field(default_factory=lambda: {"writes": [], "reads": []})
    begun: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    counts: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    copies: list[tuple[int, int, int]] = field(default_factory=list)
    leaders: list[tuple[int, str]] = field(default_factory=list)
    two_leaders: list[Interval] = field(default_factory=list)
    no_quorum: list[Interval] | None = None
    holders: Sequence[str] = ()


@dataclass
class Member:
    """One member of an application: when it was in sync, when it caught up (by shard), when two had its identity.

    ``waiting``: when it did not take part yet, and for what it waited.

    ``copies``: whether it has everything of each of its shards, at last.
    """

    namespace: str
    application: str
    name: str
    in_sync: list[Interval] = field(default_factory=list)
    catching_up: dict[int, list[Interval]] = field(default_factory=dict)
    doubled: list[Interval] = field(default_factory=list)
    waiting: list[Interval] = field(default_factory=list)
    copies: dict[int, bool] = field(default_factory=dict)


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
    if row.event.startswith(("Writes", "Reads")):
        _service(shard, row, i)
    elif row.event == "Lost":
        shard.losses.append(Loss(t, detail["writes"], detail["cause"], detail["path"], detail["member"], i))
    elif row.event == "Found":
        shard.losses.append(Loss(t, -detail["writes"], "found again", "", detail["member"], i))
    elif row.event == "Counts":
        shard.counts.append((t, {name: detail[name] for name in COUNTS}))
    elif row.event == "Leader":
        shard.leaders.append((t, detail["member"]))
    elif row.event == "TwoLeaders":
        shard.two_leaders.append(Interval(t, None, i, reason=", ".join(detail["members"])))
    elif row.event == "OneLeader":
        _end(shard.two_leaders, t, i)
    elif row.event == "Quorum":
        shard.no_quorum = shard.no_quorum or []
        _end(shard.no_quorum, t, i)
    elif row.event == "QuorumLost" and shard.no_quorum is not None:
        shard.no_quorum.append(Interval(t, None, i, reason=detail["reason"]))
    elif row.event == "Copies":
        _copies(found, shard, row, i)


def _service(shard: Shard, row: Row, i: int) -> None:
    what = "writes" if row.event.startswith("Writes") else "reads"
    shard.begun.setdefault(what, row.t)
    if row.event.endswith("Unavailable"):
        if not (shard.down[what] and shard.down[what][-1].until_ns is None):
            shard.down[what].append(Interval(row.t, None, i, NO_CAUSE, row.detail["reason"]))
    else:
        _end(shard.down[what], row.t, i)


def _copies(found: Applications, shard: Shard, row: Row, i: int) -> None:
    """Note who has everything: a member is in sync while all its copies, one of each of its shards, have."""
    namespace, application, number = shard.key
    full = set(row.detail["members"])
    shard.copies.append((row.t, row.detail["full"], row.detail["wanted"]))
    before, shard.holders = shard.holders, [*dict.fromkeys([*row.detail["voters"], *row.detail["members"]])]
    for name in dict.fromkeys([*before, *shard.holders]):
        member = _member_of(found, namespace, application, name)
        member.copies[number] = name in full
        if name not in shard.holders:
            del member.copies[number]
        _follow(member.in_sync, bool(member.copies) and all(member.copies.values()), row.t, i)


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
    catching_up = member.catching_up.setdefault(row.detail.get("shard", 0), [])
    if row.event in ("CatchingUp", "Copying"):
        _follow(catching_up, True, row.t, i)
    elif row.event == "InSync":
        _end(catching_up, row.t, i)
    elif row.event == "TwoProcesses":
        _follow(member.doubled, True, row.t, i)
    elif row.event == "OneProcess":
        _end(member.doubled, row.t, i)
    elif row.event in ("Waiting", "Joined"):
        _end(member.waiting, row.t, i)
        if row.event == "Waiting":
            member.waiting.append(Interval(row.t, None, i, reason=row.detail["reason"]))


def held_up_by(found: Applications, key: Key, outage: Interval) -> str:
    """Return for what members waited during an outage of their application, the last reason of each."""
    reasons = {}
    for member in found.members.values():
        for wait in member.waiting if (member.namespace, member.application) == key[:2] else ():
            begins = outage.until_ns is None or wait.since_ns < outage.until_ns
            if begins and (wait.until_ns is None or wait.until_ns > outage.since_ns):
                reasons[member.name] = wait.reason
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


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
