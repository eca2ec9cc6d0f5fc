"""kube-proxy on one node: which endpoints its rules send new connections to, and since when.

Source: pkg/proxy/runner/bounded_frequency_runner.go, pkg/proxy/topology.go; workloads.md 7.4.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sim.apiserver.server import APIServer
from k8sim.network.control import affinity_s, next_sync, usable_endpoints
from k8sim.network.settings import ProxySettings
from k8sim.network.slices import Key, ServiceCache
from k8sim.sim.clock import rank
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import SECOND


class Proxy:
    """The rules of one node. ``listeners`` are called with a service and a row when its rules have changed."""

    def __init__(self, server: APIServer, node: str, settings: ProxySettings | None = None) -> None:
        self.node = node
        self.listeners: list[Callable[[Key, int], None]] = []
        self._settings = settings or ProxySettings()
        self._clock = server.sim.clock
        self._trace = server.sim.trace
        self._rank = rank("network", f"kube-proxy/{node}")
        self._write = server.sim.latencies.sampler("proxySync", node)
        self._rules: dict[Key, tuple[str, ...]] = {}
        self._dirty: dict[Key, int] = {}
        self._planned = False
        self._last_end: int | None = None
        self._services = ServiceCache(server, f"kube-proxy/{node}", self._changed)
        self._services.start()

    def follow(self, connected: bool) -> None:
        """Watch the API server, or not: a proxy that is cut off from it keeps the rules that it has."""
        if connected:
            self._services.reconnect()
        else:
            self._services.disconnect()

    def endpoints(self, service: Key) -> tuple[str, ...]:
        """Return the addresses that new connections to a service's own address are sent to, each as likely."""
        return self._rules.get(service, ())

    def affinity_ns(self, service: Key) -> int:
        """Return for how long the rules remember which endpoint a client had; 0: they do not."""
        known = self._services.service(service)
        return affinity_s(known) * SECOND if known is not None else 0

    def _changed(self, key: Key, row: int) -> None:
        self._dirty[key] = row
        if not self._planned:
            self._planned = True
            when = next_sync(self._clock.now, self._last_end, self._settings.min_sync_period_ns)
            self._clock.call_at(when, self._sync, rank=self._rank)

    def _sync(self) -> None:
        """Write the rules as the slices are now; they hold when that is done."""
        dirty, self._dirty = self._dirty, {}
        wanted = {key: (self._wanted(key), row) for key, row in dirty.items()}
        self._clock.call_after(self._write.draw(), self._synced, wanted, rank=self._rank)

    def _wanted(self, key: Key) -> tuple[str, ...]:
        service = self._services.service(key)
        if service is None:
            return ()
        endpoints = [e for s in self._services.slices(key) for e in s.endpoints]
        local = service.spec.internal_traffic_policy == "Local"
        return tuple(e.addresses[0] for e in usable_endpoints(endpoints, self.node, local))

    def _synced(self, wanted: dict[Key, tuple[tuple[str, ...], int]]) -> None:
        self._last_end = self._clock.now
        self._planned = False
        changed = [
            (key, addresses, row) for key, (addresses, row) in wanted.items() if self.endpoints(key) != addresses
        ]
        for key, addresses, _ in changed:
            self._rules[key] = addresses
        for key, addresses, cause in changed:
            detail = {"service": key[1], "addresses": list(addresses)}
            row = self._trace.append(self._clock.now, "Proxy", self.node, "Programmed", detail, cause, key[0])
            for listener in list(self.listeners):
                listener(key, row)
        if self._dirty:
            key = next(iter(self._dirty))
            self._changed(key, self._dirty.get(key, NO_CAUSE))
