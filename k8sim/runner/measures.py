"""What is measured of each run of a batch. `k8sim.runner.names` says what each name means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from k8sim.metrics.figures import Figures, figures
from k8sim.result import Result
from k8sim.runner.disruptions import disruptions
from k8sim.runner.endpoints import endpoints
from k8sim.runner.readiness import readiness


def data_and_clients(result: Result) -> Figures:
    """Measure applications and streams of traffic."""
    scenario = result.scenario
    if not (scenario.applications or scenario.traffic):
        return Figures({}, {})
    return figures(result.log, scenario.duration_ns, scenario.namespace)


MEASURES: Final[tuple[Callable[[Result], Figures], ...]] = (readiness, disruptions, endpoints, data_and_clients)


def measure(result: Result) -> Figures:
    """Apply all measures to a run."""
    numbers: dict[str, float] = {}
    lists: dict[str, tuple[float, ...]] = {}
    for of in MEASURES:
        found = of(result)
        numbers.update(found.numbers)
        lists.update(found.lists)
    return Figures(numbers, lists)
