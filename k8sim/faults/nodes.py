"""Faults of machines and of their connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from k8sim.api.core import Node
from k8sim.api.meta import condition_of
from k8sim.apiserver.errors import ApiError
from k8sim.faults.fault import Fault, FaultFailed, World, argument
from k8sim.sim.units import MINUTE, SECOND

if TYPE_CHECKING:
    from k8sim.machines.machine import Machine

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
class NodeShutdown(Fault):
    """The machine is shut down in order, which its kubelet may hold up; `for` after the loss of power it boots.

    Caches are written back. Containers just end, unless the kubelets' `shutdownGracePeriod` is set (node.md 4.10).
    """

    name: ClassVar[str] = "node-shutdown"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long it is off; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        world.machine(self.node).shut_down(world.because(self._power_off, world))

    def _power_off(self, world: World) -> None:
        if world.storage is not None:
            world.storage.sync_node(self.node)
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
    """The kubelet ends, and a new process starts after `for`; its containers go on."""

    name: ClassVar[str] = "kubelet-restart"
    transient: ClassVar[bool] = True

    node: str = argument("node", "the machine")
    for_ns: int = argument("duration", "how long there is none; absent: 0s", required=False, default=0, name="for")

    def begin(self, world: World) -> None:
        world.machine(self.node).restart_kubelet(self.for_ns)


@dataclass(frozen=True, kw_only=True)
class RuntimeOutage(Fault):
    """The machine's container runtime does not answer; containers go on, none is started or stopped.

    After 30 s the kubelet says that its node is not ready (node.md 0.2, 5.3).
    """

    name: ClassVar[str] = "runtime-outage"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        machine = world.machine(self.node)
        world.hold("runtime", self.node, machine.stop_runtime, machine.start_runtime, self.for_ns)


@dataclass(frozen=True, kw_only=True)
class NetworkPluginOutage(Fault):
    """The machine's network plug-in (CNI) does not work: pods keep the network they have, none gets or loses one.

    With its next check of the runtime the kubelet says that its node is not ready (node.md 1.4, 6.4.10).
    """

    name: ClassVar[str] = "network-plugin-outage"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        plugin = world.machine(self.node).set_network_plugin
        world.hold("network plug-in", self.node, partial(plugin, False), partial(plugin, True), self.for_ns)


@dataclass(frozen=True, kw_only=True)
class StaticPodChange(Fault):
    """The manifest of a static pod on the machine names another image, as after an upgrade, or is taken away.

    Its kubelet ends the pod, and starts the new one when the old one has ended (node.md 1.2).
    """

    name: ClassVar[str] = "static-pod-change"
    transient: ClassVar[bool] = True

    node: str = argument("node", "the machine")
    manifest: str | None = argument("name", "the pod's name in its manifest; absent: every one", required=False)
    image: str | None = argument("name", "the new image; absent: the manifest is taken away", required=False)

    def begin(self, world: World) -> None:
        agent = world.machine(self.node).agent
        if agent is None or not agent.manifest_changed(self.manifest, self.image):
            raise FaultFailed(f"there is no manifest of {self.manifest or 'a static pod'} on {self.node}")


@dataclass(frozen=True, kw_only=True)
class NodeSlow(Fault):
    """Whatever the machine's container runtime does takes `factor` times as long."""

    name: ClassVar[str] = "node-slow"

    node: str = argument("node", "the machine")
    factor: float = argument("factor", "how many times as long; absent: 10", required=False, default=10.0)
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        machine = world.machine(self.node)
        machine.slowdown *= self.factor
        world.later(self.for_ns, self.node, _faster, machine, self.factor)


def _faster(machine: Machine, factor: float) -> None:
    machine.slowdown /= factor


class _Pressure(Fault):
    """A machine runs short of something."""

    signal: ClassVar[str]
    node: str
    for_ns: int | None
    evictions: int | None
    available: int | None = None

    def begin(self, world: World) -> None:
        until = None if self.for_ns is None else world.sim.clock.now + self.for_ns
        row = world.sim.trace.fault
        world.machine(self.node).set_pressure(self.signal, until, self.evictions, row, self.available)


@dataclass(frozen=True, kw_only=True)
class MemoryPressure(_Pressure):
    """Memory is short: the kubelet says so, takes no BestEffort pods, evicts one pod after the other (node.md 4.7)."""

    name: ClassVar[str] = "memory-pressure"
    signal: ClassVar[str] = "memory"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")
    evictions: int | None = argument("count", "evictions that relieve it; absent: none do", required=False)
    available: int | None = argument("amount", "memory that is left; absent: too little by far", required=False)


@dataclass(frozen=True, kw_only=True)
class DiskPressure(_Pressure):
    """The node's file system is nearly full: the kubelet says so, takes no pods and evicts one after the other."""

    name: ClassVar[str] = "disk-pressure"
    signal: ClassVar[str] = "nodefs"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")
    evictions: int | None = argument("count", "evictions that relieve it; absent: none do", required=False)


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


def _cut_off(world: World, cut: str, nodes: Sequence[str], for_ns: int | None) -> None:
    """Cut machines off from everything but each other."""
    for node in nodes:
        NodePartition(node=node, for_ns=for_ns).begin(world)
    cuts, trace = world.machines.cuts, world.sim.trace
    begin, end = (lambda: cuts.begin(cut, nodes, trace.fault)), (lambda: cuts.end(cut, trace.fault))
    world.hold("cut", cut, begin, end, for_ns)


@dataclass(frozen=True, kw_only=True)
class NodeIsolation(Fault):
    """The machine is cut off from the API server, all other machines and all clients; its containers go on."""

    name: ClassVar[str] = "node-isolation"

    node: str = argument("node", "the machine")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        world.machine(self.node)
        _cut_off(world, f"node {self.node}", [self.node], self.for_ns)


@dataclass(frozen=True, kw_only=True)
class ZoneIsolation(Fault):
    """A zone is cut off from everything outside it; its machines reach each other, and its containers go on."""

    name: ClassVar[str] = "zone-isolation"

    zone: str = argument("zone", "value of the nodes' label topology.kubernetes.io/zone")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        _cut_off(world, f"zone {self.zone}", machines_of_zone(world, self.zone), self.for_ns)


@dataclass(frozen=True, kw_only=True)
class SpotReclaim(Fault):
    """The cloud takes a machine away for ever, `notice` after it said so, and deletes its Node once it is not Ready.

    What is done in between (cordon, drain) is up to `operators.terminationHandler`, or to the timeline. Source of the
    deletion: staging/src/k8s.io/cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go;
    workloads.md 4.7.
    """

    name: ClassVar[str] = "spot-reclaim"

    node: str = argument("node", "the machine")
    notice_ns: int = argument(
        "duration", "from the notice to the loss of power; absent: 2m", required=False, default=NOTICE, name="notice"
    )

    def begin(self, world: World) -> None:
        world.machine(self.node)
        world.give_notice(self.node, self.notice_ns)
        world.later(self.notice_ns, self.node, self._take, world)
        phase = int(world.sim.streams.uniform(self.node, "cloudNodeMonitorPhase") * MONITOR_PERIOD)
        world.later(self.notice_ns + phase, self.node, _delete_node_when_not_ready, world, self.node)

    def _take(self, world: World) -> None:
        NodeCrash(node=self.node).begin(world)
        if world.storage is not None:
            world.storage.machine_gone(self.node)


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
