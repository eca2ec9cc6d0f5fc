"""The external resizer: grows volumes whose claims ask for more, and hands the file system over to the kubelet.

Source: kubernetes-csi/external-resizer pkg/controller/{controller,expand_and_recover}.go; storage.md 4.2, 4.3.
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sim.api import resizing
from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import with_meta
from k8sim.api.pods import claim_names, is_pod_terminal
from k8sim.api.quantity import format_quantity
from k8sim.api.struct import Time, replace
from k8sim.api.volume_matching import PRE_RESIZE_CAPACITY, storage_capacity, storage_request
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.rpc import EXPAND_TIMEOUT_NS, Backend, RpcError
from k8sim.csi.sidecar import Key, NotYet, Sidecar, Steps
from k8sim.machines.disks import location
from k8sim.sim.units import MINUTE

CLAIMS_BY_POD: Final = "claims"
SLOW_RETRY_NS: Final = 5 * MINUTE


def _asks_for_a_look(old: PersistentVolumeClaim, new: PersistentVolumeClaim) -> bool:
    """Tell whether more has changed than what the resizer itself writes: its errors must not undo its back-off."""
    if storage_request(old) != storage_request(new) or resizing.capacity(old) != resizing.capacity(new):
        return True
    handed_back = resizing.resize_status(new) == resizing.NODE_INFEASIBLE
    return old.status.phase != new.status.phase or (
        handed_back and resizing.resize_status(old) != resizing.NODE_INFEASIBLE
    )


class Resizer(Sidecar):
    """Grows the volumes of one driver."""

    name: ClassVar[str] = "csi-resizer"
    workers: ClassVar[int] = 10

    def __init__(self, server: APIServer, backend: Backend) -> None:
        super().__init__(server, backend)
        self.claims = self.informers.of(PersistentVolumeClaim)
        self.volumes = self.informers.of(PersistentVolume)
        self.pods = self.informers.of(Pod)
        self.claim_queue = self.queue(self._sync)
        self._failed_finally: dict[str, int] = {}  # claim's UID -> request that was refused for good
        self._slow_until: dict[str, int] = {}
        self._in_use: dict[str, None] = {}
        self.pods.add_index(CLAIMS_BY_POD, lambda pod: [(pod.namespace, n) for n in claim_names(pod)])
        self.claims.add_handler(self._on_claim)
        self.pods.add_handler(self._on_pod, of_status="end")

    def _on_claim(self, change: Change) -> None:
        claim = change.new
        assert isinstance(claim, PersistentVolumeClaim)
        old = change.old
        if change.type == "DELETED" or claim.status.phase != "Bound" or not self._interesting(claim):
            return
        if not isinstance(old, PersistentVolumeClaim) or _asks_for_a_look(old, claim):
            if isinstance(old, PersistentVolumeClaim) and storage_request(old) != storage_request(claim):
                self._slow_until.pop(claim.uid, None)
            self.claim_queue.add(claim.key, change.row)

    def _interesting(self, claim: PersistentVolumeClaim) -> bool:
        if storage_request(claim) > resizing.capacity(claim):
            return True
        volume = self.volumes.get("", claim.spec.volume_name)
        return volume is not None and PRE_RESIZE_CAPACITY in volume.metadata.annotations

    def _on_pod(self, change: Change) -> None:
        pod = change.new
        assert isinstance(pod, Pod)
        if change.type == "DELETED" or is_pod_terminal(pod):
            for name in claim_names(pod):
                claim = self.claims.get(pod.namespace, name)
                if claim is not None and claim.uid in self._in_use:
                    self.claim_queue.add(claim.key, change.row)

    def _used(self, claim: PersistentVolumeClaim) -> bool:
        pods = self.pods.by_index(CLAIMS_BY_POD, claim.key)
        return any(p.spec.node_name and not is_pod_terminal(p) for p in pods)

    def _sync(self, key: Key, client: Client) -> Steps:
        claim = self.claims.get(*key)
        if claim is None or claim.status.phase != "Bound":
            return
        volume = self.volumes.get("", claim.spec.volume_name)
        if volume is None or volume.deleting or volume.spec.csi is None or volume.spec.csi.driver != self.driver.name:
            return
        if resizing.capacity(claim) >= storage_capacity(volume) and PRE_RESIZE_CAPACITY in volume.metadata.annotations:
            kept = {k: v for k, v in volume.metadata.annotations.items() if k != PRE_RESIZE_CAPACITY}
            volume = yield from client.update(with_meta(volume, annotations=kept))
        refused = claim.uid in self._failed_finally
        target = resizing.resize_target(claim, volume, refused)
        if target is None:
            return
        if claim.uid in self._in_use and self._used(claim):
            return  # its pod's end brings it back
        if self.clock.now < self._slow_until.get(claim.uid, 0):
            self.claim_queue.add_after(key, self._slow_until[claim.uid] - self.clock.now, client.cause)
            return
        yield from self._expand(claim, volume, target, client)

    def _expand(self, claim: PersistentVolumeClaim, volume: PersistentVolume, target: int, client: Client) -> Steps:
        now = Time(self.clock.truncated())
        claim = yield from client.update_status(resizing.in_progress(claim, target, now))
        message = f"External resizer is resizing volume {volume.name}"
        self.say(client, claim, "Normal", "Resizing", message)
        handle, used = location(volume), self._used(claim)
        try:
            yield from self.backend.call(
                "volumeExpand", handle, lambda: self._grow(handle, target, used), EXPAND_TIMEOUT_NS
            )
        except RpcError as error:
            yield from self._expand_failed(claim, error, client)
            raise
        self._failed_finally.pop(claim.uid, None)
        self._in_use.pop(claim.uid, None)
        yield from self._write_volume(volume, target, client)
        now = Time(self.clock.truncated())
        if self.driver.node_expansion:
            yield from self._write_claim(claim, lambda c: resizing.node_pending(c, now), client)
            self.say(
                client, claim, "Normal", "FileSystemResizeRequired", "Require file system resize of volume on node"
            )
        else:
            yield from self._write_claim(claim, lambda c: resizing.finished(c, target), client)
            self.say(client, claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")

    def _grow(self, handle: str, size: int, used: bool) -> None:
        """Do in the storage system what ControllerExpandVolume asks for."""
        disk = self.backend.storage.disk(handle)
        if disk.lost:
            raise RpcError("NotFound", f"volume {handle} not found")
        if used and self.driver.expansion == "offline":
            raise RpcError("FailedPrecondition", f"volume {handle} is in use")
        limit = self.driver.max_volume_bytes
        if limit is not None and size > limit:
            raise RpcError("OutOfRange", f"volume {handle} cannot have more than {limit} bytes")
        self.backend.storage.grow(handle, size)

    def _write_volume(self, volume: PersistentVolume, size: int, client: Client) -> Steps:
        """Write the volume's new size, and the old one for a claim that binds before its file system has grown."""

        def change(v: PersistentVolume) -> PersistentVolume:
            annotations = dict(v.metadata.annotations)
            if self.driver.node_expansion:
                annotations.setdefault(PRE_RESIZE_CAPACITY, v.spec.capacity.get("storage", "0"))
            grown = {**v.spec.capacity, "storage": format_quantity(size, binary=True)}
            return replace(with_meta(v, annotations=annotations), spec=replace(v.spec, capacity=grown))

        if storage_capacity(volume) < size:
            yield from client.patch(PersistentVolume, "", volume.name, change)

    def _write_claim(self, claim: PersistentVolumeClaim, change: resizing.ClaimChange, client: Client) -> Steps:
        yield from client.patch_status(PersistentVolumeClaim, claim.namespace, claim.name, change)

    def _expand_failed(self, claim: PersistentVolumeClaim, error: RpcError, client: Client) -> Steps:
        if error.code in resizing.NON_FINAL:
            self._failed_finally.pop(claim.uid, None)
            return
        self._failed_finally[claim.uid] = storage_request(claim)
        if error.code == "FailedPrecondition":
            self._in_use[claim.uid] = None
        if error.code in resizing.INFEASIBLE:
            self._slow_until[claim.uid] = self.clock.now + SLOW_RETRY_NS
        now = Time(self.clock.truncated())
        yield from self._write_claim(claim, lambda c: resizing.failed(c, error.code, str(error), now), client)

    def on_error(self, key: Key, error: Exception, client: Client) -> None:
        """Say on the claim what failed."""
        claim = self.claims.get(*key)
        if claim is not None and not isinstance(error, ApiError | NotYet):
            self.say(client, claim, "Warning", "VolumeResizeFailed", str(error))
