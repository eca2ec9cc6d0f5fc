"""The default profile: plug-ins in the order of their filters (apis/config/v1/default_plugins.go)."""

from __future__ import annotations

from typing import Final

from k8sim.scheduler.framework import Plugin
from k8sim.scheduler.plugins.image_locality import ImageLocality
from k8sim.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from k8sim.scheduler.plugins.node_affinity import NodeAffinity
from k8sim.scheduler.plugins.node_ports import NodePorts
from k8sim.scheduler.plugins.node_resources import NodeResourcesBalancedAllocation, NodeResourcesFit
from k8sim.scheduler.plugins.node_unschedulable import NodeUnschedulable
from k8sim.scheduler.plugins.node_volume_limits import NodeVolumeLimits
from k8sim.scheduler.plugins.pod_topology_spread import PodTopologySpread
from k8sim.scheduler.plugins.taint_toleration import TaintToleration
from k8sim.scheduler.plugins.volume_binding import VolumeBinding
from k8sim.scheduler.plugins.volume_restrictions import VolumeRestrictions
from k8sim.scheduler.plugins.volume_zone import VolumeZone
from k8sim.scheduler.profile import Profile


def default_plugins() -> tuple[Plugin, ...]:
    """Return new plug-ins of the default profile."""
    return (
        NodeUnschedulable(), TaintToleration(), NodeAffinity(), NodePorts(), NodeResourcesFit(), VolumeRestrictions(),
        NodeVolumeLimits(), VolumeBinding(), VolumeZone(), PodTopologySpread(), InterPodAffinity(),
        NodeResourcesBalancedAllocation(), ImageLocality(),
    )  # fmt: skip


DEFAULT_PROFILE: Final = Profile(default_plugins())
