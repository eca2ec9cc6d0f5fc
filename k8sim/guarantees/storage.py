"""What claims and volumes promise: who is bound to whom, where it can be used, and what survives."""

from __future__ import annotations

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.pods import claim_names, is_volume_pod_terminated
from k8sim.api.quantity import parse_quantity
from k8sim.api.selectors import node_selector_matches
from k8sim.api.storage import VolumeAttachment
from k8sim.apiserver.watch import Change
from k8sim.guarantees.guarantee import Checker, Guarantee
from k8sim.guarantees.world import World, deletion_begins
from k8sim.sim.trace import Row

CONCEPTS = "kubernetes.io/docs/concepts/storage/persistent-volumes"
BINDER = "pkg/controller/volume/persistentvolume/pv_controller.go"
SHARED = frozenset({"ReadWriteMany", "ReadOnlyMany"})
BY_HAND = {"finalizers removed": "the protection is a finalizer", "manual edit": "objects were changed by hand"}


class ExclusiveBinding(Checker):
    about = Guarantee(
        name="exclusive-binding",
        promise="A volume is bound to one claim, a claim to one volume.",
        checks="that no two claims are Bound with the same volume name",
        does_not_check="volumes that two PersistentVolume objects describe",
        source=f"{CONCEPTS}#binding; {BINDER} (bind)",
    )
    kinds = ("PersistentVolumeClaim",)

    def change(self, change: Change) -> None:
        claim = change.new
        assert isinstance(claim, PersistentVolumeClaim)
        if change.type == "DELETED" or claim.status.phase != "Bound" or not claim.spec.volume_name:
            return
        self.exercised += 1
        for other in self.world.all("PersistentVolumeClaim"):
            same = other.spec.volume_name == claim.spec.volume_name and other.status.phase == "Bound"
            if same and other.uid != claim.uid:
                self.violated(claim.name, f"shares volume {claim.spec.volume_name} with claim {other.name}")


class BindingPermanent(Checker):
    about = Guarantee(
        name="binding-permanent",
        promise="A claim keeps the volume it is bound to.",
        checks="that a claim's volume name, once set, does not change, and that a Bound volume keeps its claim",
        does_not_check="that the volume's content is still there",
        source=f"{CONCEPTS}#binding; {BINDER}",
        not_kept_under={"manual edit": "claimRef was changed by hand"},
    )
    kinds = ("PersistentVolumeClaim", "PersistentVolume")
    edits = ("PersistentVolume", "PersistentVolumeClaim")

    def change(self, change: Change) -> None:
        new, old = change.new, change.old
        if change.type != "MODIFIED" or old is None:
            return
        if isinstance(new, PersistentVolumeClaim) and isinstance(old, PersistentVolumeClaim):
            self.exercised += 1
            if old.spec.volume_name and new.spec.volume_name != old.spec.volume_name:
                self.violated(new.name, f"went from volume {old.spec.volume_name} to {new.spec.volume_name!r}")
        elif isinstance(new, PersistentVolume) and isinstance(old, PersistentVolume):
            a, b = old.spec.claim_ref, new.spec.claim_ref
            self.exercised += 1
            if change.actor != "kubectl" and a is not None and b is not None and a.uid and a.uid != b.uid:
                self.violated(new.name, f"went from claim {a.name} straight to another, {b.name}")


class BindingFits(Checker):
    about = Guarantee(
        name="binding-fits",
        promise="A claim gets at least what it asks for: size, access modes, class.",
        checks="capacity, access modes, volume mode and class when a claim becomes Bound",
        does_not_check="claims that name their volume, label selectors, resizing",
        source=f"{CONCEPTS}#binding; pkg/controller/volume/persistentvolume/index.go",
    )
    kinds = ("PersistentVolumeClaim",)

    def change(self, change: Change) -> None:
        claim, old = change.new, change.old
        assert isinstance(claim, PersistentVolumeClaim)
        was = old.status.phase if isinstance(old, PersistentVolumeClaim) else ""
        if change.type == "DELETED" or claim.status.phase != "Bound" or was == "Bound":
            return
        volume = self.world.find("PersistentVolume", "", claim.spec.volume_name)
        if not isinstance(volume, PersistentVolume):
            return
        self.exercised += 1
        asked = parse_quantity(claim.spec.resources.requests.get("storage", "0"))
        has = parse_quantity(volume.spec.capacity.get("storage", "0"))
        if has < asked:
            self.violated(claim.name, f"asked for {asked} bytes and got {has}")
        if not set(claim.spec.access_modes) <= set(volume.spec.access_modes):
            self.violated(claim.name, f"got a volume without {claim.spec.access_modes}")
        if claim.spec.volume_mode != volume.spec.volume_mode:
            self.violated(claim.name, f"got a volume of mode {volume.spec.volume_mode}")
        if (claim.spec.storage_class_name or "") != volume.spec.storage_class_name:
            beta = "volume.beta.kubernetes.io/storage-class"
            if beta not in claim.metadata.annotations and beta not in volume.metadata.annotations:
                self.violated(claim.name, f"got a volume of class {volume.spec.storage_class_name!r}")


