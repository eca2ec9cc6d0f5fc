"""A run in a few numbers by name, for objectives and batches: what applications and clients went through.

`FIGURES` defines every name with its unit. A name is ``APPLICATION.figure`` or ``STREAM.figure``
(``NAMESPACE/APPLICATION.figure`` outside the scenario's own namespace).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import dropwhile
from typing import Final, NamedTuple

from k8sim.metrics.applications import Applications, Key, Shard, applications, by_application, service
from k8sim.metrics.intervals import total_ns, union
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND
from k8sim.workload.losses import CAUSES
from k8sim.workload.routing import OUTCOMES


class Figure(NamedTuple):
    """One figure: of whom (application or stream), its name after the dot, its unit, what it means."""

    of: str
    name: str
    unit: str
    meaning: str


def _underscored(word: str) -> str:
    return word.replace("-", "_")


FAILURES: Final = tuple(outcome for outcome in OUTCOMES if outcome != "served")

FIGURES: Final = (
    Figure("application", "writes_acknowledged", "writes", "acknowledged up to the end"),
    Figure("application", "writes_refused", "writes", "that clients wanted to make and could not"),
    Figure("application", "writes_lost", "writes", "acknowledged and gone at the end; those found again do not count"),
    *(
        Figure("application", f"writes_lost_{_underscored(cause)}", "writes", f"lost because {why}")
        for cause, why in CAUSES.items()
    ),
    Figure("application", "write_availability", "share", "of the time since clients began to write in which they could "
           "(with shards: the mean over these)"),
    Figure("application", "write_downtime_s", "s", "time in which they could not (with shards: the mean)"),
    Figure("application", "write_outages", "outages", "times in which they could not (of any shard)"),
    Figure("application", "longest_write_outage_s", "s", "the longest of them"),
    Figure("application", "read_availability", "share", "the same for reads"),
    Figure("application", "read_downtime_s", "s", "the same for reads"),
    Figure("application", "read_outages", "outages", "the same for reads"),
    Figure("application", "longest_read_outage_s", "s", "the same for reads"),
    Figure("application", "fewest_copies", "copies", "the fewest copies of a shard that had everything, once all had"),
    Figure("application", "at_risk_s", "s", "time with one such copy at most of some shard, once all had everything"),
    Figure("application", "no_quorum_s", "s", "time without a majority, from the first one on (of some shard); 0 where "
           "none is needed"),
    Figure("application", "two_writers_s", "s", "time in which two processes had one identity, all members together"),
    Figure("application", "two_leaders_s", "s", "time in which one that was cut off led beside another"),
    Figure("stream", "requests", "requests", "that were sent"),
    Figure("stream", "requests_served", "requests", "answered in full"),
    Figure("stream", "requests_failed", "requests", "neither served nor in flight at the end"),
    *(Figure("stream", f"requests_{_underscored(outcome)}", "requests", f"of the outcome {outcome}")
      for outcome in FAILURES),
    Figure("stream", "success", "share", "of the requests that were over, those that were served"),
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """Numbers and lists of numbers of one run, by name.

    Lists: ``APPLICATION.write_outage_s`` and ``APPLICATION.read_outage_s``, how long each outage was.
    """

    numbers: Mapping[str, float]
    lists: Mapping[str, tuple[float, ...]]


def figures(log: Trace, end_ns: int, namespace: str = "default") -> Figures:
    """Return all figures of a run's applications and streams; what lasts at the end counts up to there.

    Parameters
    ----------
    namespace
        The scenario's own, which names leave out.
    """
    numbers: dict[str, float] = {}
    lists: dict[str, tuple[float, ...]] = {}
    found = applications(log)
    for (own, name), shards in by_application(found):
        label = name if own == namespace else f"{own}/{name}"
        numbers.update((f"{label}.{key}", value) for key, value in _of_application(found, shards, end_ns))
        for what in ("write", "read"):
            outages = [i for s in shards for i in s.down[f"{what}s"]]
            lists[f"{label}.{what}_outage_s"] = tuple(i.length_ns(end_ns) / SECOND for i in outages)
    for (own, name), counts in _last_counts(log).items():
        label = name if own == namespace else f"{own}/{name}"
        numbers.update((f"{label}.{key}", value) for key, value in _of_stream(counts))
    return Figures(numbers, lists)


# ---- applications ---------------------------------------------------------------------------------------------------


def _of_application(found: Applications, shards: list[Shard], end_ns: int) -> Iterator[tuple[str, float]]:
    for what in ("acknowledged", "refused", "lost"):
        yield f"writes_{what}", sum(s.counts[-1][1][what] for s in shards if s.counts)
    for cause in CAUSES:
        losses = [loss.writes for s in shards for loss in s.losses if loss.cause == cause]
        yield f"writes_lost_{_underscored(cause)}", sum(losses)
    for what in ("write", "read"):
        share, down_s = service(shards, f"{what}s", end_ns)
        outages = [i.length_ns(end_ns) / SECOND for s in shards for i in s.down[f"{what}s"]]
        yield f"{what}_availability", share
        yield f"{what}_downtime_s", down_s
        yield f"{what}_outages", float(len(outages))
        yield f"longest_{what}_outage_s", max(outages, default=0.0)
    yield "fewest_copies", min((float(full) for s in shards for _, full, _ in _once_complete(s)), default=math.nan)
    yield "at_risk_s", _at_risk_ns(shards, end_ns) / SECOND
    yield "no_quorum_s", total_ns(union(i for s in shards for i in s.no_quorum or ()), end_ns) / SECOND
    yield "two_leaders_s", total_ns(union(i for s in shards for i in s.two_leaders), end_ns) / SECOND
    yield "two_writers_s", _doubled_ns(found, shards[0].key, end_ns) / SECOND


def _once_complete(shard: Shard) -> Iterable[tuple[int, int, int]]:
    """Return how many copies a shard had since when, from the first moment at which it had all."""
    return dropwhile(lambda step: step[1] < step[2], shard.copies)


def _at_risk_ns(shards: Iterable[Shard], end_ns: int) -> int:
    """Return for how long some shard had one copy at most, where it should have more."""
    changes = sorted((t, s.key, full <= 1 < wanted) for s in shards for t, full, wanted in _once_complete(s))
    at_risk: dict[Key, bool] = {}
    total, since = 0, 0
    for t, key, risky in [*changes, (end_ns, ("", "", -1), False)]:
        if any(at_risk.values()):
            total += t - since
        at_risk[key], since = risky, t
    return total


def _doubled_ns(found: Applications, key: Key, end_ns: int) -> int:
    members = (m for m in found.members.values() if (m.namespace, m.application) == key[:2])
    return sum(total_ns(m.doubled, end_ns) for m in members)


# ---- streams --------------------------------------------------------------------------------------------------------


def _last_counts(log: Trace) -> dict[tuple[str, str], Mapping[str, float]]:
    return {(r.namespace, r.name): r.detail for r in log if r.kind == "Traffic" and r.event == "Counts"}


def _of_stream(counts: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    served = counts["served"]
    failed = {outcome: counts.get(outcome, 0.0) for outcome in FAILURES}
    over = served + sum(failed.values())
    yield "requests", over + counts["in-flight"]
    yield "requests_served", served
    yield "requests_failed", sum(failed.values())
    for outcome, amount in failed.items():
        yield f"requests_{_underscored(outcome)}", amount
    yield "success", served / over if over else math.nan
