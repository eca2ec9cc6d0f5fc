"""StatefulSets and their claims in whole clusters: storage.md 7.4."""

from __future__ import annotations

import json

import pytest

from k8sim.api.apps import Deployment, StatefulSet
from k8sim.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from tests.csi.scenes import Scene, scene
from tests.storage.losspaths.scenes import (
    applied,
    claim,
    deployment,
    stateful_set,
    storage_class,
    strip_claim,
    world,
)

SCALED = "persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}"


def claims(told: Scene) -> dict[str, str]:
    """Claims that are there, with their UIDs."""
    return {c.name: c.uid for c in told.server.list(PersistentVolumeClaim)}


@pytest.mark.parametrize(("policy", "kept"), [("Parallel", True), ("OrderedReady", False)])
def test_4_scaled_back_up_while_the_pod_terminates_a_set_keeps_its_data(policy: str, kept: bool) -> None:
    """An ordered set stops at the Terminating pod, before it looks at the claim's owner: that claim goes with it.

    Nor is the pod made while the claim belongs to one that is gone; after that only another event wakes the set.
    """
    told = scene(
        "at: 60s, kubectl: scale statefulset/web --replicas=2",
        "at: 60.5s, kubectl: scale statefulset/web --replicas=3",
        replicas=3,
        extra=f"podManagementPolicy: {policy}\n  {SCALED}",
    ).run(59)
    before = claims(told)
    told.run(200)
    assert told.happened("Pod", "web-2", "Terminating", after=60)
    assert (claims(told) == before) is kept
    assert (told.server.find(Pod, "default", "web-2") is not None) is kept
    if kept:
        assert told.claim("data-web-2").metadata.owner_references == ()


@pytest.mark.parametrize(("cascade", "left"), [("background", 0), ("orphan", 2)])
def test_5_claims_of_a_deleted_set_go_unless_it_is_orphaned(cascade: str, left: int) -> None:
    told = scene(
        f"at: 60s, kubectl: delete statefulset web --cascade={cascade}",
        replicas=2,
        extra="persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}",
    ).run(300)
    assert len(claims(told)) == left
    assert len(told.server.list(PersistentVolume)) == left


def test_whether_the_owner_of_a_new_claim_comes_between_the_scheduler_and_its_binding_is_chance() -> None:
    """The set writes it after the pod; if the scheduler had looked at the claim before, it tries again after 1 s."""
    waits = []
    for seed in range(12):
        told = scene(extra="persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}", seed=seed).run(10)
        created = told.when("Pod", "web-0", "Created")
        waits.append(told.when("PersistentVolumeClaim", "data-web-0", "Selected") - created)
    at_once = [wait for wait in waits if wait < 0.1]
    again = [wait for wait in waits if wait > 1]
    assert at_once
    assert again
    assert len(at_once) + len(again) == len(waits)
    assert max(again) < 2.1


def test_6_a_policy_does_not_reach_claims_that_were_scaled_away_before() -> None:
    patch = json.dumps({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}})
    told = scene(
        "at: 60s, kubectl: scale statefulset/web --replicas=1",
        f"at: 120s, kubectl: {json.dumps(f'patch statefulset web -p {chr(39)}{patch}{chr(39)}')}",
        replicas=2,
    ).run(300)
    policy = told.server.get(StatefulSet, "default", "web").spec.persistent_volume_claim_retention_policy
    assert policy is not None
    assert policy.when_scaled == "Delete"
    assert set(claims(told)) == {"data-web-0", "data-web-1"}


@pytest.mark.parametrize("size", ["10Gi", "50Gi"])
def test_7_15_a_claim_that_is_there_is_used_whatever_its_spec(size: str) -> None:
    """Restored, cloned or made by hand, larger and of another class: nobody looks."""
    told = world(
        storage_class(), storage_class(name="slow", provisioner="pd.csi.storage.gke.io", mode="Immediate"),
        claim("data-web-0", size=size).replace("storageClassName: fast", "storageClassName: slow"), stateful_set(),
    ).run(60)  # fmt: skip
    assert told.pod().status.phase == "Running"
    assert set(claims(told)) == {"data-web-0"}
    assert told.volume().spec.storage_class_name == "slow"
    assert told.volume().spec.capacity == {"storage": size}


