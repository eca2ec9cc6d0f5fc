"""The volume controller: one worker for claims, one for volumes, slow operations beside them.

It acts on its informers' objects and on private copies that its own writes update at once, so that it never decides on
something older than what it wrote itself. A failed sync is not requeued: the next event or the resync repeats it.

Source: pkg/controller/volume/persistentvolume/{pv_controller,pv_controller_base}.go; storage.md 0.3, 1.3-1.9.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, ClassVar

from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import Object
from k8sim.api.pods import claim_names, is_pod_terminal
from k8sim.api.storage import StorageClass
from k8sim.api.storage_classes import default_storage_class
from k8sim.api.struct import Time, replace
from k8sim.api.volume_matching import VolumeIndex, bind_volume_to_claim
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.persistentvolume import control
from k8sim.controllers.persistentvolume.control import Say
from k8sim.controllers.persistentvolume.provisioning import Provisioning
from k8sim.controllers.persistentvolume.reclaim import Reclaim
from k8sim.controllers.persistentvolume.settings import PersistentVolumeSettings
from k8sim.sim.clock import Event, rank
from k8sim.sim.operations import Operation, Operations
from k8sim.sim.virtual_loop import VirtualLoop

ACTOR = "persistentvolume-binder"
CLAIMS_BY_POD = "claims"

Reading = Generator[Event, Any, PersistentVolumeClaim | None]
VolumeWrite = Generator[Event, Any, PersistentVolume]


class _Worker(Controller):
    """One of the two queues. An error is dropped: ``max_retries`` 0."""

    name: ClassVar[str] = ACTOR
    workers: ClassVar[int] = 1
    max_retries: ClassVar[int | None] = 0

    def __init__(self, context: ControllerContext, binder: PersistentVolumeController, what: str) -> None:
        super().__init__(context)
        self.binder = binder
        self.what = what

    def sync(self, key: Key, client: Client) -> Sync:
        """Sync a claim or a volume."""
        if self.what == "claims":
            return self.binder.sync_claim_key(key, client)
        else:
            return self.binder.sync_volume_key(key, client)

    def on_error(self, key: Key, error: ApiError, client: Client) -> None:
        """Leave it to the resync."""
        (self.binder.revisit_claim if self.what == "claims" else self.binder.revisit_volume)(key)


class PersistentVolumeController:
    """Binds claims to volumes, has volumes made and reclaims them."""

    def __init__(self, context: ControllerContext, settings: PersistentVolumeSettings | None = None) -> None:
        self.sim = context.sim
        self.clock = context.sim.clock
        self.server = context.server
        self.storage = context.storage
        self.settings = settings = settings or PersistentVolumeSettings()
        self.claims: dict[Key, PersistentVolumeClaim] = {}
        self.volumes = VolumeIndex()
        self.claim_worker = _Worker(context, self, "claims")
        self.volume_worker = _Worker(context, self, "volumes")
        self.volume_worker.limiter = self.claim_worker.limiter  # one client, however many queues
        self.operations = Operations(self.clock, (ApiError,), self._on_operation_end)
        self.provisioning = Provisioning(self)
        self.reclaim = Reclaim(self)
        period_ns = settings.pv_claim_binder_sync_period_ns
        phase = int(context.sim.streams.uniform_at(ACTOR, "resync phase", context.life) * period_ns)
        resync_rank = rank("kube-controller-manager", ACTOR)
        self.resync = VirtualLoop(self.clock, resync_rank, phase, period_ns, self._on_resync)
        self._waiting: dict[Key, None] = {}
        self._revisit_claims: dict[Key, None] = {}
        self._revisit_volumes: dict[Key, None] = {}
        self._operation_keys: dict[str, tuple[bool, Key]] = {}
        self._said: dict[str, Say] = {}
        self._pod_ends: dict[Key, Event] = {}
        self._watches_pods = False
        self.classes = context.informers.of(StorageClass)
        self.nodes = context.informers.of(Node)
        self.pods = context.informers.of(Pod)
        self.claim_informer = context.informers.of(PersistentVolumeClaim)
        self.volume_informer = context.informers.of(PersistentVolume)
        self.pods.add_index(CLAIMS_BY_POD, lambda pod: [(pod.namespace, n) for n in claim_names(pod)])
        self.claim_informer.add_handler(self._on_claim)
        self.volume_informer.add_handler(self._on_volume)
        self.classes.add_handler(self._on_class)

    def start(self) -> None:
        """Take in what there is (initializeCaches), then start both workers."""
        for claim in self.claim_informer.list():
            self.claims[claim.key] = claim
        for volume in self.volume_informer.list():
            self.volumes.put(volume)
        self.claim_worker.start()
        self.volume_worker.start()

    def stop(self) -> None:
        """Kill the controller; what it knew only in memory is gone."""
        self.claim_worker.stop()
        self.volume_worker.stop()
        self.operations.stop()
        self.resync.disarm()

    # ---- observe ----------------------------------------------------------------------------------------------------

    def _on_claim(self, change: Change) -> None:
        claim = change.new
        assert isinstance(claim, PersistentVolumeClaim)
        self.claim_worker.queue.add(claim.key, change.row)
        if change.type == "MODIFIED" and change.actor == ACTOR:
            return
        # No event of a claim makes the controller look at volumes that point at it in vain: only the resync does.
        for volume in self.volumes.pointing_at(claim.key):
            ref = volume.spec.claim_ref
            if claim.spec.volume_name not in ("", volume.name) or (ref is not None and ref.uid not in ("", claim.uid)):
                self.revisit_volume(volume.key)

    def _on_volume(self, change: Change) -> None:
        volume = change.new
        assert isinstance(volume, PersistentVolume)
        self.volume_worker.queue.add(volume.key, change.row)
        if change.type == "DELETED":
            return
        if self._waiting:
            self.resync.arm()
        old = change.old
        assert old is None or isinstance(old, PersistentVolume)
        if change.actor != ACTOR and (old is None or old.spec.claim_ref != volume.spec.claim_ref):
            # Whoever is or was bound to it may have to be repaired; only the resync sees that.
            for ref in (volume.spec.claim_ref, old.spec.claim_ref if old is not None else None):
                if ref is not None:
                    self.revisit_claim((ref.namespace, ref.name))

    def _on_class(self, change: Change) -> None:
        if self._waiting:
            self.resync.arm()

    def _on_resync(self) -> None:
        claims = self._waiting | self._revisit_claims
        volumes, self._revisit_claims, self._revisit_volumes = self._revisit_volumes, {}, {}
        for key in claims:
            self.claim_worker.queue.add(key)
        for key in volumes:
            self.volume_worker.queue.add(key)

    def revisit_claim(self, key: Key) -> None:
        """Have the claim looked at in the next resync."""
        self._revisit_claims[key] = None
        self.resync.arm()

    def revisit_volume(self, key: Key) -> None:
        """Have the volume looked at in the next resync."""
        self._revisit_volumes[key] = None
        self.resync.arm()

    def operation_client(self, cause: int) -> Client:
        """Return a connection for one operation, which acts because of a trace row."""
        limiter = self.claim_worker.limiter
        client = Client(self.server, ACTOR, rank("kube-controller-manager", ACTOR), limiter=limiter)
        client.cause = cause
        return client

    def operate(self, name: str, obj: Object, steps: Operation) -> None:
        """Start a slow operation on a claim or volume; if it fails, the first resync past its back-off repeats it."""
        self._operation_keys[name] = (isinstance(obj, PersistentVolumeClaim), obj.key)
        self.operations.run(name, steps)

    def _on_operation_end(self, name: str, not_before: int, success: bool) -> None:
        is_claim, key = self._operation_keys[name]
        if success:
            del self._operation_keys[name]
        else:
            (self._revisit_claims if is_claim else self._revisit_volumes)[key] = None
            self.resync.arm(not_before)

    # ---- private copies ---------------------------------------------------------------------------------------------

    def store_claim(self, claim: PersistentVolumeClaim) -> bool:
        """Keep a version of a claim; False if a newer one is known."""
        known = self.claims.get(claim.key)
        if known is not None and known.metadata.resource_version > claim.metadata.resource_version:
            return False
        self.claims[claim.key] = claim
        return True

    def store_volume(self, volume: PersistentVolume) -> bool:
        """Keep a version of a volume; False if a newer one is known."""
        known = self.volumes.get(volume.name)
        if known is not None and known.metadata.resource_version > volume.metadata.resource_version:
            return False
        if known is not volume:
            self.volumes.put(volume)
        return True

    def say(self, client: Client, obj: Object, say: Say | None) -> None:
        """Record an Event, unless it is the one last recorded for the object."""
        if say is not None and self._said.get(obj.uid) != say:
            self._said[obj.uid] = say
            client.event(obj, say.type, say.reason, say.message)

    def get_class(self, name: str) -> StorageClass | None:
        """Return a StorageClass from the cache."""
        return self.classes.get("", name)

    def _default_class(self) -> StorageClass | None:
        return default_storage_class(self.classes.list())

    def users_of(self, claim_key: Key) -> list[Pod]:
        """Return the pods that name a claim and have not ended."""
        pods: Iterable[Pod] = self.pods.by_index(CLAIMS_BY_POD, claim_key)
        return [p for p in pods if not is_pod_terminal(p)]

    def _unscheduled_pods(self, claim: PersistentVolumeClaim) -> Sequence[str]:
        return [p.name for p in self.users_of(claim.key) if not p.spec.node_name]

    def when_pod_ends(self, key: Key) -> Event:
        """Return an event with the pod once it has ended, or with None if it is deleted before."""
        if not self._watches_pods:
            self._watches_pods = True
            self.pods.add_handler(self._on_pod, replay=False, of_status="end")
        return self._pod_ends.setdefault(key, self.clock.event())

    def _on_pod(self, change: Change) -> None:
        pod = change.new
        assert isinstance(pod, Pod)
        if pod.key in self._pod_ends and (change.type == "DELETED" or is_pod_terminal(pod)):
            self.clock.fire(self._pod_ends.pop(pod.key), pod if is_pod_terminal(pod) else None)

    # ---- claims -----------------------------------------------------------------------------------------------------

    def sync_claim_key(self, key: Key, client: Client) -> Sync:
        """Sync the claim of that name, or forget it and look at its volume."""
        claim = self.claim_informer.find(key)
        if claim is None:
            gone = self.claims.pop(key, None)
            self._waiting.pop(key, None)
            if gone is not None:
                self._said.pop(gone.uid, None)
                if gone.spec.volume_name:
                    self.volume_worker.queue.add(("", gone.spec.volume_name), client.cause)
            return
        if self.store_claim(claim):
            yield from self._sync_claim(claim, client)

    def _sync_claim(self, claim: PersistentVolumeClaim, client: Client) -> Sync:
        told = control.with_migration_annotations(claim)
        if told is not claim:
            claim = yield from client.update(told)
            self.store_claim(claim)
        decision = control.decide_claim(
            claim, self.volumes, self.get_class, self._default_class, self._unscheduled_pods
        )
        if isinstance(decision, control.Bind):
            yield from self._bind(decision.volume, claim, client)
            self._waiting.pop(claim.key, None)
            return
        self._waiting[claim.key] = None
        if isinstance(decision, control.AssignClass):
            spec = replace(claim.spec, storage_class_name=decision.name)
            yield from client.update(replace(claim, spec=spec))  # the update comes back as an event
        elif isinstance(decision, control.Provision):
            self.provisioning.provision(claim, client)
        elif isinstance(decision, control.Wait):
            self.say(client, claim, decision.say)
            yield from self._write_claim_status(claim, control.unbound_status(claim, "Pending"), client)
        elif isinstance(decision, control.Lose):
            lost = control.unbound_status(claim, "Lost")
            if lost != claim:
                yield from self._write_claim_status(claim, lost, client)
                self.say(client, claim, decision.say)
        else:
            self.revisit_claim(claim.key)

    def _bind(self, volume: PersistentVolume, claim: PersistentVolumeClaim, client: Client) -> Sync:
        """Write volume spec, volume status, claim spec, claim status; after an error the next sync resumes."""
        bound = bind_volume_to_claim(volume, claim)
        if bound is not volume:
            volume = yield from client.update(bound)
            self.store_volume(volume)
        volume = yield from self.set_phase(volume, "Bound", client)
        pointing = control.bind_claim_to_volume(claim, volume)
        if pointing is not claim:
            claim = yield from client.update(pointing)
            self.store_claim(claim)
        yield from self._write_claim_status(claim, control.bound_status(claim, volume), client)

    def _write_claim_status(self, claim: PersistentVolumeClaim, new: PersistentVolumeClaim, client: Client) -> Sync:
        if new.status != claim.status:
            self.store_claim((yield from client.update_status(new)))

    # ---- volumes ----------------------------------------------------------------------------------------------------

    def sync_volume_key(self, key: Key, client: Client) -> Sync:
        """Sync the volume of that name, or forget it and look at its claim."""
        volume = self.volume_informer.find(key)
        if volume is None:
            gone = self.volumes.get(key[1])
            if gone is not None:
                self.volumes.remove(gone.name)
                self._said.pop(gone.uid, None)
                ref = gone.spec.claim_ref
                if ref is not None:
                    self.claim_worker.queue.add((ref.namespace, ref.name), client.cause)
            return
        if self.store_volume(volume):
            yield from self._sync_volume(volume, client)

    def _sync_volume(self, volume: PersistentVolume, client: Client) -> Sync:
        protected = control.with_deletion_finalizer(control.with_migration_annotations(volume))
        if protected is not volume:
            volume = yield from client.update(protected)
            self.store_volume(volume)
        claim = yield from self._referenced_claim(volume, client)
        decision = control.decide_volume(volume, claim)
        if decision == "available":
            yield from self.set_phase(volume, "Available", client)
        elif decision == "bound":
            yield from self.set_phase(volume, "Bound", client)
        elif decision == "release":
            if volume.status.phase not in ("Released", "Failed"):
                volume = yield from self.set_phase(volume, "Released", client)
            yield from self.reclaim.reclaim(volume, client)
        elif decision == "unbind":
            yield from self.unbind(volume, client)
        elif claim is not None and decision == "sync-claim":
            self.claim_worker.queue.add(claim.key, client.cause)
        elif claim is not None:
            message = f'Cannot bind volume "{volume.name}" to claim "{claim.name}" due to incompatible volumeMode.'
            self.say(client, volume, Say("Warning", "VolumeMismatch", message))
            self.say(client, claim, Say("Warning", "VolumeMismatch", message))

    def _referenced_claim(self, volume: PersistentVolume, client: Client) -> Reading:
        """Return the claim that claimRef means, read live when the caches may be behind."""
        ref = volume.spec.claim_ref
        if ref is None or not ref.uid:
            return None
        key = (ref.namespace, ref.name)
        claim = self.claims.get(key)
        if claim is None and volume.status.phase not in ("Released", "Failed"):
            claim = self.claim_informer.find(key) or (yield from _find(client, key))
        if claim is not None and claim.uid != ref.uid:
            claim = yield from _find(client, key)
        return claim if claim is not None and claim.uid == ref.uid else None

    def set_phase(self, volume: PersistentVolume, phase: str, client: Client, message: str = "") -> VolumeWrite:
        """Write a volume's phase, unless it is in it already."""
        new = control.with_phase(volume, phase, Time(self.clock.truncated()), message)
        if new is volume:
            return volume
        stored = yield from client.update_status(new)
        self.store_volume(stored)
        return stored

    def unbind(self, volume: PersistentVolume, client: Client) -> Sync:
        """Make a volume Available again."""
        volume = yield from client.update(control.unbound_volume(volume))
        self.store_volume(volume)
        yield from self.set_phase(volume, "Available", client)


def _find(client: Client, key: Key) -> Reading:
    try:
        return (yield from client.get(PersistentVolumeClaim, *key))
    except NotFound:
        return None
