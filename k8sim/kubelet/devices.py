"""Volumes that are attached to a node, as its kubelet deals with them: wanted, reported in use, staged, unstaged.

A volume is mounted in two steps: once for the node (stage), once for each pod (publish). It may be staged only when the
node's status says that it is in use, which the status loop writes every 10 s, and that it is attached, which the
attach/detach controller writes. It is unstaged after the last pod has gone, and only then does the node's status let go
of it.

Source: pkg/kubelet/volumemanager/reconciler, pkg/volume/util/operationexecutor/operation_generator.go; storage.md 3.5.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final

from k8sim.api.core import Node
from k8sim.api.storage import CSIDriver, VolumeAttachment
from k8sim.api.volumes import attachment_name, is_attach_limit_exceeded
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.kubelet.volumespecs import ClaimVolume
from k8sim.machines.disks import Storage, location
from k8sim.sim.clock import Clock, Event, Steps
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import MILLISECOND, SECOND

LOOP: Final = 100 * MILLISECOND
FIRST_BACKOFF: Final = 500 * MILLISECOND
LAST_BACKOFF: Final = 122 * SECOND


@dataclass
class Staged:
    """A volume that is mounted on the machine."""

    location: str
    driver: str
    pods: dict[str, None] = field(default_factory=dict)


@dataclass
class Mounts:
    """What is mounted on a machine: it outlives the kubelet's process, and ends with the machine's power."""

    staged: dict[str, Staged] = field(default_factory=dict)


class MountFailed(Exception):
    """A mount failed; it is tried again after a back-off."""


class Backoff:
    """0.5 s x 2^n, at most 122 s."""

    def __init__(self) -> None:
        self.delay = 0

    def next(self) -> int:
        """Return the next wait."""
        self.delay = min(2 * self.delay, LAST_BACKOFF) or FIRST_BACKOFF
        return self.delay


class Devices:
    """The attachable volumes of one kubelet process."""

    def __init__(
        self,
        sim: Simulation,
        client: Client,
        rank: int,
        node: str,
        mounts: Mounts,
        storage: Storage | None,
        spawn: Callable[[Steps], object],
        report: Callable[[], None],
    ) -> None:
        self.sim = sim
        self.clock: Clock = sim.clock
        self.client = client
        self.node = node
        self.mounts = mounts
        self.storage = storage
        self._rank = rank
        self._spawn = spawn
        self._report = report
        self._wanted: dict[str, dict[str, None]] = {}
        self._reported: frozenset[str] = frozenset()
        self._on_report: dict[str, Event] = {}
        self._busy: dict[str, Event] = {}

    # ---- status.volumesInUse ----------------------------------------------------------------------------------------

    def in_use(self) -> tuple[str, ...]:
        """Return what the node's status is to say."""
        return tuple(sorted(set(self._wanted) | set(self.mounts.staged)))

    def reported(self, volumes: tuple[str, ...]) -> None:
        """Note what the node's status says now."""
        self._reported = frozenset(volumes)
        for name in volumes:
            event = self._on_report.pop(name, None)
            if event is not None:
                self.clock.fire(event, None, self._rank)

    def want(self, unique: str, uid: str) -> None:
        """Note that a pod wants a volume."""
        self._wanted.setdefault(unique, {})[uid] = None
        if unique not in self._reported:
            self._report()

    def release(self, uid: str) -> None:
        """Note that a pod's volumes are no longer wanted nor published."""
        if not self._wanted and not self.mounts.staged:
            return
        for unique, uids in list(self._wanted.items()):
            if uids.pop(uid, "") is None and not uids:
                del self._wanted[unique]
                if unique not in self.mounts.staged:
                    self._report()
        for staged in self.mounts.staged.values():
            staged.pods.pop(uid, None)
        self.release_leftovers()

    def release_leftovers(self) -> None:
        """Unstage what no pod has or wants."""
        for unique, staged in list(self.mounts.staged.items()):
            if not staged.pods and unique not in self._wanted and unique not in self._busy:
                self._spawn(self._unstage(unique, staged))

    def published_elsewhere(self, unique: str, uid: str) -> bool:
        """Tell whether another pod of this node has the volume."""
        staged = self.mounts.staged.get(unique)
        return staged is not None and any(other != uid for other in staged.pods)

    def finds_no_place(self, spec: ClaimVolume) -> bool:
        """Tell whether a volume is not attached because the node takes no more, as its driver wants pods to learn."""
        source, find = spec.volume.spec.csi, self.client.server.find
        if source is None or spec.unique is None or not self.client.connected:
            return False
        name = attachment_name(source.volume_handle, source.driver, self.node)
        return is_attach_limit_exceeded(find(VolumeAttachment, "", name), find(CSIDriver, "", source.driver))

    # ---- mounting ---------------------------------------------------------------------------------------------------

    def ready_to_mount(self, unique: str, why: Callable[[str], None]) -> Generator[Event, Any, None]:
        """Wait until the node's status says that a volume is in use and attached."""
        if unique not in self._reported:
            why(f"volume {unique} has not been added to the node's volumesInUse")
            yield self._on_report.setdefault(unique, self.clock.event())
            yield self.clock.sleep(self._loop_wait(), self._rank)
        backoff = Backoff()
        attempt = self.clock.now
        while not (attached := (yield from self._is_attached(unique))):
            why(f"volume {unique} is not attached according to the node's status")
            if attached is not None:
                yield from self._node_change()
            while attempt <= self.clock.now:
                attempt += backoff.next()
            yield self.clock.sleep(attempt - self.clock.now, self._rank)

    def _is_attached(self, unique: str) -> Generator[Event, Any, bool | None]:
        """Return what the node's status says; None if it cannot be read now."""
        try:
            node = yield from self.client.get(Node, "", self.node)
        except ApiError:
            return None
        return any(attached.name == unique for attached in node.status.volumes_attached)

    def _node_change(self) -> Generator[Event, Any, None]:
        """Wait for a change of the own node: until then every look would see the same."""
        changed = self.clock.event()
        stop = self.client.server.watch_object(
            Node, "", self.node, lambda _: self.clock.fire(changed, None, self._rank)
        )
        try:
            yield changed
        finally:
            stop()

    def stage(self, spec: ClaimVolume) -> Generator[Event, Any, None]:
        """Mount a volume on the machine, unless it is."""
        unique = spec.unique
        assert unique is not None
        while unique in self._busy:
            yield self._busy[unique]
        if unique in self.mounts.staged:
            return
        driver = spec.volume.spec.csi.driver if spec.volume.spec.csi is not None else ""
        where = location(spec.volume, self.node)
        busy = self._busy[unique] = self.clock.event()
        try:
            yield self.clock.sleep(self.draw("volumeStage", driver, where), self._rank)
            self._check_reachable(where, driver)
            self.mounts.staged[unique] = Staged(where, driver)
        finally:
            del self._busy[unique]
            self.clock.fire(busy, None, self._rank)

    def _check_reachable(self, where: str, driver: str) -> None:
        if self.storage is None:
            return
        code = self.storage.failure_of(driver, "volumeStage")
        disk = self.storage.disk(where)
        if code:
            raise MountFailed(f"rpc error: code = {code}")
        if disk.lost:
            raise MountFailed(f"volume {where} not found")
        if driver and self.node not in disk.attached:
            raise MountFailed(f"device of volume {where} not found")

    def _unstage(self, unique: str, staged: Staged) -> Steps:
        """Flush and unmount a volume that no pod wants; retried for as long as it fails."""
        backoff = Backoff()
        yield self.clock.sleep(self._loop_wait(), self._rank)
        while unique not in self._wanted and not staged.pods and self.mounts.staged.get(unique) is staged:
            if unique in self._busy:
                return
            busy = self._busy[unique] = self.clock.event()
            try:
                yield self.clock.sleep(self.draw("volumeUnstage", staged.driver, staged.location), self._rank)
                failed = self.storage is not None and self.storage.failure_of(staged.driver, "volumeUnstage")
                if not failed:
                    del self.mounts.staged[unique]
                    if self.storage is not None:
                        self.storage.sync(staged.location, self.node)
                    self._report()
            finally:
                del self._busy[unique]
                self.clock.fire(busy, None, self._rank)
            if failed:
                yield self.clock.sleep(backoff.next(), self._rank)

    def draw(self, call: str, driver: str, entity: str) -> int:
        """Draw the time of a call on this machine."""
        if self.storage is None:
            return self.sim.latencies.draw(call, f"{self.node}/{entity}")
        return self.storage.draw(driver, call, f"{self.node}/{entity}")

    def _loop_wait(self) -> int:
        return int(self.sim.streams.uniform(f"{self.node}/devices", "loops") * LOOP)
