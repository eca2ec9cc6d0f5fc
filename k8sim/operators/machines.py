"""New machines in the place of old ones."""

from __future__ import annotations

import re
from typing import Final

from k8sim.api.core import Node, NodeSpec, NodeStatus
from k8sim.api.meta import ObjectMeta
from k8sim.faults.fault import World

HOSTNAME: Final = "kubernetes.io/hostname"
_REPLACEMENT: Final = re.compile(r"-r\d+$")
_CONTROLLERS_OWN: Final = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")


def newcomer(world: World, old: Node) -> Node:
    """Return what the kubelet of a new machine will register: like the old node, under a name of its own.

    ``node-1`` is followed by ``node-1-r1``, that by ``node-1-r2``. Labels and the pool's own taints are the old ones.
    """
    base, number = _REPLACEMENT.sub("", old.name), 1
    while f"{base}-r{number}" in world.machines:
        number += 1
    name = f"{base}-r{number}"
    labels = {**old.metadata.labels, HOSTNAME: name}
    taints = tuple(t for t in old.spec.taints if not t.key.startswith(_CONTROLLERS_OWN))
    status = NodeStatus(capacity=old.status.capacity, allocatable=old.status.allocatable)
    return Node(metadata=ObjectMeta(name=name, labels=labels), spec=NodeSpec(taints=taints), status=status)
