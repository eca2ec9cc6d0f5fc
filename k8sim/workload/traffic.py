"""Streams of requests in a cluster: they look at services as their clients do, and at processes as they are.

A stream reckons anew only when something changes: what its clients see, what a process does, who is at an address. Each
time it leaves a row in the trace ("Traffic", its name, "Counts") with what has become of its requests so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from k8sim.api.core import Service
from k8sim.apiserver.server import APIServer
from k8sim.machines.container import Container
from k8sim.machines.occurrence import Occurrence
from k8sim.network.control import Name, candidates, is_headless
from k8sim.network.dns import DNS
from k8sim.network.hosts import Host, Hosts, Reception
from k8sim.network.proxy import Proxy
from k8sim.sim.clock import rank
from k8sim.sim.trace import NO_CAUSE
from k8sim.workload.amounts import SECOND, whole
from k8sim.workload.model import FOR_EVER
from k8sim.workload.model import Traffic as Spec
from k8sim.workload.requests import make_requests
from k8sim.workload.routing import OUTCOMES, Split, split
from k8sim.workload.views import NameView, ServiceView, View

SHORTEST_NS = 1_000_000
"""Clients ask DNS again for a name that was denied at most once a millisecond."""


class Stream:
    """One stream. ``refresh`` may be called at any time; it writes a row only when something has changed."""

    def __init__(self, server: APIServer, hosts: Hosts, spec: Spec, make_view: Callable[[Stream], LateView]) -> None:
        self.spec = spec
        self._clock = server.sim.clock
        self._trace = server.sim.trace
        self._hosts = hosts
        self._rank = rank("application", f"traffic/{spec.name}")
        self.requests = make_requests(spec.request, spec.connections)
        self._view = make_view(self)
        self._active = False
        self._planned = FOR_EVER
        self._seen: set[str] = set()
        self._cut_off: set[str] = set()
        self._clock.call_at(spec.start_ns, self._begin, rank=self._rank)
        if spec.stop_ns < FOR_EVER:
            self._clock.call_at(spec.stop_ns, self._stop, rank=self._rank)

    def _begin(self) -> None:
        self._active = True
        self._view.start()
        self.refresh(self._view.row())

    def _stop(self) -> None:
        self._active = False
        self.refresh(NO_CAUSE)

    # ---- what happens -----------------------------------------------------------------------------------------------

    def on_host(self, host: Host, occurrence: Occurrence) -> None:
        """Reckon anew if it concerns an address that the clients use."""
        now, process = self._clock.now, occurrence.container
        if process is not None and process is host.process(self.spec.container):
            if occurrence.what in ("ended", "lost"):
                cut = self.requests.end(now, process, occurrence.what == "lost")
                if cut:
                    self._cut(cut, host, _how_it_ended(occurrence, process), occurrence.row)
            elif occurrence.what == "stopping" and self.spec.after_sigterm == "refuse":
                self.requests.close(now, process)
        if host.address in self._seen:
            self.refresh(occurrence.row)

    def on_cut(self, row: int) -> None:
        """Give up what is in work where no answer comes any more, and look again: who reaches whom has changed."""
        before, self._cut_off = self._cut_off, set()
        for host in self._hosts.all():
            process = host.process(self.spec.container)
            if process is None or self._hosts.reaches(self.spec.node, host):
                continue
            self._cut_off.add(host.uid)
            if host.uid not in before:
                amount = self.requests.end(self._clock.now, process, silent=True)
                if amount:
                    self._cut(amount, host, "network", row)
        self.refresh(row)

    def _cut(self, amount: int, host: Host, how: str, row: int) -> None:
        detail = {"requests": whole(amount), "pod": host.key[1], "how": how}
        self._trace.append(self._clock.now, "Traffic", self.spec.name, "Cut", detail, row, self.spec.namespace)

    def refresh(self, cause: int) -> None:
        """Look again at what the clients see and what meets them; write down what has changed."""
        now = self._clock.now
        legs = self._view.legs() if self._active else [()]
        self._seen = {address for leg in legs for address in leg}
        routes = split(legs, self._reception, self.spec.retries)
        processes = {address: self._process(address) for address in routes.taken}
        rate = self.spec.rate if self._active else 0
        if self.requests.route(now, rate, routes, processes):
            self._view.failed(bool(routes.failed))
            self._write(cause, routes if self._active else Split(), list(processes))
        self._plan(now)

    def finish(self) -> None:
        """Write down what has become of all requests at the end."""
        self._write(NO_CAUSE, None, [])

    # ---- internals --------------------------------------------------------------------------------------------------

    def _at(self, address: str) -> Host | None:
        return self._hosts.at(address, self._view.selector())

    def _process(self, address: str) -> Container:
        host = self._at(address)
        process = host.process(self.spec.container) if host is not None else None
        assert process is not None  # it answers
        return process

    def _reception(self, address: str) -> Reception:
        host = self._at(address)
        if host is None:
            return "nobody"
        if host.there and not self._hosts.reaches(self.spec.node, host):
            return "hangs"  # packets go nowhere, and nothing says so
        reception = host.reception(self._clock.now, self.spec.container)
        if reception == "answers" and self.spec.after_sigterm == "refuse":
            process = host.process(self.spec.container)
            if process is not None and process.term_at_ns is not None:
                return "refuses"
        return reception

    def _plan(self, now: int) -> None:
        """Look again when a process begins or ceases to answer by itself."""
        hosts = [host for address in sorted(self._seen) if (host := self._at(address)) is not None]
        when = min((h.next_change(now, self.spec.container) for h in hosts), default=FOR_EVER)
        if when < FOR_EVER and when != self._planned:
            self._planned = when
            self._clock.call_at(when, self._due, when, rank=self._rank)

    def _due(self, when: int) -> None:
        if when == self._planned:
            self._planned = FOR_EVER
            row = max((h.row for a in sorted(self._seen) if (h := self._at(a)) is not None), default=NO_CAUSE)
            self.refresh(row)

    def _write(self, cause: int, routes: Split | None, taking: list[str]) -> None:
        now = self._clock.now
        counts = self.requests.counts(now)
        amounts = {"served": counts.served, **counts.failed, "cut": counts.cut}
        detail: dict[str, object] = {o: whole(amounts[o]) for o in OUTCOMES if amounts.get(o) or o == "served"}
        detail["in-flight"] = whole(counts.in_flight)
        if routes is not None:
            detail["success"] = float(1 - sum(routes.failed.values()))
            detail["failing"] = ", ".join(sorted(routes.failed))
            pods = (self._at(a) for a in taking)
            detail["pods"] = sorted(h.key[1] for h in pods if h is not None)
        self._trace.append(now, "Traffic", self.spec.name, "Counts", detail, cause, self.spec.namespace)


def _how_it_ended(occurrence: Occurrence, process: Container) -> str:
    if occurrence.what == "lost":
        return "machine lost"
    return "SIGKILL" if process.record.exit_code == 137 else "exit"


class Traffic:
    """All streams of a scenario."""

    def __init__(
        self, server: APIServer, hosts: Hosts, dns: DNS, proxy: Callable[[str], Proxy], specs: Iterable[Spec]
    ) -> None:
        self._server = server
        self._dns = dns
        self._proxy = proxy
        self.streams = [Stream(server, hosts, spec, partial(self._view, spec)) for spec in specs]
        if self.streams:
            hosts.listeners.append(self._on_host)
            hosts.cuts.listeners.append(self._on_cut)

    def finish(self) -> None:
        """Write down the streams' last counts: the run is over."""
        for stream in self.streams:
            stream.finish()

    def _on_cut(self, row: int) -> None:
        for stream in self.streams:
            stream.on_cut(row)

    def _on_host(self, host: Host, occurrence: Occurrence) -> None:
        for stream in self.streams:
            stream.on_host(host, occurrence)

    def _view(self, spec: Spec, stream: Stream) -> LateView:
        return LateView(self._server, spec, stream, self._dns, self._proxy)


