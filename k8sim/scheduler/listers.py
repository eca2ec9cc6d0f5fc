"""What plug-ins may look up besides nodes and pods: the scheduler's caches of the other kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from k8sim.api.core import Namespace, PersistentVolume, PersistentVolumeClaim, Pod, Service
from k8sim.api.meta import LabelSelector
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment


class Listers(Protocol):
    """Read access to the scheduler's caches; claims and volumes come with what the scheduler has assumed of them."""

    def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        """Return a claim."""

    def volume(self, name: str) -> PersistentVolume | None:
        """Return a volume."""

    def free_volumes(self, claim: PersistentVolumeClaim, host: str) -> Iterable[PersistentVolume]:
        """Return the volumes of the claim's class that name a host; "": those that name none."""

    def volumes_of(self, claim: PersistentVolumeClaim) -> Iterable[PersistentVolume]:
        """Return the volumes of the claim's class that point at it."""

    def has_volumes_for(self, claim: PersistentVolumeClaim) -> bool:
        """Tell whether any volume of the claim's class is free, or points at the claim."""

    def storage_class(self, name: str) -> StorageClass | None:
        """Return a storage class."""

    def csi_node(self, name: str) -> CSINode | None:
        """Return what CSI drivers a node has."""

    def is_limited(self, driver: str) -> bool:
        """Tell whether any node limits how many volumes of a CSI driver it takes."""

    def csi_driver(self, name: str) -> CSIDriver | None:
        """Return a CSI driver."""

    def storage_capacities(self) -> Iterable[CSIStorageCapacity]:
        """Return all reports of free space."""

    def attachments_of_node(self, node: str) -> Iterable[VolumeAttachment]:
        """Return the attachments of a node."""

    def namespaces(self) -> Sequence[Namespace]:
        """Return all namespaces."""

    def services_of(self, pod: Pod) -> Sequence[Service]:
        """Return the services that select a pod."""

    def disruption_budgets(self) -> Sequence[PodDisruptionBudget]:
        """Return all disruption budgets."""

    def owner_selector(self, kind: str, namespace: str, name: str) -> LabelSelector | None:
        """Return the selector of a ReplicaSet, StatefulSet or ReplicationController, None if it is not there."""
