"""Faults of machines and of their connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from k8sim.api.core import Node
from k8sim.api.meta import condition_of
from k8sim.apiserver.errors import ApiError
from k8sim.faults.fault import Fault, FaultFailed, World, argument
from k8sim.sim.units import MINUTE, SECOND

ZONE_LABEL = "topology.kubernetes.io/zone"
NOTICE = 2 * MINUTE
"""How long before a spot machine is taken away its notice comes (AWS; Azure and Google give 30 s)."""
MONITOR_PERIOD = 5 * SECOND
"""How often the cloud's node lifecycle controller looks at nodes that are not Ready."""


@dataclass(frozen=True, kw_only=True)
class NodeCrash(Fault):
    """Power loss: kubelet and containers are gone at once; after `for` the machine boots, with no containers."""

    name: ClassVar[str] = "node-crash"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        machine = world.machine(self.node)
        world.hold("power", self.node, machine.crash, machine.boot_up, self.for_ns)


@dataclass(frozen=True, kw_only=True)
class NodePartition(Fault):
    """The kubelet cannot reach the API server; its containers go on."""

    name: ClassVar[str] = "node-partition"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        machine = world.machine(self.node)
        world.hold("link", self.node, machine.partition, machine.heal, self.for_ns)


@dataclass(frozen=True, kw_only=True)
class KubeletRestart(Fault):
    """The kubelet restarts; its containers go on."""

    name: ClassVar[str] = "kubelet-restart"

    node: str = argument("node", "the machine")

    def begin(self, world: World) -> None:
        world.machine(self.node).restart_kubelet()


def machines_of_zone(world: World, zone: str) -> list[str]:
    """Return the names of the nodes of a zone."""
    names = [n.name for n in world.server.list(Node) if n.metadata.labels.get(ZONE_LABEL) == zone]
    names = [name for name in names if name in world.machines]
    if not names:
        raise FaultFailed(f'no node is in zone "{zone}"')
    return names


@dataclass(frozen=True, kw_only=True)
class ZoneOutage(Fault):
    """Power loss of all machines of a zone; after `for` they boot, with no containers."""

    name: ClassVar[str] = "zone-outage"

    zone: str = argument("zone", "value of the nodes' label topology.kubernetes.io/zone")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        for node in machines_of_zone(world, self.zone):
            NodeCrash(node=node, for_ns=self.for_ns).begin(world)


@dataclass(frozen=True, kw_only=True)
class ZonePartition(Fault):
    """No kubelet of a zone can reach the API server; containers go on."""

    name: ClassVar[str] = "zone-partition"

    zone: str = argument("zone", "value of the nodes' label topology.kubernetes.io/zone")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        for node in machines_of_zone(world, self.zone):
            NodePartition(node=node, for_ns=self.for_ns).begin(world)


@dataclass(frozen=True, kw_only=True)
class SpotReclaim(Fault):
    """The cloud takes a machine away for ever, `notice` after it said so, and deletes its Node once it is not Ready.

    What somebody does in between (cordon, drain) are steps of the timeline. Source of the deletion:
    staging/src/k8s.io/cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go; workloads.md 4.7.
    """

    name: ClassVar[str] = "spot-reclaim"

    node: str = argument("node", "the machine")
    notice_ns: int = argument(
        "duration", "from the notice to the loss of power; absent: 2m", required=False, default=NOTICE, name="notice"
    )

    def begin(self, world: World) -> None:
        world.machine(self.node)
        world.later(self.notice_ns, self.node, NodeCrash(node=self.node).begin, world)
        phase = int(world.sim.streams.uniform(self.node, "cloudNodeMonitorPhase") * MONITOR_PERIOD)
        world.later(self.notice_ns + phase, self.node, _delete_node_when_not_ready, world, self.node)


def _delete_node_when_not_ready(world: World, name: str) -> None:
    node = world.server.find(Node, "", name)
    if node is None:
        return
    ready = condition_of(node.status.conditions, "Ready")
    if ready is not None and ready.status == "True":
        world.later(MONITOR_PERIOD, name, _delete_node_when_not_ready, world, name)
        return
    try:
        world.server.delete(Node, "", name, actor="cloud-node-lifecycle-controller")
    except ApiError:
        world.later(MONITOR_PERIOD, name, _delete_node_when_not_ready, world, name)