class FirstConsumer(Checker):
    about = Guarantee(
        name="wait-for-first-consumer",
        promise="With WaitForFirstConsumer a volume is made only once a pod that uses the claim has been given a node.",
        checks="that a claim of such a class has a selected node when its volume is provisioned",
        does_not_check="claims that name their volume",
        source="kubernetes.io/docs/concepts/storage/storage-classes#volume-binding-mode",
        not_kept_under={"manual edit": "the class was changed after the claim was made"},
    )
    kinds = ("PersistentVolume",)
    edits = ("StorageClass", "PersistentVolumeClaim")

    def change(self, change: Change) -> None:
        volume = change.new
        assert isinstance(volume, PersistentVolume)
        ref = volume.spec.claim_ref
        if (
            change.type != "ADDED"
            or ref is None
            or "pv.kubernetes.io/provisioned-by" not in volume.metadata.annotations
        ):
            return
        claim = self.world.find("PersistentVolumeClaim", ref.namespace, ref.name)
        storage_class = self.world.find("StorageClass", "", volume.spec.storage_class_name)
        if storage_class is None or storage_class.volume_binding_mode != "WaitForFirstConsumer":
            return
        if claim is None or claim.uid != ref.uid:
            return
        self.exercised += 1
        if "volume.kubernetes.io/selected-node" not in claim.metadata.annotations:
            self.violated(claim.name, "was given a volume before any pod that uses it had a node")


class ClaimProtection(Checker):
    about = Guarantee(
        name="claim-in-use-protection",
        promise="A claim that a pod uses is not removed before the pod has ended.",
        checks="at each removal of a claim, that no pod uses it that was given its node over 2 s ago and has not ended",
        does_not_check="pods that have just been given a node: the controller asks before it lets a claim go, and a "
        "kubelet starts no pod whose claim is being deleted (pvc_protection_controller.go, podUsesPVC)",
        source=f"{CONCEPTS}#storage-object-in-use-protection; pkg/controller/volume/pvcprotection",
        not_kept_under=BY_HAND,
    )
    kinds = ("PersistentVolumeClaim", "Pod")
    edits = ("PersistentVolumeClaim", "Pod")

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._placed: dict[str, int] = {}

    def change(self, change: Change) -> None:
        claim = change.new
        if isinstance(claim, Pod):
            if claim.spec.node_name:
                self._placed.setdefault(claim.uid, self.world.now)
            return
        if change.type != "DELETED":
            return
        self.exercised += 1
        for pod in self.world.all("Pod"):
            uses = pod.namespace == claim.namespace and claim.name in claim_names(pod)
            placed = pod.uid in self._placed and not self.world.recently(self._placed[pod.uid])
            if uses and placed and not is_volume_pod_terminated(pod):
                self.violated(claim.name, f"was removed while pod {pod.name} used it")


class VolumeProtection(Checker):
    about = Guarantee(
        name="volume-in-use-protection",
        promise="A volume that is bound to a claim is not removed.",
        checks="at each removal of a volume, that its claim is gone",
        does_not_check="the content",
        source=f"{CONCEPTS}#storage-object-in-use-protection; pkg/controller/volume/pvprotection",
        not_kept_under=BY_HAND,
    )
    kinds = ("PersistentVolume",)
    edits = ("PersistentVolume", "PersistentVolumeClaim")

    def change(self, change: Change) -> None:
        volume = change.new
        assert isinstance(volume, PersistentVolume)
        if change.type != "DELETED":
            return
        self.exercised += 1
        ref = volume.spec.claim_ref
        claim = self.world.find("PersistentVolumeClaim", ref.namespace, ref.name) if ref is not None else None
        if claim is None or ref is None or volume.status.phase != "Bound":
            return
        if claim.uid == ref.uid and claim.spec.volume_name == volume.name:
            self.violated(volume.name, f"was removed while it was bound to {claim.name}")


