"""The external attacher: turns VolumeAttachments into calls of the driver.

Source: kubernetes-csi/external-attacher pkg/controller/{csi_handler,trivial_handler,util}.go; storage.md 3.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from k8sim.api.core import PersistentVolume
from k8sim.api.meta import with_meta
from k8sim.api.storage import CSINode, VolumeAttachment, VolumeError
from k8sim.api.struct import Time, replace
from k8sim.api.volumes import is_multi_attach_allowed
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import NotFound
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.rpc import ATTACH_TIMEOUT_NS, Backend, RpcError
from k8sim.csi.sidecar import Key, NotYet, Sidecar, Steps
from k8sim.machines.disks import location

ATTACHMENTS_BY_VOLUME: Final = "volume"
GRPC_CODES: Final[Mapping[str, int]] = {
    "Canceled": 1, "Unknown": 2, "InvalidArgument": 3, "DeadlineExceeded": 4, "NotFound": 5, "AlreadyExists": 6,
    "PermissionDenied": 7, "ResourceExhausted": 8, "FailedPrecondition": 9, "Aborted": 10, "OutOfRange": 11,
    "Unimplemented": 12, "Internal": 13, "Unavailable": 14, "DataLoss": 15, "Unauthenticated": 16,
}  # fmt: skip
"""The numbers of gRPC codes, as errors of attachments carry them (grpc/codes)."""


def attacher_finalizer(driver: str) -> str:
    """Return the finalizer of a driver's attacher."""
    return "external-attacher/" + re.sub(r"[^a-zA-Z0-9-]", "-", driver)


def _asks_for_a_look(change: Change) -> bool:
    """Tell whether more has changed than the errors that the attacher itself writes (shouldEnqueueVAChange)."""
    old, new = change.old, change.new
    if not isinstance(old, VolumeAttachment) or not isinstance(new, VolumeAttachment):
        return True
    return old.metadata.finalizers != new.metadata.finalizers or (
        old.deleting != new.deleting or old.status.attached != new.status.attached or old.uid != new.uid
    )


