"""A group of copies without a cluster: processes come and go as a test says. Times are in seconds, writes in writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sim.machines.cuts import Cuts
from k8sim.sim.clock import Clock
from k8sim.sim.distributions import Constant
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import NO_CAUSE, Trace
from k8sim.sim.units import SECOND
from k8sim.workload.amounts import UNIT
from k8sim.workload.copies import End, Process
from k8sim.workload.group import Group
from k8sim.workload.rules import Rules


def seconds(s: float) -> Constant:
    return Constant(int(s * SECOND))


class Bare:
    """One group whose members are a, b, c, ...; each has a disk of its own, also named a, b, c."""

    def __init__(self, rules: Rules, members: str = "abc", rate: float = 100, seed: int = 1) -> None:
        streams = Streams(seed)
        self.sim = Simulation(Clock(), streams, Latencies(streams), Trace(), {})
        self.clock = self.sim.clock
        self.cuts = Cuts()
        self.group = Group(self.sim, "db", rules, list(members), int(rate * UNIT), side=self.cuts.side)
        self.cuts.listeners.append(self.group.network_changed)
        self.processes: dict[str, Process] = {}
        self.started = 0
        self.group.begin()

    @property
    def now(self) -> float:
        return self.clock.now / SECOND

    def run(self, until: float) -> None:
        self.clock.run(round(until * SECOND))

    def at(self, t: float, function: Callable[..., object], *args: Any) -> None:
        self.clock.call_at(round(t * SECOND), lambda: function(*args))

    def up(self, *members: str, place: str = "", node: str = "", **how: Any) -> None:
        for member in members:
            self.started += 1
            where = place or member
            process = Process(member, f"{member}#{self.started}", node or f"node-{member}", where, self.clock.now)
            self.processes[member] = process
            self.group.up(process, NO_CAUSE, **how)

    def down(self, *members: str, how: End = "killed") -> None:
        for member in members:
            process = self.processes.pop(member, None)
            if process is not None:
                self.group.down(process, how, NO_CAUSE)
                if how == "machine lost":
                    self.group.machine_lost(process.node, NO_CAUSE)

    def cut(self, *members: str) -> None:
        """Cut the machines of members off from everybody but each other."""
        self.cuts.begin("".join(members), [f"node-{m}" for m in members], NO_CAUSE)

    def heal(self, *members: str) -> None:
        self.cuts.end("".join(members), NO_CAUSE)

    def destroy(self, place: str, path: str = "L10") -> None:
        self.group.destroyed(place, path, NO_CAUSE)

    @property
    def leader(self) -> str | None:
        return self.group.leader.member if self.group.leader is not None else None

    @property
    def acknowledged(self) -> float:
        return self.group.acknowledged() / UNIT

    @property
    def lost(self) -> float:
        return self.group.lost / UNIT

    def rows(self, kind: str, *events: str) -> list[tuple[float, str, str, dict[str, Any]]]:
        return [
            (row.t / SECOND, row.name, row.event, dict(row.detail))
            for row in self.sim.trace
            if row.kind == kind and (not events or row.event in events)
        ]

    def losses(self) -> list[tuple[float, float, str]]:
        return [(t, d["writes"], d["cause"]) for t, _, _, d in self.rows("Application", "Lost")]

    def service(self, what: str = "Writes") -> list[tuple[float, str]]:
        """(when, why not), "" where it became available; repeated reasons once."""
        rows = self.rows("Application", f"{what}Available", f"{what}Unavailable")
        return [(t, d.get("reason", "")) for t, _, _, d in rows]
