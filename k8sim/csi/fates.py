"""What becomes of the content of volumes, told from what people and components do to the objects.

An observer that changes nothing. It answers two questions that the storage asks when it loses content (which path was
it?), and writes rows for content that is intact but out of reach.

Source: storage.md 9.2 (`k8sim.machines.losses`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8sim.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import condition_of
from k8sim.api.storage import VolumeAttachment, VolumeSnapshotContent
from k8sim.api.volumes import OUT_OF_SERVICE_TAINT
from k8sim.apiserver.server import APIServer
from k8sim.apiserver.watch import Change
from k8sim.machines.disks import Storage, location

HOSTNAME = "kubernetes.io/hostname"
GARBAGE_COLLECTOR = "garbage"
ATTACH_DETACH = "attachdetach"


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


def is_ready(node: Node) -> bool:
    """Tell whether a node is Ready."""
    ready = condition_of(node.status.conditions, "Ready")
    return ready is not None and ready.status == "True"


def names_host(volume: PersistentVolume, node: Node) -> bool:
    """Tell whether a volume can be reached from this node only."""
    affinity = volume.spec.node_affinity
    terms = affinity.required.node_selector_terms if affinity is not None and affinity.required is not None else ()
    hostname = node.metadata.labels.get(HOSTNAME, node.name)
    return any(r.key == HOSTNAME and r.values == (hostname,) for t in terms for r in t.match_expressions)


class VolumeFates:
    """Watches claims, volumes, attachments and nodes."""

    def __init__(self, server: APIServer, storage: Storage) -> None:
        self.server = server
        self.storage = storage
        self._path: dict[str, str] = {}
        self._bound_elsewhere: dict[str, None] = {}
        self._ephemeral: dict[str, None] = {}
        self._pointing: dict[tuple[str, str], dict[str, None]] = {}
        self._by_hand: dict[tuple[str, str], None] = {}

    def start(self) -> None:
        """Begin to watch, and to answer the storage."""
        self.storage.path_of_claim = self.path_of_claim
        self.storage.path_of_detach = self.path_of_detach
        self.server.watch(PersistentVolumeClaim, self._on_claim)
        self.server.watch(PersistentVolume, self._on_volume)
        self.server.watch(VolumeAttachment, self._on_attachment)
        self.server.watch(VolumeSnapshotContent, self._on_content)
        self.server.watch(Node, self._on_node)

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
        ref = volume.spec.claim_ref
        if ref is not None:
            pointing = self._pointing.setdefault((ref.namespace, ref.name), {})
            if change.type == "DELETED":
                pointing.pop(volume.name, None)
            else:
                pointing[volume.name] = None
        if change.type == "DELETED":
            self._volume_gone(volume, change.row)
        elif old is not None and old.status.phase != volume.status.phase:
            retained = volume.spec.persistent_volume_reclaim_policy == "Retain"
            for name in self._places_of(volume):
                if volume.status.phase == "Released" and retained:
                    self.storage.beyond_reach(name, "L19", change.row)
                elif volume.status.phase in ("Available", "Bound"):
                    self.storage.within_reach(name, change.row)

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
            if disk is not None and not disk.lost:
                detail = {"path": "L18" if held else "L17", "durable": disk.durable, "size": disk.size}
                self._note(name, "Orphaned", cause, detail)

    def _note(self, name: str, event: str, cause: int, detail: Mapping[str, object]) -> None:
        self.server.sim.trace.append(self.server.sim.clock.now, "Volume", name, event, detail, cause)

    # ---- attachments, snapshots, nodes ------------------------------------------------------------------------------

    def _on_attachment(self, change: Change) -> None:
        attachment, old = change.new, change.old
        assert isinstance(attachment, VolumeAttachment)
        ends = change.type == "DELETED" or (attachment.deleting and not (old is not None and old.deleting))
        if not ends or ATTACH_DETACH in change.actor or "csi-" in change.actor:
            return
        volume = self.server.find(PersistentVolume, "", attachment.spec.source.persistent_volume_name or "")
        if volume is not None:
            self._by_hand[location(volume), attachment.spec.node_name] = None

    def _on_content(self, change: Change) -> None:
        content = change.new
        assert isinstance(content, VolumeSnapshotContent)
        snapshot = self.storage.snapshots.get(content.status.snapshot_handle or "")
        if change.type == "DELETED" and snapshot is not None and not snapshot.deleted:
            detail: dict[str, object] = {"path": "L31", "snapshot": snapshot.name}
            self._note(snapshot.source, "SnapshotOrphaned", change.row, detail)

    def _on_node(self, change: Change) -> None:
        """Note the volumes that only a node can reach, when it goes and when it comes back; and those it holds."""
        node, old = change.new, change.old
        assert isinstance(node, Node)
        if not isinstance(old, Node) or is_ready(old) == is_ready(node):
            return
        for volume in self.server.list(PersistentVolume):
            if volume.spec.host_path is None and names_host(volume, node):
                self._turn(location(volume, node.name), is_ready(node), "L8", change.row)
        for name, disk in list(self.storage.disks.items()):
            if node.name in disk.attached:
                self._turn(name, is_ready(node), "L21", change.row)

    def _turn(self, name: str, ready: bool, path: str, cause: int) -> None:
        if ready:
            self.storage.within_reach(name, cause)
        else:
            self.storage.beyond_reach(name, path, cause)
