"""What a disruption budget counts and what an eviction gets, from the tables of the documentation and the source.

Slow and obvious, on plain data, without k8sim: disruption.go (getExpectedPodCount, countHealthyPods,
updatePdbStatus), eviction.go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

TWO_MINUTES_S = 120


@dataclass
class OraclePod:
    name: str
    phase: str
    ready: bool
    terminating: bool
    controller: str = ""  # "": none


@dataclass
class OracleBudget:
    """At most one of the two fields is set; ``granted`` has the evictions by name, and when they were granted."""

    min_available: int | str | None
    max_unavailable: int | str | None
    policy: str
    granted: dict[str, int]


@dataclass
class OracleStatus:
    expected: int
    desired: int
    healthy: int
    allowed: int
    granted: dict[str, int]


def rounded_up(value: int | str, total: int) -> int:
    if isinstance(value, str):
        return math.ceil(Fraction(int(value.rstrip("%")), 100) * total)
    return value


def status(budget: OracleBudget, pods: list[OraclePod], wants: dict[str, int], now_s: int) -> OracleStatus:
    """Count. ``wants``: the replicas that each controller wants."""
    scale = sum(wants[name] for name in {p.controller for p in pods} - {""})
    if budget.max_unavailable is not None:
        expected = scale
        desired = max(0, scale - rounded_up(budget.max_unavailable, scale))
    elif isinstance(budget.min_available, str):
        expected = scale
        desired = rounded_up(budget.min_available, scale)
    elif budget.min_available is not None:
        expected = len(pods)
        desired = budget.min_available
    else:
        expected = desired = 0
    granted = {}
    for name, since in budget.granted.items():
        there = [p for p in pods if p.name == name and not p.terminating]
        if there and since + TWO_MINUTES_S >= now_s:
            granted[name] = since
    healthy = 0
    for pod in pods:
        leaving = pod.name in granted and granted[pod.name] + TWO_MINUTES_S > now_s
        if pod.ready and not pod.terminating and not leaving:
            healthy += 1
    allowed = max(0, healthy - desired) if expected > 0 else 0
    return OracleStatus(expected, desired, healthy, allowed, granted)


def eviction(pod: OraclePod, matching: list[OracleBudget], now: OracleStatus | None, up_to_date: bool) -> str:
    """Return what an eviction gets: 201 (201- if it uses the budget up), 429, or 500."""
    if pod.phase in ("Succeeded", "Failed", "Pending") or pod.terminating:
        return "201"
    if not matching:
        return "201"
    if len(matching) > 1:
        return "500"
    assert now is not None
    if not pod.ready and matching[0].policy == "AlwaysAllow":
        return "201"
    if not pod.ready and now.desired > 0 and now.healthy >= now.desired:
        return "201"
    if not up_to_date:
        return "429"
    return "201-" if now.allowed > 0 else "429"
