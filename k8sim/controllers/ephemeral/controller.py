"""The ephemeral volume controller: one claim for each generic ephemeral volume, owned by its pod.

Nothing else is its business: a pod's volumes never change, and the garbage collector removes the claim with the pod.

Source: pkg/controller/volume/ephemeral/controller.go, component-helpers/storage/ephemeral; storage.md 5.5.
"""

from __future__ import annotations

from typing import ClassVar

from k8sim.api.core import PersistentVolumeClaim, Pod, Volume
from k8sim.api.meta import ObjectMeta, controller_of, controller_ref
from k8sim.api.pods import claim_names
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Forbidden
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync

CLAIMS_BY_POD = "claims"


def ephemeral_claim(pod: Pod, volume: Volume) -> PersistentVolumeClaim | None:
    """Return the claim of a pod's volume, or None if the volume is not a generic ephemeral one."""
    template = volume.ephemeral.volume_claim_template if volume.ephemeral is not None else None
    if template is None:
        return None
    return PersistentVolumeClaim(
        metadata=ObjectMeta(
            namespace=pod.namespace,
            name=f"{pod.name}-{volume.name}",
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            owner_references=(controller_ref(pod),),
        ),
        spec=template.spec,
    )


class EphemeralVolumeController(Controller):
    """Makes claims for pods."""

    name: ClassVar[str] = "ephemeral-volume-controller"
    workers: ClassVar[int] = 5

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.pods = context.informers.of(Pod)
        self.claims = context.informers.of(PersistentVolumeClaim)
        self.pods.add_index(CLAIMS_BY_POD, lambda pod: [(pod.namespace, n) for n in claim_names(pod)])
        self.pods.add_handler(self._on_pod, of_status=False, volumes_only=True)
        self.claims.add_handler(self._on_claim, of_status=False)

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        new = change.type == "ADDED" or (old is not None and old.metadata.uid != pod.metadata.uid)
        if new and any(v.ephemeral is not None for v in pod.spec.volumes):
            self.queue.add(pod.key, change.row)

    def _on_claim(self, change: Change) -> None:
        if change.type == "DELETED":
            for pod in list(self.pods.by_index(CLAIMS_BY_POD, change.new.key)):
                self.queue.add(pod.key, change.row)

    def sync(self, key: Key, client: Client) -> Sync:
        """Make the claims that a pod lacks."""
        pod = self.pods.find(key)
        if pod is None or pod.deleting:
            return
        for volume in pod.spec.volumes:
            wanted = ephemeral_claim(pod, volume)
            if wanted is None:
                continue
            try:
                found = self.claims.get(*wanted.key)
                if found is None:
                    yield from client.create(wanted)
                    continue
                owner = controller_of(found)
                if owner is None or owner.uid != pod.uid:
                    raise Forbidden(f"PVC {found.namespace}/{found.name} was not created for pod {pod.name}")
            except ApiError as error:
                client.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume.name}: {error.message}")
                raise
