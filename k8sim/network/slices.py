"""The slices of every service as one program's cache has them; DNS and kube-proxy look at services this way."""

from __future__ import annotations

from collections.abc import Callable

from k8sim.api.core import Service
from k8sim.api.discovery import EndpointSlice
from k8sim.apiserver.informer import Informer, SharedInformers
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change

SERVICE_NAME = "kubernetes.io/service-name"
Key = tuple[str, str]


class ServiceCache:
    """Services with their slices, after the lag of a program's watches.

    Parameters
    ----------
    process
        The program: its watches have lags of their own.
    on_change
        Called with a service's key and the trace row when the service or a slice of it has changed.
    """

    def __init__(self, server: APIServer, process: str, on_change: Callable[[Key, int], None]) -> None:
        informers = SharedInformers(server, process)
        self._services: Informer[Service] = informers.of(Service)
        self._slices: Informer[EndpointSlice] = informers.of(EndpointSlice)
        self._slices.add_index("service", lambda s: [(s.namespace, s.metadata.labels.get(SERVICE_NAME, ""))])
        self._on_change = on_change

    def start(self) -> None:
        """Report what is there, and what changes from now on."""
        self._services.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)

    def disconnect(self) -> None:
        """Cut the watches: the cache goes stale."""
        self._services.disconnect()
        self._slices.disconnect()

    def reconnect(self) -> None:
        """Watch again, and report what has changed meanwhile."""
        self._services.reconnect()
        self._slices.reconnect()

    def service(self, key: Key) -> Service | None:
        """Return a service, or None."""
        return self._services.get(*key)

    def slices(self, key: Key) -> list[EndpointSlice]:
        """Return the slices of a service in the order of their names."""
        return sorted(self._slices.by_index("service", key), key=lambda s: s.name)

    def services(self) -> list[Service]:
        """Return all services."""
        return self._services.list()

    def _service_changed(self, change: Change) -> None:
        self._on_change(change.new.key, change.row)

    def _slice_changed(self, change: Change) -> None:
        name = change.new.metadata.labels.get(SERVICE_NAME, "")
        if name:
            self._on_change((change.new.namespace, name), change.row)
