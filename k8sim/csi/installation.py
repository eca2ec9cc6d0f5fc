"""Drivers are installed when the cluster first names them: their CSIDriver, their entry on every node, their sidecars.

A driver that is installed was there all along: whatever names it (a class, a static volume) finds it at work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from k8sim.api.core import Node, PersistentVolume
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
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.attacher import Attacher
from k8sim.csi.drivers import MIGRATED, Driver, find_driver, in_tree
from k8sim.csi.provisioner import Provisioner
from k8sim.csi.resizer import Resizer
from k8sim.csi.rpc import Backend
from k8sim.csi.sidecar import Sidecar
from k8sim.csi.snapshotter import Snapshotter
from k8sim.csi.topology import topology_key
from k8sim.machines.disks import Storage

ACTOR: Final = "csi-driver"


class Installation:
    """All drivers of a cluster. ``assumed`` lists those whose abilities had to be assumed."""

    def __init__(self, server: APIServer, storage: Storage, drivers: Mapping[str, Driver] = {}) -> None:
        self.server = server
        self.storage = storage
        self.overrides = drivers
        self.backends: dict[str, Backend] = {}
        self.sidecars: list[Sidecar] = []
        self._started = False

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
                spec = CSIDriverSpec(attach_required=driver.attach)
                self.server.create(CSIDriver(metadata=ObjectMeta(name=driver.name), spec=spec), ACTOR)
            for node in self.server.list(Node):
                self._register(node.name)
        made: list[Sidecar] = [Provisioner(self.server, backend)]
        if driver.source == "csi" and driver.attach:
            made.append(Attacher(self.server, backend))
        if driver.source == "csi" and driver.expansion != "none":
            made.append(Resizer(self.server, backend))
        if driver.source == "csi" and driver.snapshots:
            made.append(Snapshotter(self.server, backend))
        for sidecar in made:
            sidecar.start()
        self.sidecars += made

    def _on_node(self, change: Change) -> None:
        if change.type == "ADDED":
            self._register(change.new.name)
        elif change.type == "DELETED" and self.server.find(CSINode, "", change.new.name) is not None:
            self.server.delete(CSINode, "", change.new.name, actor=ACTOR, cause=change.row)

    def _register(self, node: str) -> None:
        """Write a node's CSINode: every installed driver, with its limit (the kubelet's plug-in registration)."""
        entries = tuple(_entry(b.driver, node) for b in self.backends.values() if b.driver.source == "csi")
        if not entries:
            return
        known = self.server.find(CSINode, "", node)
        if known is None:
            self.server.create(CSINode(metadata=ObjectMeta(name=node), spec=CSINodeSpec(drivers=entries)), ACTOR)
        else:
            self.server.patch(CSINode, "", node, lambda n: replace(n, spec=CSINodeSpec(drivers=entries)), ACTOR)


def _entry(driver: Driver, node: str) -> CSINodeDriver:
    limit = driver.volumes_per_node
    key = topology_key(driver)
    return CSINodeDriver(
        name=driver.name,
        node_id=node,
        topology_keys=(key,) if key else (),
        allocatable=VolumeNodeResources(count=limit) if limit is not None else None,
    )
