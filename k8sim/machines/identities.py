"""Whether a name runs twice: the truth of the machines, which no component of Kubernetes knows.

A StatefulSet promises at most one running pod of a name; a forced deletion, a lost Node object or an out-of-service
taint on a machine that still runs breaks it (workloads.md 4.10). Rows: kind Identity, event Twice with the nodes where
the pods run, and Once with how long that lasted, when only one is left.
"""

from __future__ import annotations

from k8sim.machines.fleet import Fleet
from k8sim.machines.machine import Machine
from k8sim.machines.occurrence import Occurrence
from k8sim.sim.simulation import Simulation

Key = tuple[str, str]


class Identities:
    """Counts for each name the pods with a running container. ``twice_ns`` is how long names ran twice so far."""

    def __init__(self, sim: Simulation, machines: Fleet) -> None:
        self._sim = sim
        self._running: dict[Key, dict[tuple[str, str], int]] = {}  # (node, UID) -> running containers
        self._since: dict[Key, tuple[int, int]] = {}
        self.twice_ns = 0
        machines.meet(self._meet)

    def _meet(self, name: str, machine: Machine) -> None:
        machine.observe(self._observe)

    def _observe(self, occurrence: Occurrence) -> None:
        what = occurrence.what
        if what == "started":
            self._count(occurrence, 1)
        elif what in ("ended", "lost"):
            self._count(occurrence, -1)

    def _count(self, occurrence: Occurrence, change: int) -> None:
        key, who = occurrence.pod.key, (occurrence.machine.name, occurrence.pod.uid)
        running = self._running.setdefault(key, {})
        running[who] = running.get(who, 0) + change
        if running[who] <= 0:
            del running[who]
        if len(running) > 1:
            if key not in self._since:
                detail = {"nodes": sorted(node for node, _ in running), "pods": len(running)}
                self._since[key] = (self._sim.clock.now, self._note(key, "Twice", detail, occurrence.row))
        elif key in self._since:
            since, row = self._since.pop(key)
            self.twice_ns += self._sim.clock.now - since
            self._note(key, "Once", {"duration": self._sim.clock.now - since}, row)
        if not running:
            del self._running[key]

    def _note(self, key: Key, event: str, detail: dict[str, object], cause: int) -> int:
        return self._sim.trace.append(self._sim.clock.now, "Identity", key[1], event, detail, cause, key[0])
