"""What becomes of a volume whose claim is gone: kept, deleted, or scrubbed for reuse.

Source: pkg/controller/volume/persistentvolume/pv_controller.go (reclaimVolume and below); storage.md 1.9.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from k8sim.api.core import Container, PersistentVolume, Pod, PodSpec, Volume, VolumeMount
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.volume_matching import MIGRATED_TO, storage_capacity
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import AlreadyExists, NotFound
from k8sim.controllers.controller import Sync
from k8sim.controllers.persistentvolume.control import IN_TREE_FINALIZER, Say, is_volume_released
from k8sim.controllers.persistentvolume.plugins import InTreePlugin, delete_problem, find_deleter, spec_plugin
from k8sim.machines.disks import location
from k8sim.sim.clock import Event
from k8sim.sim.operations import OperationFailed

if TYPE_CHECKING:
    from k8sim.controllers.persistentvolume.controller import PersistentVolumeController

RECYCLER_IMAGE: Final = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"
RECYCLER_SECONDS_PER_GIB: Final = 30


def recycler_pod(volume: PersistentVolume, plugin: InTreePlugin) -> Pod:
    """Return the pod that deletes every file of a volume (pkg/volume/util NewDefaultRecyclerPod)."""
    gib = -(-storage_capacity(volume) // 2**30)
    source = Volume(name="vol", host_path=volume.spec.host_path)
    if volume.spec.nfs is not None:
        source = Volume(name="vol", extra={"nfs": {"server": volume.spec.nfs.server, "path": volume.spec.nfs.path}})
    container = Container(
        name="pv-recycler", image=RECYCLER_IMAGE, volume_mounts=(VolumeMount(name="vol", mount_path="/scrub"),)
    )
    return Pod(
        metadata=ObjectMeta(name=f"recycler-for-{volume.name}", namespace="default"),
        spec=PodSpec(
            containers=(container,),
            volumes=(source,),
            restart_policy="Never",
            active_deadline_seconds=max(plugin.recycle_floor_s, RECYCLER_SECONDS_PER_GIB * gib),
        ),
    )


class Reclaim:
    """Reclaims released volumes by the policy that the volume (not its class) has now."""

    def __init__(self, binder: PersistentVolumeController) -> None:
        self.binder = binder

    def reclaim(self, volume: PersistentVolume, client: Client) -> Sync:
        """Start what the reclaim policy asks for."""
        if MIGRATED_TO in volume.metadata.annotations:
            return  # the CSI driver's provisioner acts
        policy = volume.spec.persistent_volume_reclaim_policy
        operator = self.binder.operation_client(client.cause)
        if policy == "Retain":
            return
        elif policy == "Delete":
            name = f"delete-{volume.name}[{volume.uid}]"
            self.binder.operate(name, volume, lambda: self._delete(volume, operator))
        elif policy == "Recycle":
            name = f"recycle-{volume.name}[{volume.uid}]"
            self.binder.operate(name, volume, lambda: self._recycle(volume, operator))
        else:
            yield from self._fail(
                volume, "VolumeUnknownReclaimPolicy", "Volume has unrecognized reclaim policy", client
            )

    def _fail(self, volume: PersistentVolume, reason: str, message: str, client: Client) -> Sync:
        if volume.status.phase != "Failed":
            yield from self.binder.set_phase(volume, "Failed", client, message)
            self.binder.say(client, volume, Say("Warning", reason, message))

    def _delete(self, old: PersistentVolume, client: Client) -> Sync:
        try:
            volume = yield from client.get(PersistentVolume, "", old.name)
        except NotFound:
            return
        if volume.deleting and IN_TREE_FINALIZER not in volume.metadata.finalizers:
            return  # deleted already; another finalizer holds the object
        ref = volume.spec.claim_ref
        claim = self.binder.claims.get((ref.namespace, ref.name)) if ref is not None else None
        if not is_volume_released(volume, claim):
            return
        deleter = find_deleter(volume)
        if deleter.plugin is None and not deleter.problem:
            return  # an external provisioner deletes it
        problem = deleter.problem or delete_problem(volume)
        if problem:
            yield from self._fail(volume, "VolumeFailedDelete", problem, client)
            raise OperationFailed
        if self.binder.storage is not None and volume.spec.host_path is not None:
            # The deleter clears the path on its own machine; that is every node's path where there is one machine.
            uid = ref.uid if ref is not None else ""
            path = self.binder.storage.fates.path_of_claim(uid)
            self.binder.storage.destroy_path(volume.spec.host_path.path, path, client.cause)
        yield from client.delete(PersistentVolume, "", volume.name)
        if volume.metadata.finalizers:
            yield from self._remove_finalizer(volume.name, client)

    def _remove_finalizer(self, name: str, client: Client) -> Sync:
        """Lift the deletion protection; a write of the protection controller in between is a conflict: next resync."""
        try:
            volume = yield from client.get(PersistentVolume, "", name)
        except NotFound:
            return
        kept = tuple(f for f in volume.metadata.finalizers if f != IN_TREE_FINALIZER)
        if kept != volume.metadata.finalizers:
            self.binder.store_volume((yield from client.update(with_meta(volume, finalizers=kept))))

    def _recycle(self, old: PersistentVolume, client: Client) -> Sync:
        """Scrub the volume with a pod and make it Available again. A failure has no back-off: each sync tries anew."""
        try:
            volume = yield from client.get(PersistentVolume, "", old.name)
        except NotFound:
            return
        ref = volume.spec.claim_ref
        key = (ref.namespace, ref.name) if ref is not None else ("", "")
        claim = self.binder.claims.get(key)
        if not is_volume_released(volume, claim):
            return
        if claim is None and self.binder.users_of(key):
            self.binder.say(client, volume, Say("Normal", "VolumeFailedRecycle", "Volume is used by pods"))
            self.binder.revisit_volume(volume.key)
            return
        plugin = spec_plugin(volume)
        if plugin is None or not plugin.recycles:
            message = "No recycler plugin found for the volume!"
            yield from self._fail(volume, "VolumeFailedRecycle", message, client)
            return
        ended_on, problem = yield from self._run_recycler(recycler_pod(volume, plugin), client)
        if problem:
            yield from self._fail(volume, "VolumeFailedRecycle", f"Recycle failed: {problem}", client)
            self.binder.revisit_volume(volume.key)
            return
        if self.binder.storage is not None and ended_on is not None:
            self.binder.storage.wipe(location(volume, ended_on), "L12", client.cause)
        self.binder.say(client, volume, Say("Normal", "VolumeRecycled", "Volume recycled"))
        yield from self.binder.unbind(self.binder.volumes.get(volume.name) or volume, client)

    def _run_recycler(self, pod: Pod, client: Client) -> Generator[Event, Any, tuple[str | None, str]]:
        """Run the pod to its end and remove it; return its node, and what went wrong ("": nothing)."""
        try:
            yield from client.create(pod)
        except AlreadyExists:
            yield from self._remove_recycler(pod, client)
            return None, "old recycler pod found, will retry later"
        ended = yield self.binder.when_pod_ends(pod.key)
        if ended is None:
            return None, "recycler pod was deleted"
        yield from self._remove_recycler(pod, client)
        if ended.status.phase == "Succeeded":
            return ended.spec.node_name, ""
        return None, ended.status.message or "pod failed"

    def _remove_recycler(self, pod: Pod, client: Client) -> Sync:
        with suppress(NotFound):
            yield from client.delete(Pod, *pod.key)
