"""Times without service, each with the row that began it: of applications, of workloads, of streams of requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from k8sim.metrics.applications import Applications, held_up_by
from k8sim.metrics.intervals import Interval
from k8sim.metrics.pods import Lives, PodLife
from k8sim.sim.trace import NO_CAUSE, Trace


class Outage(NamedTuple):
    """One of them. ``shard``: of an application; ``held_up_by``: for what its members waited meanwhile."""

    kind: str
    namespace: str
    name: str
    shard: int
    what: str
    interval: Interval
    held_up_by: str = ""


def of_applications(found: Applications) -> Iterator[Outage]:
    """Yield when an application could not be written to or read."""
    for (namespace, name, number), shard in found.shards.items():
        for what, intervals in shard.down.items():
            for i in intervals:
                yield Outage("Application", namespace, name, number, what, i, held_up_by(found, shard.key, i))


def of_workloads(lives: Lives) -> Iterator[Outage]:
    """Yield when no majority of the wanted pods of a set was Ready, from the first majority on."""
    members: dict[tuple[str, str, str], list[PodLife]] = {}
    for life in lives.pods.values():
        members.setdefault((life.kind, life.key[0], life.workload), []).append(life)
    for key, wanted in lives.wanted.items():
        for interval in _without_majority(members.get(key, ()), wanted):
            yield Outage(*key, 0, "majority", interval)


def _without_majority(members: Sequence[PodLife], wanted: Sequence[tuple[int, int]]) -> list[Interval]:
    changes = [(t, 0, n, NO_CAUSE) for t, n in wanted]
    for i in (i for life in members for i in life.ready):
        changes.append((i.since_ns, 1, 0, i.row))
        if i.until_ns is not None:
            changes.append((i.until_ns, -1, 0, i.ended_by))
    changes.sort()
    found: list[Interval] = []
    ready = target = 0
    begun = down = False
    for n, (t, step, new_target, row) in enumerate(changes):
        ready += step
        target = new_target if step == 0 else target
        if n + 1 < len(changes) and changes[n + 1][0] == t:
            continue  # what happens at one instant counts together
        needed = target // 2 + 1 if target else 0
        begun = begun or ready >= needed > 0
        if begun and (ready < needed) != down:
            down = not down
            if down:
                found.append(Interval(t, None, row, reason=f"{ready} of {target} Ready, {needed} needed"))
            else:
                found[-1] = replace(found[-1], until_ns=t, ended_by=row)
    return found


def of_streams(log: Trace) -> Iterator[Outage]:
    """Yield when some or all new requests of a stream failed."""
    failing: dict[tuple[str, str], Interval] = {}
    for i, row in enumerate(log):
        if row.kind != "Traffic" or row.event != "Counts" or "success" not in row.detail:
            continue
        key = (row.namespace, row.name)
        if row.detail["failing"] and key not in failing:
            failing[key] = Interval(row.t, None, i, reason=row.detail["failing"])
        elif not row.detail["failing"] and key in failing:
            yield Outage("Stream", *key, 0, "requests", replace(failing.pop(key), until_ns=row.t, ended_by=i))
    for key, interval in failing.items():
        yield Outage("Stream", *key, 0, "requests", interval)
