"""Laws of storage on random histories of whole clusters: binding, Retain, provisioning, attachment, conservation.

A StatefulSet with a claim for each pod; every half minute something is done to it, and every pod that runs writes.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.apiserver.watch import Change
from k8sim.machines.disks import location
from k8sim.metrics.volumes import content_losses
from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.scenes import EBS, NFS

Act = tuple[str, ...]
PEACEFUL: tuple[Act, ...] = (
    ("kubectl: scale statefulset/web --replicas=0",),
    ("kubectl: scale statefulset/web --replicas=2",),
    ("kubectl: delete pod web-0 --wait=false",),
    ("kubectl: rollout restart statefulset/web",),
    ("kubectl: cordon node-0", "kubectl: delete pod web-0 --wait=false"),
    ("kubectl: uncordon node-0",),
    ("kubectl: drain node-1 --ignore-daemonsets --timeout=20s",),
    ("kubectl: uncordon node-1",),
    ("fault: kubelet-restart, node: node-0",),
    ("fault: container-exit, pod: web-0, code: 1",),
    ("fault: controller-manager-restart",),
)
FORCE = "kubectl: delete pod web-0 --force --grace-period=0"
VIOLENT: tuple[Act, ...] = (
    (FORCE,),
    ("kubectl: delete pvc data-web-0 --wait=false", "kubectl: delete pod web-0 --wait=false"),
    ("kubectl: delete pvc data-web-1 --wait=false", "kubectl: scale statefulset/web --replicas=1"),
    ("fault: node-partition, node: node-0, for: 400s", FORCE),
    ("fault: node-partition, node: node-1, for: 400s", FORCE),
    ("kubectl: taint nodes node-0 node.kubernetes.io/out-of-service=x:NoExecute", FORCE),
    ("fault: node-crash, node: node-0, for: 50s",),
    ("fault: storage-outage, for: 45s", "kubectl: scale statefulset/web --replicas=3"),
)
PERIOD, LAST = 30, 700


def histories(acts: tuple[Act, ...], longest: int) -> st.SearchStrategy[list[Act]]:
    return st.lists(st.sampled_from(acts), min_size=1, max_size=longest)


def timed(acts: list[Act]) -> list[str]:
    return [f"at: {60 + i * PERIOD + j}s, {step}" for i, act in enumerate(acts) for j, step in enumerate(act)]


def write(world: Scene) -> None:
    """Let every pod that runs write ten bytes to its volume, and sync every other time."""
    for pod in world.server.list(Pod, "default"):
        if pod.status.phase != "Running" or pod.deleting:
            continue
        claim = world.server.find(PersistentVolumeClaim, "default", f"data-{pod.name}")
        volume = world.server.find(PersistentVolume, "", claim.spec.volume_name) if claim is not None else None
        if volume is not None and (pod.spec.node_name, pod.uid) in world.storage.disk(location(volume)).mounts:
            place = location(volume, pod.spec.node_name)
            world.storage.write(place, 10, pod.spec.node_name)
            if world.cluster.sim.clock.now // 10**9 % 2:
                world.storage.sync(place, pod.spec.node_name)


def play(world: Scene, acts: list[Act]) -> Scene:
    """Run a history to its end, with writes half-way between the acts."""
    for i in range(len(acts) + 1):
        write(world.run(60 + i * PERIOD - 13 + i % 2))
    return world.run(LAST)


class Laws:
    """Looks after every write of the API, and after everything that happens to a volume."""

    def __init__(self, world: Scene) -> None:
        self.world = world
        self.made_for: set[str] = set()
        self.forced: set[str] = set()
        world.server.watch(PersistentVolume, self.on_volume)
        world.server.watch(PersistentVolumeClaim, lambda change: self.bound_one_to_one())
        world.storage.observers.append(self.on_storage)

    def on_volume(self, change: Change) -> None:
        volume = change.new
        assert isinstance(volume, PersistentVolume)
        if change.type == "ADDED" and volume.spec.claim_ref is not None:
            assert volume.spec.claim_ref.uid not in self.made_for, "provisioned twice for one claim"
            self.made_for.add(volume.spec.claim_ref.uid)
        self.bound_one_to_one()

    def bound_one_to_one(self) -> None:
        server = self.world.server
        bound = [v for v in server.list(PersistentVolume) if v.status.phase == "Bound" and v.spec.claim_ref is not None]
        owners = [v.spec.claim_ref.uid for v in bound if v.spec.claim_ref is not None]
        assert len(owners) == len(set(owners)), "two volumes are bound to one claim"
        named = [c.spec.volume_name for c in server.list(PersistentVolumeClaim) if c.status.phase == "Bound"]
        assert len(named) == len(set(named)), "two claims are bound to one volume"

    def on_storage(self, event: str, name: str, detail: Mapping[str, object], row: int) -> None:
        if event == "Destroyed":
            policies = [
                v.spec.persistent_volume_reclaim_policy
                for v in self.world.server.list(PersistentVolume)
                if location(v) == name
            ]
            assert policies == ["Delete"], "only policy Delete destroys content"
        elif event == "PulledAway":
            self.forced.add(name)
        elif event == "Attached":
            others = [n for n in self.world.storage.disk(name).attached if n != detail["node"]]
            assert not others, f"attached to {detail['node']} while it is to {others}"
        elif event == "SecondWriter" and len(detail["nodes"]) > 1:  # type: ignore[arg-type]
            assert name in self.forced, f"mounted on {detail['nodes']} without force"


@settings(max_examples=30)
@given(histories((*VIOLENT, *PEACEFUL), 6), st.integers(0, 50), st.sampled_from(["Retain", "Delete"]))
def test_whatever_happens_volumes_keep_their_laws(acts: list[Act], seed: int, policy: str) -> None:
    """Exclusive binding, no second provisioning, no second attachment without force; Retain never destroys content."""
    world = scene(*timed(acts), provisioner=f"{EBS}\nreclaimPolicy: {policy}", replicas=2, seed=seed)
    Laws(world)
    play(world, acts)
    if policy == "Retain":
        assert not world.rows("Volume", event="Destroyed")


@settings(max_examples=15)
@given(histories(PEACEFUL, 8), st.integers(0, 50), st.sampled_from([EBS, NFS]))
def test_an_episode_without_faults_conserves_content(acts: list[Act], seed: int, provisioner: str) -> None:
    """Once all pods have ended, whatever was written is on the volumes, synced by them or not."""
    end = f"at: {LAST - 100}s, kubectl: scale statefulset/web --replicas=0"
    world = scene(*timed(acts), end, provisioner=provisioner, replicas=2, seed=seed)
    play(world, acts)
    assert list(content_losses(world.cluster.sim.trace)) == []
    assert any(disk.written for disk in world.storage.disks.values())
    for name, disk in world.storage.disks.items():
        assert world.storage.surviving(name) == disk.written
