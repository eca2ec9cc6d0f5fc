"""Which endpoints a service has, and how they are spread over its slices.

Source: staging/src/k8s.io/endpointslice/{reconciler,utils}.go, util/controller_utils.go; workloads.md 7.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

from k8sim.api.core import Node, ObjectReference, Pod, Service
from k8sim.api.discovery import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from k8sim.api.meta import ObjectMeta, controller_ref
from k8sim.api.pods import is_pod_ready, is_pod_terminal
from k8sim.api.struct import replace

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER_NAME = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
MAX_ENDPOINTS_PER_SLICE = 100

Ports = tuple[EndpointPort, ...]
Desired = Mapping[Ports, dict[str, Endpoint]]
"""Endpoints by the ports they offer, then by the name of their pod."""
Replacement = tuple[Endpoint | None, Endpoint | None]
"""An endpoint and its new version, at the same address; None where it is new, or leaves."""


class Changes(NamedTuple):
    """What is to be written so that the slices hold the desired endpoints; in this order."""

    create: Sequence[EndpointSlice]
    update: Sequence[EndpointSlice]
    delete: Sequence[EndpointSlice]


def is_handled(service: Service) -> bool:
    """Tell whether the controller makes slices for a service: it needs a selector and must not be ExternalName."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def should_pod_be_in_endpoints(pod: Pod) -> bool:
    """Tell whether a selected pod is listed: it has an address and has not ended (ShouldPodBeInEndpoints)."""
    return bool(pod.status.pod_ip or pod.status.pod_ips) and not is_pod_terminal(pod)


def pod_endpoints_changed(old: Pod, new: Pod) -> bool:
    """Tell whether a pod update can matter to a service, apart from labels (podEndpointsChanged).

    Kubernetes compares the deletion timestamps as pointers, so that every update of a terminating pod counts.
    """
    was, now = old.status, new.status
    return (
        new.metadata.deletion_timestamp is not None
        or old.metadata.deletion_timestamp is not None
        or (was.conditions is not now.conditions and is_pod_ready(old) != is_pod_ready(new))
        or was.pod_ips != now.pod_ips
        or was.pod_ip != now.pod_ip
        or old.spec.node_name != new.spec.node_name
    )


def pod_to_endpoint(pod: Pod, node: Node | None, service: Service) -> Endpoint:
    """Return a pod's endpoint in a service (podToEndpoint)."""
    serving = is_pod_ready(pod)
    meta = pod.metadata
    terminating = meta.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    address = pod.status.pod_ips[0].ip if pod.status.pod_ips else pod.status.pod_ip
    return Endpoint(
        addresses=(address,),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=pod.spec.hostname if pod.spec.subdomain == service.metadata.name else "",
        target_ref=ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
        node_name=pod.spec.node_name,
        zone=node.metadata.labels.get(ZONE, "") if node is not None else "",
    )


def endpoint_ports(service: Service, pod: Pod) -> Ports:
    """Return the ports at which a pod serves a service; a named port that the pod does not have is left out."""
    ports = []
    for port in service.spec.ports:
        number = _find_port(pod, port.target_port if port.target_port is not None else port.port, port.protocol)
        if number is not None:
            ports.append(EndpointPort(name=port.name, port=number, protocol=port.protocol))
    return tuple(ports)


def _find_port(pod: Pod, target: int | str, protocol: str) -> int | None:
    if isinstance(target, int):
        return target
    for container in pod.spec.containers:
        for port in container.ports:
            if port.name == target and port.protocol == protocol:
                return port.container_port
    return None


def reconcile(
    service: Service,
    desired: Desired,
    existing: Iterable[EndpointSlice],
    max_endpoints: int = MAX_ENDPOINTS_PER_SLICE,
) -> Changes:
    """Decide which slices to create, update and delete (reconcileByAddressType).

    Endpoints stay in the slice in which they are. What is new first fills slices that change anyway, then one unchanged
    slice that can take all the rest, then new slices. A service without endpoints keeps one empty slice.
    """
    slices = list(existing)
    by_ports: dict[Ports, list[EndpointSlice]] = {}
    for s in slices:
        by_ports.setdefault(s.ports, []).append(s)
    create: list[EndpointSlice] = []
    update: list[EndpointSlice] = []
    delete: list[EndpointSlice] = []
    for ports, endpoints in desired.items():
        changes = _reconcile_by_port_mapping(service, ports, endpoints, by_ports.pop(ports, []), max_endpoints)
        create += changes.create
        update += changes.update
        delete += changes.delete
    for rest in by_ports.values():
        delete += rest
    if len(slices) == len(delete) and not create:
        placeholder = new_endpoint_slice(service, ())
        if len(delete) == 1 and not delete[0].endpoints and not delete[0].ports:
            delete = []
        else:
            create = [placeholder]
    while create and delete:  # to change an obsolete slice is cheaper than to delete one and make another
        obsolete, wanted = delete.pop(0), create.pop()
        update.append(replace(obsolete, endpoints=wanted.endpoints, ports=wanted.ports))
    return Changes(create, update, delete)


