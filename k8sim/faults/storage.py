"""Faults of disks and of the systems that keep them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.pods import claim_names
from k8sim.faults.fault import Fault, FaultFailed, World, argument
from k8sim.machines.disks import Storage, location
from k8sim.machines.storagecalls import FOR_EVER


def _storage(world: World) -> Storage:
    if world.storage is None:
        raise FaultFailed("there is no storage")
    return world.storage


@dataclass(frozen=True, kw_only=True)
class DiskLoss(Fault):
    """The content of a claim's volume is gone; its objects stay.

    Nothing brings it back, so whoever mounts the volume next finds nothing, again and again (FailedMount: not found),
    except with hostPath, which is made where it is missing. A claim that is made anew has another volume, which can be
    lost as well.
    """

    name: ClassVar[str] = "disk-loss"

    claim: str = argument("claim", "the claim")

    def begin(self, world: World) -> None:
        namespace, name = world.key(self.claim)
        claim = world.server.find(PersistentVolumeClaim, namespace, name)
        if claim is None:
            raise FaultFailed(f'there is no claim "{self.claim}"')
        volume = world.server.find(PersistentVolume, "", claim.spec.volume_name)
        if volume is None:
            raise FaultFailed(f'claim "{self.claim}" has no volume')
        place = location(volume, _node_of(world, claim))
        disk = _storage(world).disk(place)
        if disk.lost:
            raise FaultFailed(f'the volume of claim "{self.claim}" is lost already')
        at_a_node = volume.spec.local is not None or bool(disk.node)
        _storage(world).destroy(place, "L8" if at_a_node else "disk-loss")


def _node_of(world: World, claim: PersistentVolumeClaim) -> str:
    """Return the node of a pod that uses a claim: a hostPath volume is another one on every node."""
    for pod in world.server.list(Pod, claim.namespace):
        if claim.name in claim_names(pod) and pod.spec.node_name:
            return pod.spec.node_name
    return ""


@dataclass(frozen=True, kw_only=True)
class DiskSlow(Fault):
    """Calls to storage systems that begin meanwhile take `factor` times as long (make, attach, mount, snapshot)."""

    name: ClassVar[str] = "disk-slow"

    driver: str = argument("name", "only this driver; absent: all", required=False, default="")
    factor: float = argument("factor", "how many times as long; absent: 10", required=False, default=10.0)
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        until = FOR_EVER if self.for_ns is None else world.sim.clock.now + self.for_ns
        _storage(world).slow_down(self.factor, until, self.driver)


@dataclass(frozen=True, kw_only=True)
class StorageOutage(Fault):
    """Calls to storage systems fail (make, delete, attach, detach, snapshot, grow); volumes that are mounted go on."""

    name: ClassVar[str] = "storage-outage"

    driver: str = argument("name", "only this driver; absent: all", required=False, default="")
    for_ns: int | None = argument("duration", "how long; absent: for ever", required=False, name="for")

    def begin(self, world: World) -> None:
        until = FOR_EVER if self.for_ns is None else world.sim.clock.now + self.for_ns
        _storage(world).fail_calls(frozenset(), "Unavailable", until, self.driver)