class RetainHonoured(Checker):
    about = Guarantee(
        name="retain-honoured",
        promise="A volume with the reclaim policy Retain is kept when its claim is deleted.",
        checks="that no controller deletes a volume whose policy is Retain",
        does_not_check="volumes that people delete, and what happens to their content",
        source=f"{CONCEPTS}#retain; {BINDER} (reclaimVolume)",
        not_kept_under={"manual edit": "the policy was changed just before"},
    )
    kinds = ("PersistentVolume",)
    edits = ("PersistentVolume",)

    def change(self, change: Change) -> None:
        volume = change.new
        assert isinstance(volume, PersistentVolume)
        policy = volume.spec.persistent_volume_reclaim_policy
        if policy == "Retain" and volume.status.phase == "Released":
            self.exercised += 1
        if deletion_begins(change) and policy == "Retain" and not change.actor.startswith("kubectl"):
            self.violated(volume.name, f"was deleted by {change.actor} although its policy is Retain")


class DeleteHonoured(Checker):
    about = Guarantee(
        name="delete-honoured",
        promise="A volume with the reclaim policy Delete goes when its claim is deleted.",
        checks="that at the end none has been Released for longer than the patience of the check",
        does_not_check="whether the storage system really forgot it",
        source=f"{CONCEPTS}#delete; {BINDER} (reclaimVolume)",
        kind="liveness",
        not_kept_under={
            "storage-outage": "the storage system's calls fail",
            "stuck on a dead node": "the volume is attached to a node that does not answer",
            "node-crash": "the volume may be attached to a node that does not answer",
            "node-partition": "the volume may be attached to a node that does not answer",
            "node-isolation": "the volume may be attached to a node that does not answer",
            "zone-outage": "the volume may be attached to a node that does not answer",
            "zone-partition": "the volume may be attached to a node that does not answer",
            "zone-isolation": "the volume may be attached to a node that does not answer",
            "spot-reclaim": "the volume may be attached to a node that does not answer",
            "manual edit": "the volume has no deleter: somebody made it by hand",
        },
    )
    kinds = ("PersistentVolume",)
    edits = ("PersistentVolume",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._released: dict[str, int] = {}

    def change(self, change: Change) -> None:
        volume = change.new
        assert isinstance(volume, PersistentVolume)
        if change.type == "DELETED" or volume.status.phase != "Released":
            was_released = self._released.pop(volume.name, None) is not None
            self.exercised += was_released and change.type == "DELETED"
        elif "pv.kubernetes.io/provisioned-by" in volume.metadata.annotations:
            self._released.setdefault(volume.name, self.world.now)

    def end(self) -> None:
        for name, since in self._released.items():
            volume = self.world.find("PersistentVolume", "", name)
            if volume.spec.persistent_volume_reclaim_policy == "Delete" and self.world.patient_since(since):
                self.exercised += 1
                self.violated(name, "is Released and was not deleted")


class SingleAttach(Checker):
    about = Guarantee(
        name="single-attach",
        promise="A ReadWriteOnce volume that has to be attached is attached to one node at a time.",
        checks="the VolumeAttachments whose status says attached",
        does_not_check="what a machine does that lost its attachment (see one-writer)",
        source="pkg/controller/volume/attachdetach/reconciler/reconciler.go",
        not_kept_under={
            **BY_HAND,
            "failed detach": "after a detach that failed, or took too long, only the driver refuses the next node",
        },
    )
    kinds = ("VolumeAttachment",)
    edits = ("VolumeAttachment", "PersistentVolume")

    def change(self, change: Change) -> None:
        new = change.new
        assert isinstance(new, VolumeAttachment)
        if change.type == "DELETED" or not new.status.attached:
            return
        name = new.spec.source.persistent_volume_name or ""
        volume = self.world.find("PersistentVolume", "", name)
        if volume is None or not volume.spec.access_modes or SHARED & set(volume.spec.access_modes):
            return
        self.exercised += 1
        for other in self.world.all("VolumeAttachment"):
            same = other.spec.source.persistent_volume_name == name and other.spec.node_name != new.spec.node_name
            if same and other.status.attached:
                excuse = "failed detach" if other.status.detach_error is not None else None
                self.violated(name, f"is attached to {other.spec.node_name} and {new.spec.node_name}", excuse=excuse)


class OneWriter(Checker):
    about = Guarantee(
        name="one-writer",
        promise="A ReadWriteOnce volume is mounted on one node at a time.",
        checks="mounts on the machines: two nodes that have a volume mounted at once, whatever the API says",
        does_not_check="two pods of one node, which ReadWriteOnce allows; volumes with a shared access mode",
        source=f"{CONCEPTS}#access-modes",
        not_kept_under={
            "forced detach": "after 6 minutes the volume is taken from a node that may still use it",
            "forced deletion": "the pod's object is gone, so its volume is detached although the process may run",
            "pod garbage collection": "the pod's object is gone, so its volume is detached",
            "forced deletion on a silent node": "the pod's object is gone, so its volume is detached",
            "not attachable": "nothing enforces access modes of volumes that are not attached (NFS, hostPath)",
        },
    )
    rows = ("Volume",)

    def row(self, row: Row, number: int) -> None:
        if row.event == "Mounted":
            self.exercised += 1
        if row.event != "SecondWriter" or len(row.detail.get("nodes", ())) < 2:
            return
        volume = self._volume(row.name)
        if volume is None or not SHARED & set(volume.spec.access_modes):
            problem = f"is mounted on {' and '.join(row.detail['nodes'])}"
            self.violated(row.name, problem, number, self._why(row.name, volume))

    def _volume(self, name: str) -> PersistentVolume | None:
        """Return a volume by its name, or by that of its disk."""
        found = self.world.find("PersistentVolume", "", name)
        if isinstance(found, PersistentVolume):
            return found
        volumes = self.world.all("PersistentVolume")
        return next((v for v in volumes if v.spec.csi and v.spec.csi.volume_handle == name), None)

    def _why(self, name: str, volume: PersistentVolume | None) -> str:
        if volume is None or volume.spec.csi is None:
            return "not attachable"
        ref = volume.spec.claim_ref
        places = [("", name), ("", volume.name), *([(ref.namespace, ref.name)] if ref is not None else [])]
        ways = (self.world.let_go.get(place, "") for place in places)
        return next((how for how in ways if how in self.about.not_kept_under), "")


class VolumeReachable(Checker):
    about = Guarantee(
        name="volume-topology",
        promise="A pod is put on a node from which its volumes can be reached.",
        checks="at each binding by the scheduler, the node affinity of the volumes of the pod's bound claims",
        does_not_check="pods that name their node themselves",
        source="pkg/scheduler/framework/plugins/volumebinding",
        not_kept_under={"manual edit": "labels of nodes or volumes were changed"},
    )
    kinds = ("Pod",)
    edits = ("Node", "PersistentVolume")

    def change(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        bound = isinstance(old, Pod) and not old.spec.node_name and pod.spec.node_name
        node = self.world.find("Node", "", pod.spec.node_name) if bound else None
        if node is None or change.actor != "kube-scheduler":
            return
        for name in claim_names(pod):
            claim = self.world.find("PersistentVolumeClaim", pod.namespace, name)
            volume = self.world.find("PersistentVolume", "", claim.spec.volume_name) if claim is not None else None
            if volume is None or volume.spec.node_affinity is None:
                continue
            self.exercised += 1
            if not node_selector_matches(volume.spec.node_affinity.required, node):
                self.violated(pod.name, f"was put on {node.name}, from which volume {volume.name} cannot be reached")


CHECKERS: tuple[type[Checker], ...] = (
    ExclusiveBinding, BindingPermanent, BindingFits, FirstConsumer, ClaimProtection, VolumeProtection, RetainHonoured,
    DeleteHonoured, SingleAttach, OneWriter, VolumeReachable,
)  # fmt: skip
