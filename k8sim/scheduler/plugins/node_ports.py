"""NodePorts: two pods cannot have the same port of a node (plugins/nodeports)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

from k8sim.api.core import Pod, PodSpec
from k8sim.api.pods import is_sidecar
from k8sim.scheduler.framework import (
    ASSIGNED_POD_DELETE,
    NODE_ADD,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Status,
)
from k8sim.scheduler.nodes import NodeInfo

REJECTED: Final = Status(
    Code.UNSCHEDULABLE, ("node(s) didn't have free ports for the requested pod ports",), "NodePorts"
)
ANY_IP: Final = "0.0.0.0"

HostPort = tuple[str, str, int]
"""IP, protocol, port."""


def host_ports(spec: PodSpec) -> list[HostPort]:
    """Return the ports of the node that a pod wants: of its containers and sidecars."""
    containers = [*spec.containers, *(c for c in spec.init_containers if is_sidecar(c.restart_policy))]
    return [(p.host_ip or ANY_IP, p.protocol, p.host_port) for c in containers for p in c.ports if p.host_port > 0]


def conflict(a: HostPort, b: HostPort) -> bool:
    """Tell whether two ports exclude each other; 0.0.0.0 means every address."""
    return a[1:] == b[1:] and (a[0] == b[0] or ANY_IP in (a[0], b[0]))


def fits(wanted: list[HostPort], info: NodeInfo) -> bool:
    """Tell whether all wanted ports are free on a node."""
    used = [port for pod in info.pods.values() for port in host_ports(pod.spec)]
    return not any(conflict(w, u) for w in wanted for u in used)


def after_pod_delete(pod: Pod, old: Pod, new: None) -> bool:
    """Hint: a pod that had one of the ports is gone."""
    return any(conflict(w, u) for w in host_ports(pod.spec) for u in host_ports(old.spec))


class NodePorts(Plugin):
    """See the module."""

    name = "NodePorts"
    local = True

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {ASSIGNED_POD_DELETE: after_pod_delete, NODE_ADD: lambda pod, old, new: True}

    def concerns(self, spec: PodSpec) -> bool:
        """See `Plugin`."""
        return bool(host_ports(spec))

    def signature(self, pod: Pod) -> Hashable:
        """See `Plugin`."""
        return tuple(host_ports(pod.spec))

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`."""
        return None if fits(host_ports(cycle.pod.spec), info) else REJECTED
