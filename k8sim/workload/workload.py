"""Everything that runs inside containers or talks to them, for one simulated cluster."""

from __future__ import annotations

from collections.abc import Sequence

from k8sim.apiserver.server import APIServer
from k8sim.machines.disks import Storage
from k8sim.machines.fleet import Fleet
from k8sim.network.dns import DNS
from k8sim.network.environment import ServiceEnvironments
from k8sim.network.hosts import Hosts
from k8sim.network.proxy import Proxy
from k8sim.network.settings import NetworkSettings
from k8sim.workload.application import Application
from k8sim.workload.model import Application as ApplicationSpec
from k8sim.workload.model import Traffic as TrafficSpec
from k8sim.workload.traffic import Traffic


class Workload:
    """The network, the clients and the applications of a scenario; without any of these it costs nothing."""

    def __init__(
        self,
        server: APIServer,
        machines: Fleet,
        network: NetworkSettings,
        storage: Storage,
        traffic: Sequence[TrafficSpec] = (),
        applications: Sequence[ApplicationSpec] = (),
    ) -> None:
        self._server = server
        self._settings = network
        self._proxies: dict[str, Proxy] = {}
        self._cuts = machines.cuts
        self._cuts.listeners.append(self._on_cut)
        self.traffic: Traffic | None = None
        self.applications: list[Application] = []
        if traffic:
            self.hosts = Hosts(server, machines)
        if traffic or applications:
            self.dns = DNS(server, network.dns)
        if traffic:
            self.traffic = Traffic(server, self.hosts, self.dns, self.proxy, traffic)

        asked = any(spec.startup.environment for spec in applications)
        environments = ServiceEnvironments(server, machines) if asked else None
        self.applications = [
            Application(server, machines, storage, self.dns, environments, spec) for spec in applications
        ]

    def proxy(self, node: str) -> Proxy:
        """Return the proxy of a node, made when it is first asked for; "" is outside the nodes."""
        if node not in self._proxies:
            self._proxies[node] = Proxy(self._server, node, self._settings.proxy)
        return self._proxies[node]

    def _on_cut(self, row: int) -> None:
        for node, proxy in self._proxies.items():
            proxy.follow(connected=not self._cuts.side(node))

    def finish(self) -> None:
        """Write down what has come of everything at the end of the run."""
        if self.traffic is not None:
            self.traffic.finish()
        for application in self.applications:
            application.finish()
