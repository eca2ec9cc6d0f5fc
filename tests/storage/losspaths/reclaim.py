"""L10 to L19: claims, volumes and what holds them together are deleted."""

from __future__ import annotations

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Service
from k8sim.api.meta import OwnerReference, with_meta
from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.pair import Pair
from tests.storage.losspaths.scenes import (
    HOST_PATH,
    NFS,
    applied,
    claim,
    csi,
    pod,
    retain,
    static_volume,
    storage_class,
    strip_claim,
    where,
    world,
    written,
)  # fmt: skip

DELETE_SET = "at: 120s, kubectl: delete statefulset web"
DELETE_CLAIM = "at: 60s, kubectl: delete pvc data-web-0 --wait=false"
SNAPSHOT = "apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot"
SNAPSHOT_CLASS = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata: {name: snaps}
driver: ebs.csi.aws.com
deletionPolicy: """


def claim_deleted(retained: bool, provisioner: str = "ebs.csi.aws.com") -> Scene:
    """A claim is deleted under its pod; while it is Terminating there is time to patch its volume to Retain."""
    doomed = written(scene(DELETE_CLAIM, DELETE_SET, provisioner=provisioner), at=50).run(100)
    if retained:
        retain(doomed)
    return doomed.run(400)


def surplus(volume_at: int) -> Scene:
    """A volume is being made for a claim, which takes 9 s; another one that fits turns up meanwhile, or later."""
    step = applied(volume_at, static_volume("by-hand", csi("h"), claimed=""))
    slow = "latencies: {volumeCreate: 9s}"
    return world(storage_class(mode="Immediate"), claim(), spec=slow, steps=(step,)).run(300)


def recycled(policy: str) -> Scene:
    """A claim and its pod are deleted, and what becomes of the volume, which is on an NFS server."""
    documents = (static_volume("shared", "nfs: {server: nas, path: /data}", policy), claim(), pod())
    steps = ("at: 100s, kubectl: delete pod app", "at: 120s, kubectl: delete pvc data")
    made = world(*documents, steps=steps)
    return written(made, claim_name="data", pod_name="app").run(400)


def namespace_deleted(policy: str) -> Scene:
    """A namespace with a volume and a snapshot of it; ten bytes are newer than the snapshot."""
    documents = (
        storage_class(more=f"reclaimPolicy: {policy}"), SNAPSHOT_CLASS + policy,
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}",
        claim(namespace="shop"), pod(namespace="shop"),
    )  # fmt: skip
    wanted = (
        f"{SNAPSHOT}, metadata: {{name: s, namespace: shop}}, "
        "spec: {volumeSnapshotClassName: snaps, source: {persistentVolumeClaimName: data}}"
    )
    steps = (f"at: 60s, apply: {{{wanted}}}", "at: 150s, kubectl: delete namespace shop --wait=false")
    shop = world(*documents, steps=steps).run(50)
    (volume,) = shop.server.list(PersistentVolume)
    (pod_there,) = shop.storage.disk(volume.name).mounts.values()
    for until in (140, 400):
        shop.storage.write(volume.name, 10, pod_there.node)
        shop.storage.sync(volume.name, pod_there.node)
        shop.run(until)
    return shop


def retention(policy: str) -> Scene:
    extra = f"persistentVolumeClaimRetentionPolicy: {{{policy}}}"
    return written(scene("at: 100s, kubectl: scale statefulset/web --replicas=0", extra=extra)).run(400)


def owned(dependent: bool) -> Scene:
    """A claim that names a Service as its owner, which is deleted."""
    found = written(scene(DELETE_SET, "at: 140s, kubectl: delete service web"), at=60)
    if dependent:
        uid = found.server.get(Service, "default", "web").uid
        owner = (OwnerReference(api_version="v1", kind="Service", name="web", uid=uid),)
        key = ("default", "data-web-0")
        found.server.patch(PersistentVolumeClaim, *key, lambda c: with_meta(c, owner_references=owner))
    return found.run(400)


def new_claim(delete_claim: bool, policy: str = "Delete") -> Scene:
    steps = [DELETE_CLAIM] if delete_claim else []
    found = written(scene(*steps, "at: 120s, kubectl: delete pod web-0"), at=50)
    if policy == "Retain":
        retain(found)
    return found.run(400)


def volume_object_deleted(claim_too: bool) -> Scene:
    """Retain; the volume's object is deleted while its pod runs, and the claim with or without it."""
    steps = [DELETE_SET, "at: 140s, kubectl: delete pvc data-web-0"] if claim_too else []
    found = written(scene(*steps), at=60)
    retain(found)
    found.server.delete(PersistentVolume, "", found.volume().name, actor="kubectl")
    return found.run(400)


