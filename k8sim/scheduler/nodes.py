"""The node table: what is known of each node and of what is on it, kept up to date one change at a time.

Each node has a slot, an index into lists: label values (`Topology`), remembered results of rules (`Memo`). So a
scheduling cycle costs a few passes over the nodes that it looks at, and nothing that grows with the number of pods.

Source: pkg/scheduler/framework/types.go (NodeInfo), pkg/scheduler/backend/cache/{snapshot,node_tree}.go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from itertools import zip_longest
from typing import Final, TypeVar

from k8sim.api.core import Node, NodeSelector, Pod
from k8sim.api.pods import claim_names
from k8sim.api.resources import CPU, MEMORY, Amounts, amounts, pod_non_zero_requests, pod_requests
from k8sim.scheduler.counters import PodCounts
from k8sim.scheduler.framework import Screen, Slots, Status, numbers_of

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"

T = TypeVar("T")

_MOST_REMEMBERED: Final = 256
_STALE: Final = 1 << 62
"""A value of a `Memo` that no rule has."""


class NodeInfo:
    """What is known of one node. ``node`` is None while pods are left of a node that is gone."""

    __slots__ = ("allocatable", "name", "node", "non_zero_cpu", "non_zero_memory", "pods", "requested", "slot")

    def __init__(self, name: str, slot: int) -> None:
        self.name = name
        self.slot = slot
        self.node: Node | None = None
        self.allocatable: Amounts = {}
        self.pods: dict[str, Pod] = {}
        self.requested: dict[str, int] = {}
        """Sum of the pods' requests."""
        self.non_zero_cpu = 0
        """The same for the scores: with a default for containers that request nothing."""
        self.non_zero_memory = 0

    def account(self, pod: Pod, sign: int) -> None:
        """Add a pod's requests to the sums, or take them off."""
        requested = self.requested
        for name, amount in pod_requests(pod).items():
            requested[name] = requested.get(name, 0) + sign * amount
        guess = pod_non_zero_requests(pod)
        self.non_zero_cpu += sign * guess.get(CPU, 0)
        self.non_zero_memory += sign * guess.get(MEMORY, 0)


class NodeColumn:
    """An integer per slot that depends on the node object alone; computed anew when the object changes."""

    def __init__(self, function: Callable[[Node], int], size: int) -> None:
        self.function = function
        self.values = [0] * size

    def update(self, slot: int, node: Node) -> None:
        """Compute the value of a node anew."""
        self.values[slot] = self.function(node)

    def clear(self, slot: int) -> None:
        """Forget the value of a node that is gone."""
        self.values[slot] = 0


class Topology:
    """The value of a label as a number per slot: 0 for nodes without it, domains count from 1.

    ``sizes`` tells how many nodes each domain has (0: how many lack the label); empty domains are not listed.
    """

    def __init__(self, key: str, size: int) -> None:
        self.key = key
        self.values = [0] * size
        self.version = 0
        """Changes whenever a node comes to a domain or leaves it."""
        self.codes: dict[str, int] = {}
        self.sizes: dict[int, int] = {}

    def add(self, slot: int, node: Node) -> None:
        """File a node under its domain."""
        value = node.metadata.labels.get(self.key)
        domain = 0 if value is None else self.codes.setdefault(value, len(self.codes) + 1)
        self.version += 1
        self.values[slot] = domain
        self.sizes[domain] = self.sizes.get(domain, 0) + 1

    def clear(self, slot: int) -> None:
        """Take a node out of its domain."""
        domain = self.values[slot]
        self.version += 1
        self.values[slot] = 0
        self.sizes[domain] -= 1
        if not self.sizes[domain]:
            del self.sizes[domain]

    def sums(self, counts: Mapping[int, int]) -> dict[int, int]:
        """Add up counts per slot over each domain; domains where nothing is counted are not listed, nor is "none"."""
        values = self.values
        sums: dict[int, int] = {}
        for slot, count in counts.items():
            domain = values[slot]
            if domain in sums:
                sums[domain] += count
            elif domain:
                sums[domain] = count
        return sums


class Memo:
    """An integer per slot that depends on one node and what is on it; whoever asks for it computes what is stale."""

    def __init__(self, size: int) -> None:
        self.values = [_STALE] * size
        self._generation = 0

    def forget(self, changed: dict[int, int], generation: int) -> None:
        """Forget the values of slots that have changed since the last time; the latest change is the last one."""
        for slot, when in reversed(changed.items()):
            if when <= self._generation:
                break
            self.values[slot] = _STALE
        self._generation = generation

    def stale(self, slots: Slots) -> Slots:
        """Return those of some slots whose values have to be computed."""
        values = self.values
        return [s for s in slots if values[s] == _STALE] if _STALE in numbers_of(slots, values) else []


