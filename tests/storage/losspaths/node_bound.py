"""L8 and L9: volumes that are a part of a node."""

from __future__ import annotations

from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.pair import Pair
from tests.storage.losspaths.scenes import HOST_PATH, home, other, stateful_set, storage_class, world, write, written

LOCAL = "openebs.io/local"
HERE = (
    "nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: "
    "[{key: kubernetes.io/hostname, operator: In, values: [NODE]}]}]}}"
)
LOCAL_VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: on-NODE}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: fast
  local: {path: /mnt/disk}
  """


def local(*steps: str, until: float = 700) -> Scene:
    """A set on a provisioned local volume, and what happens to its node or to another one."""
    node = home(provisioner=LOCAL)
    told = [step.replace("NODE", node).replace("OTHER", other(node)) for step in steps]
    return written(scene(*told, provisioner=LOCAL)).run(until)


def unstuck(claim_too: bool) -> Scene:
    """A set on local volumes made by hand, one on each node; its node is down, and the user wants it elsewhere."""
    documents = [(LOCAL_VOLUME + HERE).replace("NODE", f"node-{i}") for i in (0, 1)]
    documents += [storage_class("kubernetes.io/no-provisioner"), stateful_set()]
    node = world(*documents).run(60).node_of()
    steps = [f"at: 100s, fault: node-crash, node: {node}, for: 20m"]
    steps += ["at: 200s, kubectl: delete pvc data-web-0 --wait=false"] if claim_too else []
    steps += ["at: 210s, kubectl: delete pod web-0 --force --grace-period=0"]
    stuck = written(world(*documents, steps=tuple(steps))).run(600)
    assert (stuck.pod().status.phase == "Running") == claim_too, "elsewhere, or Pending"
    return stuck


def moved_host_path(cordon: bool) -> Scene:
    node = home(provisioner=HOST_PATH)
    away = node if cordon else other(node)
    steps = (f"at: 60s, kubectl: cordon {away}", "at: 61s, kubectl: delete pod web-0")
    moved = scene(*steps, provisioner=HOST_PATH).run(50)
    write(moved)
    return moved.run(150)


PAIRS = (
    Pair(
        "L8",
        "(a) node down: inaccessible until back; pods Pending",
        lambda: local("at: 100s, fault: node-crash, node: NODE, for: 200s"),
        "back L8",
        lambda: local("at: 100s, fault: node-crash, node: OTHER, for: 200s"),
        "another node is down",
        variant="node down",
    ),
    Pair(
        "L8",
        "(b) Node object deleted but machine returns with the same hostname label: accessible again",
        lambda: local(
            "at: 100s, fault: node-crash, node: NODE, for: 200s", "at: 200s, kubectl: delete node NODE --wait=false"
        ),
        "back L8",
        lambda: local("at: 200s, kubectl: delete node OTHER --wait=false"),
        "another Node is deleted",
        variant="node object",
    ),
    Pair(
        "L8",
        "(c) disk/VM destroyed (cloud instance-store on stop/replace): acked_lost all",
        lambda: local("at: 100s, fault: disk-loss, claim: data-web-0"),
        "lost L8 10",
        lambda: local("at: 100s, fault: node-shutdown, node: NODE, for: 60s"),
        "the machine is only shut down and comes back with its disk",
        harmless="back L8",
        variant="disk destroyed",
    ),
    Pair(
        "L8",
        "(c) disk/VM destroyed (cloud instance-store on stop/replace): acked_lost all",
        lambda: local("at: 100s, fault: spot-reclaim, node: NODE, notice: 30s"),
        "lost L8 10",
        lambda: local("at: 100s, fault: spot-reclaim, node: OTHER, notice: 30s"),
        "another machine is taken away",
        variant="machine taken",
    ),
    Pair(
        "L8",
        "(d) user deletes claim to unstick the StatefulSet: data stays on disk, PV Released, new pod starts empty",
        lambda: unstuck(True),
        "turned L8; inaccessible L16; away L19",
        lambda: unstuck(False),
        "the claim is left alone: the pod is Pending until its node is back",
        harmless="away L8",
        variant="claim deleted",
    ),
    Pair(
        "L9",
        "rescheduling elsewhere: app sees other/empty data without error; old bytes inaccessible",
        lambda: moved_host_path(True),
        "away L9",
        lambda: moved_host_path(False),
        "it is rescheduled to the same node",
    ),
)  # fmt: skip
