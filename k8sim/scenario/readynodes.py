"""The nodes that are there when a scenario begins: registered and Ready for long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sim.api.core import Node
from k8sim.api.meta import Condition
from k8sim.api.scheme import decode
from k8sim.api.struct import Time, replace
from k8sim.sim.units import SECOND

NODE_CONDITIONS = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
_READY = Condition(reason="KubeletReady", message="kubelet is posting ready status")
OLD = Time(-3600 * SECOND)
"""When the nodes and namespaces that are there at t = 0 were made."""


def ready_node(manifest: Mapping[str, Any]) -> Node:
    """Return the Node of a manifest as it is once its kubelet has registered it and it has become Ready."""
    node = decode(manifest)
    assert isinstance(node, Node)
    conditions = tuple(
        replace(_READY if type_ == "Ready" else Condition(), type=type_, status=status, last_transition_time=OLD)
        for type_, status in NODE_CONDITIONS.items()
    )
    capacity = node.status.capacity
    return replace(
        node,
        metadata=replace(
            node.metadata,
            labels={"kubernetes.io/hostname": node.name, **node.metadata.labels},
            creation_timestamp=OLD,
        ),
        status=replace(node.status, allocatable=node.status.allocatable or capacity, conditions=conditions),
    )
