"""Delays from one's own cluster: what its events and its pods say about how long things take.

Events have a resolution of 1 s (``firstTimestamp``), newer ones of 1 µs (``eventTime``); so do the times in a pod's
status. Repeated events (count above 1) have no time of their own and are left out. A kubelet says to the millisecond
how long a pull took (pkg/kubelet/images/image_manager.go: "Successfully pulled image "a:1" in 2.3s (...)").
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from k8sim.sim.units import parse_duration

PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "volumeCreate": ("Provisioning", "ProvisioningSucceeded"),
    "volumeAttach": ("Scheduled", "SuccessfulAttachVolume"),
    "runtimeContainerStart": ("Created", "Started"),
    "volumeExpand": ("Resizing", "VolumeResizeSuccessful"),
}
"""Latency -> the reasons of the events between which it lies (attaching begins when the pod has its node)."""
LEAST: Final = 5
RESOLUTION_S: Final = 0.5
"""What stands for a time below the resolution of 1 s."""
_PULLED: Final = re.compile(r'Successfully pulled image "([^"]+)" in (\S+)')

Delays = dict[tuple[str, str], list[float]]
"""(image pattern, or "" for a latency of the cluster; what) -> delays in s."""


@dataclass(frozen=True)
class Measured:
    """A delay as a cluster has it: median and 99th percentile in s, of so many. ``image`` "": of the whole cluster."""

    image: str
    name: str
    n: int
    median_s: float
    p99_s: float


def delays(items: Iterable[Mapping[str, Any]]) -> Delays:
    """Return the delays that a list of Events and Pods holds."""
    found: Delays = defaultdict(list)
    first: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for item in items:
        if item.get("kind") == "Event":
            _note_event(item, first, found)
        elif item.get("kind") == "Pod":
            for name, image, seconds in _of_pod(item):
                found[image, name].append(max(seconds, RESOLUTION_S))
    for reasons in first.values():
        for name, (begin, end) in PAIRS.items():
            if begin in reasons and end in reasons and reasons[end] >= reasons[begin]:
                found["", name].append(max(reasons[end] - reasons[begin], RESOLUTION_S))
    return dict(found)


def pattern_of(image: str) -> str:
    """Return the pattern under which a scenario's `images` know an image: whatever its tag or digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return f"{head}:*" if colon and "/" not in tag else f"{name}*"


def measured(found: Delays) -> list[Measured]:
    """Return a law for each kind of delay with enough of them; the 99th percentile is above the median."""
    laws = []
    for (image, name), values in sorted(found.items()):
        if len(values) >= LEAST:
            median, p99 = (float(q) for q in np.quantile(values, [0.5, 0.99]))
            laws.append(Measured(image, name, len(values), median, max(p99, median * 1.01)))
    return laws


def scenario_block(laws: Iterable[Measured]) -> str:
    """Return the part of a scenario's spec that sets these delays."""
    laws = list(laws)
    lines = ["latencies:"] if any(not law.image for law in laws) else []
    lines += [f"  {law.name}: {_lognormal(law)}" for law in laws if not law.image]
    images = dict.fromkeys(law.image for law in laws if law.image)
    lines += ["images:"] if images else []
    for image in images:
        lines.append(f'  "{image}":')
        lines += [f"    {law.name}: {_lognormal(law)}" for law in laws if law.image == image]
    return "\n".join(lines) + "\n"


def _lognormal(law: Measured) -> str:
    return f"{{lognormal: {{median: {law.median_s:.3f}s, p99: {law.p99_s:.3f}s}}}}  # {law.n} delays"


def _note_event(event: Mapping[str, Any], first: dict[tuple[str, str], dict[str, float]], found: Delays) -> None:
    pulled = _PULLED.match(str(event.get("message")))
    if pulled is not None:
        try:
            found[pattern_of(pulled[1]), "pull"].append(parse_duration(pulled[2]) / 1e9)
        except ValueError:
            return
    when = next((_time(event[key]) for key in ("eventTime", "firstTimestamp", "lastTimestamp") if event.get(key)), None)
    if when is not None and (event.get("count") or 1) == 1:
        about = event.get("involvedObject") or event.get("regarding") or {}
        reasons = first[str(about.get("kind")), str(about.get("uid") or about.get("name"))]
        reason = str(event.get("reason"))
        reasons[reason] = min(when, reasons.get(reason, when))


def _of_pod(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Yield (what, image pattern, s) of a pod with one container: how long it ran until it was ready.

    A container that was unready once more since then says nothing; there is no telling, so the median is what counts.
    """
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    containers, statuses = spec.get("containers") or [], status.get("containerStatuses") or []
    if len(containers) != 1 or len(statuses) != 1:
        return  # which of them the pod's Ready condition waited for cannot be told
    image = pattern_of(str(containers[0].get("image")))
    running = (statuses[0].get("state") or {}).get("running") or {}
    ready = {c.get("type"): c for c in status.get("conditions") or []}.get("Ready") or {}
    if running and ready.get("status") == "True" and containers[0].get("readinessProbe"):
        began, became = _time(running.get("startedAt")), _time(ready.get("lastTransitionTime"))
        if began is not None and became is not None and became >= began:
            yield "ready", image, became - began


def _time(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
