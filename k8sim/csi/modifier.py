"""The external resizer's other half: gives volumes the attributes of the class that their claims name.

Source: kubernetes-csi/external-resizer pkg/modifycontroller; storage.md 6.8.
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sim.api import modifying
from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.modifying import IN_PROGRESS, INFEASIBLE, PENDING
from k8sim.api.resizing import NON_FINAL
from k8sim.api.storage import VolumeAttributesClass
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.rpc import EXPAND_TIMEOUT_NS, Backend, RpcError
from k8sim.csi.sidecar import Key, NotYet, Sidecar, Steps
from k8sim.machines.disks import location
from k8sim.sim.units import MINUTE

SLOW_RETRY_NS: Final = 5 * MINUTE


class Modifier(Sidecar):
    """Modifies the volumes of one driver."""

    name: ClassVar[str] = "csi-modifier"
    workers: ClassVar[int] = 10

    def __init__(self, server: APIServer, backend: Backend) -> None:
        super().__init__(server, backend)
        self.claims = self.informers.of(PersistentVolumeClaim)
        self.volumes = self.informers.of(PersistentVolume)
        self.classes = self.informers.of(VolumeAttributesClass)
        self.claim_queue = self.queue(self._sync)
        self._uncertain: dict[str, None] = {}  # claims' UIDs: the storage may still be at work
        self._slow_until: dict[str, tuple[str, int]] = {}  # claim's UID -> class that was refused, and until when
        self.claims.add_handler(self._on_claim)

    def _on_claim(self, change: Change) -> None:
        claim, old = change.new, change.old
        assert isinstance(claim, PersistentVolumeClaim)
        if change.type == "DELETED" or modifying.modify_target(claim, False) is None:
            return
        wanted = claim.spec.volume_attributes_class_name
        known = isinstance(old, PersistentVolumeClaim) and (
            old.spec.volume_attributes_class_name == wanted and old.status.phase == claim.status.phase
        )
        if not known:  # what it writes itself must not undo its back-off
            self.claim_queue.add(claim.key, change.row)

    def _sync(self, key: Key, client: Client) -> Steps:
        claim = self.claims.get(*key)
        target = modifying.modify_target(claim, claim.uid in self._uncertain) if claim is not None else None
        volume = self.volumes.get("", claim.spec.volume_name) if claim is not None else None
        if claim is None or target is None or volume is None or volume.spec.csi is None:
            return
        if volume.spec.csi.driver != self.driver.name:
            return
        refused, not_before = self._slow_until.get(claim.uid, ("", 0))
        if refused == target and self.clock.now < not_before:
            self.claim_queue.add_after(key, not_before - self.clock.now, client.cause)
            return
        attributes = self.classes.get("", target)
        if attributes is None:
            yield from self._tell(claim, modifying.under_way(target, PENDING, self._now()), client)
            raise NotYet(f"VAC {target} does not exist.")
        if attributes.driver_name != self.driver.name:
            raise NotYet(f"VAC {target} is of another driver, {attributes.driver_name}")
        yield from self._modify(claim, volume, target, client)

    def _now(self) -> Time:
        return Time(self.clock.truncated())

    def _modify(self, claim: PersistentVolumeClaim, volume: PersistentVolume, target: str, client: Client) -> Steps:
        yield from self._tell(claim, modifying.under_way(target, IN_PROGRESS, self._now()), client)
        message = f"external resizer is modifying volume {claim.name} with vac {target}"
        self.say(client, claim, "Normal", "VolumeModify", message)
        handle = location(volume)
        try:
            yield from self.backend.call(
                "volumeModify", f"{handle}/{target}", lambda: self._check(handle), EXPAND_TIMEOUT_NS
            )
        except RpcError as error:
            yield from self._failed(claim, target, error, client)
            raise
        self._uncertain.pop(claim.uid, None)
        self._slow_until.pop(claim.uid, None)
        yield from client.patch(
            PersistentVolume, "", volume.name,
            lambda v: replace(v, spec=replace(v.spec, volume_attributes_class_name=target)),
        )  # fmt: skip
        yield from self._tell(claim, modifying.modified(target), client)
        message = f"external resizer modified volume {claim.name} with vac {target} successfully"
        self.say(client, claim, "Normal", "VolumeModifySuccessful", message)
        if claim.spec.volume_attributes_class_name != target:
            self.claim_queue.add(claim.key, client.cause)  # an attempt of unknown outcome came first

    def _check(self, handle: str) -> None:
        if self.backend.storage.disk(handle).lost:
            raise RpcError("NotFound", f"volume {handle} not found")

    def _failed(self, claim: PersistentVolumeClaim, target: str, error: RpcError, client: Client) -> Steps:
        if error.code in NON_FINAL:
            self._uncertain[claim.uid] = None
        else:
            self._uncertain.pop(claim.uid, None)
        status = INFEASIBLE if error.code == "InvalidArgument" else IN_PROGRESS
        if status == INFEASIBLE:
            self._slow_until[claim.uid] = (target, self.clock.now + SLOW_RETRY_NS)
        yield from self._tell(claim, modifying.under_way(target, status, self._now(), str(error)), client)

    def _tell(self, claim: PersistentVolumeClaim, change: modifying.ClaimChange, client: Client) -> Steps:
        yield from client.patch_status(PersistentVolumeClaim, claim.namespace, claim.name, change)

    def on_error(self, key: Key, error: Exception, client: Client) -> None:
        """Say on the claim what failed."""
        claim = self.claims.get(*key)
        if claim is not None and not isinstance(error, ApiError):
            self.say(client, claim, "Warning", "VolumeModifyFailed", str(error))
