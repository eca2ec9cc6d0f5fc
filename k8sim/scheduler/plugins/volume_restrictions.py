"""VolumeRestrictions: a ReadWriteOncePod claim has one pod in the whole cluster, an inline disk one pod on a node.

Source: pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go; storage.md 2.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from k8sim.api.core import Pod, PodSpec
from k8sim.api.pods import claim_names
from k8sim.scheduler.framework import (
    ASSIGNED_POD_DELETE,
    NODE_ADD,
    SKIP,
    Code,
    Cycle,
    Event,
    Hint,
    Plugin,
    Screen,
    Skip,
    Status,
    always,
)
from k8sim.scheduler.nodes import NodeInfo
from k8sim.scheduler.plugins.volume_binding import after_claim_change

NAME: Final = "VolumeRestrictions"
IN_USE: Final = Status(
    Code.UNSCHEDULABLE,
    ("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",),
    NAME,
)
"""Unschedulable, not unresolvable: a pod of higher priority may preempt the one that has the claim."""


DISK_CONFLICT: Final = Status(Code.UNSCHEDULABLE, ("node(s) had no available disk",), NAME)

Disk = tuple[str, frozenset[str], bool]
"""A kind of disk, what identifies it (any of these in common is the same disk), and whether it may only be read."""


def inline_disks(pod: Pod) -> list[Disk]:
    """Return the disks that a pod names itself, without a claim: two of one kind on a node have to be different ones.

    Disks that are only read may be the same, but not those of Amazon.
    """
    found: list[Disk] = []
    for volume in pod.spec.volumes:
        sources: Mapping[str, Any] = volume.extra or {}
        for kind, name in (("gcePersistentDisk", "pdName"), ("awsElasticBlockStore", "volumeID"), ("iscsi", "iqn")):
            source = sources.get(kind)
            if source is not None:
                read_only = bool(source.get("readOnly")) and kind != "awsElasticBlockStore"
                found.append((kind, frozenset({str(source.get(name))}), read_only))
        rbd = sources.get("rbd")
        if rbd is not None:
            image = f"{rbd.get('pool', 'rbd')}/{rbd.get('image')}"
            monitors = frozenset(f"{monitor}/{image}" for monitor in rbd.get("monitors", ()))
            found.append(("rbd", monitors, bool(rbd.get("readOnly"))))
    return found


def disks_conflict(one: Disk, other: Disk) -> bool:
    """Tell whether two disks are one, and not only read."""
    return one[0] == other[0] and not one[1].isdisjoint(other[1]) and not (one[2] and other[2])


def pods_conflict(pod: Pod, other: Pod) -> bool:
    """Tell whether two pods cannot be on one node for their disks."""
    theirs = inline_disks(other)
    return any(disks_conflict(one, two) for one in inline_disks(pod) for two in theirs)


def after_pod_delete(pod: Pod, old: Pod, new: None) -> bool:
    """Hint: a pod that used one of the pod's claims or disks is gone."""
    if pods_conflict(pod, old):
        return True
    return old.namespace == pod.namespace and bool(set(claim_names(old)) & set(claim_names(pod)))


class VolumeRestrictions(Plugin):
    """See the module. ReadWriteOnce is not looked at: two pods may be placed on different nodes."""

    name = NAME

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {
            ASSIGNED_POD_DELETE: after_pod_delete,
            NODE_ADD: always,
            Event("PersistentVolumeClaim", "Add"): after_claim_change,
        }

    def concerns(self, spec: PodSpec) -> bool:
        """See `Plugin`."""
        return bool(spec.volumes)

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`; also the first to notice a missing claim, if it is not an ephemeral volume's."""
        pod, exclusive = cycle.pod, []
        for volume in pod.spec.volumes:
            if volume.persistent_volume_claim is None:
                continue
            name = volume.persistent_volume_claim.claim_name
            claim = cycle.listers.claim(pod.namespace, name)
            if claim is None:
                return Status(Code.UNRESOLVABLE, (f'persistentvolumeclaim "{name}" not found',), NAME)
            if "ReadWriteOncePod" in claim.spec.access_modes:
                exclusive.append(claim.key)
        cycle.state[NAME] = exclusive
        return None if exclusive or inline_disks(pod) else SKIP

    def filter(self, cycle: Cycle) -> Sequence[Screen]:
        """See `Plugin`."""
        in_use = any(cycle.nodes.claim_users.get(key) for key in cycle.state[NAME])
        return [cycle.nodes.all_rejected(IN_USE)] if in_use else ()

    def judges_nodes(self, cycle: Cycle) -> bool:
        """See `Plugin`."""
        return bool(inline_disks(cycle.pod))

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`."""
        return DISK_CONFLICT if any(pods_conflict(cycle.pod, other) for other in info.pods.values()) else None
