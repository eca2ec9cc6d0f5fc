"""VolumeAttachment objects: made and deleted to have a CSI driver attach and detach, and awaited.

The waits poll as the real ones do (0.5 s, growing by 5 % up to 7 s, 10 % jitter, for two minutes), but only the first
poll after a change is made.

Source: pkg/volume/csi/csi_attacher.go; storage.md 3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from k8sim.api.core import PersistentVolume
from k8sim.api.meta import ObjectMeta
from k8sim.api.storage import VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec
from k8sim.api.volumes import attachment_name
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, NotFound
from k8sim.apiserver.informer import Informer
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Sync
from k8sim.sim.clock import Event
from k8sim.sim.operations import OperationFailed
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import MILLISECOND, MINUTE, SECOND

FIRST_POLL_NS: Final = 500 * MILLISECOND
LAST_POLL_NS: Final = 7 * SECOND
GROWTH: Final = 1.05
JITTER: Final = 0.1
TIMEOUT_NS: Final = 2 * MINUTE

Verdict = Callable[[VolumeAttachment | None], bool]
"""True: done. Raises OperationFailed if waiting is pointless."""


class Attachments:
    """Asks for attachments and detachments, and waits for them."""

    def __init__(
        self, sim: Simulation, informer: Informer[VolumeAttachment], on_change: Callable[[Change], None]
    ) -> None:
        self.sim = sim
        self.clock = sim.clock
        self.informer = informer
        self._waiting: dict[str, Event] = {}
        self._tell = on_change
        informer.add_handler(self._on_change)

    def _on_change(self, change: Change) -> None:
        self._wake(change.new.name)
        self._tell(change)

    def _wake(self, name: str) -> None:
        event = self._waiting.pop(name, None)
        if event is not None:
            self.clock.fire(event)

    def attach(self, volume: PersistentVolume, node: str, client: Client) -> Sync:
        """Have a volume attached to a node; return when it is."""
        source = volume.spec.csi
        assert source is not None
        name = attachment_name(source.volume_handle, source.driver, node)
        wanted = VolumeAttachment(
            metadata=ObjectMeta(name=name),
            spec=VolumeAttachmentSpec(
                attacher=source.driver,
                node_name=node,
                source=VolumeAttachmentSource(persistent_volume_name=volume.name),
            ),
        )
        with suppress(AlreadyExists):
            yield from client.create(wanted)
        yield from self._wait(name, _attached)

    def detach(self, unique: str, node: str, client: Client) -> Sync:
        """Have a volume detached from a node; return when its VolumeAttachment is gone."""
        driver, _, handle = unique.removeprefix("kubernetes.io/csi/").partition("^")
        name = attachment_name(handle, driver, node)
        try:
            yield from client.delete(VolumeAttachment, "", name)
        except NotFound:
            return
        yield from self._wait(name, _detached)

    def _wait(self, name: str, verdict: Verdict) -> Sync:
        deadline = self.clock.now + TIMEOUT_NS
        poll, delay = self.clock.now, FIRST_POLL_NS
        jitter = self.sim.streams.stream(name, "poll jitter")
        while not verdict(self.informer.get("", name)):
            changed = self._waiting.setdefault(name, self.clock.event())
            self.clock.call_at(deadline, self._wake, name)
            yield changed
            while poll <= self.clock.now:
                poll += delay + int(delay * JITTER * jitter.uniform())
                delay = min(int(delay * GROWTH), LAST_POLL_NS)
            if poll >= deadline:
                raise OperationFailed(f"timed out waiting for external-attacher of VolumeAttachment {name}")
            yield self.clock.sleep(poll - self.clock.now)


def _attached(attachment: VolumeAttachment | None) -> bool:
    if attachment is None:
        return False  # not in the cache yet
    if attachment.deleting:
        raise OperationFailed("volume attachment is being deleted")
    if attachment.status.attach_error is not None and not attachment.status.attached:
        raise OperationFailed(attachment.status.attach_error.message)
    return attachment.status.attached


def _detached(attachment: VolumeAttachment | None) -> bool:
    if attachment is None:
        return True
    if attachment.status.detach_error is not None:
        raise OperationFailed(attachment.status.detach_error.message)
    return False
