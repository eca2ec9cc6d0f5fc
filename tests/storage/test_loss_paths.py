"""Paths of loss in whole clusters: each provoked, and each with a near miss that loses nothing.

Not provoked here: L1, L3 and L27 need an application that keeps writes (`tests/workload`); L30 is two volumes of one
application; L35 needs two clusters; L41 and L42 the API refuses or does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Service
from k8sim.api.meta import OwnerReference, with_meta
from k8sim.api.storage import VolumeAttachment
from k8sim.api.struct import replace
from k8sim.kubelet.volumespecs import empty_dir_location
from k8sim.machines.disks import location
from k8sim.machines.losses import LOSS_PATHS
from tests.csi.scenes import Scene, scene

TOLD = frozenset({
    "Destroyed", "CacheLost", "SecondWriter", "SharedByNodes", "Orphaned", "Replaced", "SnapshotDestroyed",
    "PulledAway", "Inaccessible", "Full",
})  # fmt: skip
NFS, EBS, HOST_PATH = "efs.csi.aws.com", "ebs.csi.aws.com", "kubernetes.io/host-path"
SCRATCH = "volumes: [{name: scratch, emptyDir: {MEDIUM}}]"


def outcome(found: Scene) -> set[tuple[str, str]]:
    return {(r.event, str(r.detail["path"])) for r in found.rows("Volume") if r.event in TOLD}


def where(found: Scene) -> str:
    return location(found.volume(), found.node_of())


def home(**kwargs: str) -> str:
    return scene(**kwargs).run(60).node_of()  # type: ignore[arg-type]


def write(found: Scene, synced: bool) -> None:
    """Let the pod have written ten bytes."""
    name, node = where(found), found.node_of()
    found.storage.write(name, 10, node)
    if synced:
        found.storage.sync(name, node)


def power_loss(synced: bool) -> Scene:
    dark = scene(f"at: 100s, fault: node-crash, node: {home()}").run(90)
    write(dark, synced)
    return dark.run(130)


def empty_dir(step: str, medium: str = "", until: float = 250) -> Scene:
    security = SCRATCH.replace("MEDIUM", f"medium: {medium}" if medium else "")
    node = home(security=security)
    ended = scene(step.replace("NODE", node).replace("OTHER", f"node-{1 - int(node[-1])}"), security=security).run(90)
    place = empty_dir_location(node, ended.pod(), "scratch")
    ended.storage.write(place, 10, node)
    ended.storage.sync(place, node)
    return ended.run(until)


def claim_deleted(retain: bool) -> Scene:
    doomed = scene("at: 60s, kubectl: delete pvc data-web-0 --wait=false", "at: 120s, kubectl: delete statefulset web")
    doomed.run(100)
    if retain:
        doomed.server.patch(PersistentVolume, "", doomed.volume().name, retained)
    return doomed.run(400)


def retained(volume: PersistentVolume) -> PersistentVolume:
    return replace(volume, spec=replace(volume.spec, persistent_volume_reclaim_policy="Retain"))


def retention(policy: str) -> Scene:
    extra = f"persistentVolumeClaimRetentionPolicy: {{{policy}}}"
    return scene("at: 60s, kubectl: scale statefulset/web --replicas=0", extra=extra).run(400)


def new_claim(delete_claim: bool) -> Scene:
    steps = ["at: 60s, kubectl: delete pvc data-web-0 --wait=false"] if delete_claim else []
    return scene(*steps, "at: 120s, kubectl: delete pod web-0").run(400)


def stripped(finalizers: bool) -> Scene:
    found = scene().run(60)
    name = found.volume().name
    if finalizers:
        found.server.patch(PersistentVolume, "", name, lambda v: with_meta(v, finalizers=()))
    found.server.delete(PersistentVolume, "", name, actor="kubectl")
    return found.run(200)


def replaced_unseen(provisioner: str, force: bool) -> Scene:
    steps = [f"at: 100s, fault: node-partition, node: {home(provisioner=provisioner)}, for: 1h"]
    if force:
        steps.append("at: 160s, kubectl: delete pod web-0 --force --grace-period=0")
    return scene(*steps, provisioner=provisioner).run(400)


def pulled_away(step: str, synced: bool) -> Scene:
    node = home()
    cut_off = scene(
        f"at: 100s, fault: node-partition, node: {node}, for: 1h", step.replace("NODE", node), duration=900
    ).run(90)
    write(cut_off, synced)
    return cut_off.run(700)


FORCE = "at: 160s, kubectl: delete pod web-0 --force --grace-period=0"
TAINT = "at: 160s, kubectl: taint nodes NODE node.kubernetes.io/out-of-service=x:NoExecute"


def attachment_deleted(by_hand: bool) -> Scene:
    found = scene(seed=2).run(60)
    write(found, synced=False)
    if by_hand:
        found.server.delete(VolumeAttachment, "", found.server.list(VolumeAttachment)[0].name, actor="kubectl")
    else:
        found.cluster.machines[found.node_of()].restart_kubelet()
    return found.run(200)


def moved_host_path(cordon: bool) -> Scene:
    node = home(provisioner=HOST_PATH)
    steps = [f"at: 60s, kubectl: cordon {node if cordon else f'node-{1 - int(node[-1])}'}"]
    moved = scene(*steps, "at: 61s, kubectl: delete pod web-0", provisioner=HOST_PATH).run(50)
    write(moved, synced=True)
    return moved.run(150)


def filled(amount: int) -> Scene:
    found = scene().run(60)
    found.storage.write(where(found), amount, found.node_of())
    return found.run(70)


def volume_object_deleted(claim_too: bool) -> Scene:
    """Retain; the volume's object is deleted while its pod runs, and the claim with or without it."""
    steps = (
        ["at: 120s, kubectl: delete statefulset web", "at: 140s, kubectl: delete pvc data-web-0"] if claim_too else []
    )
    found = scene(*steps).run(60)
    found.server.patch(PersistentVolume, "", found.volume().name, retained)
    found.server.delete(PersistentVolume, "", found.volume().name, actor="kubectl")
    return found.run(400)


