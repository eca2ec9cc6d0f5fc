"""Tidy DataFrames of a run, computed from its trace and nothing else. `k8sim.metrics.table` defines every column."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import pandas as pd

from k8sim.metrics.applications import COUNTS, Applications, applications, by_application, service
from k8sim.metrics.intervals import Interval, causes_text, root, share_above
from k8sim.metrics.outages import of_applications, of_streams, of_workloads
from k8sim.metrics.pods import Lives, PodLife, pod_lives
from k8sim.metrics.rollouts import commands, leaked, pulls, rollouts, storage_phases
from k8sim.metrics.table import DEFINITIONS
from k8sim.result import Result
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND

OUTCOMES = ("served", "refused", "no-endpoint", "stale-address", "unanswered", "cut", "in-flight")
_NEEDED: Mapping[str, Callable[[int], int]] = {"all": lambda n: n, "majority": lambda n: n // 2 + 1, "any": lambda n: 1}


def _frame(rows: Iterable[Sequence[object]], columns: str) -> pd.DataFrame:
    return pd.DataFrame([tuple(row) for row in rows], columns=columns.split())


def _s(ns: int | None) -> float:
    return math.nan if ns is None else ns / SECOND


class Metrics:
    """The metrics of one run.

    Parameters
    ----------
    log
        The trace, with the rows that are not public.
    end_ns
        When the run ended.
    """

    def __init__(self, log: Trace, end_ns: int) -> None:
        self._log = log
        self._end_ns = end_ns

    @classmethod
    def of(cls, result: Result) -> Metrics:
        """Return the metrics of a result; only its trace and its duration are read."""
        return cls(result.log, result.scenario.duration_ns)

    @staticmethod
    def table() -> pd.DataFrame:
        """Return the definitions: ``frame``, ``column``, ``unit``, ``meaning``."""
        return pd.DataFrame(DEFINITIONS)

    @cached_property
    def _lives(self) -> Lives:
        return pod_lives(self._log)

    @cached_property
    def _applications(self) -> Applications:
        return applications(self._log)

    # ---- availability -----------------------------------------------------------------------------------------------

    @cached_property
    def availability(self) -> pd.DataFrame:
        """Availability of pods, sets and applications."""
        rows = [*self._of_pods(), *self._of_sets(), *self._of_applications()]
        return _frame(rows, "kind namespace name what availability down_s")

    def _of_pods(self) -> Iterable[tuple[object, ...]]:
        by_name: dict[tuple[str, str], list[Interval]] = {}
        for life in self._lives.pods.values():
            by_name.setdefault(life.key[:2], []).extend(life.ready)
        for (namespace, name), ready in by_name.items():
            if ready:
                since = min(i.since_ns for i in ready)
                share = share_above(_steps(ready), 1, since, self._end_ns)
                yield "Pod", namespace, name, "ready", share, (1 - share) * (self._end_ns - since) / SECOND

    def _of_sets(self) -> Iterable[tuple[object, ...]]:
        members: dict[tuple[str, str, str], list[PodLife]] = {}
        for life in self._lives.pods.values():
            if life.workload:
                members.setdefault((life.kind, life.key[0], life.workload), []).append(life)
        for key, wanted in self._lives.wanted.items():
            steps = _steps([i for life in members.get(key, ()) for i in life.ready])
            for what, needed in _NEEDED.items():
                surplus = _against(steps, [(t, needed(n) if n else 0) for t, n in wanted])
                since = next((t for t, n in surplus if n >= 0 and t >= wanted[0][0] and _count(steps, t) > 0), None)
                if since is not None:
                    share = share_above([(t, n + 1) for t, n in surplus], 1, since, self._end_ns)
                    yield *key, what, share, (1 - share) * (self._end_ns - since) / SECOND

    def _of_applications(self) -> Iterable[tuple[object, ...]]:
        for (namespace, name), shards in by_application(self._applications):
            for what in ("writes", "reads"):
                if any(what in s.begun for s in shards):
                    yield "Application", namespace, name, what, *service(shards, what, self._end_ns)

    @cached_property
    def outages(self) -> pd.DataFrame:
        """Times without service."""
        found = [*of_applications(self._applications), *of_workloads(self._lives), *of_streams(self._log)]
        rows = []
        for *whose, i, waits in found:
            times = (i.since_ns / SECOND, _s(i.until_ns), i.length_ns(self._end_ns) / SECOND)
            why = (i.reason, root(self._log, i.row), causes_text(self._log, i.row), waits)
            rows.append((*whose, *times, *why))
        columns = "kind namespace name shard what start_s end_s duration_s reason cause chain held_up_by"
        return _frame(rows, columns)

    @cached_property
    def disruptions(self) -> pd.DataFrame:
        """Pods whose end was asked for, or whose machine was lost."""
        rows = []
        for life in self._lives.pods.values():
            if life.disruption is not None:
                t = self._log[life.disrupted_by].t / SECOND
                rows.append((*life.key, life.workload, t, *life.disruption))
        return _frame(rows, "namespace name inc workload time_s type cause")

    @cached_property
    def restarts(self) -> pd.DataFrame:
        """Containers that were started again."""
        total: dict[tuple[str, str], int] = {}
        for life in self._lives.pods.values():
            total[life.key[:2]] = total.get(life.key[:2], 0) + life.restarts
        return _frame(((*key, n) for key, n in total.items()), "namespace name restarts")

    # ---- applications -----------------------------------------------------------------------------------------------

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Acknowledged writes that were lost."""
        rows = [
            (*key, loss.t / SECOND, loss.writes, loss.cause, loss.path, causes_text(self._log, loss.row))
            for key, shard in self._applications.shards.items()
            for loss in shard.losses
        ]
        return _frame(rows, "namespace application shard time_s writes cause path chain")

    @cached_property
    def writes(self) -> pd.DataFrame:
        """What had become of writes at moments."""
        rows = [
            (*key, t / SECOND, *(counts[name] for name in COUNTS))
            for key, shard in self._applications.shards.items()
            for t, counts in shard.counts
        ]
        return _frame(rows, f"namespace application shard time_s {' '.join(COUNTS)}")

    @cached_property
    def copies(self) -> pd.DataFrame:
        """How many copies had everything."""
        rows = [
            (*key, t / SECOND, full, wanted, full <= 1)
            for key, shard in self._applications.shards.items()
            for t, full, wanted in shard.copies
        ]
        return _frame(rows, "namespace application shard time_s full wanted at_risk")

    @cached_property
    def clocks(self) -> pd.DataFrame:
        """When members were Ready for Kubernetes, and when in sync for the application."""
        rows: list[tuple[object, ...]] = []
        for member in self._applications.members.values():
            who = (member.namespace, member.application, member.name)
            lives = [p for p in self._lives.pods.values() if p.key[:2] == (member.namespace, member.name)]
            series = {"ready": [i for life in lives for i in life.ready], "in-sync": member.in_sync}
            for clock, intervals in series.items():
                rows += [(*who, clock, i.since_ns / SECOND, _s(i.until_ns)) for i in intervals]
        return _frame(rows, "namespace application member clock start_s end_s")

    @cached_property
    def two_writers(self) -> pd.DataFrame:
        """Times in which two processes had one identity, or two led."""
        rows: list[tuple[object, ...]] = []
        for m in self._applications.members.values():
            rows += [(m.namespace, m.application, m.name, "identity", *self._times(i)) for i in m.doubled]
        for (namespace, name, _), shard in self._applications.shards.items():
            rows += [(namespace, name, i.reason, "leaders", *self._times(i)) for i in shard.two_leaders]
        return _frame(rows, "namespace application member what start_s end_s duration_s chain")

    @cached_property
    def quorum(self) -> pd.DataFrame:
        """Times without a majority, from the first one on."""
        rows = [
            (*key, *self._times(i), i.reason)
            for key, shard in self._applications.shards.items()
            for i in shard.no_quorum or ()
        ]
        return _frame(rows, "namespace application shard start_s end_s duration_s chain reason")

    def _times(self, i: Interval) -> tuple[float, float, float, str]:
        """Return when something began, ended, how long it lasted, and all its causes."""
        length = i.length_ns(self._end_ns) / SECOND
        return i.since_ns / SECOND, _s(i.until_ns), length, causes_text(self._log, i.row)

    @cached_property
    def requests(self) -> pd.DataFrame:
        """What had become of requests at moments."""
        rows = [
            (row.namespace, row.name, row.t / SECOND, *(row.detail.get(o, 0.0) for o in OUTCOMES))
            for row in self._log
            if row.kind == "Traffic" and row.event == "Counts"
        ]
        return _frame(rows, f"namespace stream time_s {' '.join(OUTCOMES)}")

    # ---- how long things took ---------------------------------------------------------------------------------------

    @cached_property
    def phases(self) -> pd.DataFrame:
        """How long each step of a pod's life and of its volumes took."""
        rows: list[tuple[object, ...]] = []
        unknown = [(r.t, r.name) for r in self._log if r.kind == "Node" and r.event == "Unknown"]
        for life in self._lives.pods.values():
            rows += [(*life.key, phase, ns / SECOND) for phase, ns in _phases_of(life, unknown)]
        for member in self._applications.members.values():
            for i in (i for intervals in member.catching_up.values() for i in intervals):
                if i.until_ns is not None:
                    rows.append((member.namespace, member.name, 0, "catch up", i.length_ns(self._end_ns) / SECOND))
        rows += [*pulls(self._log), *storage_phases(self._log)]
        return _frame(rows, "namespace name inc phase duration_s")

    @cached_property
    def rollouts(self) -> pd.DataFrame:
        """Rollouts of StatefulSets and Deployments."""
        columns = "kind namespace name start_s end_s duration_s blocked_by"
        return _frame(rollouts(self._log, self._lives.wanted, self._end_ns), columns)

    @cached_property
    def commands(self) -> pd.DataFrame:
        """Steps of the timeline, drains among them."""
        return _frame(commands(self._log), "step command start_s duration_s code blocked_by")

    @cached_property
    def leaked_storage(self) -> pd.DataFrame:
        """Volumes that nobody has at the end."""
        return _frame(leaked(self._log), "volume claim since_s")


