"""Claims, volumes, classes and pods for tests of storage, and a control plane with the volume controllers."""

from __future__ import annotations

from typing import Any

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.csi_migration import PLUGINS
from k8sim.api.scheme import decode
from k8sim.api.storage import StorageClass
from k8sim.api.struct import replace
from k8sim.apiserver.admission_storage import STORAGE_ADMISSION
from k8sim.controllers.persistentvolume.controller import PersistentVolumeController
from k8sim.controllers.volumeprotection.controller import PVCProtectionController, PVProtectionController
from tests.controllers.manager import Manager

HOST_PATH = "kubernetes.io/host-path"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def volume(name: str, size: str = "1Gi", modes: str = "ReadWriteOnce", **spec: Any) -> PersistentVolume:
    sources = {"nfs", "csi", "local", "flexVolume", "iscsi", "rbd", *(plugin.source for plugin in PLUGINS)}
    source = {} if sources & set(spec) else {"hostPath": {"path": f"/data/{name}"}}
    body = {"capacity": {"storage": size}, "accessModes": modes.split(), **source, **spec}
    labels, annotations = body.pop("labels", {}), body.pop("annotations", {})
    meta = {"name": name, "labels": labels, "annotations": annotations}
    return decode({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": body})  # type: ignore[return-value]


def claim(name: str = "data", size: str = "1Gi", modes: str = "ReadWriteOnce", **spec: Any) -> PersistentVolumeClaim:
    body = {"accessModes": modes.split(), "resources": {"requests": {"storage": size}}, **spec}
    meta = {"name": name, "namespace": "default", "annotations": body.pop("annotations", {})}
    return decode({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": body})  # type: ignore[return-value]


def storage_class(
    name: str = "std", provisioner: str = HOST_PATH, default: bool = False, **fields: Any
) -> StorageClass:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    meta = {"name": name, "annotations": annotations}
    body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, "provisioner": provisioner}
    return decode({**body, **fields})  # type: ignore[return-value]


def pod(name: str = "app", claims: str = "data", node: str = "", **spec: Any) -> Pod:
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims.split()]
    mounts = [{"name": c, "mountPath": f"/{c}"} for c in claims.split()]
    body = {"containers": [{"name": "app", "image": "app:v1", "volumeMounts": mounts}], "volumes": volumes, **spec}
    meta = {"name": name, "namespace": "default"}
    made = decode({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": body})
    assert isinstance(made, Pod)
    return replace(made, spec=replace(made.spec, node_name=node))


class StorageWorld(Manager):
    """Volume controller and protections. ``write`` rows: every change of claims and volumes, in order."""

    def __init__(self, seed: int = 1, **options: Any) -> None:
        super().__init__(
            PersistentVolumeController,  # type: ignore[arg-type]
            PVCProtectionController,
            PVProtectionController,
            seed=seed,
            admission=STORAGE_ADMISSION,
            **options,
        )
        self.binder: PersistentVolumeController = self.controllers[0]  # type: ignore[assignment]

    def create(self, *objects: Any) -> None:
        for obj in objects:
            self.server.create(obj)

    def claim(self, name: str = "data") -> PersistentVolumeClaim:
        return self.server.get(PersistentVolumeClaim, "default", name)

    def find_claim(self, name: str = "data") -> PersistentVolumeClaim | None:
        return self.server.find(PersistentVolumeClaim, "default", name)

    def volume(self, name: str) -> PersistentVolume:
        return self.server.get(PersistentVolume, "", name)

    def find_volume(self, name: str) -> PersistentVolume | None:
        return self.server.find(PersistentVolume, "", name)

    def delete_claim(self, name: str = "data") -> None:
        self.server.delete(PersistentVolumeClaim, "default", name)

    def delete_volume(self, name: str) -> None:
        self.server.delete(PersistentVolume, "", name)

    def next_resync(self, after: float) -> float:
        resync = self.binder.resync
        period = self.binder.settings.pv_claim_binder_sync_period_ns
        return self.sim.clock.next_on_grid(resync.phase_ns, period, int(after * 1e9)) / 1e9

    def reasons(self, name: str = "data") -> list[str]:
        return [event for _, _, event, _ in self.events("Event", name)]
