"""Generic ephemeral volumes: storage.md 5.5, 5.7."""

from __future__ import annotations

from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.scheme import decode
from k8sim.controllers.ephemeral.controller import EphemeralVolumeController
from tests.controllers.manager import Manager
from tests.controllers.storage import claim


def ephemeral_pod(name: str = "p") -> Pod:
    template = {
        "metadata": {"labels": {"type": "scratch"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    spec = {
        "containers": [{"name": "app", "image": "app:v1", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}],
        "volumes": [{"name": "data", "ephemeral": {"volumeClaimTemplate": template}}],
    }
    made = decode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    assert isinstance(made, Pod)
    return made


def test_the_claim_belongs_to_the_pod() -> None:
    world = Manager(EphemeralVolumeController)
    pod = world.server.create(ephemeral_pod())
    world.run(1)
    made = world.server.get(PersistentVolumeClaim, "default", "p-data")
    owner = made.metadata.owner_references[0]
    assert (owner.uid, owner.controller, owner.block_owner_deletion) == (pod.uid, True, True)
    assert made.metadata.labels == {"type": "scratch"}


def test_15_a_claim_of_that_name_that_is_not_the_pods_blocks_it() -> None:
    world = Manager(EphemeralVolumeController)
    world.server.create(claim("p-data"))
    world.server.create(ephemeral_pod())
    world.run(60)
    assert world.server.get(PersistentVolumeClaim, "default", "p-data").metadata.owner_references == ()
    assert world.events("Event", "p", "FailedBinding")


def test_a_claim_that_was_deleted_is_made_again() -> None:
    world = Manager(EphemeralVolumeController)
    world.server.create(ephemeral_pod())
    world.run(1)
    first = world.server.get(PersistentVolumeClaim, "default", "p-data")
    world.server.delete(PersistentVolumeClaim, "default", "p-data")
    world.run(2)
    assert world.server.get(PersistentVolumeClaim, "default", "p-data").uid != first.uid


def test_a_pod_without_such_volumes_is_no_business_of_it() -> None:
    world = Manager(EphemeralVolumeController)
    world.server.create(Pod(metadata=ephemeral_pod().metadata))
    world.run(10)
    assert world.server.list(PersistentVolumeClaim) == []
