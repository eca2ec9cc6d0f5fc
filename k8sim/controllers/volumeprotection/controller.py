"""The protection controllers: they lift a finalizer from what is being deleted as soon as nobody uses it.

Source: pkg/controller/volume/pvcprotection/pvc_protection_controller.go,
pkg/controller/volume/pvprotection/pv_protection_controller.go,
pkg/controller/volume/vacprotection/vac_protection_controller.go; storage.md 1.10, 6.8.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, ClassVar, TypeVar

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import Object, with_meta
from k8sim.api.modifying import classes_of, is_class_used
from k8sim.api.pods import claim_names
from k8sim.api.storage import VolumeAttributesClass
from k8sim.apiserver.client import Client
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.volumeprotection.control import (
    PV_PROTECTION,
    PVC_PROTECTION,
    VAC_PROTECTION,
    can_free_claims,
    is_deletion_candidate,
    is_volume_in_use,
    needs_finalizer,
    pod_uses_claim,
)
from k8sim.sim.clock import Event

T = TypeVar("T", bound=Object)

CLAIMS_BY_POD = "claims"


def _with(obj: T, finalizer: str) -> T:
    return with_meta(obj, finalizers=(*obj.metadata.finalizers, finalizer))


def _without(obj: T, finalizer: str) -> T:
    return with_meta(obj, finalizers=tuple(f for f in obj.metadata.finalizers if f != finalizer))


class PVCProtectionController(Controller):
    """Holds back claims that scheduled pods use."""

    name: ClassVar[str] = "pvc-protection-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.claims = context.informers.of(PersistentVolumeClaim)
        self.pods = context.informers.of(Pod)
        self.pods.add_index(CLAIMS_BY_POD, lambda pod: [(pod.namespace, n) for n in claim_names(pod)])
        self.claims.add_handler(self._on_claim)
        self.pods.add_handler(self._on_pod, of_status="end", volumes_only=True)

    def _on_claim(self, change: Change) -> None:
        if change.type == "DELETED":
            return
        if is_deletion_candidate(change.new, PVC_PROTECTION) or needs_finalizer(change.new, PVC_PROTECTION):
            self.queue.add(change.new.key, change.row)

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        if pod.spec.volumes and can_free_claims(pod, change.type == "DELETED"):
            self._enqueue(pod, change.row)
        if old is not None and old.metadata.uid != pod.metadata.uid:
            assert isinstance(old, Pod)
            self._enqueue(old, change.row)

    def _enqueue(self, pod: Pod, cause: int) -> None:
        for name in claim_names(pod):
            claim = self.claims.get(pod.namespace, name)
            if claim is not None and (claim.deleting or PVC_PROTECTION not in claim.metadata.finalizers):
                self.queue.add(claim.key, cause)

    def sync(self, key: Key, client: Client) -> Sync:
        """Lift the protection of a claim that is being deleted and that no pod uses; add a missing one."""
        claim = self.claims.find(key)
        if claim is None:
            return
        if is_deletion_candidate(claim, PVC_PROTECTION):
            if not (yield from self._is_used(claim, client)):
                yield from client.update(_without(claim, PVC_PROTECTION))
        elif needs_finalizer(claim, PVC_PROTECTION):
            yield from client.update(_with(claim, PVC_PROTECTION))

    def _is_used(self, claim: PersistentVolumeClaim, client: Client) -> Generator[Event, Any, bool]:
        """Ask the cache, then the API server: the cache may not have seen a pod yet."""
        if any(pod_uses_claim(pod, claim) for pod in self.pods.by_index(CLAIMS_BY_POD, claim.key)):
            return True
        return (yield from client.ask(lambda server: self._is_used_live(claim, server)))

    def _is_used_live(self, claim: PersistentVolumeClaim, server: APIServer) -> bool:
        if self.pods.resource_version >= server.latest_version(Pod):  # the cache is what a live list would show
            pods = list(self.pods.by_index(CLAIMS_BY_POD, claim.key))
        else:
            pods = server.list(Pod, claim.namespace)
        return any(pod_uses_claim(pod, claim) for pod in pods)


class PVProtectionController(Controller):
    """Holds back volumes that are bound."""

    name: ClassVar[str] = "pv-protection-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.volumes = context.informers.of(PersistentVolume)
        self.volumes.add_handler(self._on_volume)

    def _on_volume(self, change: Change) -> None:
        if change.type == "DELETED":
            return
        if is_deletion_candidate(change.new, PV_PROTECTION) or needs_finalizer(change.new, PV_PROTECTION):
            self.queue.add(change.new.key, change.row)

    def sync(self, key: Key, client: Client) -> Sync:
        """Lift the protection of a volume that is being deleted and is not Bound; add a missing one."""
        volume = self.volumes.find(key)
        if volume is None:
            return
        if is_deletion_candidate(volume, PV_PROTECTION):
            if not is_volume_in_use(volume):
                yield from client.update(_without(volume, PV_PROTECTION))
        elif needs_finalizer(volume, PV_PROTECTION):
            yield from client.update(_with(volume, PV_PROTECTION))


class VACProtectionController(Controller):
    """Holds back attributes classes that claims or volumes name."""

    name: ClassVar[str] = "volumeattributesclass-protection-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.classes = context.informers.of(VolumeAttributesClass)
        self.claims = context.informers.of(PersistentVolumeClaim)
        self.volumes = context.informers.of(PersistentVolume)
        self.classes.add_handler(self._on_class)
        self.claims.add_handler(self._on_user)
        self.volumes.add_handler(self._on_user)

    def _on_class(self, change: Change) -> None:
        if change.type == "DELETED":
            return
        if is_deletion_candidate(change.new, VAC_PROTECTION) or needs_finalizer(change.new, VAC_PROTECTION):
            self.queue.add(change.new.key, change.row)

    def _on_user(self, change: Change) -> None:
        """Look at the classes that an object no longer names."""
        now = set() if change.type == "DELETED" else _named(change.new)
        before = _named(change.new if change.old is None else change.old)
        for name in sorted(before - now):
            self.queue.add(("", name), change.row)

    def sync(self, key: Key, client: Client) -> Sync:
        """Lift the protection of a class that is being deleted and that nothing names; add a missing one."""
        found = self.classes.find(key)
        if found is None:
            return
        if is_deletion_candidate(found, VAC_PROTECTION):
            if not is_class_used(found.name, self.claims.list(), self.volumes.list()):
                yield from client.update(_without(found, VAC_PROTECTION))
        elif needs_finalizer(found, VAC_PROTECTION):
            yield from client.update(_with(found, VAC_PROTECTION))


def _named(obj: Object) -> set[str]:
    if isinstance(obj, PersistentVolumeClaim):
        return classes_of(obj)
    name = obj.spec.volume_attributes_class_name if isinstance(obj, PersistentVolume) else None
    return {name} if name else set()
