"""NodeResourcesFit and NodeResourcesBalancedAllocation: room for what a pod requests (plugins/noderesources)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from k8sim.api.core import Node, Pod
from k8sim.api.resources import CPU, MEMORY, PODS, Amounts, amounts, pod_non_zero_requests, pod_requests
from k8sim.scheduler.framework import (
    ASSIGNED_POD_DELETE,
    MAX_NODE_SCORE,
    NODE_ADD,
    NODE_ALLOCATABLE,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Status,
    always,
)
from k8sim.scheduler.nodes import NodeInfo


def insufficient(requests: Amounts, info: NodeInfo) -> list[str]:
    """Return the resources that are short on a node (noderesources.fitsRequest).

    Each pod needs a place; a resource of which it requests nothing is never short.
    """
    short = [PODS] if len(info.pods) + 1 > info.allocatable.get(PODS, 0) else []
    allocatable, requested = info.allocatable, info.requested
    for name, amount in requests.items():
        if amount > 0 and amount > allocatable.get(name, 0) - requested.get(name, 0):
            short.append(name)
    return short


def shortage(short: Sequence[str], requests: Amounts, info: NodeInfo) -> Status:
    """Say what is short; if the whole node has less than the pod requests, preemption does not help."""
    hopeless = any(name != PODS and requests[name] > info.allocatable.get(name, 0) for name in short)
    reasons = tuple("Too many pods" if name == PODS else f"Insufficient {name}" for name in short)
    return Status(Code.UNRESOLVABLE if hopeless else Code.UNSCHEDULABLE, reasons, NodeResourcesFit.name)


def least_allocated(used: Sequence[int], allocatable: Sequence[int]) -> int:
    """Score what is left of cpu and memory, in hundredths of the node (leastResourceScorer)."""
    score = weights = 0
    for use, whole in zip(used, allocatable, strict=True):
        if whole > 0:
            score += (whole - use) * MAX_NODE_SCORE // whole if use <= whole else 0
            weights += 1
    return score // weights if weights else 0


def balanced_allocation(before: Sequence[int], after: Sequence[int], allocatable: Sequence[int]) -> int:
    """Score how much the pod evens out the use of cpu and memory (balancedResourceScorer)."""
    half = MAX_NODE_SCORE // 2
    change = half + balance(after, allocatable) - balance(before, allocatable)
    return half + (change // 2 if change >= 0 else -(-change // 2))  # Go divides towards zero


def balance(used: Sequence[int], allocatable: Sequence[int]) -> int:
    """Return 100 for equal fractions of cpu and memory in use, less the further they are apart."""
    fractions = [min(use / whole, 1.0) for use, whole in zip(used, allocatable, strict=True) if whole > 0]
    deviation = abs((fractions[0] - fractions[1]) / 2) if len(fractions) == 2 else 0.0
    return int((1 - deviation) * MAX_NODE_SCORE)


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
    """See the module; scores by LeastAllocated."""

    name = "NodeResourcesFit"
    weight = 1
    local = True

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`; any pod that goes may have made room."""
        return {ASSIGNED_POD_DELETE: always, NODE_ADD: after_node_change, NODE_ALLOCATABLE: after_node_change}

    def signature(self, pod: Pod) -> Hashable:
        """See `Plugin`."""
        return (tuple(pod_requests(pod).items()), tuple(pod_non_zero_requests(pod).items()))

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`."""
        short = insufficient(cycle.requests, info)
        return shortage(short, cycle.requests, info) if short else None

    def score_node(self, cycle: Cycle, info: NodeInfo) -> int:
        """See `Plugin`."""
        guess, whole = cycle.non_zero_requests, info.allocatable
        used = (info.non_zero_cpu + guess.get(CPU, 0), info.non_zero_memory + guess.get(MEMORY, 0))
        return least_allocated(used, (whole.get(CPU, 0), whole.get(MEMORY, 0)))


class NodeResourcesBalancedAllocation(Plugin):
    """See the module."""

    name = "NodeResourcesBalancedAllocation"
    weight = 1
    local = True

    def score_node(self, cycle: Cycle, info: NodeInfo) -> int:
        """See `Plugin`; a pod that requests neither cpu nor memory is not scored. `NodeResourcesFit` signs for both."""
        requests = cycle.requests
        cpu, memory = requests.get(CPU, 0), requests.get(MEMORY, 0)
        if not cpu and not memory:
            return 0
        before = (info.requested.get(CPU, 0), info.requested.get(MEMORY, 0))
        whole = (info.allocatable.get(CPU, 0), info.allocatable.get(MEMORY, 0))
        return balanced_allocation(before, (before[0] + cpu, before[1] + memory), whole)
