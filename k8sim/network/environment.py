"""The services that a node's kubelet knows when it starts a container: the variables that the container is given.

Source: pkg/kubelet/kubelet_pods.go (getServiceEnvVarMap, from the kubelet's service lister); workloads.md 7.3.
"""

from __future__ import annotations

from k8sim.api.core import Pod, Service
from k8sim.apiserver.informer import Informer
from k8sim.apiserver.server import APIServer
from k8sim.machines.fleet import Fleet
from k8sim.network.control import service_variables


class ServiceEnvironments:
    """The service caches of all kubelets. Each lags as its own watch does; one that is cut off goes stale."""

    def __init__(self, server: APIServer, machines: Fleet) -> None:
        self._server = server
        self._cuts = machines.cuts
        self._caches: dict[str, Informer[Service]] = {}
        machines.meet(lambda node, _: self._join(node))
        machines.cuts.listeners.append(self._on_cut)

    def variables(self, node: str, pod: Pod) -> dict[str, str]:
        """Return the variables for services that a container of a pod gets if it is started on a node now."""
        services = self._caches[node].list()
        return service_variables(services, pod.namespace, pod.spec.enable_service_links)

    def _join(self, node: str) -> None:
        if node not in self._caches:
            self._caches[node] = Informer(self._server, Service, f"kubelet/{node}")

    def _on_cut(self, row: int) -> None:
        for node, cache in self._caches.items():
            if self._cuts.side(node):
                cache.disconnect()
            else:
                cache.reconnect()
