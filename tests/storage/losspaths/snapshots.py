"""L28 to L34: what snapshots hold and do not, restores, and objects restored without their world."""

from __future__ import annotations

from k8sim.api.snapshots import CONSISTENCY
from tests.csi.scenes import Scene
from tests.storage.losspaths.pair import Pair
from tests.storage.losspaths.scenes import (
    applied,
    claim,
    csi,
    deployment,
    pod,
    static_volume,
    storage_class,
    world,
    write,
)  # fmt: skip

GROUP = "snapshot.storage.k8s.io"
DISK_LOSS = "at: 150s, fault: disk-loss, claim: data"


def snapshot_class(policy: str = "Delete") -> str:
    return f"""
apiVersion: {GROUP}/v1
kind: VolumeSnapshotClass
metadata: {{name: snaps}}
driver: ebs.csi.aws.com
deletionPolicy: {policy}
"""


def snapshot(at: int, of: str = "data", quiesced: bool = False) -> str:
    """A step that takes a snapshot of a claim, called as the claim."""
    return applied(at, f"""
apiVersion: {GROUP}/v1
kind: VolumeSnapshot
metadata: {{name: {of}, annotations: {{{CONSISTENCY}: {"application" if quiesced else "crash"}}}}}
spec: {{volumeSnapshotClassName: snaps, source: {{persistentVolumeClaimName: {of}}}}}
""")  # fmt: skip


def restored_from(kind: str, name: str, group: str = GROUP) -> str:
    return f", dataSource: {{apiGroup: {group}, kind: {kind}, name: {name}}}"


def restore(at: int, *names: str) -> tuple[str, ...]:
    """Steps that make claims from the snapshots of others, and a pod with them."""
    volumes = ", ".join(f"{{name: {n}, persistentVolumeClaim: {{claimName: new-{n}}}}}" for n in names)
    mounts = ", ".join(f"{{name: {n}, mountPath: /{n}}}" for n in names)
    claims = (applied(at, claim(f"new-{n}", more=restored_from("VolumeSnapshot", n))) for n in names)
    return (*claims, applied(at, pod("new", f"[{volumes}]", f"volumeMounts: [{mounts}]")))


def database(*steps: str, policy: str = "Delete", spec: str = "") -> Scene:
    """A pod with a claim, and a class of snapshots."""
    documents = (storage_class(), snapshot_class(policy), claim(), pod())
    return world(*documents, steps=steps, spec=spec).run(50)


def written_at(found: Scene, *times: float, synced: bool = True, until: float = 400) -> Scene:
    """Let the pod write ten bytes at each of some times."""
    for t in times:
        write(found.run(t), synced, "data", "app")
    return found.run(until)


def application_restored(torn: str, ended: bool = False) -> Scene:
    """A database of 100 writes/s that is given a volume from a snapshot which was taken two minutes before."""
    application = (
        "applications: [{name: db, deployment: app, preset: single, writes: 100/s, start: 30s, tornRestores: TORN}]"
    )
    moved = deployment(strategy="{type: Recreate}").replace("claimName: data", "claimName: new-data")
    end = ("at: 50s, kubectl: scale deployment/app --replicas=0",) if ended else ()
    new = claim("new-data", more=restored_from("VolumeSnapshot", "data"))
    steps = (*end, snapshot(60), applied(180, new), applied(180, moved))
    documents = (storage_class(), snapshot_class(), claim(), deployment(strategy="{type: Recreate}"))
    return world(*documents, steps=steps, spec=application.replace("TORN", torn)).run(400)


def skewed(quiesced: bool) -> Scene:
    """Data and write-ahead log have volumes of their own, of which snapshots are taken five seconds apart."""
    mounts = "volumeMounts: [{name: data, mountPath: /data}, {name: wal, mountPath: /wal}]"
    volumes = ", ".join(f"{{name: {n}, persistentVolumeClaim: {{claimName: {n}}}}}" for n in ("data", "wal"))
    steps = (snapshot(60, "data", quiesced), snapshot(65, "wal", quiesced), *restore(200, "data", "wal"))
    documents = (storage_class(), snapshot_class(), claim(), claim("wal"), pod(volumes=f"[{volumes}]", mounts=mounts))
    return written_at(world(*documents, steps=steps), 50)


def pruned(ready_only: str) -> Scene:
    """A schedule keeps one snapshot; the storage system takes no more after the first, and then the disk dies."""
    schedule = f"{{name: often, claims: data, every: 60s, keep: 1, snapshotClass: snaps, countReadyOnly: {ready_only}}}"
    found = database("at: 300s, fault: disk-loss, claim: data", spec=f"cluster: {{snapshotSchedules: [{schedule}]}}")
    written_at(found, 55, until=115)
    found.storage.fail_calls(frozenset({"snapshotCut"}), "Internal")
    return found.run(400)


