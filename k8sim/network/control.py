"""What DNS answers, which endpoints kube-proxy uses, which variables a container gets: pure functions of API objects.

Source: pkg/proxy/topology.go, pkg/kubelet/envvars/envvars.go, github.com/coredns/coredns plugin/kubernetes;
workloads.md 7.2-7.4, node.md 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from k8sim.api.core import Service
from k8sim.api.discovery import Endpoint, EndpointSlice

DOMAIN: Final = "cluster.local"
AFFINITY_S: Final = 10_800
Addresses = tuple[str, ...]
"""In the order of the slices; () is a denial (NXDOMAIN)."""


class Name(NamedTuple):
    """A name of the domain: ``host.service.namespace.svc.cluster.local``; ``host`` "" is the service's own name."""

    host: str
    service: str
    namespace: str

    def __str__(self) -> str:
        return ".".join(part for part in self if part)


def candidates(text: str, namespace: str) -> list[Name]:
    """Return what a name may mean to a pod of a namespace, in the order of its search list (ndots:5)."""
    labels = text.rstrip(".").split(".")
    if labels[-2:] == DOMAIN.split("."):
        labels = labels[:-2]
    full = len(labels) > 2 and labels[-1] == "svc"  # the namespace is said
    if full:
        labels = labels[:-1]
    if len(labels) == 1:
        return [Name("", labels[0], namespace)]
    if len(labels) == 2:
        service = Name("", labels[0], labels[1])
        return [service] if full else [Name(labels[0], labels[1], namespace), service]
    return [Name(labels[0], labels[1], labels[2])] if len(labels) == 3 else []


def is_headless(service: Service) -> bool:
    """Tell whether a service has no address of its own."""
    return service.spec.cluster_ip == "None"


def has_cluster_ip(service: Service) -> bool:
    """Tell whether a service has an address of its own."""
    return not is_headless(service) and service.spec.type != "ExternalName"


def virtual_address(service: Service) -> str:
    """Return a service's own address: what it says, or a name for what the API server would choose."""
    return service.spec.cluster_ip or f"service:{service.namespace}/{service.name}"


def service_records(service: Service, slices: Iterable[EndpointSlice]) -> dict[Name, Addresses]:
    """Return the address records of a service and of the host names of its endpoints.

    Only endpoints that are ready count, so a peer that is not Ready, or terminating, has no name unless the service
    publishes not-ready addresses. Host names are answered under any kind of service.
    """
    hosts: dict[Name, list[str]] = {}
    all_addresses: list[str] = []
    for s in slices:
        for endpoint in s.endpoints:
            if not endpoint.conditions.ready:
                continue
            all_addresses += endpoint.addresses
            if endpoint.hostname:
                name = Name(endpoint.hostname, service.name, service.namespace)
                hosts.setdefault(name, []).extend(endpoint.addresses)
    own = (virtual_address(service),) if has_cluster_ip(service) else tuple(all_addresses)
    records = {Name("", service.name, service.namespace): own} if own else {}
    records.update((name, tuple(addresses)) for name, addresses in hosts.items())
    return records


def usable_endpoints(endpoints: Iterable[Endpoint], node: str = "", local: bool = False) -> tuple[Endpoint, ...]:
    """Return those that new connections go to (CategorizeEndpoints).

    Ready ones; if there are none, those that still serve while they terminate. ``local``: only of this node.
    """
    here = [e for e in endpoints if not local or e.node_name == node]
    ready = tuple(e for e in here if e.conditions.ready)
    return ready or tuple(e for e in here if e.conditions.serving and e.conditions.terminating)


def affinity_s(service: Service) -> int:
    """Return how long after its last connection a client still gets the same endpoint; 0: it gets any.

    Source: pkg/apis/core/types.go (DefaultClientIPServiceAffinitySeconds); node.md 9.3.
    """
    if service.spec.session_affinity != "ClientIP":
        return 0
    client_ip = service.spec.session_affinity_config.get("clientIP") or {}
    return int(client_ip.get("timeoutSeconds") or AFFINITY_S)


def next_sync(now_ns: int, last_end_ns: int | None, min_period_ns: int) -> int:
    """Return when a change is programmed that arrives now: at once, or a period after the last sync ended.

    Source: pkg/proxy/runner/bounded_frequency_runner.go.
    """
    return now_ns if last_end_ns is None else max(now_ns, last_end_ns + min_period_ns)


def service_variables(
    services: Iterable[Service], namespace: str, service_links: bool = True, kubernetes: str = "kubernetes"
) -> dict[str, str]:
    """Return the variables for services that a container gets when it starts (getServiceEnvVarMap, FromServices).

    Those of its namespace that have an address, if ``enableServiceLinks``; that of the API server always. A service
    that is made later is not there until the container starts anew.
    """
    variables: dict[str, str] = {}
    for service in services:
        master = service.namespace == "default" and service.name == kubernetes
        if has_cluster_ip(service) and (master or (service_links and service.namespace == namespace)):
            variables.update(_variables_of(service))
    variables.setdefault("KUBERNETES_SERVICE_HOST", "service:default/kubernetes")
    variables.setdefault("KUBERNETES_SERVICE_PORT", "443")
    return variables


def _variables_of(service: Service) -> Mapping[str, str]:
    prefix = service.name.upper().replace("-", "_")
    host = virtual_address(service)
    out = {f"{prefix}_SERVICE_HOST": host}
    for i, port in enumerate(service.spec.ports):
        if i == 0:
            out[f"{prefix}_SERVICE_PORT"] = str(port.port)
            out[f"{prefix}_PORT"] = f"{port.protocol.lower()}://{host}:{port.port}"
        if port.name:
            out[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        link = f"{prefix}_PORT_{port.port}_{port.protocol}"
        out[link] = f"{port.protocol.lower()}://{host}:{port.port}"
        out[f"{link}_PROTO"] = port.protocol.lower()
        out[f"{link}_PORT"] = str(port.port)
        out[f"{link}_ADDR"] = host
    return out
