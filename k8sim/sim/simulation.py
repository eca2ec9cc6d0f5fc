"""What every component of one simulated cluster shares: time, chance, delays, the trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Latencies
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace


@dataclass(frozen=True)
class Simulation:
    """One run. ``feature_gates`` holds the gates that differ from Kubernetes' defaults and those we know."""

    clock: Clock
    streams: Streams
    latencies: Latencies
    trace: Trace
    feature_gates: Mapping[str, bool]

    def enabled(self, gate: str) -> bool:
        """Tell whether a feature gate is on."""
        return self.feature_gates.get(gate, False)
