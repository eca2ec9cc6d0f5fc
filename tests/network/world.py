"""A small world for the network: an API server with services and slices that a test writes itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sim.api.core import ObjectReference, Service, ServicePort, ServiceSpec
from k8sim.api.discovery import Endpoint, EndpointConditions, EndpointSlice
from k8sim.api.meta import ObjectMeta
from k8sim.api.struct import replace
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_server


def make_service(name: str, headless: bool = False, **spec: Any) -> Service:
    return Service(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=ServiceSpec(cluster_ip="None" if headless else "", ports=(ServicePort(port=80),), **spec),
    )


def make_endpoint(
    pod: str, ip: str, ready: bool = True, serving: bool = True, terminating: bool = False, host: bool = True
) -> Endpoint:
    return Endpoint(
        addresses=(ip,),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=pod if host else "",
        target_ref=ObjectReference(kind="Pod", namespace="default", name=pod),
        node_name="node-0",
    )


def make_slice(service: str, *endpoints: Endpoint) -> EndpointSlice:
    meta = ObjectMeta(name=f"{service}-1", namespace="default", labels={"kubernetes.io/service-name": service})
    return EndpointSlice(metadata=meta, endpoints=endpoints)


class Net:
    """Times are in seconds."""

    def __init__(self, seed: int = 1) -> None:
        self.server = make_server(seed)
        self.clock = self.server.sim.clock

    @property
    def now(self) -> float:
        return self.clock.now / SECOND

    def run(self, until: float) -> None:
        self.clock.run(int(until * SECOND))

    def at(self, t: float, function: Callable[..., object], *args: Any) -> None:
        self.clock.call_at(int(t * SECOND), lambda: function(*args))

    def set_slice(self, service: str, *endpoints: Endpoint) -> None:
        if self.server.find(EndpointSlice, "default", f"{service}-1") is None:
            self.server.create(make_slice(service, *endpoints))
        else:
            self.server.patch(EndpointSlice, "default", f"{service}-1", lambda s: replace(s, endpoints=endpoints))

    def rows(self, kind: str, event: str = "") -> list[tuple[float, str, dict[str, Any]]]:
        return [
            (row.t / SECOND, row.name, dict(row.detail))
            for row in self.server.sim.trace
            if row.kind == kind and event in ("", row.event)
        ]