def never_ready(works: bool) -> Scene:
    found = database(snapshot(60), DISK_LOSS)
    if not works:
        found.storage.fail_calls(frozenset({"snapshotCut"}), "Internal")
    return written_at(found, 55)


def source(kind: str, group: str) -> Scene:
    """A pod with a claim that is to be filled from something."""
    filled = claim("new-data", more=restored_from(kind, "data", group))
    volumes = "[{name: data, persistentVolumeClaim: {claimName: new-data}}]"
    return written_at(database(snapshot(60), applied(150, filled), applied(150, pod("new", volumes))), 55)


def restored_object(policy: str) -> Scene:
    """A volume's object comes back from a backup of the cluster; its claim does not."""
    ghost = static_volume("old", csi("h"), policy).replace("name: data}", "name: data, uid: of-another-life}")
    found = world(storage_class(), steps=(applied(100, ghost),)).run(50)
    found.storage.write("h", 10, "node-0")
    found.storage.sync("h", "node-0")
    return found.run(300)


PAIRS = (
    Pair(
        "L28",
        "bytes acked after creationTime are absent in the restored volume; the old one is inaccessible, not lost",
        lambda: written_at(database(snapshot(60), *restore(200, "data")), 55, 120),
        "inaccessible L28 10",
        lambda: written_at(database(snapshot(60), *restore(200, "data")), 55),
        "nothing was written after the snapshot",
        variant="beside the old one",
    ),
    Pair(
        "L28",
        "acked_lost = writes in (creationTime, t_loss]",
        lambda: written_at(database(snapshot(60), DISK_LOSS, *restore(200, "data")), 55, 120),
        "lost disk-loss 10; lost L28",
        lambda: written_at(database(snapshot(60), DISK_LOSS, *restore(200, "data")), 55),
        "nothing was written after the snapshot, so the snapshot has all that the disk had",
        harmless="lost disk-loss 0",
        variant="after a loss",
    ),
    Pair(
        "L28",
        "bytes acked after creationTime of the snapshot are absent in the restored volume",
        lambda: application_restored("0"),
        "inaccessible L28 ~12000000; writes L28 ~12000",
        lambda: application_restored("0", ended=True),
        "the application had ended before the snapshot",
        variant="of an application",
    ),
    Pair(
        "L29",
        "apps without journaling: restored state corrupt with probability p_app",
        lambda: application_restored("1"),
        "inaccessible L28 ~12000000; writes L29 ~15000",
        lambda: application_restored("1", ended=True),
        "the application had ended before the snapshot",
        variant="of an application",
    ),
    Pair(
        "L29",
        "layers A/B not included",
        lambda: written_at(database(snapshot(60), *restore(200, "data")), 55, synced=False),
        "divergent L29 10",
        lambda: written_at(database(snapshot(60, quiesced=True), *restore(200, "data")), 55, synced=False),
        "the application is brought to rest first",
    ),
    Pair(
        "L30",
        "volumes restored from different instants: cross-volume invariant broken",
        lambda: skewed(False),
        "divergent L30",
        lambda: skewed(True),
        "the application is at rest in both snapshots",
    ),
    Pair(
        "L31",
        "VS deleted with policy Delete",
        lambda: written_at(database(snapshot(60), DISK_LOSS, "at: 160s, kubectl: delete volumesnapshot data"), 55),
        "lost disk-loss 0; lost L31 10",
        lambda: written_at(
            database(snapshot(60), DISK_LOSS, "at: 160s, kubectl: delete volumesnapshot data", policy="Retain"), 55
        ),
        "policy Retain: the content survives",
        harmless="lost disk-loss 0",
    ),
    Pair(
        "L31",
        "pruning CronJob: RPO falls back to older source",
        lambda: pruned("false"),
        "lost L31 0; lost disk-loss 10; lost L33",
        lambda: pruned("true"),
        "only snapshots that are ready are counted",
        harmless="lost disk-loss 0; lost L33",
        variant="pruned",
    ),
    Pair(
        "L32",
        "dataSource kind unknown/dropped: app starts empty",
        lambda: source("Backup", "example.com"),
        "inaccessible L32",
        lambda: source("VolumeSnapshot", GROUP),
        "the source is a snapshot",
    ),
    Pair(
        "L33",
        "not ready for hours: a backup that is assumed but absent",
        lambda: never_ready(False),
        "lost disk-loss 10; lost L33",
        lambda: never_ready(True),
        "the snapshot is ready, and holds what the disk had",
        harmless="lost disk-loss 0",
    ),
    Pair(
        "L34",
        "PV restored with a claimRef UID whose PVC is not, policy Delete: released and deleted within seconds",
        lambda: restored_object("Delete"),
        "lost L34 10",
        lambda: restored_object("Retain"),
        "policy Retain",
        harmless="away L19",
    ),
)  # fmt: skip
