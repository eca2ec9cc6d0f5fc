"""VolumeRestrictions: a ReadWriteOncePod claim has one pod in the whole cluster (plugins/volumerestrictions)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from k8sim.api.core import Pod
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
    Skip,
    Status,
    Verdicts,
    always,
)
from k8sim.scheduler.plugins.volume_binding import after_claim_change

NAME: Final = "VolumeRestrictions"
IN_USE: Final = Status(
    Code.UNSCHEDULABLE,
    ("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",),
    NAME,
)
"""Unschedulable, not unresolvable: a pod of higher priority may preempt the one that has the claim."""


def after_pod_delete(pod: Pod, old: Pod, new: None) -> bool:
    """Hint: a pod that used one of the pod's claims is gone."""
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
        return None if exclusive else SKIP

    def filter(self, cycle: Cycle) -> Verdicts | None:
        """See `Plugin`."""
        in_use = any(cycle.nodes.claim_users.get(key) for key in cycle.state[NAME])
        return Verdicts(np.ones(len(cycle.nodes.versions), dtype=np.int64), (IN_USE,)) if in_use else None
