"""How long rollouts, commands and moves of volumes took, and who held them up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from k8sim.sim.trace import Row, Trace
from k8sim.sim.units import SECOND

EVICTION_RETRY = 5 * SECOND
Wanted = Mapping[tuple[str, str, str], Sequence[tuple[int, int]]]
Rows = Iterator[tuple[object, ...]]


def rollouts(log: Trace, wanted: Wanted, end_ns: int) -> Rows:
    """Yield the times in which a workload had fewer updated and ready pods than it wants."""
    open_: dict[tuple[str, str, str], int] = {}
    waiting: dict[tuple[str, str, str], str] = {}

    def finish(key: tuple[str, str, str], until: int | None) -> tuple[object, ...]:
        since = open_.pop(key)
        last = end_ns if until is None else until
        end_s = math.nan if until is None else until / SECOND
        return (*key, since / SECOND, end_s, (last - since) / SECOND, waiting.pop(key, ""))

    for _, row in log.of_kinds("StatefulSet", "Deployment", "Controller"):
        if row.kind == "Controller" and row.event == "Waiting":
            key = (str(row.detail.get("controller")), row.namespace, row.name)
            if key in open_ and row.detail.get("reason"):
                waiting[key] = str(row.detail["reason"])
        elif row.event == "Status":
            key = (row.kind, row.namespace, row.name)
            target = _wanted_at(row.t, wanted.get(key, ()), row.detail["replicas"])
            if row.detail["updated"] < target:
                open_.setdefault(key, row.t)
            elif key in open_ and row.detail["ready"] >= target:
                yield finish(key, row.t)
    for key in list(open_):
        yield finish(key, None)


def _wanted_at(t_ns: int, wanted: Sequence[tuple[int, int]], otherwise: int) -> int:
    """Return how many pods were wanted at a time."""
    for since, replicas in reversed(wanted):
        if since <= t_ns:
            return replicas
    return otherwise


def commands(log: Trace) -> Rows:
    """Yield the steps of the timeline with what held them up."""
    begun: dict[int, Row] = {}
    for row in log:
        if row.kind == "Step" and row.event == "Begins":
            begun[row.detail["step"]] = row
        elif row.kind == "Command" and row.event == "Done" and row.detail["step"] in begun:
            first = begun.pop(row.detail["step"])
            drains = str(first.detail.get("what")).startswith("kubectl drain")
            names = ", ".join(_exhausted_budgets(log, first.t, row.t)) if drains else ""
            took = (row.t - first.t) / SECOND
            yield row.detail["step"], first.detail.get("what"), first.t / SECOND, took, row.detail["code"], names


def _exhausted_budgets(log: Trace, since: int, until: int) -> list[str]:
    """Return the budgets that allowed nothing for so long that an eviction had to be repeated (every 5 s)."""
    spent: dict[str, int] = {}
    zero_since: dict[str, int] = {}
    for row in log:
        if row.kind != "PodDisruptionBudget" or row.t > until:
            continue
        begin = zero_since.pop(row.name, None)
        if begin is not None:
            spent[row.name] = spent.get(row.name, 0) + max(0, row.t - max(begin, since))
        if row.detail["allowed"] == 0:
            zero_since[row.name] = row.t
    for name, begin in zero_since.items():
        spent[name] = spent.get(name, 0) + until - max(begin, since)
    return sorted(name for name, ns in spent.items() if ns >= EVICTION_RETRY)


def pulls(log: Trace) -> Rows:
    """Yield how long image pulls took, by pod."""
    since: dict[tuple[str, str], int] = {}
    for row in log:
        if row.kind == "Event" and row.event == "Pulling":
            since.setdefault((row.namespace, row.detail["object"]), row.t)
        elif row.kind == "Event" and row.event == "Pulled":
            begun = since.pop((row.namespace, row.detail["object"]), None)
            if begun is not None:
                yield row.namespace, str(row.detail["object"]).partition("/")[2], 0, "pull", (row.t - begun) / SECOND


def storage_phases(log: Trace) -> Rows:
    """Yield how long attachments and detachments took; the name is the volume's."""
    since: dict[tuple[str, str, str], int] = {}
    for row in log:
        if row.kind != "VolumeAttachment":
            continue
        volume, node = str(row.detail["volume"]), str(row.detail["node"])
        for begin, done, phase in (("Attaching", "Attached", "attach"), ("Detaching", "Detached", "detach")):
            if row.event == begin:
                since[phase, volume, node] = row.t
            elif row.event == done and (phase, volume, node) in since:
                yield "", volume, 0, phase, (row.t - since.pop((phase, volume, node))) / SECOND


def leaked(log: Trace) -> Rows:
    """Yield the volumes that were Released or Failed last, and still exist."""
    claims: dict[str, str] = {}
    since: dict[str, int] = {}
    for row in log:
        if row.kind == "PersistentVolume":
            if row.event == "Bound":
                claims[row.name] = str(row.detail.get("claim", ""))
            if row.event in ("Released", "Failed"):
                since.setdefault(row.name, row.t)
            elif row.event in ("Bound", "Available", "Deleted"):
                since.pop(row.name, None)
    for volume, t in since.items():
        yield volume, claims.get(volume, ""), t / SECOND
