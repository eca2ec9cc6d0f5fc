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
    wanted = {name: amount for name, amount in pod_requests(pod).items() if amount > 0}
    if PODS in allocatable:
        wanted = {PODS: 1, **wanted}
    used = {name: sum([requests[name] for requests in others if name in requests]) for name in wanted}
    if PODS in used:
        used[PODS] += len(others)
    short = {n: a - (allocatable.get(n, 0) - used[n]) for n, a in wanted.items()}
    lacking = {name: amount for name, amount in short.items() if amount > 0}
    if not lacking:
        return None
    first = next(iter(lacking))
    message = (
        f"Node didn't have enough resource: {first}, requested: {wanted[first]}, used: {used[first]}, "
        f"capacity: {allocatable.get(first, 0)}"
    )
    return Rejection(f"OutOf{first}", message, lacking)


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
