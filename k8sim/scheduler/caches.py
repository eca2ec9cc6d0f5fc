"""The scheduler's informers as plug-ins see them, and the assumptions that it makes about claims and volumes.

An assumption replaces the cached object in the scheduler's eyes until the informer shows another version of it.

Source: pkg/scheduler/framework/plugins/volumebinding/{passive_assume_cache,assume_cache}.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from k8sim.api.apps import ReplicaSet, StatefulSet
from k8sim.api.core import Namespace, PersistentVolume, PersistentVolumeClaim, Pod, Service
from k8sim.api.meta import LabelSelector, Object
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.selectors import labels_match
from k8sim.api.storage import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from k8sim.api.volume_matching import claim_class, volume_class
from k8sim.api.volumes import volume_limits
from k8sim.apiserver.informer import Informer, SharedInformers
from k8sim.scheduler.nodes import named_hosts

T = TypeVar("T", bound=Object)


def _places(volume: PersistentVolume) -> list[tuple[str, str]]:
    """Return a volume's class with each host that it names, or with "" if it names none.

    One that points at a claim is of no use to others, and found by that claim.
    """
    if volume.spec.claim_ref is not None:
        return []
    affinity = volume.spec.node_affinity
    hosts = named_hosts(affinity.required) if affinity is not None else None
    return [(volume_class(volume), host) for host in (hosts if hosts is not None else ("",))]


def _class_of_free(volume: PersistentVolume) -> list[str]:
    return [volume_class(volume)] if volume.spec.claim_ref is None else []


def _claim_of(volume: PersistentVolume) -> list[tuple[str, str]]:
    ref = volume.spec.claim_ref
    return [(ref.namespace, ref.name)] if ref is not None else []


def _first_label(service: Service) -> list[tuple[str, tuple[str, str]]]:
    """File a service under one of the labels that its pods have."""
    return [(service.namespace, label) for label in list(service.spec.selector.items())[:1]]


class AssumeCache(Generic[T]):
    """An informer's objects, some of them in a version that the scheduler has assumed."""

    def __init__(self, informer: Informer[T]) -> None:
        self._informer = informer
        self._assumed: dict[tuple[str, str], T] = {}

    def get(self, namespace: str, name: str) -> T | None:
        """Return the object as assumed, or as the informer has it."""
        latest = self._informer.get(namespace, name)
        assumed = self._assumed.get((namespace, name))
        if assumed is None:
            return latest
        if latest is not None and latest.metadata.resource_version == assumed.metadata.resource_version:
            return assumed
        del self._assumed[namespace, name]  # the informer knows better
        return latest

    def assume(self, obj: T) -> None:
        """Take the object to be like this as long as the informer shows the version that it was made from."""
        self._assumed[obj.key] = obj

    def restore(self, obj: T) -> None:
        """Take an assumption back."""
        if self._assumed.get(obj.key) is obj:
            del self._assumed[obj.key]


class Caches:
    """`Listers` on informers."""

    def __init__(self, informers: SharedInformers) -> None:
        self._informers = informers
        self._volumes = informers.of(PersistentVolume)
        self._volumes.add_index("place", _places)
        self._volumes.add_index("class", _class_of_free)
        self._volumes.add_index("claim", _claim_of)
        self._attachments = informers.of(VolumeAttachment)
        self._attachments.add_index("node", lambda attachment: (attachment.spec.node_name,))
        self._capacities = informers.of(CSIStorageCapacity)
        self._namespaces = informers.of(Namespace)
        self._services = informers.of(Service)
        self._services.add_index("label", _first_label)
        self._budgets = informers.of(PodDisruptionBudget)
        self._classes = informers.of(StorageClass)
        self._csi_nodes = informers.of(CSINode)
        self._csi_nodes.add_index("limit", volume_limits)
        self._csi_drivers = informers.of(CSIDriver)
        self._owners: dict[str, Informer[ReplicaSet] | Informer[StatefulSet]] = {
            "ReplicaSet": informers.of(ReplicaSet, status=False),
            "StatefulSet": informers.of(StatefulSet, status=False),
        }
        self.claims = AssumeCache(informers.of(PersistentVolumeClaim))
        self.volumes = AssumeCache(self._volumes)

    def claim(self, namespace: str, name: str) -> PersistentVolumeClaim | None:
        """See `Listers`."""
        return self.claims.get(namespace, name)

    def volume(self, name: str) -> PersistentVolume | None:
        """See `Listers`."""
        return self.volumes.get("", name)

    def free_volumes(self, claim: PersistentVolumeClaim, host: str) -> Iterable[PersistentVolume]:
        """See `Listers`."""
        return self._assumed(self._volumes.by_index("place", (claim_class(claim), host)))

    def volumes_of(self, claim: PersistentVolumeClaim) -> Iterable[PersistentVolume]:
        """See `Listers`."""
        name = claim_class(claim)
        return [v for v in self._assumed(self._volumes.by_index("claim", claim.key)) if volume_class(v) == name]

    def _assumed(self, volumes: Iterable[PersistentVolume]) -> list[PersistentVolume]:
        assumed = (self.volumes.get("", volume.name) for volume in volumes)
        return [volume for volume in assumed if volume is not None]

    def has_volumes_for(self, claim: PersistentVolumeClaim) -> bool:
        """See `Listers`."""
        filed = (("class", claim_class(claim)), ("claim", claim.key))
        return any(True for index, value in filed for _ in self._volumes.by_index(index, value))

    def storage_class(self, name: str) -> StorageClass | None:
        """See `Listers`."""
        return self._classes.get("", name)

    def csi_node(self, name: str) -> CSINode | None:
        """See `Listers`."""
        return self._csi_nodes.get("", name)

    def is_limited(self, driver: str) -> bool:
        """See `Listers`."""
        return any(True for _ in self._csi_nodes.by_index("limit", driver))

    def csi_driver(self, name: str) -> CSIDriver | None:
        """See `Listers`."""
        return self._csi_drivers.get("", name)

    def storage_capacities(self) -> Iterable[CSIStorageCapacity]:
        """See `Listers`."""
        return self._capacities.list()

    def attachments_of_node(self, node: str) -> Iterable[VolumeAttachment]:
        """See `Listers`."""
        return self._attachments.by_index("node", node)

    def namespaces(self) -> Sequence[Namespace]:
        """See `Listers`."""
        return self._namespaces.list()

    def services_of(self, pod: Pod) -> Sequence[Service]:
        """See `Listers`."""
        namespace, labels = pod.metadata.namespace, pod.metadata.labels
        return [
            service
            for label in labels.items()
            for service in self._services.by_index("label", (namespace, label))
            if labels_match(service.spec.selector, labels)
        ]

    def disruption_budgets(self) -> Sequence[PodDisruptionBudget]:
        """See `Listers`."""
        return self._budgets.list()

    def owner_selector(self, kind: str, namespace: str, name: str) -> LabelSelector | None:
        """See `Listers`."""
        informer = self._owners.get(kind)
        owner = informer.get(namespace, name) if informer is not None else None
        return owner.spec.selector if owner is not None else None
