"""Workloads of a run by the readiness of their pods, in one pass over its history.

The names and their meaning are in `k8sim.runner.names`. Lists: ``WORKLOAD.outage_s``, each outage;
``WORKLOAD.away_s``, each absence of one of a StatefulSet's pods, from losing Ready until a pod of that name is Ready
again. What still lasts at the end counts up to there.

A pod counts while it is Ready and nobody has asked it to go; outages begin with the first majority: as in
`k8sim.metrics`, whose tables tell the same outages one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from k8sim.api.apps import Deployment, ReplicaSet, StatefulSet
from k8sim.api.core import Pod
from k8sim.api.meta import controller_of
from k8sim.api.pods import is_pod_ready
from k8sim.apiserver.watch import Change
from k8sim.metrics.figures import Figures
from k8sim.result import Result
from k8sim.sim.units import SECOND

_COUNTED: Final = frozenset({Pod, StatefulSet, Deployment, ReplicaSet})


@dataclass
class _Workload:
    name: str
    ordinal: bool
    wanted: int = 0
    ready: int = 0
    since_ns: int = 0
    served_ns: int | None = None
    complete_ns: int | None = None
    down_since_ns: int | None = None
    down_ns: list[int] = field(default_factory=list)
    short_ns: int = 0
    pods: int = 0
    restarts: int = 0
    away_since_ns: dict[str, int] = field(default_factory=dict)
    away_ns: list[int] = field(default_factory=list)

    def advance(self, t: int) -> None:
        """Account for the time up to now."""
        if self.complete_ns is not None and self.ready < self.wanted:
            self.short_ns += t - self.since_ns
        self.since_ns = t

    def settle(self, t: int) -> None:
        """Take new counts into account."""
        if self.complete_ns is None and self.ready >= self.wanted > 0:
            self.complete_ns = t
        down = self.ready < self.wanted // 2 + 1 and self.wanted > 0
        if self.served_ns is None:
            if down or not self.wanted:
                return
            self.served_ns = t
        if down and self.down_since_ns is None:
            self.down_since_ns = t
        elif not down and self.down_since_ns is not None:
            if t > self.down_since_ns:
                self.down_ns.append(t - self.down_since_ns)
            self.down_since_ns = None

    def finish(self, end_ns: int) -> Figures:
        """Return what it came to."""
        self.advance(end_ns)
        lost = [*self.down_ns] + ([end_ns - self.down_since_ns] if self.down_since_ns is not None else [])
        away = [*self.away_ns, *(end_ns - t for t in self.away_since_ns.values())]
        down_s = [ns / SECOND for ns in lost]
        served, complete = self.served_ns is not None, self.complete_ns is not None
        time_s = (end_ns - self.served_ns) / SECOND if self.served_ns is not None else math.nan
        numbers = {
            "ready_s": self.complete_ns / SECOND if self.complete_ns is not None else math.nan,
            "availability": 1 - sum(down_s) / time_s if time_s > 0 else math.nan,
            "outages": float(len(down_s)) if served else math.nan,
            "downtime_s": sum(down_s) if served else math.nan,
            "longest_outage_s": max(down_s, default=0.0) if served else math.nan,
            "short_s": self.short_ns / SECOND if complete else math.nan,
            "pods": float(self.pods),
            "restarts": float(self.restarts),
        }
        lists = {"outage_s": tuple(down_s)}
        if self.ordinal:
            lists["away_s"] = tuple(ns / SECOND for ns in away)
        return Figures(
            {f"{self.name}.{key}": value for key, value in numbers.items()},
            {f"{self.name}.{key}": value for key, value in lists.items()},
        )


class _Pass:
    """One pass over a history."""

    def __init__(self, namespace: str) -> None:
        self.workloads: dict[tuple[str, str, str], _Workload] = {}
        self._namespace = namespace
        self._deployments: dict[tuple[str, str], str] = {}
        self._pods: dict[tuple[str, str], tuple[_Workload, bool]] = {}

    def see(self, t: int, change: Change) -> None:
        obj = change.new
        if isinstance(obj, Pod):
            self._pod(t, change, obj)
        elif isinstance(obj, (StatefulSet, Deployment)):
            meta = obj.metadata
            workload = self._of(obj.kind, meta.namespace, meta.name)
            gone = change.type == "DELETED" or meta.deletion_timestamp is not None
            wanted = 0 if gone else obj.spec.replicas
            if wanted != workload.wanted:
                workload.advance(t)
                workload.wanted = wanted
                workload.settle(t)
        elif isinstance(obj, ReplicaSet):
            owner = controller_of(obj)
            if owner is not None and owner.kind == "Deployment":
                self._deployments[obj.key] = owner.name

    def _of(self, kind: str, namespace: str, name: str) -> _Workload:
        key = (kind, namespace, name)
        if key not in self.workloads:
            label = name if namespace == self._namespace else f"{namespace}/{name}"
            if any(w.name == label for w in self.workloads.values()):
                label = f"{kind}/{label}"
            self.workloads[key] = _Workload(label, ordinal=kind == "StatefulSet")
        return self.workloads[key]

    def _owner(self, pod: Pod) -> _Workload | None:
        owner = controller_of(pod)
        if owner is None:
            return None
        if owner.kind == "ReplicaSet":
            deployment = self._deployments.get((pod.namespace, owner.name))
            return self._of("Deployment", pod.namespace, deployment) if deployment is not None else None
        return self._of(owner.kind, pod.namespace, owner.name) if owner.kind == "StatefulSet" else None

    def _pod(self, t: int, change: Change, pod: Pod) -> None:
        meta = pod.metadata
        key = (meta.namespace, meta.name)
        known = self._pods.get(key)
        workload = known[0] if known is not None else self._owner(pod)
        if workload is None:
            return
        was = known is not None and known[1]
        there = change.type != "DELETED"
        ready = there and meta.deletion_timestamp is None and is_pod_ready(pod)
        if not there:
            self._pods.pop(key, None)
        elif known is None or ready != was:
            self._pods[key] = (workload, ready)
        if change.type == "ADDED":
            workload.pods += 1
        elif isinstance(change.old, Pod):
            workload.restarts += _restarts(change.old, pod)
        if ready != was:
            workload.advance(t)
            workload.ready += ready - was
            workload.settle(t)
            if not ready and workload.ordinal:
                workload.away_since_ns.setdefault(pod.name, t)
            elif ready and pod.name in workload.away_since_ns:
                workload.away_ns.append(t - workload.away_since_ns.pop(pod.name))


def _restarts(old: Pod, new: Pod) -> int:
    """Return how often containers have been started again between two versions of a pod."""
    before, after = old.status.container_statuses, new.status.container_statuses
    if before is after:  # most changes
        return 0
    return max(sum([s.restart_count for s in after]) - sum([s.restart_count for s in before]), 0)


def readiness(result: Result) -> Figures:
    """Measure the workloads of a run by their pods' readiness."""
    state = _Pass(result.scenario.namespace)
    for t, change in result.history:
        if type(change.new) in _COUNTED:
            state.see(t, change)
    found = [workload.finish(result.scenario.duration_ns) for workload in state.workloads.values()]
    numbers = {name: value for figures in found for name, value in figures.numbers.items()}
    return Figures(numbers, {name: values for figures in found for name, values in figures.lists.items()})
