"""The default profile: plug-ins in the order of their filters (apis/config/v1/default_plugins.go)."""

from __future__ import annotations

from k8sim.scheduler.framework import Plugin
from k8sim.scheduler.plugins.node_affinity import NodeAffinity
from k8sim.scheduler.plugins.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from k8sim.scheduler.plugins.node_unschedulable import NodeUnschedulable
from k8sim.scheduler.plugins.taint_toleration import TaintToleration


def default_plugins() -> tuple[Plugin, ...]:
    """Return new plug-ins of the default profile."""
    return (
        NodeUnschedulable(), TaintToleration(), NodeAffinity(), NodeResourcesFit(), NodeResourcesBalancedAllocation(),
    )  # fmt: skip
