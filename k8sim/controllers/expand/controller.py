"""The expand controller: no volume plug-in left in the tree can grow a volume, so all it does is say so.

Source: pkg/controller/volume/expand/expand_controller.go; storage.md 4.2.
"""

from __future__ import annotations

from typing import ClassVar

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.quantity import parse_quantity
from k8sim.api.volume_matching import PRE_RESIZE_CAPACITY, storage_request
from k8sim.apiserver.client import Client
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync


def status_capacity(claim: PersistentVolumeClaim) -> int:
    """Return the bytes that a claim's status says it has."""
    return parse_quantity(claim.status.capacity.get("storage", "0"))


def may_need_expansion(claim: PersistentVolumeClaim, old: PersistentVolumeClaim | None) -> bool:
    """Tell whether a change of a claim is one of those that are looked at: its request or its capacity grew."""
    if old is None:
        return True
    return storage_request(claim) > storage_request(old) or status_capacity(claim) > status_capacity(old)


class ExpandController(Controller):
    """Says who grows a volume."""

    name: ClassVar[str] = "persistentvolume-expander"
    workers: ClassVar[int] = 10

    def __init__(self, context: ControllerContext) -> None:
        super().__init__(context)
        self.claims = context.informers.of(PersistentVolumeClaim)
        self.volumes = context.informers.of(PersistentVolume)
        self.claims.add_handler(self._on_claim)

    def _on_claim(self, change: Change) -> None:
        claim, old = change.new, change.old
        assert isinstance(claim, PersistentVolumeClaim)
        assert old is None or isinstance(old, PersistentVolumeClaim)
        if change.type != "DELETED" and claim.spec.volume_name and may_need_expansion(claim, old):
            self.queue.add(claim.key, change.row)

    def sync(self, key: Key, client: Client) -> Sync:
        """Say that an external controller is waited for, if the claim is smaller than it asks."""
        yield from ()
        claim = self.claims.find(key)
        if claim is None or claim.status.phase != "Bound":
            return
        volume = self.volumes.get("", claim.spec.volume_name)
        if volume is None or volume.spec.claim_ref is None or volume.spec.claim_ref.uid != claim.uid:
            return
        grows = storage_request(claim) > status_capacity(claim)
        if grows or PRE_RESIZE_CAPACITY in volume.metadata.annotations:
            message = "waiting for an external controller to expand this PVC"
            client.event(claim, "Normal", "ExternalExpanding", message)
