"""NodeResourcesFit and NodeResourcesBalancedAllocation: room for what a pod requests (plugins/noderesources).

The sums are kept in the node table, so a pod costs a handful of array operations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from k8sim.api.core import Node, Pod
from k8sim.api.resources import CPU, MEMORY, PODS, Amounts, amounts, pod_non_zero_requests, pod_requests
from k8sim.scheduler.framework import (
    ASSIGNED_POD_DELETE,
    MAX_NODE_SCORE,
    NODE_ADD,
    NODE_ALLOCATABLE,
    Code,
    Codes,
    Cycle,
    Event,
    Hint,
    Plugin,
    Scores,
    Slots,
    Status,
    Verdicts,
    always,
)
from k8sim.scheduler.nodes import NodeTable

ROW_CPU, ROW_MEMORY, ROW_PODS = 0, 1, 2


def insufficient(requests: Amounts, table: NodeTable) -> tuple[Codes, tuple[str, ...]]:
    """Find out on which nodes what is short (noderesources.fitsRequest).

    Returns
    -------
    codes, resources
        Per slot a sum of 2**i for each resource i that is short. A resource of which the pod requests nothing is never
        short; a place among the node's pods is always needed.
    """
    names = (PODS, *(name for name, amount in requests.items() if amount > 0 and name != PODS))
    codes: Codes = np.zeros(table.size, dtype=np.int64)
    free = table.allocatable[:, : table.size] - table.requested[:, : table.size]
    for i, name in enumerate(names):
        row = table.resources.get(name)
        if row is None:
            codes += 1 << i
        else:
            codes += (free[row] < (1 if name == PODS else requests[name])) * (1 << i)
    return codes, names


def shortage(code: int, slot: int, names: tuple[str, ...], requests: Amounts, table: NodeTable) -> Status:
    """Return the status behind a code; more than the whole node has cannot be resolved by preemption."""
    reasons, resolvable = [], True
    for i, name in enumerate(names):
        if code >> i & 1:
            reasons.append("Too many pods" if name == PODS else f"Insufficient {name}")
            row = table.resources.get(name)
            whole = 0 if row is None else int(table.allocatable[row, slot])
            if name != PODS and requests[name] > whole:
                resolvable = False
    return Status(Code.UNSCHEDULABLE if resolvable else Code.UNRESOLVABLE, tuple(reasons), "NodeResourcesFit")


def least_allocated(guess: Amounts, table: NodeTable, slots: Slots) -> Scores:
    """Score free cpu and memory after the pod, in hundredths of the node (leastResourceScorer)."""
    total: Scores = np.zeros(len(slots), dtype=np.int64)
    weights: Scores = np.zeros(len(slots), dtype=np.int64)
    for row, name in ((ROW_CPU, CPU), (ROW_MEMORY, MEMORY)):
        allocatable = table.allocatable[row, slots]
        free = np.maximum(allocatable - table.non_zero[row, slots] - guess.get(name, 0), 0)
        total += free * MAX_NODE_SCORE // np.maximum(allocatable, 1)
        weights += allocatable > 0
    return total // np.maximum(weights, 1)


def balanced_allocation(requests: Amounts, table: NodeTable, slots: Slots) -> Scores:
    """Score how much the pod evens out the use of cpu and memory (balancedResourceScorer)."""
    before = _balance({}, table, slots)
    after = _balance(requests, table, slots)
    half = MAX_NODE_SCORE // 2
    change = half + after - before
    return half + np.where(change >= 0, change // 2, -(-change // 2))  # Go divides towards zero


def _balance(requests: Amounts, table: NodeTable, slots: Slots) -> Scores:
    fractions = []
    for row, name in ((ROW_CPU, CPU), (ROW_MEMORY, MEMORY)):
        allocatable = table.allocatable[row, slots]
        used = table.requested[row, slots] + requests.get(name, 0)
        fractions.append(np.where(allocatable > 0, np.minimum(used / np.maximum(allocatable, 1), 1.0), np.nan))
    deviation = np.nan_to_num(np.abs((fractions[0] - fractions[1]) / 2), nan=0.0)
    return ((1 - deviation) * float(MAX_NODE_SCORE)).astype(np.int64)


def could_fit(pod: Pod, node: Node) -> bool:
    """Tell whether the pod would fit if the node were empty (noderesources.isFit)."""
    have = amounts(node.status.allocatable)
    return have.get(PODS, 0) >= 1 and all(have.get(k, 0) >= v for k, v in pod_requests(pod).items() if v > 0)


def after_node_change(pod: Pod, old: Node | None, new: Node) -> bool:
    """Hint: a node that is large enough has appeared or has more of something that the pod requests."""
    if not could_fit(pod, new):
        return False
    if old is None:
        return True
    was, now = amounts(old.status.allocatable), amounts(new.status.allocatable)
    wanted = (PODS, *(k for k, v in pod_requests(pod).items() if v > 0))
    return any(now.get(k, 0) > was.get(k, 0) for k in wanted)


class NodeResourcesFit(Plugin):
    """See the module."""

    name = "NodeResourcesFit"
    weight = 1

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`; any pod that goes may have made room."""
        return {ASSIGNED_POD_DELETE: always, NODE_ADD: after_node_change, NODE_ALLOCATABLE: after_node_change}

    def filter(self, cycle: Cycle) -> Verdicts | None:
        """See `Plugin`."""
        requests, table = pod_requests(cycle.pod), cycle.nodes
        codes, names = insufficient(requests, table)
        return Verdicts(codes, lambda code, slot: shortage(code, slot, names, requests, table))

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        return least_allocated(pod_non_zero_requests(cycle.pod), cycle.nodes, slots)


class NodeResourcesBalancedAllocation(Plugin):
    """See the module."""

    name = "NodeResourcesBalancedAllocation"
    weight = 1

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`; pods that request neither cpu nor memory are skipped."""
        requests = pod_requests(cycle.pod)
        if not requests.get(CPU) and not requests.get(MEMORY):
            return None
        return balanced_allocation(requests, cycle.nodes, slots)