def owned(dependent: bool) -> Scene:
    """A claim that names a Service as its owner, which is deleted."""
    found = scene("at: 120s, kubectl: delete statefulset web", "at: 140s, kubectl: delete service web").run(60)
    if dependent:
        uid = found.server.get(Service, "default", "web").uid
        owner = (OwnerReference(api_version="v1", kind="Service", name="web", uid=uid),)
        key = ("default", "data-web-0")
        found.server.patch(PersistentVolumeClaim, *key, lambda c: with_meta(c, owner_references=owner))
    return found.run(400)


@dataclass(frozen=True)
class Case:
    """What is done, what is told of it; and nearly the same, with what is told of that."""

    path: str
    loss: Callable[[], Scene]
    told: frozenset[tuple[str, str]]
    near: Callable[[], Scene]
    harmless: frozenset[tuple[str, str]] = frozenset()


def case(path: str, loss: Callable[[], Scene], told: str, near: Callable[[], Scene], harmless: str = "") -> Case:
    """Rows are written "Destroyed/L10 Inaccessible/L19"."""

    def rows(text: str) -> frozenset[tuple[str, str]]:
        return frozenset((event, number) for event, _, number in (word.partition("/") for word in text.split()))

    return Case(path, loss, rows(told), near, rows(harmless))


CASES = (
    case("L2", lambda: power_loss(False), "CacheLost/L2", lambda: power_loss(True)),
    case(
        "L4", lambda: empty_dir("at: 100s, kubectl: delete pod web-0"), "Destroyed/L4",
        lambda: empty_dir("at: 100s, fault: container-exit, pod: web-0, code: 1"),
    ),
    case(
        "L5", lambda: empty_dir("at: 100s, fault: node-crash, node: NODE, for: 20s", "Memory"), "Destroyed/L5",
        lambda: empty_dir("at: 100s, fault: node-crash, node: NODE, for: 20s"),
    ),
    case(
        "L6", lambda: empty_dir("at: 100s, fault: disk-pressure, node: NODE, for: 60s"), "Destroyed/L6",
        lambda: empty_dir("at: 100s, fault: disk-pressure, node: OTHER, for: 60s"),
    ),
    case("L9", lambda: moved_host_path(True), "Inaccessible/L9", lambda: moved_host_path(False)),
    case("L10", lambda: claim_deleted(False), "Destroyed/L10", lambda: claim_deleted(True), "Inaccessible/L19"),
    case("L14", lambda: retention("whenScaled: Delete"), "Destroyed/L14", lambda: retention("whenDeleted: Delete")),
    case("L15", lambda: owned(True), "Destroyed/L15", lambda: owned(False)),
    case("L16", lambda: new_claim(True), "Replaced/L16 Destroyed/L10", lambda: new_claim(False)),
    case(
        "L17", lambda: volume_object_deleted(True), "Inaccessible/L19 Orphaned/L17",
        lambda: volume_object_deleted(False),
    ),
    case("L18", lambda: stripped(True), "Orphaned/L18", lambda: stripped(False)),
    case("L19", lambda: claim_deleted(True), "Inaccessible/L19", lambda: new_claim(False)),
    case(
        "L20", lambda: replaced_unseen(NFS, True), "SecondWriter/L20",
        lambda: replaced_unseen(EBS, False), "Inaccessible/L21",
    ),
    case(
        "L21", lambda: pulled_away(FORCE, False), "PulledAway/L21 CacheLost/L21 Inaccessible/L21",
        lambda: pulled_away(FORCE, True), "PulledAway/L21 Inaccessible/L21",
    ),
    case(
        "L22", lambda: pulled_away(TAINT, False), "PulledAway/L22 CacheLost/L22 Inaccessible/L21",
        lambda: pulled_away(TAINT, True), "PulledAway/L22 Inaccessible/L21",
    ),
    case("L24", lambda: attachment_deleted(True), "PulledAway/L24 CacheLost/L24", lambda: attachment_deleted(False)),
    case("L36", lambda: filled(11 * 2**30), "Full/L36", lambda: filled(9 * 2**30)),
)  # fmt: skip


@pytest.mark.parametrize("tried", CASES, ids=[c.path for c in CASES])
def test_the_path_loses_what_it_is_said_to_lose(tried: Case) -> None:
    assert outcome(tried.loss()) == tried.told
    assert any(path == tried.path for _, path in tried.told)
    assert tried.path in LOSS_PATHS


@pytest.mark.parametrize("tried", CASES, ids=[c.path for c in CASES])
def test_a_near_miss_loses_nothing(tried: Case) -> None:
    told = outcome(tried.near())
    assert told == tried.harmless
    assert not any(event in ("Destroyed", "CacheLost", "Orphaned", "SecondWriter", "Full") for event, _ in told)
