"""When Services had a ready endpoint. `k8sim.runner.names` says what the names mean."""

from __future__ import annotations

import math

from k8sim.metrics.figures import Figures
from k8sim.metrics.intervals import share_above
from k8sim.result import Result
from k8sim.runner.names import label_of, services_of
from k8sim.sim.units import SECOND


def endpoints(result: Result) -> Figures:
    """Measure the time with and without a ready endpoint."""
    end, numbers = result.scenario.duration_ns, dict[str, float]()
    for (namespace, name), counts in _ready_endpoints(result).items():
        label = label_of(name, namespace, result.scenario.namespace)
        since = next((t for t, n in counts if n), None)
        share = math.nan if since is None else share_above(counts, 1, since, end)
        numbers[f"{label}.endpoint_availability"] = share
        numbers[f"{label}.no_endpoint_s"] = math.nan if since is None else (1 - share) * (end - since) / SECOND
    return Figures(numbers, {})


def _ready_endpoints(result: Result) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Return how many ready endpoints each Service had, from each change on."""
    counts: dict[tuple[str, str], list[tuple[int, int]]] = {key: [] for key in services_of(result.scenario)}
    ready: dict[tuple[str, str], set[str]] = {key: set() for key in counts}
    for _, row in result.log.of_kinds("EndpointSlice"):
        key = (row.namespace, row.detail["service"])
        if key in ready:
            pods, pod = ready[key], row.detail["pod"]
            pods.discard(pod)
            if row.event == "Endpoint" and row.detail["ready"]:
                pods.add(pod)
            counts[key].append((row.t, len(pods)))
    return counts
