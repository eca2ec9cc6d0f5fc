"""The external provisioner: makes volumes for claims, deletes released ones.

Source: kubernetes-csi/external-provisioner pkg/controller/controller.go,
sig-storage-lib-external-provisioner/controller/controller.go; storage.md 1.8, 1.9.
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import with_meta
from k8sim.api.storage import StorageClass, VolumeAttachment, VolumeAttributesClass
from k8sim.api.volume_matching import (
    MIGRATED_TO,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    WAIT_FOR_FIRST_CONSUMER,
    claim_class,
    storage_request,
)
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, NotFound
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.csi.capacity import free_bytes
from k8sim.csi.drivers import Driver, with_parameters
from k8sim.csi.rpc import CREATE_TIMEOUT_NS, Backend, RpcError
from k8sim.csi.sidecar import Key, NotYet, Sidecar, Steps
from k8sim.csi.sources import DataSources, Origin
from k8sim.csi.topology import allowed_segments, choose_segments, segment_of, segments, topology_key
from k8sim.csi.volumes import PROVISIONER_FINALIZER, new_volume, place, provisioned_name
from k8sim.machines.content import Disk
from k8sim.machines.disks import location
from k8sim.sim.units import MINUTE

INFEASIBLE_PAUSE_NS: Final = 5 * MINUTE
VOLUMES_BY_ATTACHMENT: Final = "volume"


class Provisioner(Sidecar):
    """Makes and deletes the volumes of one driver."""

    name: ClassVar[str] = "csi-provisioner"
    workers: ClassVar[int] = 100

    def __init__(self, server: APIServer, backend: Backend) -> None:
        super().__init__(server, backend)
        self.claims = self.informers.of(PersistentVolumeClaim)
        self.volumes = self.informers.of(PersistentVolume)
        self.classes = self.informers.of(StorageClass)
        self.nodes = self.informers.of(Node)
        self.attachments = self.informers.of(VolumeAttachment)
        self.attributes = self.informers.of(VolumeAttributesClass)
        self.sources = DataSources(self)
        self.claim_queue = self.queue(self._sync_claim)
        self.volume_queue = self.queue(self._sync_volume)
        self._segments: dict[str, list[str]] = {}  # by topology key, until a node's labels change
        self._infeasible: dict[str, tuple[int, str]] = {}
        self._in_progress: dict[str, None] = {}
        self.attachments.add_index(VOLUMES_BY_ATTACHMENT, lambda a: [a.spec.source.persistent_volume_name])
        self.claims.add_handler(self._on_claim)
        self.volumes.add_handler(self._on_volume)
        self.nodes.add_handler(self._on_node, of_status=False)

    # ---- observe ----------------------------------------------------------------------------------------------------

    def _on_claim(self, change: Change) -> None:
        claim = change.new
        assert isinstance(claim, PersistentVolumeClaim)
        if claim.metadata.annotations.get(STORAGE_PROVISIONER) == self.driver.name:
            self.claim_queue.add(claim.key, change.row)
        self.sources.claim_changed(claim, change)

    def _on_volume(self, change: Change) -> None:
        volume = change.new
        assert isinstance(volume, PersistentVolume)
        if change.type != "DELETED" and self._owns(volume):
            self.volume_queue.add(volume.key, change.row)

    def _on_node(self, change: Change) -> None:
        if change.type != "MODIFIED" or change.old is None or change.old.metadata.labels != change.new.metadata.labels:
            self._segments.clear()

    def _segments_of(self, driver: Driver) -> list[str]:
        key = topology_key(driver)
        if key not in self._segments:
            self._segments[key] = segments(self.nodes.list(), driver)
        return self._segments[key]

    def _owns(self, volume: PersistentVolume) -> bool:
        """Tell whether this driver made the volume, has taken it over, or is the driver of a static one."""
        annotations = volume.metadata.annotations
        maker = annotations.get(MIGRATED_TO) or annotations.get(PROVISIONED_BY)
        if maker is None and volume.spec.csi is not None:
            maker = volume.spec.csi.driver
        return maker == self.driver.name

    # ---- claims -----------------------------------------------------------------------------------------------------

    def _sync_claim(self, key: Key, client: Client) -> Steps:
        claim = self.claims.get(*key)
        if claim is None or claim.spec.volume_name:
            return
        storage_class = self.classes.get("", claim_class(claim))
        if storage_class is None:
            raise NotYet(f'storageclass "{claim_class(claim)}" not found')
        node_name = claim.metadata.annotations.get(SELECTED_NODE, "")
        if storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER and not node_name:
            return
        name = provisioned_name(claim)
        if claim.deleting and name not in self._in_progress:
            return
        if self.volumes.get("", name) is not None:
            return
        not_before, why = self._infeasible.get(claim.uid, (0, ""))
        if self.clock.now < not_before:
            raise RpcError("InvalidArgument", why)
        self.say(
            client, claim, "Normal", "Provisioning", f"External provisioner is provisioning volume for {claim.name}"
        )
        yield from self._provision(claim, storage_class, node_name, client)

    def _provision(
        self, claim: PersistentVolumeClaim, storage_class: StorageClass, node_name: str, client: Client
    ) -> Steps:
        driver = with_parameters(self.driver, storage_class.parameters)
        if claim.spec.selector is not None:
            raise RpcError("InvalidArgument", "claim Selector is not supported")
        node = self.nodes.get("", node_name) if node_name else None
        if node_name and node is None:
            yield from self._reschedule(claim, client)
            return
        self._check_attributes(claim)
        origin = yield from self.sources.check(claim, storage_class, client)
        if origin is None:
            return  # a populator's business
        chosen = choose_segments(
            driver,
            self._segments_of(driver),
            allowed_segments(storage_class, driver),
            segment_of(node, driver) if node is not None else "",
            claim.name,
        )
        name = provisioned_name(claim)
        disk = Disk(
            place(driver, name, chosen),
            self.driver.name,
            storage_request(claim),
            zones=chosen,
            node=chosen[0] if driver.topology == "node" and chosen else "",
            bounded=driver.size_enforced,
        )
        if not driver.size_enforced and driver.capacity_bytes is not None:
            disk.pool = "/".join((driver.name, *chosen))
            self.backend.storage.limit_pool(disk.pool, driver.capacity_bytes)
        self._in_progress[name] = None
        try:
            made = yield from self.backend.call(
                "volumeCreate", name, lambda: self._create(disk, origin, claim, client.cause), CREATE_TIMEOUT_NS
            )
        except RpcError as error:
            yield from self._create_failed(error, claim, node_name, client)
            raise
        self._in_progress.pop(name, None)
        self._infeasible.pop(claim.uid, None)
        volume = new_volume(claim, storage_class, driver, made, chosen)
        try:
            yield from client.create(volume)
        except AlreadyExists:
            return
        message = f"Successfully provisioned volume {volume.name}"
        self.say(client, claim, "Normal", "ProvisioningSucceeded", message)
        yield from self.sources.done(claim, client)

    def _check_attributes(self, claim: PersistentVolumeClaim) -> None:
        """Refuse to make a volume whose attributes class is missing or another driver's."""
        name = claim.spec.volume_attributes_class_name
        found = self.attributes.get("", name) if name else None
        if name and found is None:
            raise NotYet(f'volumeattributesclass.storage.k8s.io "{name}" not found')
        if found is not None and found.driver_name != self.driver.name:
            raise NotYet(f"VAC {name} referenced in PVC is for driver {found.driver_name}, not for {self.driver.name}")

    def _create(self, disk: Disk, origin: Origin, claim: PersistentVolumeClaim, cause: int) -> Disk:
        """Do in the storage system what CreateVolume asks for."""
        storage = self.backend.storage
        known = storage.disks.get(disk.name)
        if known is not None and not known.lost:
            return known
        unsupported = [m for m in claim.spec.access_modes if m not in self.driver.access_modes]
        if unsupported:
            raise RpcError("InvalidArgument", f"access mode {unsupported[0]} is not supported")
        free = free_bytes(storage, self.driver, disk.zones)
        if free is not None and disk.size > free:
            raise RpcError("ResourceExhausted", "not enough free storage")
        begins = origin(storage)
        disk.born_from, disk.filesystem, disk.made_from = begins.content, begins.filesystem, begins.snapshot
        return storage.make(disk, cause)

    def _create_failed(self, error: RpcError, claim: PersistentVolumeClaim, node_name: str, client: Client) -> Steps:
        if error.code not in ("Canceled", "DeadlineExceeded", "Unavailable", "Aborted"):
            self._in_progress.pop(provisioned_name(claim), None)
        if error.code == "InvalidArgument":
            self._infeasible[claim.uid] = (self.clock.now + INFEASIBLE_PAUSE_NS, error.message)
        if error.code == "ResourceExhausted" and node_name and self.driver.topology:
            yield from self._reschedule(claim, client)

    def _reschedule(self, claim: PersistentVolumeClaim, client: Client) -> Steps:
        """Take back the selected node, so that the scheduler chooses anew."""
        annotations = {k: v for k, v in claim.metadata.annotations.items() if k != SELECTED_NODE}
        yield from client.update(with_meta(claim, annotations=annotations))

    def on_error(self, key: Key, error: Exception, client: Client) -> None:
        """Say what failed: on the claim, or on the volume."""
        obj = self.claims.get(*key) if key[0] else self.volumes.get(*key)
        if obj is not None:
            self.say(client, obj, "Warning", "ProvisioningFailed" if key[0] else "VolumeFailedDelete", str(error))

    # ---- volumes ----------------------------------------------------------------------------------------------------

    def _sync_volume(self, key: Key, client: Client) -> Steps:
        volume = self.volumes.get(*key)
        if volume is None:
            return
        protected = with_finalizer(volume)
        if protected is not volume:
            volume = yield from client.update(protected)
        policy, phase = volume.spec.persistent_volume_reclaim_policy, volume.status.phase
        if phase != "Released" or policy != "Delete":
            return
        if volume.deleting and PROVISIONER_FINALIZER not in volume.metadata.finalizers:
            return
        holders = [a.spec.node_name for a in self.attachments.by_index(VOLUMES_BY_ATTACHMENT, volume.name)]
        if holders:
            raise NotYet(f"persistentvolume {volume.name} is still attached to node {holders[0]}")
        handle = location(volume)
        ref, storage = volume.spec.claim_ref, self.backend.storage
        path = storage.fates.path_of_claim(ref.uid if ref is not None else "")
        yield from self.backend.call(
            "volumeDelete", handle, lambda: storage.destroy(handle, path, client.cause), CREATE_TIMEOUT_NS
        )
        try:
            yield from client.delete(PersistentVolume, "", volume.name)
            current = yield from client.get(PersistentVolume, "", volume.name)
        except NotFound:
            return
        kept = tuple(f for f in current.metadata.finalizers if f != PROVISIONER_FINALIZER)
        if kept != current.metadata.finalizers:
            yield from client.update(with_meta(current, finalizers=kept))


def with_finalizer(volume: PersistentVolume) -> PersistentVolume:
    """Return the volume with the finalizer that its policy asks for while it is Bound; the very object if it has it."""
    finalizers = volume.metadata.finalizers
    policy = volume.spec.persistent_volume_reclaim_policy
    if policy == "Delete":
        missing = PROVISIONER_FINALIZER not in finalizers and not volume.deleting and volume.status.phase == "Bound"
        return with_meta(volume, finalizers=(*finalizers, PROVISIONER_FINALIZER)) if missing else volume
    if PROVISIONER_FINALIZER in finalizers:
        return with_meta(volume, finalizers=tuple(f for f in finalizers if f != PROVISIONER_FINALIZER))
    return volume