def replace_in_place(
    existing: Sequence[EndpointSlice],
    replacements: Sequence[Replacement],
    max_endpoints: int = MAX_ENDPOINTS_PER_SLICE,
) -> Changes | None:
    """Decide what `reconcile` would where single endpoints are all that slices of the same ports lack or have too much.

    None: it has to look at all of them, for a slice would be empty, or none has room, or there is more to do than to
    add or to remove one.
    """
    update = []
    for s in existing if replacements else ():
        endpoints = s.endpoints
        for old, new in replacements:
            if old is None or new is None:
                return _add_or_remove(existing, old, new, max_endpoints) if len(replacements) == 1 else None
            if old in endpoints:
                i = endpoints.index(old)
                endpoints = (*endpoints[:i], new, *endpoints[i + 1 :])
        if endpoints != s.endpoints:
            update.append(replace(s, endpoints=endpoints))
    return Changes((), update, ())


def _add_or_remove(
    existing: Sequence[EndpointSlice], old: Endpoint | None, new: Endpoint | None, max_endpoints: int
) -> Changes | None:
    if new is not None:
        s = _slice_to_fill(existing, 1, max_endpoints)
        return Changes((), (replace(s, endpoints=(*s.endpoints, new)),), ()) if s is not None else None
    for s in existing:
        if old in s.endpoints and len(s.endpoints) > 1:
            i = s.endpoints.index(old)
            return Changes((), (replace(s, endpoints=s.endpoints[:i] + s.endpoints[i + 1 :]),), ())
    return None


def _reconcile_by_port_mapping(
    service: Service, ports: Ports, endpoints: Mapping[str, Endpoint], existing: list[EndpointSlice], max_endpoints: int
) -> Changes:
    left = dict(endpoints)
    update: dict[str, EndpointSlice] = {}
    unchanged: dict[str, EndpointSlice] = {}
    delete: list[EndpointSlice] = []
    for s in existing:
        names = [e.target_ref.name if e.target_ref is not None else "" for e in s.endpoints]
        pairs = list(zip(s.endpoints, map(left.pop, names, repeat(None)), strict=True))
        kept = tuple([w for h, w in pairs if w is not None and (w is h or w.addresses == h.addresses)])
        if len(kept) < len(pairs):  # what has another address leaves the slice
            left |= {n: w for n, (h, w) in zip(names, pairs, strict=True) if w and w.addresses != h.addresses}
        if kept == s.endpoints:  # most are the very same objects, which costs no comparison
            unchanged[s.metadata.name] = s
        elif kept:
            update[s.metadata.name] = replace(s, endpoints=kept)
        else:
            delete.append(s)
    rest = list(left.values())
    for s in sorted(update.values(), key=lambda s: -len(s.endpoints)):
        room = max_endpoints - len(s.endpoints)
        if rest and room > 0:
            update[s.name] = replace(s, endpoints=s.endpoints + tuple(rest[:room]))
            rest = rest[room:]
    create = []
    while rest:
        fitting = _slice_to_fill(unchanged.values(), len(rest), max_endpoints) if len(rest) < max_endpoints else None
        if fitting is not None:
            del unchanged[fitting.name]
            update[fitting.name] = replace(fitting, endpoints=fitting.endpoints + tuple(rest))
            rest = []
        else:
            create.append(replace(new_endpoint_slice(service, ports), endpoints=tuple(rest[:max_endpoints])))
            rest = rest[max_endpoints:]
    return Changes(create, list(update.values()), delete)


def _slice_to_fill(slices: Iterable[EndpointSlice], count: int, max_endpoints: int) -> EndpointSlice | None:
    """Return the fullest slice that can take so many endpoints more (getSliceToFill)."""
    fitting = [s for s in slices if len(s.endpoints) + count <= max_endpoints]
    return max(fitting, key=lambda s: len(s.endpoints), default=None)


def new_endpoint_slice(service: Service, ports: Ports) -> EndpointSlice:
    """Return an empty slice of a service; the API server completes its name."""
    labels = {**service.metadata.labels, SERVICE_NAME: service.name, MANAGED_BY: CONTROLLER_NAME}
    if service.spec.cluster_ip == "None":
        labels["service.kubernetes.io/headless"] = ""
    meta = ObjectMeta(
        generate_name=f"{service.name}-",
        namespace=service.namespace,
        labels=labels,
        owner_references=(controller_ref(service),),
    )
    return EndpointSlice(metadata=meta, ports=ports)
