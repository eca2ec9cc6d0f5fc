"""Storage kinds as kubectl shows and changes them: `k8sim get` and ``kubectl:`` steps (printers of pkg/printers)."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim
from k8sim.api.meta import Object
from k8sim.api.scheme import kind_class, resolve_kind
from k8sim.api.storage import VolumeSnapshot, VolumeSnapshotContent
from k8sim.kubectl.printers.output import print_objects
from k8sim.sim.units import SECOND
from tests.csi.scenes import Scene
from tests.storage.losspaths.scenes import claim, pod, storage_class, world

SNAPSHOT_CLASS = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata: {name: snaps}
driver: ebs.csi.aws.com
deletionPolicy: Delete
"""
SNAPSHOT = (
    "at: 60s, apply: {apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot, metadata: {name: backup}, "
    "spec: {volumeSnapshotClassName: snaps, source: {persistentVolumeClaimName: data}}}"
)


def cluster(*steps: str) -> Scene:
    """A pod with a claim, of which a snapshot is taken after a minute."""
    return world(storage_class(), claim(), pod(), SNAPSHOT_CLASS, steps=(SNAPSHOT, *steps))


@cache
def settled() -> Scene:
    return cluster().run(180)


def listed(word: str, output: str = "") -> list[str]:
    """What kubectl get prints, with names that contain identifiers made short."""
    kind = resolve_kind(word)
    assert kind is not None
    cls = kind_class(kind)
    assert cls is not None
    objects: list[Object] = settled().server.list(cls)  # type: ignore[type-var]
    lines = print_objects(objects, settled().cluster.sim.clock.now, output)
    hidden = re.compile(r"[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    return [re.sub(r" {2,}", " | ", hidden.sub("ID", line).replace(settled().node_of("app"), "NODE")) for line in lines]


PRINTED = {
    "pvc": """
        NAME | STATUS | VOLUME | CAPACITY | ACCESS MODES | STORAGECLASS | VOLUMEATTRIBUTESCLASS | AGE
        data | Bound | pvc-ID | 10Gi | RWO | fast | <unset> | AGE""",
    "pv": """
        NAME | CAPACITY | ACCESS MODES | RECLAIM POLICY | STATUS | CLAIM | STORAGECLASS | VOLUMEATTRIBUTESCLASS \
            | REASON | AGE
        pvc-ID | 10Gi | RWO | Delete | Bound | default/data | fast | <unset> | AGE""",
    "volumeattachment": """
        NAME | ATTACHER | PV | NODE | ATTACHED | AGE
        csi-ID | ebs.csi.aws.com | pvc-ID | NODE | true | AGE""",
    "volumesnapshot": """
        NAME | READYTOUSE | SOURCEPVC | SOURCESNAPSHOTCONTENT | RESTORESIZE | SNAPSHOTCLASS | SNAPSHOTCONTENT \
            | CREATIONTIME | AGE
        backup | true | data | 10Gi | snaps | snapcontent-ID | AGE | AGE""",
    "volumesnapshotcontent": """
        NAME | READYTOUSE | RESTORESIZE | DELETIONPOLICY | DRIVER | VOLUMESNAPSHOTCLASS | VOLUMESNAPSHOT \
            | VOLUMESNAPSHOTNAMESPACE | AGE
        snapcontent-ID | true | 10737418240 | Delete | ebs.csi.aws.com | snaps | backup | default | AGE""",
    "sc": """
        NAME | PROVISIONER | RECLAIMPOLICY | VOLUMEBINDINGMODE | ALLOWVOLUMEEXPANSION | AGE
        fast | ebs.csi.aws.com | Delete | WaitForFirstConsumer | true | AGE""",
    "csidriver": """
        NAME | ATTACHREQUIRED | PODINFOONMOUNT | STORAGECAPACITY | TOKENREQUESTS | REQUIRESREPUBLISH | MODES | AGE
        ebs.csi.aws.com | true | false | false | <unset> | false | Persistent | AGE""",
    "volumesnapshotclass": """
        NAME | DRIVER | DELETIONPOLICY | AGE
        snaps | ebs.csi.aws.com | Delete | AGE""",
}  # fmt: skip


@pytest.mark.parametrize("word", PRINTED)
def test_get_reads_like_kubectl(word: str) -> None:
    heading, row = (line.strip() for line in listed(word))
    age = re.compile(r"\b(\d+m)?\d+[ms]\b")
    assert [heading, age.sub("AGE", row)] == [
        re.sub(" +", " ", line.strip()) for line in PRINTED[word].strip().splitlines()
    ]


@pytest.mark.parametrize(("word", "ending"), [("pvc", "Filesystem"), ("pv", "Filesystem")])
def test_wide_shows_the_volume_mode(word: str, ending: str) -> None:
    heading, row = listed(word, "wide")
    assert (heading.rsplit(" | ")[-1].strip(), row.rsplit(" | ")[-1].strip()) == ("VOLUMEMODE", ending)


def test_steps_wait_for_claims_and_snapshots_and_go_on() -> None:
    told = cluster(
        "at: 1s, kubectl: \"wait pvc/data --for=jsonpath='{.status.phase}'=Bound --timeout=60s\"",
        "at: 61s, kubectl: \"wait volumesnapshot/backup --for=jsonpath='{.status.readyToUse}'=true --timeout=120s\"",
        "at: 150s, kubectl: annotate pvc data note=kept",
        "at: 151s, kubectl: label pv --all tier=gold",
    ).run(200)
    done = {row.detail["step"]: row for row in told.rows("Command", event="Done")}
    assert [done[step].detail["code"] for step in range(6)] == [0] * 6
    bound, ready = done[2].t / SECOND, done[3].t / SECOND
    assert bound == pytest.approx(told.when("PersistentVolumeClaim", "data", "Bound"), abs=2)
    assert 61 < ready < 150
    assert told.claim("data").metadata.annotations["note"] == "kept"
    assert told.volume("data").metadata.labels["tier"] == "gold"


GROW_JSON = [{"op": "replace", "path": "/spec/resources/requests/storage", "value": "20Gi"}]


@pytest.mark.parametrize(
    "patch",
    ["-p '{spec: {resources: {requests: {storage: 20Gi}}}}'", f"--type=json -p '{json.dumps(GROW_JSON)}'"],
    ids=["merge", "json"],
)
def test_a_claim_grows_by_a_patch(patch: str) -> None:
    told = cluster(f"at: 90s, kubectl: {json.dumps('patch pvc data ' + patch)}").run(300)
    assert told.claim("data").status.capacity == {"storage": "20Gi"}


def test_a_volume_is_saved_by_a_patch_and_given_to_another_claim() -> None:
    """The manual pattern of storage.md 1.11: Retain, delete the claim, clear claimRef, and claim it anew."""
    name = settled().volume("data").name
    told = cluster(
        f"at: 90s, kubectl: 'patch pv {name} -p ''{{spec: {{persistentVolumeReclaimPolicy: Retain}}}}'''",
        "at: 91s, kubectl: delete volumesnapshot backup",
        "at: 100s, kubectl: delete pod app",
        "at: 101s, kubectl: delete pvc data",
        f"at: 160s, kubectl: 'patch pv {name} -p ''{{spec: {{claimRef: null}}}}'''",
        "at: 180s, apply: {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: heir}, spec: {accessModes: "
        f"[ReadWriteOnce], storageClassName: fast, volumeName: {name}, resources: {{requests: {{storage: 10Gi}}}}}}}}",
    ).run(240)
    assert told.server.find(PersistentVolumeClaim, "default", "data") is None
    assert told.claim("heir").status.phase == "Bound"
    assert told.volume("heir").name == name
    assert told.server.list(VolumeSnapshot) == []
    assert told.server.list(VolumeSnapshotContent) == []
    assert not told.storage.disk(name).lost


def test_a_deleted_volume_in_use_is_only_marked() -> None:
    name = settled().volume("data").name
    told = cluster(f"at: 90s, kubectl: delete pv {name} --wait=false").run(120)
    volume = told.server.get(PersistentVolume, "", name)
    assert (volume.deleting, volume.status.phase) == (True, "Bound")
    assert print_objects([volume], told.cluster.sim.clock.now)[1].split()[4] == "Terminating"