def _steps(intervals: Iterable[Interval]) -> list[tuple[int, int]]:
    """Return how many intervals there are at a time, from each change on."""
    changes: dict[int, int] = {}
    for i in intervals:
        changes[i.since_ns] = changes.get(i.since_ns, 0) + 1
        if i.until_ns is not None:
            changes[i.until_ns] = changes.get(i.until_ns, 0) - 1
    steps, count = [], 0
    for t in sorted(changes):
        count += changes[t]
        steps.append((t, count))
    return steps


def _count(steps: Sequence[tuple[int, int]], t: int) -> int:
    return next((n for moment, n in reversed(steps) if moment <= t), 0)


def _against(steps: Sequence[tuple[int, int]], needed: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return by how much a count exceeds another one, from each change of either on."""
    moments = sorted({t for t, _ in steps} | {t for t, _ in needed})
    return [(t, _count(steps, t) - _count(needed, t)) for t in moments]


def _phases_of(life: PodLife, unknown: Sequence[tuple[int, str]]) -> Iterable[tuple[str, int]]:
    if life.scheduled_ns is not None:
        yield "schedule", life.scheduled_ns - life.created_ns
        if life.started_ns is not None:
            yield "start", life.started_ns - life.scheduled_ns
    if life.started_ns is not None and life.ready_ns is not None:
        yield "ready", life.ready_ns - life.started_ns
    if life.lost_ns is not None:
        noticed = next((t for t, node in unknown if node == life.node and t >= life.lost_ns), None)
        if noticed is not None:
            yield "detect", noticed - life.lost_ns
            if life.terminating_ns is not None and life.terminating_ns >= noticed:
                yield "evict", life.terminating_ns - noticed
    if life.terminating_ns is not None and life.deleted_ns is not None:
        yield "terminate", life.deleted_ns - life.terminating_ns