class NodeTable:
    """All nodes with the pods on them, assumed ones included."""

    def __init__(self) -> None:
        self.infos: list[NodeInfo] = []
        """By slot; slots of nodes that are gone are used again."""
        self.by_name: dict[str, NodeInfo] = {}
        self.generation = 0
        """How many changes there have been of nodes or of what is on them."""
        self._changed: dict[int, int] = {}
        """Slots with the generation of their last change, the latest last."""
        self.prefer_no_schedule = 0
        """How many nodes have a PreferNoSchedule taint."""
        self.claim_users: dict[tuple[str, str], int] = {}
        """How many pods on nodes use each claim."""
        self.priorities: dict[int, int] = {}
        """How many pods on nodes have each priority."""
        self.pods = PodCounts(self.by_name)
        """Which pods are where."""
        self.images: dict[str, dict[int, int]] = {}
        """For each image its size on each slot that has it."""
        self.tree = NodeTree()
        self._free: list[int] = []
        self._columns: dict[Hashable, NodeColumn] = {}
        self._topologies: dict[str, Topology] = {}
        self._memos: dict[Hashable, Memo] = {}

    # ---- reads ----------------------------------------------------------------------------------------------

    def order(self) -> Slots:
        """Return the slots of all nodes, zone by zone in turn."""
        return self.tree.order(self.by_name)

    def column(self, key: Hashable, function: Callable[[Node], int]) -> list[int]:
        """Return what a function says of each node object; equal keys must stand for equal functions."""
        column = self._columns.get(key)
        if column is None:
            column = NodeColumn(function, len(self.infos))
            _remember(self._columns, key, column)
            for info in self.by_name.values():
                if info.node is not None:
                    column.update(info.slot, info.node)
        return column.values

    def topology(self, key: str) -> Topology:
        """Return the domains of a label."""
        topology = self._topologies.get(key)
        if topology is None:
            topology = self._topologies[key] = Topology(key, len(self.infos))
            for info in self.by_name.values():
                if info.node is not None:
                    topology.add(info.slot, info.node)
        return topology

    def all_rejected(self, status: Status) -> Screen:
        """Return a screen that no node passes."""
        return Screen([0] * len(self.infos), {0: status})

    def has_pods_below(self, priority: int) -> bool:
        """Tell whether any pod on a node has a lower priority."""
        return any(count and p < priority for p, count in self.priorities.items())

    def named(self, hosts: Collection[str]) -> list[NodeInfo]:
        """Return the nodes that have one of the names, as their own or as their host's."""
        topology = self.topology(HOSTNAME)
        slots: dict[int, None] = {}
        for host in hosts:
            code = topology.codes.get(host)
            if code is not None:
                slots.update(dict.fromkeys(slot for slot, value in enumerate(topology.values) if value == code))
            info = self.by_name.get(host)
            if info is not None and info.node is not None:
                slots[info.slot] = None
        return [self.infos[slot] for slot in slots]

    def memo(self, key: Hashable) -> Memo:
        """Return what is remembered by rules of a key, without what has changed."""
        memo = self._memos.get(key)
        if memo is None:
            memo = Memo(len(self.infos))
            _remember(self._memos, key, memo)
        memo.forget(self._changed, self.generation)
        return memo

    # ---- nodes ----------------------------------------------------------------------------------------------

    def set_node(self, node: Node) -> None:
        """Add a node or a new version of it."""
        info = self._info(node.metadata.name)
        old, info.node = info.node, node
        if old is not None and _is_alike(old, node):
            return
        self._touch(info.slot)
        self.tree.update(old, node)
        self.prefer_no_schedule += _prefers_none(node) - (old is not None and _prefers_none(old))
        if old is None or old.status.allocatable is not node.status.allocatable:
            info.allocatable = amounts(node.status.allocatable)
        if (old is None and node.status.images) or (old is not None and old.status.images is not node.status.images):
            self._set_images(info.slot, old, node)
        for column in self._columns.values():
            column.update(info.slot, node)
        if old is None or old.metadata.labels is not node.metadata.labels:
            for topology in self._topologies.values():
                if old is not None:
                    topology.clear(info.slot)
                topology.add(info.slot, node)

    def remove_node(self, name: str) -> None:
        """Forget a node; what pods it had stay until they are removed."""
        info = self.by_name[name]
        if info.node is not None:
            self.tree.remove(info.node)
            self.prefer_no_schedule -= _prefers_none(info.node)
            for column in self._columns.values():
                column.clear(info.slot)
            for topology in self._topologies.values():
                topology.clear(info.slot)
        self._set_images(info.slot, info.node, None)
        info.node = None
        info.allocatable = {}
        self._touch(info.slot)
        self._release(info)

    def _set_images(self, slot: int, old: Node | None, new: Node | None) -> None:
        for image in old.status.images if old is not None else ():
            for name in image.names:
                sizes = self.images.get(name, {})
                sizes.pop(slot, None)
                if not sizes:
                    self.images.pop(name, None)
        for image in new.status.images if new is not None else ():
            for name in image.names:
                self.images.setdefault(name, {})[slot] = image.size_bytes

    def _info(self, name: str) -> NodeInfo:
        info = self.by_name.get(name)
        if info is not None:
            return info
        if self._free:
            slot = self._free.pop()
            info = self.infos[slot] = NodeInfo(name, slot)
        else:
            slot = len(self.infos)
            info = NodeInfo(name, slot)
            self.infos.append(info)
            self._grow()
        self.by_name[name] = info
        return info

    def _touch(self, slot: int) -> None:
        """Note that a node or what is on it has changed."""
        self.generation += 1
        self._changed.pop(slot, None)
        self._changed[slot] = self.generation

    def _release(self, info: NodeInfo) -> None:
        """Let the slot be used again once neither the node nor a pod of it is left."""
        if info.node is None and not info.pods:
            del self.by_name[info.name]
            self._free.append(info.slot)

    def _grow(self) -> None:
        """Make room for one more slot."""
        for column in self._columns.values():
            column.values.append(0)
        for topology in self._topologies.values():
            topology.values.append(0)
        for memo in self._memos.values():
            memo.values.append(_STALE)

    # ---- pods -----------------------------------------------------------------------------------------------

    def add_pod(self, pod: Pod, node: str) -> None:
        """Count a pod on a node."""
        info = self._info(node)
        info.pods[pod.metadata.uid] = pod
        self._account(pod, info, 1)

    def remove_pod(self, uid: str, node: str) -> None:
        """Take a pod off a node."""
        info = self.by_name[node]
        self._account(info.pods.pop(uid), info, -1)
        self._release(info)

    def replace_pod(self, new: Pod, node: str) -> None:
        """Put a new version of a pod in the place of the one that is there."""
        info = self.by_name[node]
        uid = new.metadata.uid
        old = info.pods[uid]
        info.pods[uid] = new
        if not _counts_alike(old, new):
            self._account(old, info, -1)
            self._account(new, info, 1)
        elif new.metadata.deletion_timestamp is not None and old.metadata.deletion_timestamp is None:
            self.pods.account_end(old, new, info.slot)

    def _account(self, pod: Pod, info: NodeInfo, sign: int) -> None:
        info.account(pod, sign)
        self._touch(info.slot)
        self.pods.account(pod, info.slot, sign)
        priority = pod.spec.priority or 0
        self.priorities[priority] = self.priorities.get(priority, 0) + sign
        if pod.spec.volumes:
            for name in claim_names(pod):
                key = (pod.namespace, name)
                self.claim_users[key] = self.claim_users.get(key, 0) + sign
                if not self.claim_users[key]:
                    del self.claim_users[key]


