"""How requests flow to processes: each over a connection of its own, or over a pool that is kept open.

Both answer the same questions: what has become of the requests up to now, and what is lost when a process ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from k8sim.machines.container import Container
from k8sim.sim.distributions import Constant, Distribution
from k8sim.workload.amounts import SECOND, Flow
from k8sim.workload.model import FOR_EVER, Connections
from k8sim.workload.pool import Pool
from k8sim.workload.routing import Split, rates


@dataclass
class Counts:
    """Requests up to a moment, in units. ``taken`` are those that a process took in, whatever became of them."""

    taken: int = 0
    in_flight: int = 0
    cut: int = 0
    failed: dict[str, int] = field(default_factory=dict)

    @property
    def served(self) -> int:
        """Those that were answered."""
        return self.taken - self.in_flight - self.cut

    @property
    def offered(self) -> int:
        """All."""
        return self.taken + sum(self.failed.values())


class Requests(Protocol):
    """The requests of one stream."""

    def route(self, now_ns: int, rate: int, routes: Split, processes: Mapping[str, Container]) -> bool:
        """Let requests at a rate go by a split from now on; ``processes`` are at its addresses. True: it changed."""

    def close(self, now_ns: int, process: Container) -> None:
        """Note that a process takes nothing new any more, and finishes what it has (SIGTERM)."""

    def end(self, now_ns: int, process: Container, silent: bool) -> int:
        """Note that a process is gone (silently: with its machine); return how many requests that cut."""

    def counts(self, now_ns: int) -> Counts:
        """Return what has become of all requests."""


class _Intake:
    """What one process took in, and what of it is not answered yet."""

    def __init__(self, start_ns: int, request: Distribution) -> None:
        self._fixed_ns = request.ns if isinstance(request, Constant) else None
        self._mean_s = request.mean_s
        self.flow = Flow(start_ns, self._fixed_ns or 0)
        self._since_ns = start_ns
        self._waiting = 0.0

    def change(self, now_ns: int, rate: int) -> None:
        """Let requests come at another rate from now on."""
        self._waiting = self._exponential(now_ns)
        self._since_ns = now_ns
        self.flow.change(now_ns, rate)

    def _exponential(self, now_ns: int) -> float:
        """Return how many are in work if each takes an exponential time: dm/dt = rate - m / mean."""
        if self._fixed_ns is not None:
            return 0.0
        limit = self.flow.rate * self._mean_s
        stay = float(np.exp(-(now_ns - self._since_ns) / SECOND / self._mean_s))
        return limit + (self._waiting - limit) * stay

    def in_flight(self, now_ns: int) -> int:
        """Return how many are in work."""
        if self._fixed_ns is None:
            return min(round(self._exponential(now_ns)), self.flow.at(now_ns))
        return self.flow.at(now_ns) - self.flow.at(now_ns - self._fixed_ns)


class SingleRequests:
    """Each request has a connection of its own."""

    def __init__(self, request: Distribution) -> None:
        self._request = request
        self._intakes: dict[str, _Intake] = {}
        self._failed: dict[str, Flow] = {}
        self._ended = Counts()
        self._last: tuple[int, Split, list[str]] | None = None

    def route(self, now_ns: int, rate: int, routes: Split, processes: Mapping[str, Container]) -> bool:
        """Split the rate over the processes."""
        new = (rate, routes, [p.record.id for p in processes.values()])
        if new == self._last:
            return False
        self._last = new
        taken, failed = rates(rate, routes)
        by_process: dict[str, int] = {}
        for address, r in taken.items():
            process = processes[address].record.id
            by_process[process] = by_process.get(process, 0) + r
        for process in by_process:
            if process not in self._intakes:
                self._intakes[process] = _Intake(now_ns, self._request)
        for process, intake in self._intakes.items():
            intake.change(now_ns, by_process.get(process, 0))
        for outcome in failed:
            self._failed.setdefault(outcome, Flow(now_ns))
        for outcome, flow in self._failed.items():
            flow.change(now_ns, failed.get(outcome, 0))
        return True

    def close(self, now_ns: int, process: Container) -> None:
        """Do nothing: what is in work goes on."""

    def end(self, now_ns: int, process: Container, silent: bool) -> int:
        """Cut what is in work."""
        intake = self._intakes.pop(process.record.id, None)
        self._last = None
        if intake is None:
            return 0
        cut = intake.in_flight(now_ns)
        self._ended.taken += intake.flow.at(now_ns)
        self._ended.cut += cut
        return cut

    def counts(self, now_ns: int) -> Counts:
        """Add up."""
        intakes = self._intakes.values()
        return Counts(
            self._ended.taken + sum(i.flow.at(now_ns) for i in intakes),
            sum(i.in_flight(now_ns) for i in intakes),
            self._ended.cut,
            {outcome: flow.at(now_ns) for outcome, flow in self._failed.items()},
        )


class PooledRequests:
    """Requests go over connections that stay open: to where these are, whatever the client would choose now.

    A process that is told to stop closes its connections when their requests are answered, unless it goes on accepting;
    one that ends cuts what is in work; one whose machine is gone leaves connections on which nothing is answered until
    the clients notice. Every request takes the mean time.
    """

    def __init__(self, request: Distribution, connections: Connections) -> None:
        self._request_ns = round(request.mean_s * SECOND)
        lifetime = float("inf") if connections.lifetime_ns >= FOR_EVER else connections.lifetime_ns / SECOND
        self._timeout_ns = connections.timeout_ns
        self._count = connections.count
        self._pool = Pool(float(connections.count), lifetime, connections.reconnect_ns / SECOND)
        self._since_ns: int | None = None
        self._past: list[_Stretch] = []
        self._rate = 0
        self._offered = Flow(0)
        self._taken: dict[str, float] = {}
        self._failed: dict[str, float] = {}
        self._failing: dict[str, float] = {"no-endpoint": 1.0}
        self._hung: list[tuple[int, float]] = []
        self._cut = 0
        self._last: tuple[object, ...] | None = None

    # ---- time -------------------------------------------------------------------------------------------------------

    def _advance(self, now_ns: int) -> None:
        """Let time pass up to now; clients notice on the way that a machine is gone."""
        for when, connections in [h for h in self._hung if h[0] <= now_ns]:
            self._flow(when)
            self._hung.remove((when, connections))
            self._pool.count += connections
            self._pool.reopen(connections)
        self._flow(now_ns)

    def _flow(self, now_ns: int) -> None:
        since, self._since_ns = self._since_ns, now_ns
        if since is None or now_ns <= since:
            return
        stretch = _Stretch(since, now_ns, self._rate / self._count, self._pool.copy())
        t = (now_ns - since) / SECOND
        missing = stretch.per_connection * self._pool.missing_time(t)
        for outcome, weight in self._failing.items():
            self._failed[outcome] = self._failed.get(outcome, 0.0) + missing * weight
        hung = stretch.per_connection * sum(n for _, n in self._hung) * t
        if hung:
            self._failed["stale-address"] = self._failed.get("stale-address", 0.0) + hung
        for process in {**self._pool.at, **self._pool.reach}:
            self._taken[process] = self._taken.get(process, 0.0) + stretch.taken(process, since, now_ns)
        self._pool.advance(t)
        self._past.append(stretch)
        while self._past and self._past[0].until_ns <= now_ns - self._request_ns:
            del self._past[0]

    def _in_work(self, process: str, now_ns: int) -> float:
        """Return what a process took in during the last time that a request takes."""
        since = now_ns - self._request_ns
        return sum(s.taken(process, max(since, s.since_ns), s.until_ns) for s in self._past)

    # ---- what happens -----------------------------------------------------------------------------------------------

    def route(self, now_ns: int, rate: int, routes: Split, processes: Mapping[str, Container]) -> bool:
        """Let new connections choose by a split."""
        new = (rate, routes, [p.record.id for p in processes.values()])
        if new == self._last:
            return False
        first = self._since_ns is None and rate > 0
        self._last = new
        if rate > 0 or self._since_ns is not None:
            self._advance(now_ns)
        self._rate = rate
        self._offered.change(now_ns, rate)
        if routes.failed:
            total = float(sum(routes.failed.values()))
            self._failing = {outcome: float(weight) / total for outcome, weight in routes.failed.items()}
        reach: dict[str, float] = {}
        for address, share in routes.taken.items():
            process = processes[address].record.id
            reach[process] = reach.get(process, 0.0) + float(share)
        self._pool.see(reach)
        if first:
            self._pool.reopen(self._pool.count)
        return True

    def close(self, now_ns: int, process: Container) -> None:
        """Let the process' clients connect anew; what is in work is finished."""
        self._advance(now_ns)
        self._pool.reach.pop(process.record.id, None)
        self._pool.reopen(self._pool.lose(process.record.id))
        self._last = None

    def end(self, now_ns: int, process: Container, silent: bool) -> int:
        """Cut what is in work; clients connect anew, at once or when they notice."""
        self._advance(now_ns)
        name = process.record.id
        cut = round(self._in_work(name, now_ns))
        connections = self._pool.lose(name)
        self._pool.reach.pop(name, None)
        if silent and connections:
            self._pool.count -= connections
            self._hung.append((now_ns + self._timeout_ns, connections))
        else:
            self._pool.reopen(connections)
        if name in self._taken:
            self._taken[""] = self._taken.get("", 0.0) + self._taken.pop(name)
        self._last = None
        self._cut += cut
        return cut

    def counts(self, now_ns: int) -> Counts:
        """Add up; what did not fail was taken in."""
        self._advance(now_ns)
        failed = {outcome: round(amount) for outcome, amount in self._failed.items()}
        taken = self._offered.at(now_ns) - sum(failed.values())
        in_work = sum(self._in_work(process, now_ns) for process in self._taken)
        return Counts(taken, min(round(in_work), max(0, taken - self._cut)), self._cut, failed)


@dataclass
class _Stretch:
    """A time in which nothing changed but what flowed: the pool as it was at its beginning."""

    since_ns: int
    until_ns: int
    per_connection: float
    pool: Pool

    def taken(self, process: str, since_ns: int, until_ns: int) -> float:
        """Return how many requests a process took in during a part of the time."""
        if until_ns <= since_ns:
            return 0.0
        spent = self.pool.connection_time(process, (until_ns - self.since_ns) / SECOND)
        if since_ns > self.since_ns:
            spent -= self.pool.connection_time(process, (since_ns - self.since_ns) / SECOND)
        return self.per_connection * spent


def make_requests(request: Distribution, connections: Connections | None) -> SingleRequests | PooledRequests:
    """Return the requests of a stream."""
    return SingleRequests(request) if connections is None else PooledRequests(request, connections)