def test_9_8_1_10_without_quota_the_pod_is_not_even_made_and_comes_at_a_later_retry() -> None:
    quota = '{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": %s}}'
    raised = json.dumps({"spec": {"hard": {"persistentvolumeclaims": "9"}}})
    told = world(
        quota % '{"persistentvolumeclaims": "2"}',
        storage_class(),
        stateful_set().replace("replicas: 1", "replicas: 3"),
        steps=(f"at: 100s, kubectl: {json.dumps(f'patch resourcequota q -p {chr(39)}{raised}{chr(39)}')}",),
    ).run(99)
    assert set(claims(told)) == {"data-web-0", "data-web-1"}
    assert not told.happened("Pod", "web-2", "Created")
    assert told.server.get(StatefulSet, "default", "web").status.ready_replicas == 2
    assert "exceeded quota" in str([r.detail for r in told.rows("Event", "web", "FailedCreate")])
    told.run(1200)
    assert 100 < told.when("Pod", "web-2", "Created") < 1110


def test_10_14_a_lost_claim_lets_a_running_pod_be_and_keeps_the_next_one_pending() -> None:
    told = scene("at: 100s, kubectl: delete pod web-0").run(60)
    name = told.volume().name
    told.server.delete(PersistentVolume, "", name)
    told.server.patch(PersistentVolume, "", name, lambda v: with_meta(v, finalizers=()))
    told.run(90)
    assert told.claim().status.phase == "Lost"
    assert told.pod().status.phase == "Running"
    told.run(300)
    assert told.pod().status.phase == "Pending"
    assert "bound to non-existent persistentvolume" in str(told.rows("Event", "web-0", "FailedScheduling")[-1].detail)


def test_11_an_ordered_set_stops_at_a_claim_that_stays_pending() -> None:
    told = scene(provisioner="kubernetes.io/no-provisioner", replicas=2).run(120)
    assert told.pod().status.phase == "Pending"
    assert not told.happened("Pod", "web-1", "Created")


def test_13_a_set_made_anew_with_another_size_leaves_its_claims_alone() -> None:
    larger = stateful_set().replace("storage: 10Gi", "storage: 20Gi").replace("replicas: 1", "replicas: 2")
    larger = larger[larger.index("apiVersion: apps/v1") :]
    told = scene("at: 60s, kubectl: delete statefulset web --cascade=orphan", applied(70, larger)).run(300)
    sizes = {c.name: c.spec.resources.requests["storage"] for c in told.server.list(PersistentVolumeClaim)}
    assert sizes == {"data-web-0": "10Gi", "data-web-1": "20Gi"}
    assert len(told.rows("Pod", "web-0", "Started")) == 1


def test_14_a_claim_that_is_missing_under_a_running_pod_is_made_again_with_the_pod() -> None:
    told = scene("at: 200s, kubectl: delete pod web-0").run(60)
    before = told.claim().uid
    strip_claim(told)
    told.run(190)
    assert claims(told) == {}
    told.run(300)
    assert told.claim().uid != before
    assert told.pod().status.phase == "Running"


@pytest.mark.parametrize(
    ("strategy", "phases"),
    [
        ("{type: Recreate}", ["Running"]),
        ("{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", ["Pending", "Running"]),
    ],
)
def test_16_a_surge_waits_for_a_volume_that_the_old_pod_has(strategy: str, phases: list[str]) -> None:
    """With one volume for one node and a new pod on another node, only Recreate gets anywhere."""
    told = world(storage_class(), claim(), deployment(strategy=strategy)).run(59)
    (first,) = told.server.list(Pod)
    told.server.patch(Node, "", first.spec.node_name, lambda n: replace(n, spec=replace(n.spec, unschedulable=True)))
    told.server.patch(Deployment, "default", "app", _with_new_image)
    told.run(400)
    assert sorted(p.status.phase for p in told.server.list(Pod)) == phases


def _with_new_image(deployment: Deployment) -> Deployment:
    template = deployment.spec.template
    (app,) = template.spec.containers
    spec = replace(template.spec, containers=(replace(app, image="app:v2"),))
    return replace(deployment, spec=replace(deployment.spec, template=replace(template, spec=spec)))
