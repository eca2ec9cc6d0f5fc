"""NodeUnschedulable: cordoned nodes take no new pods (plugins/nodeunschedulable/node_unschedulable.go)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from k8sim.api.core import Node, Pod, Taint
from k8sim.scheduler.framework import NODE_ADD, NODE_TAINT, POD_TOLERATION, Code, Cycle, Event, Hint, Plugin, Status
from k8sim.scheduler.nodes import NodeInfo
from k8sim.scheduler.plugins.taint_toleration import tolerates_taint

UNSCHEDULABLE_TAINT: Final = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
REJECTED: Final = Status(Code.UNRESOLVABLE, ("node(s) were unschedulable",), "NodeUnschedulable")


def tolerates_unschedulable(pod: Pod) -> bool:
    """Tell whether a pod may go to a cordoned node."""
    return tolerates_taint(pod.spec.tolerations, UNSCHEDULABLE_TAINT)


def after_node_change(pod: Pod, old: Node | None, new: Node) -> bool:
    """Hint: a node that is new or no longer cordoned may help."""
    if new.spec.unschedulable and not tolerates_unschedulable(pod):
        return False
    return old is None or old.spec.unschedulable != new.spec.unschedulable


def after_toleration(pod: Pod, old: Pod, new: Pod) -> bool:
    """Hint: the pod itself has come to tolerate cordons."""
    return new.uid == pod.uid and tolerates_unschedulable(new)


class NodeUnschedulable(Plugin):
    """See the module."""

    name = "NodeUnschedulable"
    local = True

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`; a cordon counts as a taint."""
        return {NODE_ADD: after_node_change, NODE_TAINT: after_node_change, POD_TOLERATION: after_toleration}

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`; what it depends on of the pod, `TaintToleration` signs for."""
        assert info.node is not None
        return REJECTED if info.node.spec.unschedulable and not tolerates_unschedulable(cycle.pod) else None
