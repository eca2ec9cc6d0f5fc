"""L35 to L42: a volume of two clusters; full, not grown, not reached, formatted, hidden."""

from __future__ import annotations

from k8sim.api.storage import CSINode
from k8sim.cluster import Cluster
from k8sim.scenario.loader import loads
from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.fencing import WEAK, driver
from tests.storage.losspaths.pair import Pair
from tests.storage.losspaths.scenes import (
    EBS,
    applied,
    claim,
    csi,
    home,
    other,
    pod,
    scenario_text,
    stateful_set,
    static_volume,
    storage_class,
    where,
    world,
    written,
)  # fmt: skip

GIB = 2**30
NFS_SERVER = "nfs.csi.k8s.io"
ZONES = "nodes: [{name: here, count: 1, zones: [a]}, {name: there, count: 1, zones: [b]}]"
RAW = "volumeDevices: [{name: data, devicePath: /dev/x}]"
BLOCK = ", volumeMode: Block"
MOUNT = "[{name: data, mountPath: /data}]"


def two_clusters(provisioner: str, *steps: str, handle: str = "shared") -> Scene:
    """Two clusters with the same storage, in each a volume made by hand, a claim and a pod; the first one's outcome.

    The second cluster's volume has policy Delete, and may have another handle.
    """
    abilities = driver(secondPublish="true")
    first = world(
        storage_class(), static_volume("one", csi("shared", provisioner)), claim(), pod(),
        nodes="nodes: [{name: east, count: 1, zones: [a]}]", spec=abilities,
    )  # fmt: skip
    second = pod("second", "[{name: data, persistentVolumeClaim: {claimName: copy}}]")
    text = scenario_text(
        storage_class(), static_volume("two", csi(handle, provisioner), "Delete", claimed="copy"), claim("copy"),
        nodes="nodes: [{name: west, count: 1, zones: [a]}]", spec=abilities, steps=(applied(70, second), *steps),
    )  # fmt: skip
    Cluster(loads(text), seed=2, beside=first.cluster)
    return written(first, 60, claim_name="data", pod_name="app").run(400)


def filled(amount: int) -> Scene:
    found = scene().run(60)
    found.storage.write(where(found), amount, found.node_of())
    return found.run(70)


def neighbours(amount: int) -> Scene:
    """Two volumes of 10Gi on an NFS server of 16Gi; one of them grows beyond its size."""
    server = f"cluster: {{storageDrivers: [{{name: {NFS_SERVER}, capacity: 16Gi}}]}}"
    second = pod("second", "[{name: data, persistentVolumeClaim: {claimName: more}}]")
    found = world(storage_class(NFS_SERVER), claim(), claim("more"), pod(), second, spec=server).run(60)
    for name, owner, written_bytes in (("data", "app", amount), ("more", "second", 2 * GIB)):
        found.storage.write(where(found, name, owner), written_bytes, found.node_of(owner))
    return found.run(70)


def grown(delete_pod: bool) -> Scene:
    """A claim grows while the node cannot grow its file system."""
    patch = "{spec: {resources: {requests: {storage: 20Gi}}}}"
    steps = [f"at: 100s, kubectl: 'patch pvc data-web-0 -p \"{patch}\"'"]
    steps += ["at: 105s, kubectl: delete pod web-0"] if delete_pod else []
    found = written(scene(*steps))
    found.storage.fail_calls(frozenset({"volumeNodeExpand"}), "Internal")
    return found.run(400)


def owned_by_walk(seconds: int) -> Scene:
    security = "securityContext: {fsGroup: 1000}"
    return scene(latencies=f"volumeOwnershipWalk: {seconds}s", security=security).run(300)


def cordoned(nodes: str) -> Scene:
    """A pod with a zonal volume is deleted, and its node takes no more."""
    documents = (storage_class(EBS), stateful_set())
    node = world(*documents, nodes=nodes).run(60).node_of()
    steps = (f"at: 100s, kubectl: cordon {node}", "at: 101s, kubectl: delete pod web-0")
    return written(world(*documents, nodes=nodes, steps=steps)).run(300)


def driver_missing(there: bool) -> Scene:
    """A pod moves to a node on which the driver's plug-in is, or is not, registered."""
    node = home()
    found = written(scene(f"at: 100s, kubectl: cordon {node}", "at: 101s, kubectl: delete pod web-0"))
    if not there:
        found.server.delete(CSINode, "", other(node), actor="kubectl")
    return found.run(300)


def plugin(source: str) -> Scene:
    return world(storage_class(), static_volume("old", source), claim(), pod()).run(300)


def raw_device(*steps: str) -> Scene:
    """A pod with ten bytes on a raw device."""
    documents = (static_volume("raw", csi("h"), more="volumeMode: Block"), claim(more=BLOCK), pod(mounts=RAW))
    return written(world(storage_class(), *documents, steps=steps), claim_name="data", pod_name="app").run(400)


def mounted_as_files() -> Scene:
    """The device's objects are deleted (Retain), and made again with another volumeMode."""
    again = (
        static_volume("again", csi("h"), claimed="again"),
        claim("again"),
        pod("again", "[{name: data, persistentVolumeClaim: {claimName: again}}]"),
    )
    return raw_device(
        "at: 100s, kubectl: delete pod app", "at: 110s, kubectl: delete pvc data", "at: 120s, kubectl: delete pv raw",
        *(applied(150, document) for document in again),
    )  # fmt: skip