class Attacher(Sidecar):
    """Attaches and detaches the volumes of one driver."""

    name: ClassVar[str] = "csi-attacher"
    workers: ClassVar[int] = 10

    def __init__(self, server: APIServer, backend: Backend) -> None:
        super().__init__(server, backend)
        self.finalizer = attacher_finalizer(self.driver.name)
        self.attachments = self.informers.of(VolumeAttachment)
        self.volumes = self.informers.of(PersistentVolume)
        self.nodes = self.informers.of(CSINode)
        self.attachment_queue = self.queue(self._sync_attachment)
        self.volume_queue = self.queue(self._sync_volume)
        self.attachments.add_index(ATTACHMENTS_BY_VOLUME, lambda a: [a.spec.source.persistent_volume_name])
        self.attachments.add_handler(self._on_attachment)
        self.volumes.add_handler(self._on_volume)

    def _on_attachment(self, change: Change) -> None:
        attachment = change.new
        assert isinstance(attachment, VolumeAttachment)
        if attachment.spec.attacher != self.driver.name:
            return
        if change.type == "DELETED":
            self.volume_queue.add(("", attachment.spec.source.persistent_volume_name or ""), change.row)
        elif _asks_for_a_look(change):
            self.attachment_queue.add(attachment.key, change.row)

    def _on_volume(self, change: Change) -> None:
        if change.type != "DELETED" and change.new.deleting and self.finalizer in change.new.metadata.finalizers:
            self.volume_queue.add(change.new.key, change.row)

    # ---- attachments ------------------------------------------------------------------------------------------------

    def _sync_attachment(self, key: Key, client: Client) -> Steps:
        attachment = self.attachments.get(*key)
        if attachment is None:
            return
        if attachment.deleting:
            yield from self._detach(attachment, client)
        elif not attachment.status.attached:
            yield from self._attach(attachment, client)

    def _attach(self, attachment: VolumeAttachment, client: Client) -> Steps:
        try:
            volume = self._volume_of(attachment)
            if volume.deleting and self.finalizer not in attachment.metadata.finalizers:
                self.backend.storage.beyond_reach(location(volume), "L17", client.cause)
                raise NotYet(f'PersistentVolume "{volume.name}" is marked for deletion')
            if self.finalizer not in volume.metadata.finalizers:
                volume = yield from client.update(
                    with_meta(volume, finalizers=(*volume.metadata.finalizers, self.finalizer))
                )
            if self.finalizer not in attachment.metadata.finalizers:
                attachment = yield from client.update(
                    with_meta(attachment, finalizers=(*attachment.metadata.finalizers, self.finalizer))
                )
            node = attachment.spec.node_name
            csi_node = self.nodes.get("", node)
            if csi_node is None or all(d.name != self.driver.name for d in csi_node.spec.drivers):
                self.backend.storage.beyond_reach(location(volume), "L39", client.cause, node=node)
                raise NotYet(f'CSINode {node} does not contain driver "{self.driver.name}"')
            assert volume.spec.csi is not None
            handle, cause = volume.spec.csi.volume_handle, client.cause
            exclusive = not is_multi_attach_allowed(volume)
            yield from self.backend.call(
                "volumeAttach",
                f"{handle}/{node}",
                lambda: self._publish(handle, node, exclusive, cause),
                ATTACH_TIMEOUT_NS,
            )
        except (RpcError, NotYet) as error:
            yield from self._write_error(attachment, "attach_error", error, client)
            raise
        yield from client.patch_status(
            VolumeAttachment, "", attachment.name,
            lambda a: replace(a, status=replace(a.status, attached=True, attach_error=None)),
        )  # fmt: skip

    def _publish(self, handle: str, node: str, exclusive: bool, cause: int) -> None:
        """Connect the volume, unless the storage refuses a second machine."""
        disk = self.backend.storage.disk(handle)
        if disk.lost:
            raise RpcError("NotFound", f"volume {handle} not found")
        others = sorted(n for n in disk.attached if n != node)
        if exclusive and others and not self.driver.second_publish:
            self._note_forgotten(handle, others, cause)
            raise RpcError("FailedPrecondition", f"volume {handle} is attached to {others[0]}")
        limit = self.driver.attachment_limit
        if limit is not None and node not in disk.attached:
            if len(self.backend.storage.attached_to(node, self.driver.name)) >= limit:
                raise RpcError("ResourceExhausted", f"node {node} has no room for another volume")
        self.backend.storage.attach(handle, node, cause, exclusive)

    def _note_forgotten(self, handle: str, nodes: list[str], cause: int) -> None:
        """Note a volume that no object says is attached to a node while it is: nobody will detach it."""
        storage = self.backend.storage
        if storage.disk(handle).mounts or storage.named_elsewhere(handle):
            return
        told = {(a.spec.source.persistent_volume_name, a.spec.node_name) for a in self.attachments.list()}
        names = [v.name for v in self.volumes.list() if v.spec.csi is not None and v.spec.csi.volume_handle == handle]
        if not any((name, node) in told for name in names for node in nodes):
            storage.beyond_reach(handle, "L24", cause)

    def _detach(self, attachment: VolumeAttachment, client: Client) -> Steps:
        if self.finalizer not in attachment.metadata.finalizers:
            return
        node, cause = attachment.spec.node_name, client.cause
        try:
            volume = self._volume_of(attachment)
            assert volume.spec.csi is not None
            handle = volume.spec.csi.volume_handle
            fences, storage = self.driver.fences, self.backend.storage
            yield from self.backend.call(
                "volumeDetach",
                f"{handle}/{node}",
                lambda: storage.detach(handle, node, cause, fences),
                ATTACH_TIMEOUT_NS,
            )
        except (RpcError, NotYet) as error:
            yield from self._write_error(attachment, "detach_error", error, client)
            raise
        yield from client.patch(
            VolumeAttachment, "", attachment.name,
            lambda a: with_meta(a, finalizers=tuple(f for f in a.metadata.finalizers if f != self.finalizer)),
        )  # fmt: skip

    def _volume_of(self, attachment: VolumeAttachment) -> PersistentVolume:
        name = attachment.spec.source.persistent_volume_name or ""
        volume = self.volumes.get("", name)
        if volume is None or volume.spec.csi is None:
            raise NotYet(f'persistentvolume "{name}" not found')
        return volume

    def _write_error(self, attachment: VolumeAttachment, field: str, cause: Exception, client: Client) -> Steps:
        code = GRPC_CODES.get(cause.code) if isinstance(cause, RpcError) else None
        error = VolumeError(time=Time(self.clock.truncated()), message=str(cause), error_code=code)
        try:
            yield from client.patch_status(
                VolumeAttachment, "", attachment.name, lambda a: replace(a, status=replace(a.status, **{field: error}))
            )
        except NotFound:
            return

    # ---- volumes ----------------------------------------------------------------------------------------------------

    def _sync_volume(self, key: Key, client: Client) -> Steps:
        """Let a volume go that is being deleted and that no attachment needs any more."""
        volume = self.volumes.get(*key)
        if volume is None or not volume.deleting or self.finalizer not in volume.metadata.finalizers:
            return
        if any(True for _ in self.attachments.by_index(ATTACHMENTS_BY_VOLUME, volume.name)):
            return
        kept = tuple(f for f in volume.metadata.finalizers if f != self.finalizer)
        yield from client.update(with_meta(volume, finalizers=kept))