def stripped(finalizers: bool) -> Scene:
    found = written(scene(), at=60)
    name = found.volume().name
    if finalizers:
        found.server.patch(PersistentVolume, "", name, lambda v: with_meta(v, finalizers=()))
    found.server.delete(PersistentVolume, "", name, actor="kubectl")
    return found.run(200)


def claim_stripped(provisioner: str) -> Scene:
    """The claim's finalizer is taken away under a pod that goes on to write."""
    found = written(scene(provisioner=provisioner), at=60)
    place, node = where(found), found.node_of()
    strip_claim(found)
    found.run(120)
    found.storage.write(place, 10, node)
    return found.run(200)


PAIRS = (
    Pair(
        "L10",
        "once no pod holds it: Released, DeleteVolume; all bytes lost",
        lambda: claim_deleted(False),
        "lost L10 10",
        lambda: claim_deleted(True),
        "patched to Retain while the claim was Terminating",
        harmless="away L19",
    ),
    Pair(
        "L11",
        "provisioned PV (policy Delete) whose claim bound to another PV: deleted; normally empty, 0 bytes",
        lambda: surplus(2),
        "lost L11 0",
        lambda: surplus(60),
        "the other volume turns up when the claim is bound",
    ),
    Pair(
        "L12",
        "Recycler deletes all files",
        lambda: recycled("Recycle"),
        "lost L12 10",
        lambda: recycled("Retain"),
        "the volume's policy is Retain",
        harmless="away L19",
    ),
    Pair(
        "L12",
        "hostPath deleter",
        lambda: claim_deleted(False, HOST_PATH),
        "lost L10 10",
        lambda: claim_deleted(True, HOST_PATH),
        "patched to Retain in time",
        harmless="away L19",
        variant="deleter",
    ),
    Pair(
        "L13",
        "all Delete-policy volumes and Delete-policy snapshots are destroyed",
        lambda: namespace_deleted("Delete"),
        "lost L13 20; lost L31",
        lambda: namespace_deleted("Retain"),
        "Retain: Released PVs, surviving contents",
        harmless="away L19",
    ),
    Pair(
        "L14",
        "whenScaled on scale-down: whole ordinals lost",
        lambda: retention("whenScaled: Delete"),
        "lost L14 10",
        lambda: retention("whenDeleted: Delete"),
        "the policy that says Delete is that for the set's deletion",
    ),
    Pair(
        "L15",
        "any ownerReference to a PVC makes GC delete it",
        lambda: owned(True),
        "lost L15 10",
        lambda: owned(False),
        "claims from volumeClaimTemplates have no ref by default",
    ),
    Pair(
        "L16",
        "new UID, new empty volume; old: L10",
        lambda: new_claim(True),
        "inaccessible L16; lost L10 10",
        lambda: new_claim(False),
        "only the pod is deleted",
    ),
    Pair(
        "L16",
        "new UID, new empty volume; old: (Retain) inaccessible",
        lambda: new_claim(True, "Retain"),
        "inaccessible L16; away L19",
        lambda: new_claim(False, "Retain"),
        "only the pod is deleted",
        variant="retained",
    ),
    Pair(
        "L17",
        "Terminating, safe until claim goes; then Retain: asset orphaned",
        lambda: volume_object_deleted(True),
        "turned L19; orphaned L17 10",
        lambda: volume_object_deleted(False),
        "the claim stays",
    ),
    Pair(
        "L18",
        "PV vanishes with asset left: claim Lost, asset orphaned",
        lambda: stripped(True),
        "orphaned L18 10",
        lambda: stripped(False),
        "its finalizers hold it",
        variant="volume",
    ),
    Pair(
        "L18",
        "DeleteVolume can run under a live pod; count acked_lost incl. live writes",
        lambda: claim_stripped(NFS),
        "lost L18 20",
        lambda: claim_stripped("ebs.csi.aws.com"),
        "the provisioner waits for the VolumeAttachment",
        variant="claim",
    ),
    Pair(
        "L19",
        "not a loss: inaccessible from Released until an admin clears claimRef",
        lambda: claim_deleted(True),
        "away L19",
        lambda: new_claim(False, "Retain"),
        "the claim stays",
    ),
)  # fmt: skip