def made_again(source: str) -> Scene:
    """A volume with a file system and ten bytes; its objects are deleted (Retain) and made again."""
    shared = csi("h").replace("csi: {", "csi: {" + source)
    again = (
        static_volume("again", shared, claimed="again"),
        claim("again"),
        pod("again", "[{name: data, persistentVolumeClaim: {claimName: again}}]"),
    )
    steps = (
        "at: 100s, kubectl: delete pod app", "at: 110s, kubectl: delete pvc data", "at: 120s, kubectl: delete pv first",
        *(applied(150, document) for document in again),
    )  # fmt: skip
    found = world(storage_class(), static_volume("first", csi("h")), claim(), pod(), steps=steps)
    return written(found, claim_name="data", pod_name="app").run(400)


def mode_patched() -> Scene:
    patched = raw_device("at: 100s, kubectl: 'patch pvc data -p \"{spec: {volumeMode: Filesystem}}\"'")
    assert any("is immutable" in str(r.detail["out"]) for r in patched.rows("Command", event="Done"))
    return patched


def set_mounts(before: str, after: str, volumes: str = "") -> Scene:
    """A set's pod mounts its claim in another way after an update."""
    update = stateful_set(after, volumes)
    steps = (applied(100, update.split("\n---\n")[1]),)
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {a: b}"
    return written(world(storage_class(), config, stateful_set(before, volumes), steps=steps)).run(300)


CONFIG = "volumes: [{name: conf, configMap: {name: conf}}]"
PAIRS = (
    Pair(
        "L35",
        "no cross-cluster attach bookkeeping: L23",
        lambda: two_clusters(WEAK),
        "divergent L35 10",
        lambda: two_clusters(EBS),
        "the storage refuses a second machine, whoever asks",
        variant="two writers",
    ),
    Pair(
        "L35",
        "deletion in one destroys other's data",
        lambda: two_clusters(EBS, "at: 100s, kubectl: delete pod second", "at: 110s, kubectl: delete pvc copy"),
        "lost L35 10",
        lambda: two_clusters(
            EBS, "at: 100s, kubectl: delete pod second", "at: 110s, kubectl: delete pvc copy", handle="another"
        ),
        "the second cluster's volume has another handle",
        harmless="lost L10 0",
        variant="deletion",
    ),
    Pair(
        "L36",
        "writes fail (unacked unless app acks early)",
        lambda: filled(11 * GIB),
        f"unacknowledged L36 {GIB}",
        lambda: filled(9 * GIB),
        "there is room",
    ),
    Pair(
        "L36",
        "capacity on local/hostPath/NFS is not enforced: neighbours can fill it",
        lambda: neighbours(15 * GIB),
        f"unacknowledged L36 {GIB}",
        lambda: neighbours(14 * GIB),
        "more than the neighbour's size, and still room",
        variant="neighbours",
    ),
    Pair(
        "L37",
        "not lossy; if node expansion fails at mount: inaccessible until fixed",
        lambda: grown(True),
        "away L37",
        lambda: grown(False),
        "it fails while the volume is mounted, which it stays",
    ),
    Pair(
        "L38",
        "not lossy; slow start = inaccessible",
        lambda: owned_by_walk(120),
        "back L38",
        lambda: owned_by_walk(20),
        "few files",
    ),
    Pair(
        "L39",
        "wrong zone: inaccessible, pod Pending",
        lambda: cordoned(ZONES),
        "away L39",
        lambda: cordoned(ZONES.replace("count: 1", "count: 2")),
        "another node of the zone takes the pod",
        variant="zone",
    ),
    Pair(
        "L39",
        "CSINode missing: inaccessible, pod ContainerCreating",
        lambda: driver_missing(there=False),
        "away L39",
        lambda: driver_missing(there=True),
        "the plug-in is registered",
        variant="driver",
    ),
    Pair(
        "L40",
        "removed in-tree plugin without CSI driver: inaccessible",
        lambda: plugin("glusterfs: {endpoints: e, path: p}"),
        "away L40",
        lambda: plugin("nfs: {server: nas, path: /p}"),
        "a plug-in that is still there",
    ),
    Pair(
        "L41",
        "a Block-mode volume with app-raw data then mounted as Filesystem would be formatted: acked_lost all",
        mounted_as_files,
        "turned L19; orphaned L17 10; lost L41 10",
        mode_patched,
        "volumeMode is immutable: the patch is refused",
    ),
    Pair(
        "L41",
        "fsType mismatch: the driver formats a device only if it finds no file system",
        lambda: made_again("fsType: xfs, "),
        "turned L19; orphaned L17 10; away L41",
        lambda: made_again(""),
        "nothing is said of the file system: the one that is there is mounted",
        harmless="turned L19; orphaned L17 10",
        variant="fsType",
    ),
    Pair(
        "L42",
        "subPath mistakes: bytes inaccessible while hidden",
        lambda: set_mounts(MOUNT, "[{name: data, mountPath: /data, subPath: v2}]"),
        "away L42",
        lambda: set_mounts(MOUNT, "[{name: data, mountPath: /elsewhere}]"),
        "the same directory under another name",
        variant="subPath",
    ),
    Pair(
        "L42",
        "ConfigMap-over-mount: shadowing",
        lambda: set_mounts(MOUNT, "[{name: data, mountPath: /data}, {name: conf, mountPath: /data/conf}]", CONFIG),
        "away L42",
        lambda: set_mounts(MOUNT, "[{name: data, mountPath: /data}, {name: conf, mountPath: /conf}]", CONFIG),
        "the ConfigMap is mounted beside the claim",
        variant="mount over mount",
    ),
)  # fmt: skip
