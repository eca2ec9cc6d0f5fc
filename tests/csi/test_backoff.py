"""What fails for long is tried seldom: errors that a component writes do not wake it."""

from __future__ import annotations

from k8sim.sim.units import HOUR
from tests.controllers.snapshot.test_snapshots import SnapshotWorld, snapshot
from tests.controllers.storage import claim, storage_class
from tests.csi.scenes import scene
from tests.csi.test_growth import ask_for
from tests.csi.world import EBS, CSIWorld

ALL = frozenset[str]()


def test_an_hour_without_storage_costs_few_events() -> None:
    world = CSIWorld()
    world.static_volume()
    world.create(storage_class("ebs", EBS), claim("wanted", storageClassName="ebs"))
    world.start_pod("a", "n1")
    world.run(20)
    world.storage.fail_calls(ALL, "Unavailable", until_ns=HOUR)
    world.start_pod("b", "n2")
    world.force_delete("a")
    world.in_use("n1")
    world.create(claim("more", storageClassName="ebs"))
    before = world.sim.clock.events_scheduled
    world.run(3600)
    assert world.sim.clock.events_scheduled - before < 6000
    world.run(3600 + 900)
    assert world.attached() == {"n2": True}
    assert world.claim("more").status.phase == "Bound"


def test_an_hour_without_snapshots_costs_few_events() -> None:
    world = SnapshotWorld()
    world.storage.fail_calls(ALL, "Internal")
    world.create(snapshot())
    world.run(100)
    before = world.sim.clock.events_scheduled
    world.run(3600)
    assert world.sim.clock.events_scheduled - before < 600


def test_an_hour_without_growth_costs_few_events() -> None:
    growing = scene().run(100)
    growing.storage.fail_calls(frozenset({"volumeExpand"}), "Internal")
    ask_for(growing, "20Gi")
    before = growing.cluster.sim.clock.events_scheduled
    growing.run(3600)
    assert growing.cluster.sim.clock.events_scheduled - before < 1000
