"""Cluster DNS: records that follow the slices by a watch, caches of answers and denials, and clients that wait.

Nobody polls here. A client that asks again and again for a name that does not exist leaves a `Wait`: when the name
appears, it is reckoned which of its questions is the first that a cache does not answer with an old denial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from k8sim.apiserver.server import APIServer
from k8sim.network.control import Addresses, Name, service_records
from k8sim.network.settings import DNSSettings
from k8sim.network.slices import Key, ServiceCache
from k8sim.sim.clock import rank

Listener = Callable[[Name, int], None]
"""Called with a name whose records have changed, and the trace row of it."""


@dataclass(slots=True)
class _Cached:
    addresses: Addresses
    expires_ns: int


@dataclass(eq=False, slots=True)
class Wait:
    """A client that asks for a name at a time and then every so often, until it is answered."""

    name: Name
    scope: str
    first_ns: int
    every_ns: int
    answered: Callable[[Addresses, int], None]
    over: bool = False

    def next_question(self, after_ns: int) -> int:
        """Return the time of the first question that is not before a time."""
        if after_ns <= self.first_ns:
            return self.first_ns
        return after_ns + (self.first_ns - after_ns) % self.every_ns

    def cancel(self) -> None:
        """Stop asking."""
        self.over = True


class DNS:
    """The cluster's name servers."""

    def __init__(self, server: APIServer, settings: DNSSettings | None = None) -> None:
        self.settings = settings or DNSSettings()
        self.listeners: list[Listener] = []
        self._clock = server.sim.clock
        self._trace = server.sim.trace
        self._rank = rank("network", "dns")
        self._records: dict[Name, Addresses] = {}
        self._rows: dict[Name, int] = {}
        self._names: dict[Key, list[Name]] = {}
        self._cache: dict[tuple[str, Name], _Cached] = {}
        self._waits: dict[Name, list[Wait]] = {}
        self._services = ServiceCache(server, "coredns", self._service_changed)
        self._services.start()

    # ---- questions --------------------------------------------------------------------------------------------------

    def authoritative(self, name: Name) -> Addresses:
        """Return the records of a name, past all caches."""
        return self._records.get(name, ())

    def row(self, name: Name) -> int:
        """Return the trace row of the last change of a name's records (-1: it never had any)."""
        return self._rows.get(name, -1)

    def lookup(self, name: Name, node: str = "") -> Addresses:
        """Return what a client on a node is answered now; () is a denial."""
        scope = self._scope(node)
        if scope is None:
            return self.authoritative(name)
        now = self._clock.now
        self._advance(scope, name, now)
        cached = self._cache.get((scope, name))
        if cached is not None and now < cached.expires_ns:
            return cached.addresses
        return self._ask(scope, name, now)

    def expires(self, name: Name, node: str = "") -> int:
        """Return until when a server's cache answers a client of a node with what it has (in the past: not at all)."""
        scope = self._scope(node)
        cached = self._cache.get((scope, name)) if scope is not None else None
        return cached.expires_ns if cached is not None else self._clock.now

    def wait(
        self, name: Name, node: str, every_ns: int, answered: Callable[[Addresses, int], None], first_ns: int = 0
    ) -> Wait:
        """Let a client ask from ``first_ns`` (now) on until it gets an answer; then call it with that and the row."""
        first = max(first_ns, self._clock.now)
        scope = self._scope(node)
        wait = Wait(name, "" if scope is None else scope, first, every_ns, answered)
        self._waits.setdefault(name, []).append(wait)
        self._clock.call_at(first, self._question, wait, rank=self._rank)
        return wait

    # ---- caches -----------------------------------------------------------------------------------------------------

    def _scope(self, node: str) -> str | None:
        scope = self.settings.cache
        return None if scope == "none" else node if scope == "node" else ""

    def _ask(self, scope: str, name: Name, now: int) -> Addresses:
        """Fetch a name into a cache."""
        addresses = self.authoritative(name)
        keep = self.settings.success_ns if addresses else self.settings.denial_ns
        self._cache[scope, name] = _Cached(addresses, now + keep)
        return addresses

    def _advance(self, scope: str, name: Name, until_ns: int) -> None:
        """Renew a denial in a cache as often as the clients that wait have asked for it before a time."""
        cached = self._cache.get((scope, name))
        if cached is None or cached.addresses or self.settings.denial_ns == 0:
            return
        waits = [w for w in self._waits.get(name, ()) if w.scope == scope and not w.over]
        while waits:
            asked = min(w.next_question(cached.expires_ns) for w in waits)
            if asked >= until_ns:
                return
            cached.expires_ns = asked + self.settings.denial_ns

    # ---- waiting ----------------------------------------------------------------------------------------------------

    def _question(self, wait: Wait) -> None:
        """Let a waiting client ask now."""
        if wait.over:
            return
        addresses = self.lookup(wait.name, wait.scope)
        if addresses:
            wait.over = True
            self._waits[wait.name].remove(wait)
            wait.answered(addresses, self.row(wait.name))
        elif self.authoritative(wait.name):
            self._plan(wait)

    def _plan(self, wait: Wait) -> None:
        """Find the question that gets the name which exists now."""
        when = self._clock.now
        cached = self._cache.get((wait.scope, wait.name)) if self.settings.cache != "none" else None
        if cached is not None and not cached.addresses:
            when = max(when, cached.expires_ns)
        self._clock.call_at(wait.next_question(when), self._question, wait, rank=self._rank)

    # ---- records ----------------------------------------------------------------------------------------------------

    def _service_changed(self, key: Key, row: int) -> None:
        service = self._services.service(key)
        new = service_records(service, self._services.slices(key)) if service is not None else {}
        old = self._names.get(key, [])
        changed = [n for n in {**dict.fromkeys(old), **new} if self._records.get(n, ()) != new.get(n, ())]
        for name in changed:  # what the clients that wait were denied belongs to the time before
            if not self._records.get(name):
                for scope in sorted({w.scope for w in self._waits.get(name, ())}):
                    self._advance(scope, name, self._clock.now)
        self._names[key] = list(new)
        for name in changed:
            self._set(name, new.get(name, ()), row)

    def _set(self, name: Name, addresses: Addresses, cause: int) -> None:
        if addresses:
            self._records[name] = addresses
        else:
            self._records.pop(name, None)
        event, detail = ("Answers", {"addresses": list(addresses)}) if addresses else ("Denies", {})
        row = self._trace.append(self._clock.now, "DNS", str(name), event, detail, cause, name.namespace)
        self._rows[name] = row
        if addresses:
            self._waits[name] = [w for w in self._waits.get(name, ()) if not w.over]
            for wait in list(self._waits[name]):
                self._plan(wait)
        for listener in list(self.listeners):
            listener(name, row)
