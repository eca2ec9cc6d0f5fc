"""The life of every pod of a run, read from its rows: when it was made, placed, started, Ready, ended, and by whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from k8sim.metrics.intervals import Interval
from k8sim.sim.trace import NO_CAUSE, Row, Trace

Key = tuple[str, str, int]
"""Namespace, name, incarnation."""

VOLUNTARY: Final = "voluntary"
INVOLUNTARY: Final = "involuntary"
_BY_REASON: Final = {
    "EvictionByEvictionAPI": (VOLUNTARY, "eviction"),
    "PreemptionByScheduler": (INVOLUNTARY, "preemption"),
    "DeletionByTaintManager": (INVOLUNTARY, "taint"),
    "DeletionByPodGC": (INVOLUNTARY, "garbage collection"),
    "TerminationByKubelet": (INVOLUNTARY, "node pressure or shutdown"),
}
_BY_ACTOR: Final = {
    "statefulset-controller": (VOLUNTARY, "rollout or scaling"),
    "replicaset-controller": (VOLUNTARY, "rollout or scaling"),
    "garbagecollector": (VOLUNTARY, "owner deleted"),
    "namespace-controller": (VOLUNTARY, "namespace deleted"),
    "podgc": (INVOLUNTARY, "garbage collection"),
    "kubectl": (VOLUNTARY, "deleted"),
}


def disruption_cause(by: str, reason: str) -> tuple[str, str]:
    """Return whether a deletion was voluntary, and its cause, from who asked and the DisruptionTarget condition."""
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    return _BY_ACTOR.get(by, (VOLUNTARY, by or "deleted"))


@dataclass
class PodLife:
    """One pod. Times are ns, None: it did not happen.

    ``ready`` ends when the pod is asked to go, although it still answers: no Service sends anybody to it from then on.
    """

    key: Key
    created_ns: int
    row: int
    kind: str = ""
    workload: str = ""
    claims: tuple[str, ...] = ()
    node: str = ""
    scheduled_ns: int | None = None
    started_ns: int | None = None
    ready_ns: int | None = None
    terminating_ns: int | None = None
    deleted_ns: int | None = None
    restarts: int = 0
    ready: list[Interval] = field(default_factory=list)
    disruption: tuple[str, str] | None = None
    disrupted_by: int = NO_CAUSE
    lost_ns: int | None = None


@dataclass
class Lives:
    """All pods, and how many pods each workload wanted since when."""

    pods: dict[Key, PodLife] = field(default_factory=dict)
    wanted: dict[tuple[str, str, str], list[tuple[int, int]]] = field(default_factory=dict)


def pod_lives(log: Trace) -> Lives:
    """Read the lives of all pods in one pass."""
    lives = Lives()
    newest: dict[tuple[str, str], PodLife] = {}
    for i, row in log.of_kinds("Pod", "Belonging", "Disruption", "Container"):
        if row.kind == "Pod":
            life = lives.pods.get((row.namespace, row.name, row.detail["inc"]))
            if row.event == "Created":
                life = PodLife((row.namespace, row.name, row.detail["inc"]), row.t, i)
                lives.pods[life.key] = newest[row.namespace, row.name] = life
            elif life is not None:
                _pod_event(life, row, i)
        elif row.kind == "Belonging":
            _belonging(lives, row)
        elif row.kind == "Disruption":
            life = lives.pods.get((row.namespace, row.name, row.detail["inc"]))
            if life is not None and life.disruption is None:
                life.disruption = disruption_cause(row.detail["by"], row.detail["reason"])
                life.disrupted_by = i
        elif row.event == "Lost":
            life = newest.get((row.namespace, row.name))
            if life is not None and life.lost_ns is None:
                life.lost_ns = row.t
                life.disruption, life.disrupted_by = (INVOLUNTARY, "node lost"), i
    return lives


def _belonging(lives: Lives, row: Row) -> None:
    detail = row.detail
    if row.event == "Wanted":
        key = (detail["kind"], row.namespace, row.name)
        lives.wanted.setdefault(key, []).append((row.t, detail["replicas"]))
        return
    life = lives.pods.get((row.namespace, row.name, detail["inc"]))
    if life is not None:
        life.kind, life.workload, life.claims = detail["kind"], detail["workload"], tuple(detail["claims"])


def _pod_event(life: PodLife, row: Row, i: int) -> None:
    t = row.t
    if row.event == "Scheduled":
        life.scheduled_ns, life.node = t, row.detail["node"]
    elif row.event == "Started":
        life.started_ns = t if life.started_ns is None else life.started_ns
        life.restarts += row.detail["restart"] > 0
    elif row.event == "Ready":
        life.ready_ns = t if life.ready_ns is None else life.ready_ns
        if life.terminating_ns is None:
            life.ready.append(Interval(t, None, i))
    elif row.event == "NotReady":
        _end_ready(life, t, i, "not ready")
    elif row.event == "Terminating" and life.terminating_ns is None:
        life.terminating_ns = t
        _end_ready(life, t, i, "terminating")
    elif row.event == "Deleted":
        life.deleted_ns = t
        _end_ready(life, t, i, "deleted")


def _end_ready(life: PodLife, t: int, i: int, reason: str) -> None:
    if life.ready and life.ready[-1].until_ns is None:
        last = life.ready.pop()
        life.ready.append(Interval(last.since_ns, t, last.row, i, reason))
