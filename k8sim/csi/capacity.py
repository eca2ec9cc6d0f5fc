"""The external provisioner's word on free space: one CSIStorageCapacity for each class and topology segment.

Asked of the driver when classes or nodes come and go, and every minute (here: only if volumes have come or gone since,
or have been written to where that takes space from others). Only classes that wait for a consumer are reported: for
others the scheduler has no say. Between two reports the scheduler believes the older one.

Source: kubernetes-csi/external-provisioner pkg/capacity/capacity.go; storage.md 2.2.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Final

from k8sim.api.core import Node, PersistentVolume
from k8sim.api.meta import LabelSelector, ObjectMeta
from k8sim.api.quantity import format_quantity
from k8sim.api.storage import CSIStorageCapacity, StorageClass
from k8sim.api.struct import replace
from k8sim.api.volume_matching import WAIT_FOR_FIRST_CONSUMER
from k8sim.apiserver.client import Client
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.drivers import Driver
from k8sim.csi.rpc import Backend
from k8sim.csi.sidecar import Key, Sidecar, Steps
from k8sim.csi.topology import segments, topology_key
from k8sim.machines.content import Disk
from k8sim.machines.disks import Storage
from k8sim.sim.clock import rank
from k8sim.sim.units import MINUTE
from k8sim.sim.virtual_loop import VirtualLoop

NAMESPACE: Final = "kube-system"
POLL_NS: Final = MINUTE
AMPLE: Final = 2**60
"""What a driver without a limit is said to have free."""


def free_bytes(storage: Storage, driver: Driver, zones: tuple[str, ...]) -> int | None:
    """Return how much more fits into a segment, None if there is no limit."""
    if driver.capacity_bytes is None:
        return None
    there = (d for d in storage.disks.values() if d.driver == driver.name and d.zones == zones and not d.lost)
    return driver.capacity_bytes - sum(d.size if driver.size_enforced else d.held for d in there)


class CapacityReporter(Sidecar):
    """Reports the free space of one driver. A key is a class and a segment."""

    name: ClassVar[str] = "csi-capacity"
    workers: ClassVar[int] = 1

    def __init__(self, server: APIServer, backend: Backend) -> None:
        super().__init__(server, backend)
        self.classes = self.informers.of(StorageClass)
        self.nodes = self.informers.of(Node)
        self.volumes = self.informers.of(PersistentVolume)
        self.reports = self.informers.of(CSIStorageCapacity)
        self.report_queue = self.queue(self._sync)
        phase = self.sim.streams.uniform_ns(self.program, "poll phase", 0, POLL_NS)
        self.poll = VirtualLoop(self.clock, rank("csi", self.program), phase, POLL_NS, self._look_at_all)
        self.classes.add_handler(self._on_class)
        self.nodes.add_handler(self._on_node, of_status=False)
        self.volumes.add_handler(self._on_volume)
        backend.storage.write_observers.append(self._on_write)

    def stop(self) -> None:
        """Kill the program."""
        super().stop()
        self.backend.storage.write_observers.remove(self._on_write)
        self.poll.disarm()

    def _on_class(self, change: Change) -> None:
        if isinstance(change.new, StorageClass) and change.new.provisioner == self.driver.name:
            self._look_at_all()

    def _on_node(self, change: Change) -> None:
        old = change.old
        if change.type != "MODIFIED" or old is None or old.metadata.labels != change.new.metadata.labels:
            self._look_at_all()

    def _on_volume(self, change: Change) -> None:
        if change.type != "MODIFIED":  # only then can the next poll find anything new
            self.poll.arm()

    def _on_write(self, disk: Disk) -> None:
        driver = self.driver
        if disk.driver == driver.name and driver.capacity_bytes is not None and not driver.size_enforced:
            self.poll.arm()

    def _segments(self) -> list[str]:
        return segments(self.nodes.list(), self.driver) if topology_key(self.driver) else [""]

    def _look_at_all(self) -> None:
        known = [(r.storage_class_name, _segment_of(r, self.driver)) for r in self._own_reports()]
        wanted = [(c.name, s) for c in self.classes.list() if self._reports_on(c) for s in self._segments()]
        for key in dict.fromkeys(known + wanted):
            self.report_queue.add(key)

    def _reports_on(self, storage_class: StorageClass | None) -> bool:
        return (
            storage_class is not None
            and storage_class.provisioner == self.driver.name
            and storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER
        )

    def _own_reports(self) -> list[CSIStorageCapacity]:
        prefix = _prefix(self.driver)
        return [report for report in self.reports.list() if report.name.startswith(prefix)]

    def _sync(self, key: Key, client: Client) -> Steps:
        """Write, correct or remove the report on a class and a segment."""
        class_name, segment = key
        name = _prefix(self.driver) + hashlib.sha256(f"{class_name}/{segment}".encode()).hexdigest()[:10]
        known = self.reports.get(NAMESPACE, name)
        if not self._reports_on(self.classes.get("", class_name)) or segment not in self._segments():
            if known is not None:
                yield from client.delete(CSIStorageCapacity, NAMESPACE, name)
            return
        wanted = self._report(name, class_name, segment)
        if known is None:
            yield from client.create(wanted)
        elif (known.capacity, known.maximum_volume_size) != (wanted.capacity, wanted.maximum_volume_size):
            changed = replace(known, capacity=wanted.capacity, maximum_volume_size=wanted.maximum_volume_size)
            yield from client.update(changed)

    def _report(self, name: str, class_name: str, segment: str) -> CSIStorageCapacity:
        """Return what the driver says (GetCapacity)."""
        key = topology_key(self.driver)
        free = free_bytes(self.backend.storage, self.driver, (segment,) if key else ())
        free = AMPLE if free is None else max(free, 0)
        largest = self.driver.max_volume_bytes
        return CSIStorageCapacity(
            metadata=ObjectMeta(namespace=NAMESPACE, name=name),
            node_topology=LabelSelector(match_labels={key: segment} if key else {}),
            storage_class_name=class_name,
            capacity=format_quantity(free, binary=True),
            maximum_volume_size=None if largest is None else format_quantity(min(largest, free), binary=True),
        )


def _prefix(driver: Driver) -> str:
    return f"csisc-{driver.name}-"


def _segment_of(report: CSIStorageCapacity, driver: Driver) -> str:
    topology = report.node_topology
    return topology.match_labels.get(topology_key(driver), "") if topology is not None else ""
