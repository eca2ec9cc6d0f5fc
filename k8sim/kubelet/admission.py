"""Whether a node takes a pod that is bound to it (pkg/kubelet/lifecycle/predicate.go; node.md 1.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from k8sim.api.core import Node, Pod, Taint, Toleration
from k8sim.api.resources import PODS, amounts, pod_requests
from k8sim.api.selectors import labels_match, node_selector_matches


@dataclass(frozen=True)
class Rejection:
    """Why a pod is not taken: it becomes Failed with this reason."""

    reason: str
    message: str


def admit(pod: Pod, node: Node, others: Iterable[Pod]) -> Rejection | None:
    """Return None if the node takes the pod (the general predicates).

    Parameters
    ----------
    others
        The pods that the kubelet has not terminated yet.
    """
    others = list(others)
    return _fits(pod, node, others) or _right_node(pod, node) or _taints(pod, node)


def _fits(pod: Pod, node: Node, others: list[Pod]) -> Rejection | None:
    allocatable = amounts(node.status.allocatable)
    if PODS in allocatable and len(others) + 1 > allocatable[PODS]:
        return _out_of(PODS, 1, len(others), allocatable[PODS])
    wanted = {name: amount for name, amount in pod_requests(pod).items() if amount > 0}
    if not wanted:
        return None
    used: dict[str, int] = {}
    for other in others:
        for name, amount in pod_requests(other).items():
            used[name] = used.get(name, 0) + amount
    for name, amount in wanted.items():
        free = allocatable.get(name, 0) - used.get(name, 0)
        if amount > free:
            return _out_of(name, amount, used.get(name, 0), allocatable.get(name, 0))
    return None


def _out_of(name: str, requested: int, used: int, capacity: int) -> Rejection:
    message = f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
    return Rejection(f"OutOf{name}", message)


def _right_node(pod: Pod, node: Node) -> Rejection | None:
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    if labels_match(pod.spec.node_selector, node.metadata.labels) and node_selector_matches(required, node):
        return None
    return Rejection("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")


def tolerates(pod: Pod, key: str, effect: str = "NoSchedule") -> bool:
    """Tell whether a pod tolerates a taint without a value."""
    return any(_tolerates(t, Taint(key=key, effect=effect)) for t in pod.spec.tolerations)


def _taints(pod: Pod, node: Node) -> Rejection | None:
    """Only NoExecute counts here."""
    for taint in node.spec.taints:
        if taint.effect == "NoExecute" and not any(_tolerates(t, taint) for t in pod.spec.tolerations):
            return Rejection("TaintToleration", "Predicate TaintToleration failed: node(s) had untolerated taints")
    return None


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect not in ("", taint.effect) or toleration.key not in ("", taint.key):
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.key == taint.key and toleration.value == taint.value