class LateView:
    """Decides at the stream's start what its name means: the service may be made after the stream was declared."""

    def __init__(self, server: APIServer, spec: Spec, stream: Stream, dns: DNS, proxy: Callable[[str], Proxy]) -> None:
        self._server = server
        self._spec = spec
        self._stream = stream
        self._dns = dns
        self._proxy = proxy(spec.node)  # its rules are written from the beginning
        self._view: View | None = None
        self._service: tuple[str, str] | None = None

    def start(self) -> None:
        """Look up what the name means now."""
        name, headless = self._meaning()
        self._service = (name.namespace, name.service)
        spec = self._spec
        every = max(SHORTEST_NS, spec.clients * SECOND * SECOND // max(spec.rate, 1))
        if name.host or headless:
            self._view = self._name_view(name, every)
        else:
            self._view = ServiceView(self._proxy, name, spec.clients, every, self._choice, self._stream.refresh)
        self._view.start()

    def _name_view(self, name: Name, every_ns: int) -> NameView:
        sim, spec = self._server.sim, self._spec
        keep = self._dns.settings.ttl_ns if spec.cache_ns is None else spec.cache_ns
        first = sim.streams.uniform(spec.name, "client phase")
        period = min(keep, FOR_EVER - 1) if keep < FOR_EVER else 0
        phases = [int((first + i / spec.clients) % 1.0 * period) for i in range(spec.clients)]
        order = rank("application", f"traffic/{spec.name}")
        resolve, changed = spec.on_error == "resolve", self._stream.refresh
        return NameView(sim.clock, order, self._dns, name, spec.node, phases, every_ns, keep, resolve, changed)

    def _choice(self, client: int) -> float:
        return self._server.sim.streams.uniform(f"{self._spec.name}/{client}", "endpoint")

    def _meaning(self) -> tuple[Name, bool]:
        meanings = candidates(self._spec.to, self._spec.namespace)
        for name in meanings:
            service = self._server.find(Service, name.namespace, name.service)
            if service is not None:
                return name, is_headless(service)
        return meanings[0], False

    def selector(self) -> Mapping[str, str]:
        """Return which pods the clients come for; {}: whoever is there."""
        service = self._server.find(Service, *self._service) if self._service is not None else None
        return service.spec.selector if service is not None else {}

    def legs(self) -> list[tuple[str, ...]]:
        """Return what the clients see."""
        return self._view.legs() if self._view is not None else [()]

    def failed(self, some: bool) -> None:
        """Pass it on."""
        if self._view is not None:
            self._view.failed(some)

    def row(self) -> int:
        """Return the row of what made the view what it is."""
        return self._view.row() if self._view is not None else NO_CAUSE
