"""What becomes of the content of volumes, told from what people and components do to the objects.

An observer that changes nothing. It answers what the storage asks when something happens to content (which path was
it?), and writes rows for content that is intact but out of reach for want of an object; `k8sim.csi.reach` and
`k8sim.csi.backups` do so for what lies at nodes and at snapshots.

Source: storage.md 9.2 (`k8sim.machines.losses`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from k8sim.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import Object
from k8sim.api.storage import VolumeAttachment
from k8sim.api.volume_matching import storage_capacity
from k8sim.api.volumes import MULTI_NODE_MODES, OUT_OF_SERVICE_TAINT
from k8sim.apiserver.admission_storage import PVC_PROTECTION
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.machines.content import Holder
from k8sim.machines.disks import Fates, Storage, location

GARBAGE_COLLECTOR: Final = "garbage"
ATTACH_DETACH: Final = "attachdetach"
PROTECTOR: Final = "pvc-protection-controller"
ANY_NODE: Final = "*"


def deletion_path(claim: PersistentVolumeClaim, actor: str, namespace_ends: bool, ephemeral: bool) -> str:
    """Return the path on which a claim's volume is lost, if it is: who deletes the claim, and why.

    Parameters
    ----------
    ephemeral
        The claim was made for a pod's ephemeral volume: it has had its owner from the beginning, while a StatefulSet's
        claim gets one when it is to be deleted.
    """
    if namespace_ends:
        return "L13"
    if GARBAGE_COLLECTOR not in actor:
        return "L10"
    if ephemeral:
        return "L7"
    owners = {o.kind for o in claim.metadata.owner_references}
    return "L14" if owners & {"StatefulSet", "Pod"} else "L15"


def is_stripped(old: Object, new: Object, actor: str) -> bool:
    """Tell whether somebody takes away the finalizer that holds a claim while pods use it."""
    return (
        PVC_PROTECTION in old.metadata.finalizers
        and PVC_PROTECTION not in new.metadata.finalizers
        and actor != PROTECTOR
    )


def version_of(pod: Pod) -> str:
    """Return the revision of its workload that a pod belongs to."""
    labels = pod.metadata.labels
    return labels.get("pod-template-hash") or labels.get("controller-revision-hash") or ""


class VolumeFates(Fates):
    """Watches claims, volumes, attachments and snapshots, and answers the storage."""

    def __init__(self, server: APIServer, storage: Storage) -> None:
        self.server = server
        self.storage = storage
        self._path: dict[str, str] = {}
        self._bound_elsewhere: dict[str, None] = {}
        self._ephemeral: dict[str, None] = {}
        self._stripped: dict[str, None] = {}
        self._pointing: dict[tuple[str, str], dict[str, None]] = {}
        self._volumes_at: dict[str, dict[str, None]] = {}
        self._by_hand: dict[tuple[str, str], None] = {}

    def start(self) -> None:
        """Begin to watch, and to answer the storage."""
        self.storage.fates = self
        self.server.watch(PersistentVolumeClaim, self._on_claim)
        self.server.watch(PersistentVolume, self._on_volume)
        self.server.watch(VolumeAttachment, self._on_attachment)

    # ---- answers ----------------------------------------------------------------------------------------------------

    def path_of_claim(self, uid: str) -> str:
        """Return the path of a volume that is deleted for want of its claim: L34 if there never was such a claim."""
        if uid in self._path:
            return self._path[uid]
        return "L11" if uid in self._bound_elsewhere else "L34"

    def path_of_detach(self, name: str, node: str) -> str:
        """Return the path of a volume that is taken from a node on which it is mounted."""
        if self._by_hand.pop((name, node), "") is None:
            return "L24"
        found = self.server.find(Node, "", node)
        taints = found.spec.taints if found is not None else ()
        return "L22" if any(t.key == OUT_OF_SERVICE_TAINT for t in taints) else "L21"

    def path_of_sharing(self, name: str, newcomer: Holder, others: Sequence[Holder]) -> str:
        """Return why two pods write to one volume; "" if its access modes and one version of the pods say they may."""
        volumes = [v for v in (self.server.find(PersistentVolume, "", n) for n in self._named(name)) if v is not None]
        meant = any(not MULTI_NODE_MODES.isdisjoint(v.spec.access_modes) for v in volumes)
        away = [other for other in others if other.node != newcomer.node]
        attached = self.storage.disk(name).attached
        if away and attached and not meant:
            return "L23" if any(other.node in attached for other in away) else "L21"
        if any(self._pod_of(other) is None for other in away):
            return "L20"
        pods = [self._pod_of(holder) for holder in (newcomer, *others)]
        versions = {version_of(pod) for pod in pods if pod is not None}
        if meant:
            return "L26" if len(versions) > 1 else ""
        return "L26" if away else "L25"

    def names(self, name: str) -> bool:
        """Tell whether there is a PersistentVolume for a volume."""
        return bool(self._named(name))

    def _named(self, name: str) -> Iterable[str]:
        _, _, path = name.partition(":")
        return self._volumes_at.get(name) or self._volumes_at.get(f"{ANY_NODE}:{path}") or ()

    def _pod_of(self, holder: Holder) -> Pod | None:
        pod = self.server.find(Pod, holder.namespace, holder.name)
        return pod if pod is not None and pod.uid == holder.uid else None

    # ---- claims and volumes -----------------------------------------------------------------------------------------

    def _on_claim(self, change: Change) -> None:
        claim, old = change.new, change.old
        assert isinstance(claim, PersistentVolumeClaim)
        begins_to_end = claim.deleting and not (old is not None and old.deleting)
        if claim.uid not in self._path and (begins_to_end or change.type == "DELETED"):
            namespace = self.server.find(Namespace, "", claim.namespace)
            ends = namespace is not None and namespace.deleting
            self._path[claim.uid] = deletion_path(claim, change.actor, ends, claim.uid in self._ephemeral)
        if change.type == "ADDED":
            if any(o.kind == "Pod" for o in claim.metadata.owner_references):
                self._ephemeral[claim.uid] = None
            self._note_replacement(claim, change.row)
        elif change.type == "MODIFIED" and claim.spec.volume_name:
            self._bound_elsewhere[claim.uid] = None
        if old is not None and is_stripped(old, claim, change.actor):
            self._stripped[claim.uid] = None
            self._path[claim.uid] = "L18"

    def _note_replacement(self, claim: PersistentVolumeClaim, cause: int) -> None:
        """Note a claim that takes the name of an earlier one whose volume is still there: it starts empty."""
        if self.server.incarnation(claim) < 2:
            return
        for name in self._pointing.get(claim.key, ()):
            volume = self.server.find(PersistentVolume, "", name)
            ref = volume.spec.claim_ref if volume is not None else None
            if volume is not None and ref is not None and ref.uid not in ("", claim.uid):
                detail = {"path": "L16", "claim": claim.name, "policy": volume.spec.persistent_volume_reclaim_policy}
                self._note(volume.name, "Replaced", cause, detail)

    def _on_volume(self, change: Change) -> None:
        volume, old = change.new, change.old
        assert isinstance(volume, PersistentVolume)
        assert old is None or isinstance(old, PersistentVolume)
        self._index(volume, change)
        if change.type == "DELETED":
            self._volume_gone(volume, change.row)
        elif old is not None and old.status.phase != volume.status.phase:
            retained = volume.spec.persistent_volume_reclaim_policy == "Retain"
            for name in self._places_of(volume):
                if volume.status.phase == "Released" and retained:
                    self.storage.beyond_reach(name, "L19", change.row)
                elif volume.status.phase in ("Available", "Bound"):
                    self.storage.within_reach(name, change.row)

    def _index(self, volume: PersistentVolume, change: Change) -> None:
        """Keep which volumes point at a claim, and which are at a place."""
        ref, place = volume.spec.claim_ref, location(volume, ANY_NODE)
        if ref is not None:
            _keep(self._pointing.setdefault((ref.namespace, ref.name), {}), volume.name, change)
        _keep(self._volumes_at.setdefault(place, {}), volume.name, change)
        if change.type == "ADDED":
            self._note(place, "Named", change.row, {"volume": volume.name, "size": storage_capacity(volume)})

    def _places_of(self, volume: PersistentVolume) -> Iterable[str]:
        """Return where a volume has content: a hostPath volume may have some on every node."""
        if volume.spec.host_path is not None:
            return self.storage.at_path(volume.spec.host_path.path)
        return [location(volume)]

    def _volume_gone(self, volume: PersistentVolume, cause: int) -> None:
        """Note content whose volume object is gone while it is not."""
        ref = volume.spec.claim_ref
        claim = self.server.find(PersistentVolumeClaim, ref.namespace, ref.name) if ref is not None else None
        held = claim is not None and ref is not None and claim.uid == ref.uid
        for name in self._places_of(volume):
            disk = self.storage.disks.get(name)
            if disk is not None and not disk.lost and not self.names(name):
                detail = {"path": "L18" if held else "L17", "durable": disk.durable, "size": disk.size}
                self._note(name, "Orphaned", cause, detail)

    def _note(self, name: str, event: str, cause: int, detail: Mapping[str, object]) -> None:
        self.server.sim.trace.append(self.server.sim.clock.now, "Volume", name, event, detail, cause)

    # ---- attachments ------------------------------------------------------------------------------------------------

    def _on_attachment(self, change: Change) -> None:
        attachment, old = change.new, change.old
        assert isinstance(attachment, VolumeAttachment)
        ends = change.type == "DELETED" or (attachment.deleting and not (old is not None and old.deleting))
        if not ends or ATTACH_DETACH in change.actor or "csi-" in change.actor:
            return
        volume = self.server.find(PersistentVolume, "", attachment.spec.source.persistent_volume_name or "")
        if volume is not None:
            self._by_hand[location(volume), attachment.spec.node_name] = None


def _keep(names: dict[str, None], name: str, change: Change) -> None:
    if change.type == "DELETED":
        names.pop(name, None)
    else:
        names[name] = None
