"""The PersistentVolume that a provisioner writes for what its driver has made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from k8sim.api.core import (
    CSIPersistentVolumeSource,
    HostPathVolumeSource,
    LocalVolumeSource,
    NFSVolumeSource,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
)
from k8sim.api.csi_migration import migration_annotations
from k8sim.api.meta import ObjectMeta
from k8sim.api.quantity import format_quantity
from k8sim.api.storage import StorageClass
from k8sim.api.volume_matching import PROVISIONED_BY, claim_class
from k8sim.csi.drivers import Driver
from k8sim.csi.topology import node_affinity
from k8sim.machines.content import Disk
from k8sim.machines.disks import location

PROVISIONER_FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"


def provisioned_name(claim: PersistentVolumeClaim) -> str:
    """Return the name of the volume that is made for a claim."""
    return f"pvc-{claim.uid}"


def _source(driver: Driver, name: str) -> dict[str, Any]:
    path = f"/var/lib/volumes/{name}"
    if driver.source == "hostPath":
        return {"host_path": HostPathVolumeSource(path=path, type="DirectoryOrCreate")}
    if driver.source == "local":
        return {"local": LocalVolumeSource(path=path)}
    if driver.source == "nfs":
        return {"nfs": NFSVolumeSource(server=driver.name, path=f"/{name}")}
    return {"csi": CSIPersistentVolumeSource(driver=driver.name, volume_handle=name, fs_type=driver.fs_type)}


def place(driver: Driver, name: str, chosen: Sequence[str]) -> str:
    """Return where the content of a volume will be that a driver makes under a name."""
    spec = PersistentVolumeSpec(node_affinity=node_affinity(driver, chosen), **_source(driver, name))
    return location(PersistentVolume(spec=spec), chosen[0] if driver.topology == "node" and chosen else "")


def new_volume(
    claim: PersistentVolumeClaim, storage_class: StorageClass, driver: Driver, disk: Disk, chosen: Sequence[str]
) -> PersistentVolume:
    """Return the volume: capacity from the driver, modes from the claim, policy and options from the class."""
    delete = storage_class.reclaim_policy == "Delete"
    extra = {"mountOptions": list(storage_class.mount_options)} if storage_class.mount_options else None
    return PersistentVolume(
        metadata=ObjectMeta(
            name=provisioned_name(claim),
            annotations=migration_annotations({PROVISIONED_BY: storage_class.provisioner}),
            finalizers=(PROVISIONER_FINALIZER,) if delete else (),
        ),
        spec=PersistentVolumeSpec(
            capacity={"storage": format_quantity(disk.size, binary=True)},
            access_modes=claim.spec.access_modes,
            persistent_volume_reclaim_policy=storage_class.reclaim_policy,
            storage_class_name=claim_class(claim),
            volume_mode=claim.spec.volume_mode,
            claim_ref=ObjectReference(
                api_version=claim.api_version,
                kind=claim.kind,
                namespace=claim.namespace,
                name=claim.name,
                uid=claim.uid,
            ),
            node_affinity=node_affinity(driver, chosen),
            volume_attributes_class_name=claim.spec.volume_attributes_class_name,
            extra=extra,
            **_source(driver, provisioned_name(claim)),
        ),
    )
