"""NodeVolumeLimits: how many volumes of a CSI driver a node takes (plugins/nodevolumelimits/csi.go; storage.md 2.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from k8sim.api.core import Pod, PodSpec
from k8sim.api.pods import claim_names
from k8sim.api.storage import CSINode, VolumeAttachment
from k8sim.api.volume_matching import claim_class
from k8sim.api.volumes import volume_limits
from k8sim.scheduler.framework import (
    ASSIGNED_POD_DELETE,
    SKIP,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Skip,
    Status,
)
from k8sim.scheduler.listers import Listers
from k8sim.scheduler.nodes import NodeInfo
from k8sim.scheduler.plugins.volume_binding import after_claim_change

NAME: Final = "NodeVolumeLimits"
EXCEEDED: Final = Status(Code.UNSCHEDULABLE, ("node(s) exceed max volume count",), NAME)

Handle = tuple[str, str]
"""A CSI driver and one of its volumes."""


def handles_of(pod: Pod, listers: Listers) -> set[Handle]:
    """Return the attachable volumes of a pod; an unbound claim counts as one volume of its class' driver."""
    handles = set()
    for name in claim_names(pod):
        claim = listers.claim(pod.namespace, name)
        if claim is None:
            continue
        if claim.spec.volume_name:
            volume = listers.volume(claim.spec.volume_name)
            if volume is not None and volume.spec.csi is not None:
                handles.add((volume.spec.csi.driver, volume.spec.csi.volume_handle))
                continue
            if volume is not None:
                continue
        storage_class = listers.storage_class(claim_class(claim))
        if storage_class is not None and storage_class.provisioner:
            handles.add((storage_class.provisioner, f"{pod.namespace}/{name}"))
    return handles


def attached_handles(attachments: Iterable[VolumeAttachment], listers: Listers) -> set[Handle]:
    """Return the volumes that attachments keep on a node: one that is still being detached takes its place."""
    handles = set()
    for attachment in attachments:
        name = attachment.spec.source.persistent_volume_name
        volume = listers.volume(name) if name else None
        if volume is not None and volume.spec.csi is not None:
            handles.add((volume.spec.csi.driver, volume.spec.csi.volume_handle))
    return handles


def after_csi_node_change(pod: Pod, old: CSINode | None, new: CSINode) -> bool:
    """Hint: a node takes more volumes."""
    was, now = volume_limits(old), volume_limits(new)
    return old is None or any(now[d] > was.get(d, 0) for d in now)


def after_pod_delete(pod: Pod, old: Pod, new: None) -> bool:
    """Hint: a pod with claims is gone."""
    return bool(claim_names(old))


def after_attachment_delete(pod: Pod, old: VolumeAttachment, new: None) -> bool:
    """Hint: a volume is off its node."""
    return bool(claim_names(pod))


class NodeVolumeLimits(Plugin):
    """See the module."""

    name = NAME

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {
            Event("CSINode", "Add"): after_csi_node_change,
            Event("CSINode", "Update"): after_csi_node_change,
            ASSIGNED_POD_DELETE: after_pod_delete,
            Event("PersistentVolumeClaim", "Add"): after_claim_change,
            Event("VolumeAttachment", "Delete"): after_attachment_delete,
        }

    def concerns(self, spec: PodSpec) -> bool:
        """See `Plugin`."""
        return bool(spec.volumes)

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`; a pod matters that brings volumes of which some node takes no more than so many."""
        wanted = cycle.state[NAME] = handles_of(cycle.pod, cycle.listers)
        return None if any(cycle.listers.is_limited(driver) for driver, _ in wanted) else SKIP

    def judges_nodes(self, cycle: Cycle) -> bool:
        """See `Plugin`."""
        return True

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`."""
        limits = volume_limits(cycle.listers.csi_node(info.name))
        if not limits:
            return None
        wanted: set[Handle] = cycle.state[NAME]
        new = {h for h in wanted if h[0] in limits}
        if not new or self._far_from(min(limits.values()) - len(new), info, cycle.listers):
            return None
        used = attached_handles(cycle.listers.attachments_of_node(info.name), cycle.listers)
        for pod in info.pods.values():
            if pod.spec.volumes:
                used |= handles_of(pod, cycle.listers)
        for driver, limit in limits.items():
            fresh = sum(1 for h in new - used if h[0] == driver)
            if fresh and sum(1 for h in used if h[0] == driver) + fresh > limit:
                return EXCEEDED
        return None

    @staticmethod
    def _far_from(room: int, info: NodeInfo, listers: Listers) -> bool:
        """Tell whether a node has so few volumes, each counted as another one of every driver, that none is in doubt.

        To tell volumes apart takes several look-ups for each, and nodes are seldom near their limits.
        """
        for pod in info.pods.values():
            room -= len(pod.spec.volumes)
        return room >= 0 and room >= sum(1 for _ in listers.attachments_of_node(info.name))
