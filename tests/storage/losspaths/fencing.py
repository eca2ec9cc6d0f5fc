"""L20 to L27: two writers at once, and what is taken away from a writer."""

from __future__ import annotations

from k8sim.api.meta import with_meta
from k8sim.api.storage import VolumeAttachment
from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.pair import Pair
from tests.storage.losspaths.scenes import (
    EBS,
    NFS,
    claim,
    deployment,
    home,
    other,
    stateful_set,
    storage_class,
    world,
    write,
    written,
)  # fmt: skip

FORCE = "at: 160s, kubectl: delete pod web-0 --force --grace-period=0"
TAINT = "at: 160s, kubectl: taint nodes NODE node.kubernetes.io/out-of-service=x:NoExecute"
DATABASE = "applications: [{name: db, statefulSet: web, preset: single, writes: 100/s, start: 60s}]"
WEAK = "weak.example.com"
ONE_NODE = "nodes: [{name: node, count: 1, zones: [a]}]"


def cut_off(provisioner: str, *steps: str, more: str = "", synced: bool = True, until: float = 900) -> Scene:
    """A set's node is cut off from the API server while its pod goes on; and what people do about it."""
    node = home(provisioner=provisioner, cluster=more)
    told = (f"at: 100s, fault: node-partition, node: {node}, for: 1h", *(s.replace("NODE", node) for s in steps))
    found = scene(*told, provisioner=provisioner, cluster=more, duration=3600).run(90)
    write(found, synced)
    return found.run(until)


def driver(**abilities: str) -> str:
    """A driver that is like a zonal disk but for some abilities."""
    told = "".join(f", {name}: {value}" for name, value in abilities.items())
    return f"cluster: {{storageDrivers: [{{name: {WEAK}, like: zonal-disk{told}}}]}}"


def detach_fails(second_publish: str) -> Scene:
    """The volume is to be detached by force from a node that still has it mounted, and the storage system fails."""
    more = driver(secondPublish=second_publish)
    node = home(provisioner=WEAK, cluster=more)
    steps = (f"at: 100s, fault: node-partition, node: {node}, for: 1h", FORCE)
    found = written(scene(*steps, provisioner=WEAK, cluster=more, duration=3600))
    found.storage.fail_calls(frozenset({"volumeDetach"}), "Internal", driver=WEAK)
    return found.run(900)


def attachment_deleted(by_hand: bool) -> Scene:
    found = scene(seed=2).run(60)
    write(found, synced=False)
    if by_hand:
        found.server.delete(VolumeAttachment, "", found.server.list(VolumeAttachment)[0].name, actor="kubectl")
    else:
        found.cluster.machines[found.node_of()].restart_kubelet()
    return found.run(200)


def attachment_stripped(finalizer: bool) -> Scene:
    """An attachment is deleted, with or without its finalizer, and the pod moves to the other node."""
    node = home()
    found = written(scene(f"at: 95s, kubectl: cordon {node}", "at: 96s, kubectl: delete pod web-0"))
    name = found.server.list(VolumeAttachment)[0].name
    if finalizer:
        found.server.patch(VolumeAttachment, "", name, lambda a: with_meta(a, finalizers=()), actor="kubectl")
        found.server.delete(VolumeAttachment, "", name, actor="kubectl")
    found.run(400)
    assert found.node_of() == other(node)
    return found


def two_pods_of_a_node(mode: str) -> Scene:
    return world(storage_class(EBS), claim(modes=mode), deployment(replicas=2), nodes=ONE_NODE).run(120)


def rollout(strategy: str) -> Scene:
    """A Deployment whose pods share files gets a new version."""
    update = "at: 100s, kubectl: set image deployment/app app=app:v2"
    documents = (storage_class(NFS), claim(modes="ReadWriteMany"), deployment(strategy=strategy))
    return world(*documents, steps=(update,)).run(200)


def two_members(provisioner: str) -> Scene:
    """A database's pod is forced away from a node that goes on for a quarter of an hour."""
    node = world(storage_class(provisioner), stateful_set()).run(60).node_of()
    steps = (f"at: 100s, fault: node-partition, node: {node}, for: 10m", FORCE)
    return world(storage_class(provisioner), stateful_set(), spec=DATABASE, steps=steps).run(900)


PAIRS = (
    Pair(
        "L20",
        "non-attachable or RWX: the new pod runs at once in parallel: divergent writes",
        lambda: cut_off(NFS, FORCE),
        "divergent L20",
        lambda: cut_off(NFS),
        "nobody deletes the pod by force: there is no second one",
    ),
    Pair(
        "L21",
        "NotReady + pod object gone + 6 min: unflushed dirty pages lost",
        lambda: cut_off(EBS, FORCE, synced=False),
        "lost L21 10; back L21",
        lambda: cut_off(EBS, FORCE),
        "what was written had been synced",
        harmless="back L21",
    ),
    Pair(
        "L21",
        "if the node is alive and the backend does not fence: divergent until old pod is killed",
        lambda: cut_off(WEAK, FORCE, more=driver(fences="false")),
        "divergent L21; back L21",
        lambda: cut_off(WEAK, FORCE, more=driver(fences="true")),
        "the backend fences",
        harmless="back L21",
        variant="unfenced",
    ),
    Pair(
        "L22",
        "same as L21 without 6 min delay",
        lambda: cut_off(EBS, TAINT, synced=False, until=400),
        "lost L22 10; back L21",
        lambda: cut_off(EBS, TAINT, until=400),
        "what was written had been synced",
        harmless="back L21",
    ),
    Pair(
        "L23",
        "detach error, then attach to next node; a driver permitting dual attach: count whole volume as divergent",
        lambda: detach_fails("true"),
        "divergent L23 10; back L21",
        lambda: detach_fails("false"),
        "the driver refuses the second node",
        harmless="away L21",
    ),
    Pair(
        "L24",
        "unpublish under a live mount: dirty pages lost",
        lambda: attachment_deleted(True),
        "lost L24 10",
        lambda: attachment_deleted(False),
        "only the kubelet is restarted",
    ),
    Pair(
        "L24",
        "finalizer stripped: object gone, backend still attached: next attach elsewhere may fail",
        lambda: attachment_stripped(True),
        "away L24",
        lambda: attachment_stripped(False),
        "the attachment is left to its controllers",
        variant="stripped",
    ),
    Pair(
        "L25",
        "two pods on one node sharing RWO: legal; if app assumes exclusivity: divergent",
        lambda: two_pods_of_a_node("ReadWriteOnce"),
        "divergent L25",
        lambda: two_pods_of_a_node("ReadWriteOncePod"),
        "RWOP prevents",
    ),
    Pair(
        "L26",
        "rolling Deployment with RWX/NFS + maxSurge: old and new versions write concurrently",
        lambda: rollout("{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"),
        "divergent L26",
        lambda: rollout("{type: Recreate}"),
        "strategy Recreate: the old version ends first",
    ),
    Pair(
        "L27",
        "two same-identity members: divergent beyond storage",
        lambda: two_members(NFS),
        "divergent L20; writes L27 ~27000",
        lambda: two_members(EBS),
        "an attached volume keeps the second one waiting",
        harmless="back L21",
    ),
)  # fmt: skip
