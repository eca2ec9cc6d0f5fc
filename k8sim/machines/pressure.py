"""Shortage of a machine's resources: what the kubelet's eviction signals measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from k8sim.machines.answers import FOR_EVER
from k8sim.sim.trace import NO_CAUSE

SIGNALS: Final[Mapping[str, str]] = {
    "memory": "memory",
    "nodefs": "ephemeral-storage",
    "imagefs": "ephemeral-storage",
    "pid": "pids",
}
"""Signals in the order in which the kubelet looks at them, with the resource that it names."""

CONDITION_OF: Final[Mapping[str, str]] = {
    "memory": "MemoryPressure",
    "nodefs": "DiskPressure",
    "imagefs": "DiskPressure",
    "pid": "PIDPressure",
}


@dataclass
class Pressure:
    """One shortage: it lasts until a moment, or until enough pods have gone.

    ``available`` says how much there is (None: too little in any case); what goes adds to it.
    """

    until_ns: int
    evictions: int | None
    row: int
    available: int | None = None


class Pressures:
    """The shortages of one machine."""

    def __init__(self) -> None:
        self._by_signal: dict[str, Pressure] = {}

    def begin(
        self,
        signal: str,
        until_ns: int | None,
        evictions: int | None,
        row: int = NO_CAUSE,
        available: int | None = None,
    ) -> None:
        """Let a shortage begin.

        Parameters
        ----------
        until_ns
            When it ends by itself; None: never.
        evictions
            How many evictions relieve it; None: none do.
        available
            How much there is; the kubelet's thresholds decide what it does about it.
        """
        if signal not in SIGNALS:
            raise ValueError(f"unknown signal {signal!r}: want one of {', '.join(SIGNALS)}")
        self._by_signal[signal] = Pressure(FOR_EVER if until_ns is None else until_ns, evictions, row, available)

    def active(self, signal: str, now_ns: int) -> bool:
        """Tell whether a shortage is there."""
        pressure = self._by_signal.get(signal)
        return pressure is not None and now_ns < pressure.until_ns and pressure.evictions != 0

    def any(self, now_ns: int) -> bool:
        """Tell whether there is a shortage of anything."""
        return any(self.active(signal, now_ns) for signal in self._by_signal)

    def row(self, signal: str) -> int:
        """Return the trace row of the shortage's beginning."""
        pressure = self._by_signal.get(signal)
        return NO_CAUSE if pressure is None else pressure.row

    def available(self, signal: str, now_ns: int) -> int | None:
        """Return how much there is during a shortage that says so, else None."""
        return self._by_signal[signal].available if self.active(signal, now_ns) else None

    def evicted(self, signal: str, freed: int = 0) -> None:
        """Note that a pod has been evicted because of it, and what it had used."""
        pressure = self._by_signal.get(signal)
        if pressure is None:
            return
        if pressure.evictions:
            pressure.evictions -= 1
        if pressure.available is not None:
            pressure.available += freed
