"""VolumeZone: volumes that carry zone or region labels (plugins/volumezone; storage.md 2.3).

CSI volumes normally have a node affinity instead, which `volume_binding` sees to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from k8sim.api.core import Node, PersistentVolume, Pod, PodSpec
from k8sim.api.pods import claim_names
from k8sim.api.storage import StorageClass
from k8sim.api.volume_matching import WAIT_FOR_FIRST_CONSUMER, claim_class
from k8sim.scheduler.framework import NODE_ADD, NODE_LABEL, SKIP, Code, Cycle, Event, Hint, Plugin, Skip, Status
from k8sim.scheduler.nodes import REGION, ZONE, NodeInfo
from k8sim.scheduler.plugins.volume_binding import after_claim_change

NAME: Final = "VolumeZone"
BETA_ZONE: Final = "failure-domain.beta.kubernetes.io/zone"
BETA_REGION: Final = "failure-domain.beta.kubernetes.io/region"
GA_KEY: Final = {BETA_ZONE: ZONE, BETA_REGION: REGION}
LABELS: Final = (ZONE, REGION, BETA_ZONE, BETA_REGION)
CONFLICT: Final = Status(Code.UNRESOLVABLE, ("node(s) had no available volume zone",), NAME)

Wanted = tuple[str, frozenset[str]]
"""A label key with the values that will do."""


def zones_of(volume: PersistentVolume) -> list[Wanted]:
    """Return the topology labels of a volume; several zones are written with "__" between them."""
    labels = volume.metadata.labels
    return [(key, frozenset(labels[key].split("__"))) for key in LABELS if key in labels]


def node_in_zones(wanted: list[Wanted], node: Node) -> bool:
    """Tell whether a node has the volumes' labels; a node without any topology label does."""
    labels = node.metadata.labels
    if not any(key in labels for key in LABELS):
        return True
    for key, values in wanted:
        value = labels.get(key, labels.get(GA_KEY.get(key, "")))
        if value is None or value not in values:
            return False
    return True


def after_class_add(pod: Pod, old: None, new: StorageClass) -> bool:
    """Hint: a class that waits for a consumer."""
    return new.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER


def after_volume_change(pod: Pod, old: PersistentVolume | None, new: PersistentVolume) -> bool:
    """Hint: a new volume, or one with other topology labels."""
    return old is None or zones_of(old) != zones_of(new)


def after_node_change(pod: Pod, old: Node | None, new: Node) -> bool:
    """Hint: a new node, or one with other topology labels."""
    return old is None or any(old.metadata.labels.get(k) != new.metadata.labels.get(k) for k in LABELS)


class VolumeZone(Plugin):
    """See the module."""

    name = NAME

    def events(self) -> Mapping[Event, Hint]:
        """See `Plugin`."""
        return {
            Event("StorageClass", "Add"): after_class_add,
            NODE_ADD: after_node_change,
            NODE_LABEL: after_node_change,
            Event("PersistentVolumeClaim", "Add"): after_claim_change,
            Event("PersistentVolumeClaim", "Update"): after_claim_change,
            Event("PersistentVolume", "Add"): after_volume_change,
            Event("PersistentVolume", "Update"): after_volume_change,
        }

    def concerns(self, spec: PodSpec) -> bool:
        """See `Plugin`."""
        return bool(spec.volumes)

    def pre_filter(self, cycle: Cycle) -> Status | Skip | None:
        """See `Plugin`; unbound claims that wait for a consumer have no zone yet."""
        wanted: list[Wanted] = []
        for name in claim_names(cycle.pod):
            claim = cycle.listers.claim(cycle.pod.namespace, name)
            if claim is None:
                return Status(Code.UNRESOLVABLE, (f'persistentvolumeclaim "{name}" not found',), NAME)
            if not claim.spec.volume_name:
                found = cycle.listers.storage_class(claim_class(claim))
                if found is None or found.volume_binding_mode != WAIT_FOR_FIRST_CONSUMER:
                    return Status(Code.UNRESOLVABLE, ("PersistentVolume had no name",), NAME)
                continue
            volume = cycle.listers.volume(claim.spec.volume_name)
            if volume is None:
                text = f'persistentvolume "{claim.spec.volume_name}" not found'
                return Status(Code.UNRESOLVABLE, (text,), NAME)
            wanted += zones_of(volume)
        cycle.state[NAME] = wanted
        return None if wanted else SKIP

    def judges_nodes(self, cycle: Cycle) -> bool:
        """See `Plugin`."""
        return True

    def filter_node(self, cycle: Cycle, info: NodeInfo) -> Status | None:
        """See `Plugin`."""
        assert info.node is not None
        return None if node_in_zones(cycle.state[NAME], info.node) else CONFLICT
