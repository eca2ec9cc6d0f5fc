"""What clients see behind a name: kube-proxy's endpoints, or the addresses that each has resolved and keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from k8sim.network.control import Addresses, Name
from k8sim.network.dns import DNS, Wait
from k8sim.network.proxy import Proxy
from k8sim.sim.clock import Clock
from k8sim.workload.model import FOR_EVER

Changed = Callable[[int], None]
"""Called with the trace row that made the view change."""


class View(Protocol):
    """What the clients of a stream see; ``legs`` has one entry for each of some equally busy clients."""

    def legs(self) -> list[Addresses]:
        """Return the addresses that each client chooses from now."""

    def start(self) -> None:
        """Begin to look."""

    def failed(self, some: bool) -> None:
        """Note whether some requests fail."""

    def row(self) -> int:
        """Return the trace row of what made the view what it is."""


class ServiceView:
    """Clients that use a service's own address: the rules of their node choose the endpoint.

    With `sessionAffinity: ClientIP` each client keeps the endpoint that it got, as long as the rules have it and the
    client does not pause for longer than the rules remember.

    Parameters
    ----------
    clients
        How many there are, each with an address of its own.
    every_ns
        The time between a client's requests.
    draw
        Returns a number in [0, 1) for the choice of a client.
    """

    def __init__(
        self,
        proxy: Proxy,
        service: Name,
        clients: int,
        every_ns: int,
        draw: Callable[[int], float],
        changed: Changed,
    ) -> None:
        self._proxy = proxy
        self._key = (service.namespace, service.service)
        self._every_ns = every_ns
        self._draw = draw
        self._changed = changed
        self._kept = [""] * clients
        self._row = -1
        proxy.listeners.append(self._programmed)

    def legs(self) -> list[Addresses]:
        """Return one leg, the programmed endpoints, or what each client keeps of them."""
        endpoints = self._proxy.endpoints(self._key)
        if not endpoints or self._every_ns > self._proxy.affinity_ns(self._key):
            return [endpoints]
        for i, kept in enumerate(self._kept):
            if kept not in endpoints:
                self._kept[i] = endpoints[int(self._draw(i) * len(endpoints))]
        return [(kept,) for kept in self._kept]

    def start(self) -> None:
        """Do nothing: the rules are there."""

    def failed(self, some: bool) -> None:
        """Do nothing: a client has no say."""

    def row(self) -> int:
        """Return the row of the last programming."""
        return self._row

    def _programmed(self, key: tuple[str, str], row: int) -> None:
        if key == self._key:
            self._row = row
            self._changed(row)


class NameView:
    """Clients that resolve a name and keep what they got, each with a phase of its own.

    A denial is not kept: a client without an address asks with each of its requests.

    Parameters
    ----------
    phases_ns
        When each client asks for the first time, in its period.
    every_ns
        The time between a client's requests.
    keep_ns
        How long an address is kept; `FOR_EVER` is allowed.
    """

    def __init__(
        self,
        clock: Clock,
        rank: int,
        dns: DNS,
        name: Name,
        node: str,
        phases_ns: list[int],
        every_ns: int,
        keep_ns: int,
        resolve_on_error: bool,
        changed: Changed,
    ) -> None:
        self._clock = clock
        self._rank = rank
        self._dns = dns
        self._name = name
        self._node = node
        self._phases = phases_ns
        self._every_ns = every_ns
        self._keep_ns = keep_ns
        self._resolve_on_error = resolve_on_error
        self._changed = changed
        self._kept: list[Addresses] = [() for _ in phases_ns]
        self._waits: list[Wait | None] = [None for _ in phases_ns]
        self._errors = False
        dns.listeners.append(self._on_record)

    def start(self) -> None:
        """Let all clients ask now."""
        for i in range(len(self._kept)):
            self._ask(i)

    def legs(self) -> list[Addresses]:
        """Return what each client keeps."""
        return list(self._kept)

    def failed(self, some: bool) -> None:
        """Let clients ask anew, if they do so after an error."""
        begins = some and not self._errors and self._resolve_on_error
        self._errors = some
        if begins:
            self._clock.call_at(self._clock.now, self._ask_after_error, rank=self._rank)

    def row(self) -> int:
        """Return the row of the name's last change."""
        return self._dns.row(self._name)

    def _ask_after_error(self) -> None:
        for i, kept in enumerate(self._kept):
            if kept:
                self._renew(i)

    def _on_record(self, name: Name, row: int) -> None:
        if name == self._name:
            for i, kept in enumerate(self._kept):
                if kept:
                    self._plan(i, self._clock.now)

    def _plan(self, i: int, after_ns: int) -> None:
        """Let a client ask when it does so next."""
        if self._keep_ns == 0 or (self._resolve_on_error and self._errors):
            when = after_ns
        elif self._keep_ns >= FOR_EVER:
            return
        else:
            when = self._clock.next_on_grid(self._phases[i], self._keep_ns, after_ns)
        self._clock.call_at(when, self._renew, i, rank=self._rank)

    def _renew(self, i: int) -> None:
        before = self._kept[i]
        self._ask(i)
        if self._kept[i] != before:
            self._changed(self.row())

    def _ask(self, i: int) -> None:
        addresses = self._kept[i] = self._dns.lookup(self._name, self._node)
        if not addresses:
            if self._waits[i] is None:
                first = self._clock.now + self._every_ns
                self._waits[i] = self._dns.wait(
                    self._name, self._node, self._every_ns, lambda got, row: self._answered(i, got, row), first
                )
        elif addresses != self._dns.authoritative(self._name):  # a server's cache is behind
            self._plan(i, max(self._dns.expires(self._name, self._node), self._clock.now + 1))

    def _answered(self, i: int, addresses: Addresses, row: int) -> None:
        self._waits[i] = None
        self._kept[i] = addresses
        self._changed(row)