class NodeTree:
    """Nodes by zone: listed in turn, one of each zone, zones in the order of their first node (node_tree.go)."""

    def __init__(self) -> None:
        self._zones: dict[tuple[str, str], dict[str, None]] = {}
        self._order: Slots | None = None

    def update(self, old: Node | None, new: Node) -> None:
        """Add a node, or move it if its zone has changed."""
        zone = _zone_of(new)
        if old is not None:
            if _zone_of(old) == zone:
                return
            self.remove(old)
        self._zones.setdefault(zone, {})[new.metadata.name] = None
        self._order = None

    def remove(self, node: Node) -> None:
        """Take a node out."""
        zone = _zone_of(node)
        del self._zones[zone][node.name]
        if not self._zones[zone]:
            del self._zones[zone]
        self._order = None

    def order(self, by_name: dict[str, NodeInfo]) -> Slots:
        """Return the slots in order."""
        if self._order is None:
            turns = zip_longest(*self._zones.values())
            self._order = [by_name[name].slot for turn in turns for name in turn if name is not None]
        return self._order


def named_hosts(selector: NodeSelector | None) -> list[str] | None:
    """Return the hosts that a selector names one by one, as those of local volumes do; None if it selects otherwise."""
    if selector is None:
        return None
    hosts: dict[str, None] = {}
    for term in selector.node_selector_terms:
        names = next((e.values for e in term.match_expressions if e.key == HOSTNAME and e.operator == "In"), None)
        if names is None:
            names = next((e.values for e in term.match_fields if e.operator == "In"), None)
        if names is None:
            return None
        hosts.update(dict.fromkeys(names))
    return list(hosts)


def _zone_of(node: Node) -> tuple[str, str]:
    return (node.metadata.labels.get(REGION, ""), node.metadata.labels.get(ZONE, ""))


def _is_alike(old: Node, new: Node) -> bool:
    """Tell whether two versions of a node share all that rules look at: what a write does not change is one object."""
    return (
        old.spec is new.spec
        and old.metadata.labels is new.metadata.labels
        and old.status.allocatable is new.status.allocatable
        and old.status.images is new.status.images
    )


def _prefers_none(node: Node) -> bool:
    return bool(node.spec.taints) and any(t.effect == "PreferNoSchedule" for t in node.spec.taints)


def _counts_alike(old: Pod, new: Pod) -> bool:
    """Tell whether a new version of a pod changes no sum, unless it begins to terminate.

    Versions share the parts that have not changed.
    """
    return (
        old.spec.containers is new.spec.containers
        and old.spec.init_containers is new.spec.init_containers
        and old.metadata.labels == new.metadata.labels
    )


def _remember(known: dict[Hashable, T], key: Hashable, value: T) -> None:
    if len(known) >= _MOST_REMEMBERED:
        del known[next(iter(known))]
    known[key] = value
