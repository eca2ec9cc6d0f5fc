"""Whether a node takes a pod that is bound to it (pkg/kubelet/lifecycle/predicate.go; node.md 1.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from k8sim.api.core import Node, Pod, Taint, Toleration
from k8sim.api.resources import PODS, Amounts, amounts, pod_requests
from k8sim.api.selectors import labels_match, node_selector_matches
from k8sim.kubelet.qos import is_critical


@dataclass(frozen=True)
class Rejection:
    """Why a pod is not taken: it becomes Failed with this reason.

    ``lacking`` says how much of each resource is missing, if that is the only obstacle.
    """

    reason: str
    message: str
    lacking: Mapping[str, int] = field(default_factory=dict)


def admit(pod: Pod, node: Node, others: Sequence[Amounts]) -> Rejection | None:
    """Return None if the node takes the pod (the general predicates).

    Parameters
    ----------
    others
        What the other pods request that the kubelet has not terminated yet, each.
    """
    wrong = _right_node(pod, node) or _taints(pod, node)
    short = _fits(pod, node, others)
    if short is not None and wrong is not None:
        # A critical pod has nothing but the rest against it; others hear of what is short first.
        return wrong if is_critical(pod) else replace(short, lacking={})
    return short or wrong


def _fits(pod: Pod, node: Node, others: Sequence[Amounts]) -> Rejection | None:
    allocatable = amounts(node.status.allocatable)
    wanted = pod_requests(pod)
    if PODS in allocatable:
        wanted = {PODS: 1, **wanted}
    lacking = {}
    reason = message = ""
    for name, amount in wanted.items():
        if amount <= 0:
            continue
        used, capacity = _used(name, others), allocatable.get(name, 0)
        if used + amount > capacity:
            lacking[name] = used + amount - capacity
            if not message:
                reason = f"OutOf{name}"
                message = (
                    f"Node didn't have enough resource: {name}, requested: {amount}, used: {used}, capacity: {capacity}"
                )
    return Rejection(reason, message, lacking) if lacking else None


def _used(name: str, others: Sequence[Amounts]) -> int:
    used = len(others) if name == PODS else 0
    for requests in others:
        used += requests.get(name, 0)
    return used


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
