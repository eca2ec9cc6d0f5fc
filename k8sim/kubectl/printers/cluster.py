"""Rows of everything else: nodes, namespaces, services, endpoints, budgets, quotas, priorities."""

from __future__ import annotations

from k8sim.api.core import ConfigMap, LimitRange, Namespace, Node, ResourceQuota, Secret, Service
from k8sim.api.discovery import EndpointSlice
from k8sim.api.meta import Object, condition_of
from k8sim.api.policy import PodDisruptionBudget, PriorityClass
from k8sim.api.scheme import format_time
from k8sim.kubectl.printers.text import NONE, UNKNOWN, age, pairs, shortened

KUBERNETES_VERSION = "v1.36.2"
NODE_COLUMNS = ("Name", "Status", "Roles", "Age", "Version")
NODE_WIDE = ("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime")
NAMESPACE_COLUMNS = ("Name", "Status", "Age")
SERVICE_COLUMNS = ("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age")
SERVICE_WIDE = ("Selector",)
ENDPOINT_SLICE_COLUMNS = ("Name", "AddressType", "Ports", "Endpoints", "Age")
BUDGET_COLUMNS = ("Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age")
QUOTA_COLUMNS = ("Name", "Request", "Limit", "Age")
LIMIT_RANGE_COLUMNS = ("Name", "Created At")
PRIORITY_COLUMNS = ("Name", "Value", "Global-Default", "Age", "PreemptionPolicy")
CONFIG_MAP_COLUMNS = ("Name", "Data", "Age")
SECRET_COLUMNS = ("Name", "Type", "Data", "Age")
_ROLE = "node-role.kubernetes.io/"


def node_status(node: Node) -> str:
    """Return the STATUS column: Ready, NotReady or Unknown, and whether pods may be scheduled."""
    ready = condition_of(node.status.conditions, "Ready")
    if ready is None:
        status = "Unknown"
    else:
        status = "Ready" if ready.status == "True" else "NotReady"
    return f"{status},SchedulingDisabled" if node.spec.unschedulable else status


def node_row(obj: Node, now_ns: int) -> list[str]:
    """Return the cells of a node."""
    labels = obj.metadata.labels
    roles = sorted(
        [key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE]
        + [value for key, value in labels.items() if key == "kubernetes.io/role" and value]
    )
    info = obj.status.node_info.extra or {}
    addresses = (obj.status.extra or {}).get("addresses", ())
    by_type = {address.get("type"): address.get("address") for address in addresses}
    return [
        obj.name,
        node_status(obj),
        ",".join(roles) or NONE,
        age(obj.metadata.creation_timestamp, now_ns),
        info.get("kubeletVersion", KUBERNETES_VERSION),
        by_type.get("InternalIP", NONE),
        by_type.get("ExternalIP", NONE),
        info.get("osImage", UNKNOWN),
        info.get("kernelVersion", UNKNOWN),
        info.get("containerRuntimeVersion", UNKNOWN),
    ]


def namespace_row(obj: Namespace, now_ns: int) -> list[str]:
    """Return the cells of a namespace."""
    return [obj.name, obj.status.phase, age(obj.metadata.creation_timestamp, now_ns)]


def service_row(obj: Service, now_ns: int) -> list[str]:
    """Return the cells of a service."""
    spec = obj.spec
    ports = [f"{p.port}{f':{p.node_port}' if p.node_port else ''}/{p.protocol}" for p in spec.ports]
    if spec.type == "ExternalName":
        external = spec.external_name
    else:
        external = "<pending>" if spec.type == "LoadBalancer" else NONE
    return [
        obj.name,
        spec.type,
        spec.cluster_ip or NONE,
        external,
        ",".join(ports) or NONE,
        age(obj.metadata.creation_timestamp, now_ns),
        pairs(spec.selector),
    ]


def endpoint_slice_row(obj: EndpointSlice, now_ns: int) -> list[str]:
    """Return the cells of an EndpointSlice: all addresses, ready or not."""
    ports = ["*" if p.port is None else str(p.port) for p in obj.ports]
    addresses = [address for endpoint in obj.endpoints for address in endpoint.addresses]
    created = age(obj.metadata.creation_timestamp, now_ns)
    return [obj.name, obj.address_type, shortened(ports), shortened(addresses), created]


def budget_row(obj: PodDisruptionBudget, now_ns: int) -> list[str]:
    """Return the cells of a PodDisruptionBudget."""
    spec = obj.spec
    return [
        obj.name,
        "N/A" if spec.min_available is None else str(spec.min_available),
        "N/A" if spec.max_unavailable is None else str(spec.max_unavailable),
        str(obj.status.disruptions_allowed),
        age(obj.metadata.creation_timestamp, now_ns),
    ]


def quota_row(obj: ResourceQuota, now_ns: int) -> list[str]:
    """Return the cells of a ResourceQuota: used and hard of every resource."""
    hard, used = obj.status.hard, obj.status.used
    cells: dict[bool, list[str]] = {False: [], True: []}
    for name in sorted(hard):
        cells[name.startswith("limits.")].append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [obj.name, ", ".join(cells[False]), ", ".join(cells[True]), age(obj.metadata.creation_timestamp, now_ns)]


def limit_range_row(obj: LimitRange, now_ns: int) -> list[str]:
    """Return the cells of a LimitRange."""
    created = obj.metadata.creation_timestamp
    return [obj.name, UNKNOWN if created is None else format_time(created)]


def priority_row(obj: PriorityClass, now_ns: int) -> list[str]:
    """Return the cells of a PriorityClass."""
    return [
        obj.name,
        str(obj.value),
        str(obj.global_default).lower(),
        age(obj.metadata.creation_timestamp, now_ns),
        obj.preemption_policy,
    ]


def _data(obj: Object) -> str:
    extra = obj.extra or {}
    return str(sum(len(extra.get(field) or ()) for field in ("data", "binaryData", "stringData")))


def config_map_row(obj: ConfigMap, now_ns: int) -> list[str]:
    """Return the cells of a ConfigMap."""
    return [obj.name, _data(obj), age(obj.metadata.creation_timestamp, now_ns)]


def secret_row(obj: Secret, now_ns: int) -> list[str]:
    """Return the cells of a Secret."""
    kind = (obj.extra or {}).get("type", "Opaque")
    return [obj.name, kind, _data(obj), age(obj.metadata.creation_timestamp, now_ns)]
