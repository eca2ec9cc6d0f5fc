"""VolumeAttributesClass: storage.md 6.8."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import PersistentVolumeClaim, ResourceQuota
from k8sim.api.scheme import decode
from k8sim.api.storage import VolumeAttributesClass
from k8sim.api.struct import replace
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.quota import matches_scopes
from k8sim.controllers.volumeprotection.controller import VACProtectionController
from k8sim.sim.units import SECOND
from tests.controllers.storage import claim, storage_class
from tests.csi.world import EBS, CSIWorld


def attributes(name: str, driver: str = EBS) -> VolumeAttributesClass:
    body = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass", "metadata": {"name": name}}
    return decode({**body, "driverName": driver, "parameters": {"iops": "4000"}})  # type: ignore[return-value]


def bound(*classes: str, spec: Any = None) -> CSIWorld:
    """A bound claim with attributes classes to choose from."""
    world = CSIWorld()
    VACProtectionController(world.context).start()
    world.add_node("n1", **{"topology.kubernetes.io_zone": "a"})
    world.create(*(attributes(name) for name in classes), storage_class("ebs", EBS))
    world.create(claim(storageClassName="ebs", **(spec or {})))
    world.run(20)
    return world


def ask_for(world: CSIWorld, name: str | None) -> None:
    def change(c: PersistentVolumeClaim) -> PersistentVolumeClaim:
        return replace(c, spec=replace(c.spec, volume_attributes_class_name=name))

    world.server.patch(PersistentVolumeClaim, "default", "data", change, actor="kubectl")


def state(world: CSIWorld) -> tuple[str | None, str | None, str]:
    """The class that the claim has, that its volume has, and how far the change is."""
    status = world.claim().status
    under_way = status.modify_volume_status
    volume = world.volume(world.claim().spec.volume_name)
    told = under_way.status if under_way else ""
    return status.current_volume_attributes_class_name, volume.spec.volume_attributes_class_name, told


def test_a_bound_claim_gets_another_class_while_it_is_in_use() -> None:
    world = bound("slow", "fast", spec={"volumeAttributesClassName": "slow"})
    assert state(world) == ("slow", "slow", "")
    ask_for(world, "fast")
    world.run(20.5)
    assert state(world) == ("slow", "slow", "InProgress")
    assert [c.type for c in world.claim().status.conditions] == ["ModifyingVolume"]
    world.run(40)
    assert state(world) == ("fast", "fast", "")
    assert world.claim().status.conditions == ()
    assert [r for r in world.reasons() if r.startswith("VolumeModify")] == ["VolumeModify", "VolumeModifySuccessful"]


def test_a_class_that_is_missing_is_waited_for() -> None:
    world = bound()
    ask_for(world, "late")
    world.run(25)
    assert state(world) == (None, None, "Pending")
    world.create(attributes("late"))
    world.run(60)
    assert state(world) == ("late", "late", "")


@pytest.mark.parametrize(("code", "status"), [("InvalidArgument", "Infeasible"), ("Internal", "InProgress")])
def test_what_the_driver_refuses_can_be_taken_back(code: str, status: str) -> None:
    world = bound("slow", "fast", spec={"volumeAttributesClassName": "slow"})
    world.storage.fail_calls(frozenset({"volumeModify"}), code, until_ns=40 * SECOND)
    ask_for(world, "fast")
    world.run(40)
    assert state(world) == ("slow", "slow", status)
    assert [c.type for c in world.claim().status.conditions][-1] == "ModifyVolumeError"
    attempts = world.reasons().count("VolumeModify")
    assert attempts == 1 if status == "Infeasible" else attempts > 1  # slow retries
    ask_for(world, "slow")
    world.run(400)
    assert state(world) == ("slow", "slow", "")
    assert world.claim().status.conditions == ()


def test_an_attempt_of_unknown_outcome_is_repeated_before_another_one() -> None:
    world = bound("slow", "fast")
    world.storage.fail_calls(frozenset({"volumeModify"}), "Unavailable", until_ns=30 * SECOND)
    ask_for(world, "fast")
    world.run(25)
    ask_for(world, "slow")
    world.run(30)
    under_way = world.claim().status.modify_volume_status
    assert under_way is not None
    assert under_way.target_volume_attributes_class_name == "fast"
    world.run(400)
    assert state(world) == ("slow", "slow", "")


def test_what_the_server_refuses() -> None:
    world = bound("slow", spec={"volumeAttributesClassName": "slow"})
    with pytest.raises(ApiError, match="non-nil value to nil"):
        ask_for(world, None)
    with pytest.raises(ApiError, match="immutable"):
        world.server.patch(
            VolumeAttributesClass, "", "slow", lambda v: replace(v, parameters={"iops": "1"}), actor="kubectl"
        )


@pytest.mark.parametrize(("name", "driver"), [("missing", None), ("other", "disk.example.com")])
def test_no_volume_is_made_for_a_class_that_is_missing_or_another_drivers(name: str, driver: str | None) -> None:
    world = CSIWorld()
    world.add_node("n1", **{"topology.kubernetes.io_zone": "a"})
    world.create(storage_class("ebs", EBS), *([attributes(name, driver)] if driver else []))
    world.create(claim(storageClassName="ebs", volumeAttributesClassName=name))
    world.run(20)
    assert world.claim().status.phase == "Pending"
    assert "ProvisioningFailed" in world.reasons()


def test_a_class_in_use_is_held_back_until_nothing_names_it() -> None:
    world = bound("slow", "fast", spec={"volumeAttributesClassName": "slow"})
    world.server.delete(VolumeAttributesClass, "", "slow")
    world.run(25)
    assert world.server.get(VolumeAttributesClass, "", "slow").deleting
    ask_for(world, "fast")
    world.run(60)
    assert world.server.find(VolumeAttributesClass, "", "slow") is None
    assert state(world) == ("fast", "fast", "")


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [("In", ["slow"], True), ("In", ["fast"], False), ("NotIn", ["fast"], True), ("Exists", [], True),
     ("DoesNotExist", [], False)],
)  # fmt: skip
def test_8_a_quota_may_be_for_claims_of_some_classes_only(operator: str, values: list[str], matches: bool) -> None:
    scope = {"scopeName": "VolumeAttributesClass", "operator": operator, "values": values}
    quota = decode(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default"},
         "spec": {"scopeSelector": {"matchExpressions": [scope]}}}
    )  # fmt: skip
    assert isinstance(quota, ResourceQuota)
    assert matches_scopes(quota, claim(volumeAttributesClassName="slow")) is matches
