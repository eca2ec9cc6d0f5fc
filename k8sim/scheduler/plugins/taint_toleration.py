"""TaintToleration: taints keep pods off, PreferNoSchedule lowers the score (plugins/tainttoleration)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Final

import msgspec

from k8sim.api.core import Node, Pod, Taint, Toleration
from k8sim.scheduler.framework import (
    NODE_ADD,
    NODE_TAINT,
    POD_TOLERATION,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Scores,
    Slots,
    Status,
    normalize,
)
from k8sim.scheduler.nodes import NodeInfo

REJECTED: Final = Status(Code.UNRESOLVABLE, ("node(s) had untolerated taint(s)",), "TaintToleration")


def tolerates_taint(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Tell whether any of the tolerations covers the taint (Toleration.ToleratesTaint)."""
    return any(_covers(t, taint) for t in tolerations)


def _covers(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and bool(toleration.key) and toleration.value == taint.value


def tolerations_key(pod: Pod) -> bytes:
    """Return what pods with equal tolerations have in common."""
    return msgspec.msgpack.encode(pod.spec.tolerations)


def untolerated_taint(node: Node, tolerations: Iterable[Toleration]) -> Taint | None:
    """Return the first NoSchedule or NoExecute taint that is not tolerated, if any."""
    for taint in node.spec.taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not tolerates_taint(tolerations, taint):
            return taint
    return None


def intolerable_prefer_no_schedule(node: Node, tolerations: Iterable[Toleration]) -> int:
    """Return how many PreferNoSchedule taints are not tolerated."""
    relevant = [t for t in tolerations if t.effect in ("", "PreferNoSchedule")]
    return sum(t.effect == "PreferNoSchedule" and not tolerates_taint(relevant, t) for t in node.spec.taints)


def after_node_change(pod: Pod, old: Node | None, new: Node) -> bool:
    """Hint: a node whose taints kept the pod off no longer does."""
    was = old is None or untolerated_taint(old, pod.spec.tolerations) is not None
    return was and untolerated_taint(new, pod.spec.tolerations) is None


def after_toleration(pod: Pod, old: Pod, new: Pod) -> bool:
    """Hint: the pod itself has new tolerations."""
    return new.uid == pod.uid


class TaintToleration(Plugin):
    """See the module."""

    name = "TaintToleration"
    weight = 3
    local = True

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {NODE_ADD: after_node_change, NODE_TAINT: after_node_change, POD_TOLERATION: after_toleration}

    def signature(self, pod: Pod) -> Hashable:
        """See `Plugin`."""
        return tolerations_key(pod)

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`."""
        assert info.node is not None
        return REJECTED if untolerated_taint(info.node, cycle.pod.spec.tolerations) else None

    def score(self, cycle: Cycle, slots: Slots) -> Scores | None:
        """See `Plugin`."""
        if not cycle.nodes.prefer_no_schedule:
            return None
        tolerations = cycle.pod.spec.tolerations
        key = (self.name, self.signature(cycle.pod))
        values = cycle.nodes.column(key, lambda node: intolerable_prefer_no_schedule(node, tolerations))
        return normalize([values[slot] for slot in slots], reverse=True)
