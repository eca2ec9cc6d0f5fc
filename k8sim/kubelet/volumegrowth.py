"""The node's half of a volume's growth: the file system follows the device.

A running pod's volume is looked at when its pod is synced: at the latest with the periodic sync, every 60 to 90 s.

Source: pkg/volume/util/operationexecutor/{operation_generator,node_expander}.go; storage.md 4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from k8sim.api import resizing
from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.resizing import NODE_PENDING
from k8sim.api.struct import Time, replace
from k8sim.api.volume_matching import storage_capacity
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.watch import Change
from k8sim.kubelet.devices import Backoff, MountFailed
from k8sim.kubelet.volumespecs import ClaimVolume
from k8sim.machines.disks import Storage, location
from k8sim.sim.clock import Event, Steps
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import SECOND

SYNC_FREQUENCY: Final = 60 * SECOND
SYNC_JITTER: Final = 0.5

Record = Callable[[Pod, str, str, str], None]


class VolumeGrowth:
    """Grows file systems on one node."""

    def __init__(
        self,
        sim: Simulation,
        client: Client,
        rank: int,
        node: str,
        storage: Storage | None,
        spawn: Callable[[Steps], object],
        record: Record,
    ) -> None:
        self._sim = sim
        self._clock = sim.clock
        self._client = client
        self._rank = rank
        self._node = node
        self._storage = storage
        self._spawn = spawn
        self._record = record
        self._watches: dict[str, list[Callable[[], None]]] = {}
        self._growing: dict[str, None] = {}

    def at_mount(self, pod: Pod, spec: ClaimVolume) -> Generator[Event, Any, None]:
        """Grow a volume that is due while it is being mounted, and watch its claim from now on."""
        if spec.volume.spec.csi is None or spec.read_only:
            return
        claim = self._client.server.find(PersistentVolumeClaim, *spec.claim.key)
        if claim is not None and self._due(claim):
            yield from self._grow(pod, spec.claim.key)
        key = spec.claim.key
        stop = self._client.server.watch_object(PersistentVolumeClaim, *key, lambda change: self._on_claim(pod, change))
        self._watches.setdefault(pod.uid, []).append(stop)

    def forget(self, uid: str) -> None:
        """Stop watching a pod's claims."""
        if uid in self._watches:
            for stop in self._watches.pop(uid):
                stop()

    def stop(self) -> None:
        """Stop all watches."""
        for uid in list(self._watches):
            self.forget(uid)

    def _due(self, claim: PersistentVolumeClaim) -> bool:
        volume = self._client.server.find(PersistentVolume, "", claim.spec.volume_name)
        waits = resizing.resize_status(claim) in (NODE_PENDING, resizing.NODE_IN_PROGRESS)
        return volume is not None and waits and storage_capacity(volume) > resizing.capacity(claim)

    def _on_claim(self, pod: Pod, change: Change) -> None:
        claim = change.new
        assert isinstance(claim, PersistentVolumeClaim)
        if change.type == "DELETED" or not self._due(claim) or claim.uid in self._growing:
            return
        self._growing[claim.uid] = None
        self._spawn(self._grow_online(pod, claim))

    def _until_next_sync(self, uid: str) -> int:
        """Return how long it is until the pod's next periodic sync, at a moment that has nothing to do with it."""
        stream = self._sim.streams.stream(uid, "time to next sync")
        # The interval around a random moment is drawn in proportion to its length.
        low, high = 1.0, 1.0 + SYNC_JITTER
        interval = (low**2 + stream.uniform() * (high**2 - low**2)) ** 0.5
        return int(stream.uniform() * interval * SYNC_FREQUENCY)

    def _grow_online(self, pod: Pod, claim: PersistentVolumeClaim) -> Steps:
        backoff = Backoff()
        try:
            yield self._clock.sleep(self._until_next_sync(pod.uid), self._rank)
            while True:
                current = self._client.server.find(PersistentVolumeClaim, *claim.key)
                if current is None or current.uid != claim.uid or not self._due(current):
                    return
                try:
                    yield from self._grow(pod, claim.key)
                    return
                except (MountFailed, ApiError) as error:
                    self._record(pod, "Warning", "VolumeResizeFailed", str(error))
                    yield self._clock.sleep(backoff.next(), self._rank)
        finally:
            self._growing.pop(claim.uid, None)

    def _grow(self, pod: Pod, key: tuple[str, str]) -> Generator[Event, Any, None]:
        """Grow the file system and write the claim's new capacity."""
        client = self._client
        claim = yield from client.patch_status(PersistentVolumeClaim, *key, _in_progress)
        volume = yield from client.get(PersistentVolume, "", claim.spec.volume_name)
        where = location(volume, self._node)
        driver = volume.spec.csi.driver if volume.spec.csi is not None else ""
        if self._storage is not None:
            duration = self._storage.draw(driver, "volumeNodeExpand", f"{self._node}/{where}")
        else:
            duration = self._sim.latencies.draw("volumeNodeExpand", f"{self._node}/{where}")
        yield self._clock.sleep(duration, self._rank)
        code = self._storage.failure_of(driver, "volumeNodeExpand") if self._storage is not None else ""
        if code:
            yield from client.patch_status(PersistentVolumeClaim, *key, lambda c: self._failed(c, code))
            raise MountFailed(f"NodeExpandVolume: rpc error: code = {code}")
        size = storage_capacity(volume)
        yield from client.patch_status(PersistentVolumeClaim, *key, lambda c: resizing.finished(c, size))
        message = f'MountVolume.NodeExpandVolume succeeded for volume "{volume.name}" {self._node}'
        self._record(pod, "Normal", "FileSystemResizeSuccessful", message)

    def _failed(self, claim: PersistentVolumeClaim, code: str) -> PersistentVolumeClaim:
        return resizing.node_failed(claim, code, Time(self._clock.truncated()))


def _in_progress(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    statuses = {**claim.status.allocated_resource_statuses, "storage": resizing.NODE_IN_PROGRESS}
    return replace(claim, status=replace(claim.status, allocated_resource_statuses=statuses))
