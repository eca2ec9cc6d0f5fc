"""The attach/detach controller: the reconcile loop over desired and actual attachments.

The real loop looks at everything every 100 ms; here a place (volume, node) is looked at, on that grid, when something
about it has changed or a deadline of it has passed.

Source: pkg/controller/volume/attachdetach/{attach_detach_controller.go,reconciler,populator}; storage.md 3.2, 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8sim.api.core import AttachedVolume, Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.pods import claim_names
from k8sim.api.storage import CSIDriver, VolumeAttachment
from k8sim.api.struct import replace
from k8sim.api.volumes import attachable_name, attachment_name, is_multi_attach_allowed
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.attachdetach.attachments import Attachments
from k8sim.controllers.attachdetach.control import (
    Detach,
    Wait,
    decide_detach,
    multi_attach_message,
    wants_volumes,
)
from k8sim.controllers.attachdetach.settings import AttachDetachSettings
from k8sim.controllers.attachdetach.world import ActualWorld, DesiredWorld, Place, Wanted
from k8sim.controllers.controller import ControllerContext, Sync
from k8sim.machines.disks import location
from k8sim.sim.clock import rank
from k8sim.sim.operations import OperationFailed, Operations
from k8sim.sim.tokenbucket import TokenBucket
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.virtual_loop import VirtualLoop

ACTOR = "attachdetach-controller"
CLAIMS_BY_POD = "claims"
VOLUMES_BY_ATTACHABLE_NAME = "attachable name"


def _names_if_attachable(volume: PersistentVolume) -> tuple[str, ...]:
    """Return a volume's unique name; what is reported as attached is attachable, whatever CSIDrivers say now."""
    name = attachable_name(volume, lambda driver: None)
    return (name,) if name is not None else ()


