"""Drivers are installed when the cluster first names them: their CSIDriver, their entry on every node, their sidecars.

A driver that is installed was there all along: whatever names it (a class, a static volume) finds it at work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from k8sim.api.core import Node, PersistentVolume, Pod
from k8sim.api.csi_migration import MIGRATED
from k8sim.api.meta import ObjectMeta
from k8sim.api.storage import (
    CSIDriver,
    CSIDriverSpec,
    CSINode,
    CSINodeDriver,
    CSINodeSpec,
    StorageClass,
    VolumeNodeResources,
)
from k8sim.api.struct import replace
from k8sim.api.volumes import ATTACH_LIMIT_EXCEEDED
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.attacher import Attacher
from k8sim.csi.capacity import CapacityReporter
from k8sim.csi.drivers import Driver, find_driver, in_tree
from k8sim.csi.modifier import Modifier
from k8sim.csi.provisioner import Provisioner
from k8sim.csi.resizer import Resizer
from k8sim.csi.rpc import Backend
from k8sim.csi.sidecar import Sidecar
from k8sim.csi.snapshotter import Snapshotter
from k8sim.csi.topology import topology_key
from k8sim.machines.disks import Storage
from k8sim.sim.units import SECOND

ACTOR: Final = "csi-driver"


class Installation:
    """All drivers of a cluster. ``assumed`` lists those whose abilities had to be assumed."""

    def __init__(self, server: APIServer, storage: Storage, drivers: Mapping[str, Driver] = {}) -> None:
        self.server = server
        self.storage = storage
        self.overrides = drivers
        self.backends: dict[str, Backend] = {}
        self.sidecars: list[Sidecar] = []
        self._updated: set[tuple[str, str]] = set()  # driver and node: the limit as it is
        self._started = False
        self._watches_pods = False

    @property
    def assumed(self) -> list[str]:
        """Names of drivers that we do not know."""
        return [name for name, backend in self.backends.items() if not backend.driver.known]

    def start(self) -> None:
        """Install what is named already, and watch for more."""
        self._started = True
        self.server.watch(StorageClass, self._on_class)
        self.server.watch(PersistentVolume, self._on_volume)
        self.server.watch(Node, self._on_node)
        for storage_class in self.server.list(StorageClass):
            self._need(storage_class.provisioner)
        for volume in self.server.list(PersistentVolume):
            self._need_of(volume)

    def stop(self) -> None:
        """Kill all sidecars."""
        for sidecar in self.sidecars:
            sidecar.stop()

    def _on_class(self, change: Change) -> None:
        if change.type == "ADDED" and isinstance(change.new, StorageClass):
            self._need(change.new.provisioner)

    def _on_volume(self, change: Change) -> None:
        if change.type == "ADDED" and isinstance(change.new, PersistentVolume):
            self._need_of(change.new)

    def _need_of(self, volume: PersistentVolume) -> None:
        if volume.spec.csi is not None:
            self._need(volume.spec.csi.driver)

    def _need(self, provisioner: str) -> None:
        name = MIGRATED.get(provisioner, provisioner)
        if name and not in_tree(name) and name not in self.backends:
            self._install(find_driver(name, self.overrides))

    def _install(self, driver: Driver) -> None:
        backend = self.backends[driver.name] = Backend(driver, self.storage)
        self.storage.laws.update({(driver.name, call): law for call, law in driver.laws.items()})
        detail = {"family": driver.family, "known": driver.known}
        sim = self.server.sim
        sim.trace.append(sim.clock.now, "StorageDriver", driver.name, "Installed", detail)
        if driver.source == "csi":
            if self.server.find(CSIDriver, "", driver.name) is None:
                spec = CSIDriverSpec(
                    attach_required=driver.attach,
                    storage_capacity=driver.storage_capacity,
                    fs_group_policy=driver.fs_group_policy,
                    node_allocatable_update_period_seconds=driver.node_allocatable_update_period_s,
                )
                self.server.create(CSIDriver(metadata=ObjectMeta(name=driver.name), spec=spec), ACTOR)
            for node in self.server.list(Node):
                self._register(node.name)
                self._update_later(driver, node.name)
            if driver.node_allocatable_update_period_s is not None and not self._watches_pods:
                self._watches_pods = True
                self.server.watch(Pod, self._on_pod)
        made: list[Sidecar] = [Provisioner(self.server, backend)]
        if driver.source == "csi" and driver.storage_capacity:
            made.append(CapacityReporter(self.server, backend))
        if driver.source == "csi" and driver.attach:
            made.append(Attacher(self.server, backend))
        if driver.source == "csi" and driver.expansion != "none":
            made.append(Resizer(self.server, backend))
        if driver.source == "csi" and driver.modification:
            made.append(Modifier(self.server, backend))
        if driver.source == "csi" and driver.snapshots:
            made.append(Snapshotter(self.server, backend))
        for sidecar in made:
            sidecar.start()
        self.sidecars += made

    def _on_node(self, change: Change) -> None:
        if change.type == "ADDED":
            self._updated = {(driver, node) for driver, node in self._updated if node != change.new.name}
            self._register(change.new.name)
            for backend in self.backends.values():
                self._update_later(backend.driver, change.new.name)
        elif change.type == "DELETED" and self.server.find(CSINode, "", change.new.name) is not None:
            self.server.delete(CSINode, "", change.new.name, actor=ACTOR, cause=change.row)

    def _register(self, node: str) -> None:
        """Write a node's CSINode: every installed driver, with its limit (the kubelet's plug-in registration)."""
        drivers = [backend.driver for backend in self.backends.values() if backend.driver.source == "csi"]
        entries = tuple(_entry(d, node, (d.name, node) in self._updated) for d in drivers)
        if not entries:
            return
        known = self.server.find(CSINode, "", node)
        if known is None:
            self.server.create(CSINode(metadata=ObjectMeta(name=node), spec=CSINodeSpec(drivers=entries)), ACTOR)
        else:
            self.server.patch(CSINode, "", node, lambda n: replace(n, spec=CSINodeSpec(drivers=entries)), ACTOR)

    def _update_later(self, driver: Driver, node: str) -> None:
        """Have a node report its limit anew after the driver's period, if that will be another one.

        Later reports say the same, so they are not made.
        """
        period = driver.node_allocatable_update_period_s
        if period is not None and driver.slots_taken:
            self.server.sim.clock.call_after(period * SECOND, self._update, driver.name, node)

    def _update(self, driver: str, node: str) -> None:
        if (driver, node) not in self._updated and self.server.find(CSINode, "", node) is not None:
            self._updated.add((driver, node))
            self._register(node)

    def _on_pod(self, change: Change) -> None:
        """Report a node's limits when its kubelet has rejected a pod for one: it has asked its drivers anew."""
        pod = change.new
        assert isinstance(pod, Pod)
        if change.type == "MODIFIED" and pod.status.reason == ATTACH_LIMIT_EXCEEDED:
            for backend in self.backends.values():
                if backend.driver.node_allocatable_update_period_s is not None:
                    self._update(backend.driver.name, pod.spec.node_name)


def _entry(driver: Driver, node: str, updated: bool) -> CSINodeDriver:
    limit = driver.attachment_limit if updated else driver.volumes_per_node
    key = topology_key(driver)
    return CSINodeDriver(
        name=driver.name,
        node_id=node,
        topology_keys=(key,) if key else (),
        allocatable=VolumeNodeResources(count=limit) if limit is not None else None,
    )
