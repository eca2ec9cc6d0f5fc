"""Dynamic provisioning, the controller's part: a hostPath volume made here, or a word to an external provisioner.

Source: pkg/controller/volume/persistentvolume/pv_controller.go (provisionClaim and below); storage.md 1.8.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from k8sim.api.core import HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec
from k8sim.api.csi_migration import MIGRATED
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.storage import StorageClass
from k8sim.api.volume_matching import (
    BETA_STORAGE_PROVISIONER,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    claim_class,
    claim_reference,
)
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, ApiError, NotFound
from k8sim.controllers.controller import Sync
from k8sim.controllers.persistentvolume.control import IN_TREE_FINALIZER, Say
from k8sim.controllers.persistentvolume.plugins import IN_TREE_PREFIX, PLUGINS
from k8sim.sim.clock import Event
from k8sim.sim.operations import OperationFailed
from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    from k8sim.controllers.persistentvolume.controller import PersistentVolumeController

CREATE_ATTEMPTS: Final = 5
CREATE_INTERVAL_NS: Final = 10 * SECOND
HOST_PATH_ROOT: Final = "/tmp/hostpath_pv/"


def provisioned_name(claim: PersistentVolumeClaim) -> str:
    """Return the name of the volume that is made for a claim."""
    return f"pvc-{claim.uid}"


def host_path_volume(claim: PersistentVolumeClaim, storage_class: StorageClass) -> PersistentVolume:
    """Return the volume that the hostPath plug-in makes for a claim (pkg/volume/hostpath)."""
    policy = storage_class.reclaim_policy
    return PersistentVolume(
        metadata=ObjectMeta(
            name=provisioned_name(claim),
            annotations={BOUND_BY_CONTROLLER: "yes", PROVISIONED_BY: storage_class.provisioner},
            finalizers=(IN_TREE_FINALIZER,) if policy == "Delete" else (),
        ),
        spec=PersistentVolumeSpec(
            capacity={"storage": claim.spec.resources.requests.get("storage", "0")},
            access_modes=claim.spec.access_modes,
            persistent_volume_reclaim_policy=policy,
            claim_ref=claim_reference(claim),
            storage_class_name=claim_class(claim),
            host_path=HostPathVolumeSource(path=f"{HOST_PATH_ROOT}{claim.uid}"),
        ),
    )


class Provisioning:
    """Has volumes made for claims."""

    def __init__(self, binder: PersistentVolumeController) -> None:
        self.binder = binder

    def provision(self, claim: PersistentVolumeClaim, client: Client) -> None:
        """Start what makes a volume for the claim; without a class or plug-in the resync asks again."""
        if not self.binder.settings.enable_dynamic_provisioning:
            return
        storage_class = self.binder.get_class(claim_class(claim))
        if storage_class is None:
            self._failed(client, claim, f'storageclass.storage.k8s.io "{claim_class(claim)}" not found')
            return
        name = storage_class.provisioner
        external = MIGRATED.get(name, "" if name.startswith(IN_TREE_PREFIX) else name)
        plugin = PLUGINS.get(name)
        if not external and (plugin is None or not plugin.provisions):
            self._failed(client, claim, f'no volume plugin matched: "{name}"')
            return
        operator = self.binder.operation_client(client.cause)
        operation = f"provision-{claim.namespace}/{claim.name}[{claim.uid}]"
        if external:
            self.binder.operate(operation, claim, lambda: self._external(claim, external, operator))
        else:
            self.binder.operate(operation, claim, lambda: self._in_tree(claim, storage_class, operator))

    def _failed(self, client: Client, claim: PersistentVolumeClaim, message: str) -> None:
        self.binder.say(client, claim, Say("Warning", "ProvisioningFailed", message))

    def _set_provisioner(self, claim: PersistentVolumeClaim, provisioner: str, client: Client) -> Sync:
        """Write the annotations that tell an external provisioner to begin."""
        annotations = claim.metadata.annotations
        wanted = {STORAGE_PROVISIONER: provisioner, BETA_STORAGE_PROVISIONER: provisioner}
        if any(annotations.get(k) != v for k, v in wanted.items()):
            stored = yield from client.update(with_meta(claim, annotations={**annotations, **wanted}))
            self.binder.store_claim(stored)

    def _node_exists(self, claim: PersistentVolumeClaim, client: Client) -> Generator[Event, Any, bool]:
        """Tell whether the selected node is there; if not, ask the scheduler for another one."""
        node = claim.metadata.annotations.get(SELECTED_NODE)
        if node is None or self.binder.nodes.get("", node) is not None:
            return True
        self._failed(client, claim, f'Failed to get target node: node "{node}" not found')
        current = self.binder.claims.get(claim.key, claim)
        annotations = {k: v for k, v in current.metadata.annotations.items() if k != SELECTED_NODE}
        self.binder.store_claim((yield from client.update(with_meta(current, annotations=annotations))))
        return False

    def _external(self, claim: PersistentVolumeClaim, provisioner: str, client: Client) -> Sync:
        yield from self._set_provisioner(claim, provisioner, client)
        message = (
            "Waiting for a volume to be created either by the external provisioner "
            f"'{provisioner}' or manually by the system administrator."
        )
        self.binder.say(client, claim, Say("Normal", "ExternalProvisioning", message))

    def _in_tree(self, claim: PersistentVolumeClaim, storage_class: StorageClass, client: Client) -> Sync:
        if not self.binder.settings.enable_host_path_provisioner:
            self._failed(client, claim, "Provisioning in volume plugin kubernetes.io/host-path is disabled")
            raise OperationFailed
        if claim.spec.data_source is not None or claim.spec.data_source_ref is not None:
            self._failed(client, claim, "only CSI plugins can provision a claim with a datasource")
            raise OperationFailed
        yield from self._set_provisioner(claim, storage_class.provisioner, client)
        try:
            yield from client.get(PersistentVolume, "", provisioned_name(claim))
            return  # an earlier run made it
        except NotFound:
            pass
        if not (yield from self._node_exists(claim, client)):
            raise OperationFailed
        if claim.spec.volume_mode == "Block":
            self._failed(client, claim, "kubernetes.io/host-path does not support block volume provisioning")
            raise OperationFailed
        volume = host_path_volume(claim, storage_class)
        for attempt in range(CREATE_ATTEMPTS):
            try:
                self.binder.store_volume((yield from client.create(volume)))
                break
            except AlreadyExists:
                break
            except ApiError as error:
                if attempt == CREATE_ATTEMPTS - 1:
                    self._failed(client, claim, f"Error creating provisioned PV object: {error.message}")
                    raise
            yield self.binder.clock.sleep(CREATE_INTERVAL_NS)
        message = f"Successfully provisioned volume {volume.name} using {storage_class.provisioner}"
        self.binder.say(client, claim, Say("Normal", "ProvisioningSucceeded", message))
