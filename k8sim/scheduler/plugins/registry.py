"""The default profile: plug-ins in the order of their filters (apis/config/v1/default_plugins.go)."""

from __future__ import annotations

from k8sim.scheduler.framework import Plugin
from k8sim.scheduler.plugins.node_affinity import NodeAffinity
from k8sim.scheduler.plugins.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from k8sim.scheduler.plugins.node_unschedulable import NodeUnschedulable
from k8sim.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from k8sim.scheduler.plugins.taint_toleration import TaintToleration
from k8sim.scheduler.plugins.volume_binding import VolumeBinding
from k8sim.scheduler.plugins.volume_restrictions import VolumeRestrictions
from k8sim.scheduler.plugins.volume_zone import VolumeZone


def default_plugins() -> tuple[Plugin, ...]:
    """Return new plug-ins of the default profile."""
    return (
        NodeUnschedulable(), TaintToleration(), NodeAffinity(), NodeResourcesFit(), NodeResourcesBalancedAllocation(),
        VolumeRestrictions(), NodeVolumeLimits(), VolumeBinding(), VolumeZone(),
    )  # fmt: skip
