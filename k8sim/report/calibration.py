"""Latencies from one's own cluster: what ``kubectl get events -A -o json`` says about how long things take.

Events have a resolution of 1 s (``firstTimestamp``), newer ones of 1 µs (``eventTime``); a delay is the time between
two events of one object. Repeated events (count above 1) have no time of their own and are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "volumeCreate": ("Provisioning", "ProvisioningSucceeded"),
    "volumeAttach": ("Scheduled", "SuccessfulAttachVolume"),
}
"""Latency -> the reasons of the events between which it lies (attaching begins when the pod has its node)."""
LEAST: Final = 5
RESOLUTION_S: Final = 0.5
"""What stands for a time below the resolution of 1 s."""


@dataclass(frozen=True)
class Measured:
    """A latency as a cluster has it: median and 99th percentile in s, of so many delays."""

    name: str
    n: int
    median_s: float
    p99_s: float


def delays(items: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the delays in s, by the name of the latency, that a list of objects holds."""
    first: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for item in items:
        about = item.get("involvedObject") or item.get("regarding") or {}
        when = _time(item)
        if item.get("kind") == "Event" and when is not None and (item.get("count") or 1) == 1:
            key = (str(about.get("kind")), str(about.get("uid") or about.get("name")))
            reason = str(item.get("reason"))
            first[key][reason] = min(when, first[key].get(reason, when))
    found: dict[str, list[float]] = defaultdict(list)
    for reasons in first.values():
        for name, (begin, end) in PAIRS.items():
            if begin in reasons and end in reasons and reasons[end] >= reasons[begin]:
                found[name].append(max(reasons[end] - reasons[begin], RESOLUTION_S))
    return dict(found)


def measured(found: Mapping[str, list[float]]) -> list[Measured]:
    """Return a law for each latency with enough delays; the 99th percentile is above the median."""
    laws = []
    for name, values in found.items():
        if len(values) >= LEAST:
            median, p99 = (float(q) for q in np.quantile(values, [0.5, 0.99]))
            laws.append(Measured(name, len(values), median, max(p99, median * 1.01)))
    return laws


def latencies_block(laws: Iterable[Measured]) -> str:
    """Return the part of a scenario that sets the latencies."""
    lines = [
        f"  {law.name}: {{lognormal: {{median: {law.median_s:.3f}s, p99: {law.p99_s:.3f}s}}}}  # {law.n} delays"
        for law in laws
    ]
    return "\n".join(["latencies:", *lines]) + "\n"


def _time(event: Mapping[str, Any]) -> float | None:
    for key in ("eventTime", "firstTimestamp", "lastTimestamp"):
        if event.get(key):
            try:
                return datetime.fromisoformat(str(event[key]).replace("Z", "+00:00")).timestamp()
            except ValueError:
                return None
    return None
