"""The node table: one column per property, one slot per node, kept up to date one change at a time.

A pod that comes or goes changes a few numbers of one slot; a node that changes is judged anew by the columns that hang on
node objects. So a scheduling cycle costs array operations and nothing that grows with the number of pods.

Source: pkg/scheduler/framework/types.go (NodeInfo), pkg/scheduler/backend/cache/{snapshot,node_tree}.go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from k8sim.api.core import Node, Pod
from k8sim.api.resources import (
    CPU,
    EPHEMERAL_STORAGE,
    MEMORY,
    PODS,
    Amounts,
    amounts,
    pod_non_zero_requests,
    pod_requests,
)
from k8sim.scheduler.framework import Codes, Slots, Status, Verdicts

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"

_FIRST_RESOURCES: Final = (CPU, MEMORY, PODS, EPHEMERAL_STORAGE)
_MOST_COLUMNS: Final = 256


class NodeInfo:
    """What the scheduler knows of one node. ``node`` is None while pods are left of a node that is gone."""

    __slots__ = ("name", "node", "pods", "slot")

    def __init__(self, name: str, slot: int) -> None:
        self.name = name
        self.slot = slot
        self.node: Node | None = None
        self.pods: dict[str, Pod] = {}


class NodeColumn:
    """An integer per slot that depends on the node object alone."""

    def __init__(self, function: Callable[[Node], int], size: int) -> None:
        self.function = function
        self.values: Codes = np.zeros(size, dtype=np.int64)

    def update(self, slot: int, node: Node) -> None:
        """Compute the value of a node anew."""
        self.values[slot] = self.function(node)

    def resize(self, size: int) -> None:
        """Make room for more slots."""
        self.values = _grown(self.values, size)


class Topology(NodeColumn):
    """The value of a label as a number per slot: 0 for nodes without it, domains count from 1."""

    def __init__(self, key: str, size: int) -> None:
        super().__init__(self._code, size)
        self.key = key
        self.codes: dict[str, int] = {}

    def _code(self, node: Node) -> int:
        value = node.metadata.labels.get(self.key)
        return 0 if value is None else self.codes.setdefault(value, len(self.codes) + 1)

    def sums(self, counts: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
        """Add up counts per slot over each domain; the result is indexed by the codes."""
        return np.bincount(self.values[:size], counts[:size], len(self.codes) + 1).astype(np.int64)


class PodCounter:
    """How many pods of a kind are on each node; ``weigh`` says for how much a pod counts (0: not at all)."""

    def __init__(self, weigh: Callable[[Pod], int], size: int) -> None:
        self.weigh = weigh
        self.counts: npt.NDArray[np.int64] = np.zeros(size, dtype=np.int64)

    def resize(self, size: int) -> None:
        """Make room for more slots."""
        self.counts = _grown(self.counts, size)


class NodeTable:
    """All nodes with the pods on them, assumed ones included."""

    def __init__(self) -> None:
        self.size = 0
        """How many slots have ever been in use."""
        self.infos: list[NodeInfo] = []
        self.by_name: dict[str, NodeInfo] = {}
        self.resources: dict[str, int] = {name: i for i, name in enumerate(_FIRST_RESOURCES)}
        self.allocatable: npt.NDArray[np.int64] = np.zeros((len(_FIRST_RESOURCES), 8), dtype=np.int64)
        self.requested: npt.NDArray[np.int64] = np.zeros_like(self.allocatable)
        self.non_zero: npt.NDArray[np.int64] = np.zeros((2, 8), dtype=np.int64)
        self.present: npt.NDArray[np.bool_] = np.zeros(8, dtype=np.bool_)
        self.tree = NodeTree()
        self._free: list[int] = []
        self._columns: dict[Hashable, NodeColumn] = {}
        self._topologies: dict[str, Topology] = {}
        self.counters = Counters(self)

    # ---- reads ----------------------------------------------------------------------------------------------

    def order(self) -> Slots:
        """Return the slots of all nodes, zone by zone in turn."""
        return self.tree.order(self.by_name)

    def node_count(self) -> int:
        """Return how many nodes there are."""
        return self.tree.count

    def column(self, key: Hashable, function: Callable[[Node], int]) -> Codes:
        """Return the column of that key, computing it for all nodes if nobody has asked for it yet."""
        column = self._columns.get(key)
        if column is None:
            column = NodeColumn(function, len(self.present))
            self._adopt(self._columns, key, column)
        return column.values[: self.size]

    def verdicts(self, key: Hashable, judge: Callable[[Node], Status | None]) -> Verdicts:
        """Return what a rule about node objects says of each slot, from a column."""
        column = self._columns.get(key)
        if column is None:
            column = _StatusColumn(judge, len(self.present))
            self._adopt(self._columns, key, column)
        assert isinstance(column, _StatusColumn)
        return Verdicts(column.values[: self.size], column.explain)

    def topology(self, key: str) -> Topology:
        """Return the domains of a label."""
        topology = self._topologies.get(key)
        if topology is None:
            topology = Topology(key, len(self.present))
            self._adopt(self._topologies, key, topology)
        return topology

    def _adopt(self, columns: dict, key: Hashable, column: NodeColumn) -> None:  # type: ignore[type-arg]
        if len(columns) >= _MOST_COLUMNS:
            del columns[next(iter(columns))]
        columns[key] = column
        for info in self.by_name.values():
            if info.node is not None:
                column.update(info.slot, info.node)

    # ---- nodes ----------------------------------------------------------------------------------------------

    def set_node(self, node: Node) -> None:
        """Add a node or a new version of it."""
        info = self._info(node.name)
        old, info.node = info.node, node
        self.present[info.slot] = True
        self.tree.update(old, node)
        if old is None or old.status.allocatable is not node.status.allocatable:
            self.allocatable[:, info.slot] = 0
            for name, amount in amounts(node.status.allocatable).items():
                self.allocatable[self._row(name), info.slot] = amount
        for column in (*self._columns.values(), *self._topologies.values()):
            column.update(info.slot, node)

    def remove_node(self, name: str) -> None:
        """Forget a node; what pods it had stay until they are removed."""
        info = self.by_name[name]
        if info.node is not None:
            self.tree.remove(info.node)
        info.node = None
        self.present[info.slot] = False
        self._release(info)

    def _info(self, name: str) -> NodeInfo:
        info = self.by_name.get(name)
        if info is None:
            slot = self._free.pop() if self._free else self.size
            info = self.by_name[name] = NodeInfo(name, slot)
            if slot == self.size:
                if slot == len(self.present):
                    self._resize(2 * slot)
                self.infos.append(info)
                self.size += 1
            else:
                self.infos[slot] = info
        return info

    def _release(self, info: NodeInfo) -> None:
        """Let the slot be used again once neither the node nor a pod of it is left."""
        if info.node is None and not info.pods:
            del self.by_name[info.name]
            self._free.append(info.slot)

    def _resize(self, size: int) -> None:
        self.allocatable = _grown(self.allocatable, size)
        self.requested = _grown(self.requested, size)
        self.non_zero = _grown(self.non_zero, size)
        self.present = _grown(self.present, size)
        for column in (*self._columns.values(), *self._topologies.values()):
            column.resize(size)
        self.counters.resize(size)

    def _row(self, resource: str) -> int:
        row = self.resources.get(resource)
        if row is None:
            row = self.resources[resource] = len(self.resources)
            more = np.zeros((1, self.allocatable.shape[1]), dtype=np.int64)
            self.allocatable = np.concatenate([self.allocatable, more])
            self.requested = np.concatenate([self.requested, more])
        return row

    # ---- pods -----------------------------------------------------------------------------------------------

    def add_pod(self, pod: Pod, node: str) -> None:
        """Count a pod on a node."""
        info = self._info(node)
        info.pods[pod.uid] = pod
        self._account(pod, info.slot, 1)

    def remove_pod(self, pod: Pod, node: str) -> None:
        """Take a pod off a node; ``pod`` is the version that was added."""
        info = self.by_name[node]
        del info.pods[pod.uid]
        self._account(pod, info.slot, -1)
        self._release(info)

    def replace_pod(self, old: Pod, new: Pod, node: str) -> None:
        """Put a new version of a pod in the place of the old one."""
        info = self.by_name[node]
        info.pods[new.uid] = new
        if not _counts_alike(old, new):
            self._account(old, info.slot, -1)
            self._account(new, info.slot, 1)

    def _account(self, pod: Pod, slot: int, sign: int) -> None:
        requested = self.requested
        for name, amount in pod_requests(pod).items():
            row = self.resources.get(name)
            if row is None:
                row = self._row(name)
                requested = self.requested
            requested[row, slot] += sign * amount
        requested[2, slot] += sign
        guess: Amounts = pod_non_zero_requests(pod)
        self.non_zero[0, slot] += sign * guess.get(CPU, 0)
        self.non_zero[1, slot] += sign * guess.get(MEMORY, 0)
        self.counters.account(pod, slot, sign)


class _StatusColumn(NodeColumn):
    """A column of codes, each of which stands for a status."""

    def __init__(self, judge: Callable[[Node], Status | None], size: int) -> None:
        super().__init__(self._code, size)
        self._judge = judge
        self._codes: dict[Status, int] = {}
        self._statuses: list[Status] = []

    def _code(self, node: Node) -> int:
        status = self._judge(node)
        if status is None:
            return 0
        code = self._codes.get(status)
        if code is None:
            self._statuses.append(status)
            code = self._codes[status] = len(self._statuses)
        return code

    def explain(self, code: int, slot: int) -> Status:
        """Return the status behind a code."""
        return self._statuses[code - 1]


class NodeTree:
    """Nodes by zone: listed in turn, one of each zone, zones in the order of their first node (node_tree.go)."""

    def __init__(self) -> None:
        self._zones: dict[tuple[str, str], dict[str, None]] = {}
        self._order: Slots | None = None
        self.count = 0

    def update(self, old: Node | None, new: Node) -> None:
        """Add a node, or move it if its zone has changed."""
        zone = _zone_of(new)
        if old is not None:
            if _zone_of(old) == zone:
                return
            self.remove(old)
        self._zones.setdefault(zone, {})[new.name] = None
        self.count += 1
        self._order = None

    def remove(self, node: Node) -> None:
        """Take a node out."""
        zone = _zone_of(node)
        del self._zones[zone][node.name]
        if not self._zones[zone]:
            del self._zones[zone]
        self.count -= 1
        self._order = None

    def order(self, by_name: dict[str, NodeInfo]) -> Slots:
        """Return the slots in order."""
        if self._order is None:
            self._order = np.array([by_name[name].slot for name in self._names()], dtype=np.intp)
        return self._order

    def _names(self) -> Iterator[str]:
        iterators: list[Iterator[str]] = [iter(zone) for zone in self._zones.values()]
        while iterators:
            rest = []
            for iterator in iterators:
                name = next(iterator, None)
                if name is not None:
                    yield name
                    rest.append(iterator)
            iterators = rest


def _zone_of(node: Node) -> tuple[str, str]:
    return (node.metadata.labels.get(REGION, ""), node.metadata.labels.get(ZONE, ""))


class Counters:
    """Placeholder; see `counters`."""

    def __init__(self, table: NodeTable) -> None:
        self.table = table

    def account(self, pod: Pod, slot: int, sign: int) -> None:
        """."""

    def resize(self, size: int) -> None:
        """."""


def _counts_alike(old: Pod, new: Pod) -> bool:
    """Tell whether a new version of a pod changes no sum; versions share the parts that have not changed."""
    return (
        old.spec.containers is new.spec.containers
        and old.spec.init_containers is new.spec.init_containers
        and old.deleting == new.deleting
        and old.metadata.labels == new.metadata.labels
    )


def _grown(array: npt.NDArray, size: int) -> npt.NDArray:  # type: ignore[type-arg]
    """Return the array with its last axis extended by zeros."""
    wider = np.zeros((*array.shape[:-1], size), dtype=array.dtype)
    wider[..., : array.shape[-1]] = array
    return wider