class AttachDetachController:
    """Attaches and detaches."""

    def __init__(self, context: ControllerContext, settings: AttachDetachSettings | None = None) -> None:
        self.sim = context.sim
        self.clock = context.sim.clock
        self.server = context.server
        self.storage = context.storage
        self.settings = settings = settings or AttachDetachSettings()
        qps = context.kube_api_qps
        self._limiter = TokenBucket(qps, context.kube_api_burst) if qps is not None else None
        self.desired = DesiredWorld()
        self.actual = ActualWorld()
        self._rank = rank("kube-controller-manager", ACTOR)
        self.operations = Operations(self.clock, (ApiError,), self._on_operation_end, self._rank)
        self._operation_volume: dict[str, str] = {}
        self._check: dict[Place, int] = {}
        self._stale_nodes: dict[str, None] = {}
        self._unresolved: dict[tuple[str, str], None] = {}
        self._doomed: dict[str, None] = {}
        self.pods = context.informers.of(Pod)
        self.claims = context.informers.of(PersistentVolumeClaim)
        self.volumes = context.informers.of(PersistentVolume)
        self.nodes = context.informers.of(Node)
        self.drivers = context.informers.of(CSIDriver)
        self.attachments = Attachments(self.sim, context.informers.of(VolumeAttachment), self._on_attachment)
        self._reconcile_loop = self._loop("reconcile", settings.reconciler_loop_period_ns, self._reconcile)
        self._verify_loop = self._loop("verify", settings.reconciler_sync_loop_period_ns, self._verify)
        self._cleanup_loop = self._loop("cleanup", settings.desired_state_populator_sleep_period_ns, self._clean_up)
        self._relist_loop = self._loop("relist", settings.desired_state_populator_list_pods_retry_ns, self._relist)
        self.volumes.add_index(VOLUMES_BY_ATTACHABLE_NAME, _names_if_attachable)
        self.pods.add_index(CLAIMS_BY_POD, lambda pod: [(pod.namespace, n) for n in claim_names(pod)])
        self._started = False

    def _loop(self, what: str, period_ns: int, run: object) -> VirtualLoop:
        phase = self.sim.streams.uniform_ns(ACTOR, f"{what} phase", 0, period_ns)
        return VirtualLoop(self.clock, self._rank, phase, period_ns, run)  # type: ignore[arg-type]

    def start(self) -> None:
        """Rebuild what can be known from the API server, and begin to watch. Timers of an earlier life are lost."""
        for node in self.nodes.list():
            for attached in node.status.volumes_attached:
                self.actual.mark((attached.name, node.name), self._volume_of(attached.name), "attached")
        for attachment in self.attachments.informer.list():
            self._adopt(attachment)
        self._started = True
        self.nodes.add_handler(self._on_node)
        self.pods.add_handler(self._on_pod, volumes_only=True)
        self.claims.add_handler(self._on_claim)

    def stop(self) -> None:
        """Kill the controller with all that it was doing."""
        self._started = False
        self.operations.stop()
        for loop in (self._reconcile_loop, self._verify_loop, self._cleanup_loop, self._relist_loop):
            loop.disarm()

    def client(self, cause: int = NO_CAUSE) -> Client:
        """Return a connection for one operation."""
        client = Client(self.server, ACTOR, self._rank, limiter=self._limiter)
        client.cause = cause
        return client

    # ---- observe ----------------------------------------------------------------------------------------------------

    def look_at(self, place: Place, cause: int = NO_CAUSE, not_before_ns: int = 0) -> None:
        """Have a place looked at in the next reconcile, or in the first one from some time on."""
        if not self._started:
            return
        if not_before_ns <= self.clock.now:
            self._check.setdefault(place, cause)
            self._reconcile_loop.arm()
        else:
            self.clock.call_at(not_before_ns, self.look_at, place, cause, rank=self._rank)

    def _look_at_volume(self, volume: str, cause: int = NO_CAUSE) -> None:
        for place in self.desired.places_with(volume) + self.actual.places_with(volume):
            self.look_at(place, cause)

    def _on_pod(self, change: Change) -> None:
        if not self._started:
            return
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        if old is not None and old.metadata.uid != pod.metadata.uid:
            assert isinstance(old, Pod)
            self._drop_pod(old, change.row)
        if change.type != "DELETED" and wants_volumes(pod):
            self._want(pod, change.row)
        else:
            self._drop_pod(pod, change.row)

    def _on_claim(self, change: Change) -> None:
        if not self._started or change.type == "DELETED":
            return
        pods: Iterable[Pod] = self.pods.by_index(CLAIMS_BY_POD, change.new.key)
        for pod in list(pods):
            if wants_volumes(pod):
                self._want(pod, change.row)

    def _want(self, pod: Pod, cause: int) -> None:
        for name in claim_names(pod):
            volume = self._bound_volume(pod.namespace, name)
            if volume is None:
                self._unresolved[pod.key] = None
                self._relist_loop.arm()
                continue
            unique = attachable_name(volume, lambda driver: self.drivers.get("", driver))
            if unique is None:
                continue
            place = (unique, pod.spec.node_name)
            if self.desired.add(place, volume.name, is_multi_attach_allowed(volume), pod.uid, pod.key):
                self.look_at(place, cause)

    def _bound_volume(self, namespace: str, claim_name: str) -> PersistentVolume | None:
        """Return the volume of a claim, if each says that it has the other."""
        claim = self.claims.get(namespace, claim_name)
        if claim is None or claim.status.phase != "Bound" or not claim.spec.volume_name:
            return None
        volume = self.volumes.get("", claim.spec.volume_name)
        ref = volume.spec.claim_ref if volume is not None else None
        return volume if ref is not None and ref.uid == claim.uid else None

    def _drop_pod(self, pod: Pod, cause: int) -> None:
        if not self.desired.places_of(pod.metadata.uid):
            return
        if any(self._bound_volume(pod.namespace, name) is None for name in claim_names(pod)):
            self._doomed[pod.uid] = None  # what it used cannot be told any more; the clean-up finds the pod gone
            self._cleanup_loop.arm()
            return
        self._unwant(pod.uid, cause)

    def _unwant(self, uid: str, cause: int = NO_CAUSE) -> None:
        for place in self.desired.places_of(uid):
            if self.desired.remove(place, uid):
                self.look_at(place, cause)

    def _clean_up(self) -> None:
        doomed, self._doomed = self._doomed, {}
        for uid in doomed:
            self._unwant(uid)

    def _relist(self) -> None:
        keys, self._unresolved = self._unresolved, {}
        for key in keys:
            pod = self.pods.find(key)
            if pod is not None and wants_volumes(pod):
                self._want(pod, NO_CAUSE)

    def _on_node(self, change: Change) -> None:
        node = change.new
        assert isinstance(node, Node)
        held = self.actual.on_node(node.metadata.name)
        if not held or not self._started:
            return
        if change.type == "ADDED" and any(attached.reported for _, attached in held):
            # A Node that was made again knows nothing of its volumes (kubernetes/kubernetes issue 37586).
            self._stale_nodes[node.name] = None
            self._reconcile_loop.arm()
        if change.type != "DELETED":  # of a node that is gone the last report stands
            in_use = set(node.status.volumes_in_use)
            for volume, attached in held:
                attached.mounted = volume in in_use
        for volume, _ in held:
            if (volume, node.name) not in self.desired.wanted:
                self.look_at((volume, node.name), change.row)

    def _on_attachment(self, change: Change) -> None:
        attachment = change.new
        assert isinstance(attachment, VolumeAttachment)
        place = self._place_of(attachment)
        known = self.actual.attached.get(place) if place is not None else None
        if known is not None and (change.type == "DELETED" or not attachment.status.attached):
            self._verify_loop.arm()

    def _place_of(self, attachment: VolumeAttachment) -> Place | None:
        volume = self.volumes.get("", attachment.spec.source.persistent_volume_name or "")
        if volume is None or volume.spec.csi is None:
            return None
        unique = f"kubernetes.io/csi/{volume.spec.csi.driver}^{volume.spec.csi.volume_handle}"
        return (unique, attachment.spec.node_name)

    def _adopt(self, attachment: VolumeAttachment) -> None:
        """Take over an attachment that no node reports: it may be there, and goes if nobody wants it."""
        place = self._place_of(attachment)
        if place is not None and place not in self.actual.attached:
            self.actual.mark(place, attachment.spec.source.persistent_volume_name or "", "uncertain")

    def _volume_of(self, unique: str) -> str:
        return next((volume.name for volume in self.volumes.by_index(VOLUMES_BY_ATTACHABLE_NAME, unique)), "")

    # ---- decide -----------------------------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        check, self._check = self._check, {}
        for place in sorted(check):  # detaches first, so that what moves is free for its new node
            if place in self.actual.attached and place not in self.desired.wanted:
                self._consider_detach(place, check[place])
        for place in sorted(check):
            if place in self.desired.wanted:
                self._consider_attach(place, self.desired.wanted[place], check[place])
        nodes, self._stale_nodes = self._stale_nodes, {}
        for node in nodes:
            self.clock.spawn(self._report_later(node))

    def _blocked(self, operation: str, kind: str, place: Place, cause: int) -> bool:
        """Tell whether an operation is running (its end brings the place back) or must not be tried yet."""
        if self.operations.is_running(operation):
            return True
        retry_at = self.operations.retry_at(operation, kind)
        if self.clock.now < retry_at:
            self.look_at(place, cause, retry_at)
            return True
        return False

    def _operation(self, place: Place, multi_attach: bool) -> str:
        """Return the name under which operations on a place exclude each other: all nodes of an exclusive volume."""
        name = "@".join(place) if multi_attach else place[0]
        self._operation_volume[name] = place[0]
        return name

    def _consider_detach(self, place: Place, cause: int) -> None:
        attached = self.actual.attached[place]
        volume = self.volumes.get("", attached.volume_name)
        operation = self._operation(place, volume is not None and is_multi_attach_allowed(volume))
        if self._blocked(operation, "detach", place, cause):
            return
        if attached.detach_requested_ns is None:
            attached.detach_requested_ns = self.clock.now
        decision = decide_detach(
            self.nodes.get("", place[1]),
            attached.mounted,
            attached.detach_requested_ns,
            self.clock.now,
            self.settings.reconciler_max_wait_for_unmount_duration_ns,
            self.settings.disable_force_detach_on_timeout,
        )
        if isinstance(decision, Wait):
            if attached.why_waiting != decision.reason:
                attached.why_waiting = decision.reason
                self._note(attached.volume_name, "Waiting", cause, reason=decision.reason, node=place[1])
            if decision.until_ns is not None:
                self.look_at(place, cause, decision.until_ns)
        else:
            self.operations.run(operation, lambda: self._detach(place, decision, self.client(cause)), "detach")

    def _consider_attach(self, place: Place, wanted: Wanted, cause: int) -> None:
        attached = self.actual.attached.get(place)
        if attached is not None and attached.state == "attached":
            attached.detach_requested_ns, attached.why_waiting = None, ""
            return
        operation = self._operation(place, wanted.multi_attach)
        if self._blocked(operation, "attach", place, cause):
            return
        others = [] if wanted.multi_attach else self.actual.nodes_with(place[0])
        if others:
            if not wanted.told:
                wanted.told = True
                self._tell_multi_attach(place, wanted, others, cause)
            return
        self.operations.run(operation, lambda: self._attach(place, wanted, self.client(cause)), "attach")

    def _tell_multi_attach(self, place: Place, wanted: Wanted, nodes: list[str], cause: int) -> None:
        holders = [p for n in nodes for p in self._pods_of(self.desired.wanted.get((place[0], n)))]
        client = self.client(cause)
        for pod in self._pods_of(wanted):
            message = multi_attach_message(wanted.volume_name, pod.namespace, holders)
            client.event(pod, "Warning", "FailedAttachVolume", message)
        self._note(wanted.volume_name, "Waiting", cause, reason="MultiAttachError", node=place[1], attached=nodes[0])

    def _pods_of(self, wanted: Wanted | None) -> list[Pod]:
        keys = wanted.pods.values() if wanted is not None else ()
        return [pod for pod in (self.pods.find(key) for key in keys) if pod is not None]

    def _note(self, volume: str, event: str, cause: int, **detail: str) -> None:
        self.sim.trace.append(self.clock.now, "Volume", volume, event, detail, cause)

    # ---- act --------------------------------------------------------------------------------------------------------

    def _on_operation_end(self, operation: str, retry_at: int, success: bool) -> None:
        self._look_at_volume(self._operation_volume[operation])

    def _attach(self, place: Place, wanted: Wanted, client: Client) -> Sync:
        volume = self.volumes.get("", wanted.volume_name)
        try:
            if volume is None:
                raise OperationFailed(f'persistentvolume "{wanted.volume_name}" not found')
            if volume.spec.csi is not None:
                yield from self.attachments.attach(volume, place[1], client)
            elif volume.spec.flex_volume is not None:
                yield self.clock.sleep(self.sim.latencies.draw("volumeAttach", volume.name), self._rank)
                if self.storage is not None:
                    self.storage.attach(location(volume), place[1], client.cause)
        except (ApiError, OperationFailed) as error:
            self.actual.mark(place, wanted.volume_name, "uncertain")
            for pod in self._pods_of(wanted):
                message = f'AttachVolume.Attach failed for volume "{wanted.volume_name}" : {error}'
                client.event(pod, "Warning", "FailedAttachVolume", message)
            raise
        self.actual.mark(place, wanted.volume_name, "attached")
        for pod in self._pods_of(wanted):
            message = f'AttachVolume.Attach succeeded for volume "{wanted.volume_name}"'
            client.event(pod, "Normal", "SuccessfulAttachVolume", message)
        self._stale_nodes[place[1]] = None
        self._reconcile_loop.arm()

    def _detach(self, place: Place, decision: Detach, client: Client) -> Sync:
        attached = self.actual.attached[place]
        name = attached.volume_name
        volume = self.volumes.get("", name)
        attached.reported = False
        yield from self._report(place[1], client)
        if decision.verify:
            yield from self._verify_safe(place, client)
        self._note(name, "Detaching", client.cause, node=place[1], forced=decision.forced)
        try:
            if volume is None or volume.spec.csi is not None:
                yield from self.attachments.detach(place[0], place[1], client)
            elif volume.spec.flex_volume is not None:
                yield self.clock.sleep(self.sim.latencies.draw("volumeDetach", volume.name), self._rank)
                if self.storage is not None:
                    self.storage.detach(location(volume), place[1], client.cause)
        except (ApiError, OperationFailed):
            self.actual.mark(place, name, "uncertain")
            raise
        self.actual.forget(place)

    def _verify_safe(self, place: Place, client: Client) -> Sync:
        """Look at the live node once more; fail if it says that it uses the volume."""
        try:
            node = yield from client.get(Node, "", place[1])
        except NotFound:
            return
        if place[0] in node.status.volumes_in_use:
            self.actual.attached[place].reported = True
            self._stale_nodes[place[1]] = None
            raise OperationFailed("volume is still in use by node, according to Node status")

    def _report_later(self, name: str) -> Sync:
        """Write a node's status, again in the next loop if that fails (node_status_updater.go)."""
        try:
            yield from self._report(name, self.client())
        except ApiError:
            self._stale_nodes[name] = None
            self._reconcile_loop.arm()

    def _report(self, name: str, client: Client) -> Sync:
        """Write which volumes a node may mount (status.volumesAttached)."""

        def change(node: Node) -> Node:
            attached = tuple(AttachedVolume(name=v) for v, a in self.actual.on_node(name) if a.reported)
            return replace(node, status=replace(node.status, volumes_attached=attached))

        try:
            yield from client.patch_status(Node, "", name, change)
        except NotFound:
            return

    def _verify(self) -> None:
        """Believe what VolumeAttachments say: one that is gone or not attached is detached."""
        for place, attached in sorted(self.actual.attached.items()):
            if not place[0].startswith("kubernetes.io/csi/") or attached.state != "attached":
                continue
            driver, _, handle = place[0].removeprefix("kubernetes.io/csi/").partition("^")
            found = self.attachments.informer.get("", attachment_name(handle, driver, place[1]))
            if found is None or not found.status.attached:
                self.actual.forget(place)
                self._stale_nodes[place[1]] = None
                self._look_at_volume(place[0])
