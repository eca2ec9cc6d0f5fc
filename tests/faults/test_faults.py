from __future__ import annotations

from dataclasses import replace as replace_world
from typing import Any

import pytest

from k8sim.api.core import (
    CSIPersistentVolumeSource,
    Node,
    NodeStatus,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
    Pod,
)
from k8sim.api.meta import Condition, ObjectMeta
from k8sim.api.struct import replace
from k8sim.apiserver.server import APIServer
from k8sim.faults.catalogue import FAULTS, apply_fault, make_fault, written
from k8sim.faults.fault import FaultFailed, World
from k8sim.faults.nodes import ZONE_LABEL
from k8sim.machines.disks import Storage
from k8sim.machines.fleet import Fleet
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod, make_server


class RecordingMachine:
    """Writes down what is done to it, with the time in s."""

    def __init__(self, server: APIServer, runs: bool = True) -> None:
        self.server = server
        self.runs = runs
        self.log: list[tuple[float, str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        def act(*args: Any) -> bool:
            self.log.append((self.server.sim.clock.now / SECOND, name, args))
            return self.runs

        return act


def make_world(*nodes: str, runs: bool = True) -> World:
    server = make_server()
    machines: Any = {name: RecordingMachine(server, runs) for name in nodes}
    return World(server.sim, server, Fleet(machines))


def log(world: World, node: str) -> list[tuple[float, str, tuple[Any, ...]]]:
    machine: Any = world.machines[node]
    world.sim.clock.run(world.sim.clock.now + 1000 * SECOND)
    return list(machine.log)


@pytest.mark.parametrize(
    ("name", "begin", "end"), [("node-crash", "crash", "boot_up"), ("node-partition", "partition", "heal")]
)
def test_faults_of_a_node_end_after_their_time(name: str, begin: str, end: str) -> None:
    world = make_world("a", "b")
    apply_fault(world, name, {"node": "a", "for": 80 * SECOND})
    assert log(world, "a") == [(0, begin, ()), (80, end, ())]
    assert log(world, "b") == []


def test_a_fault_without_an_end_stays() -> None:
    world = make_world("a")
    apply_fault(world, "node-crash", {"node": "a", "for": None})
    assert [what for _, what, _ in log(world, "a")] == ["crash"]


def test_a_restart_of_the_kubelet() -> None:
    world = make_world("a")
    apply_fault(world, "kubelet-restart", {"node": "a"})
    assert [what for _, what, _ in log(world, "a")] == ["restart_kubelet"]


def test_an_exit_happens_on_the_machine_of_the_pod() -> None:
    world = make_world("a", "b")
    world.server.create(make_pod(node="b"))
    apply_fault(world, "container-exit", {"pod": "web-0", "container": "app", "code": 137})
    assert log(world, "a") == []
    assert log(world, "b") == [(0, "exit_container", (("default", "web-0"), "app", 137))]


def test_unready_and_hang_follow_the_name_to_any_machine() -> None:
    world = make_world("a", "b")
    apply_fault(world, "unready", {"pod": "web-0", "for": 9 * SECOND})
    apply_fault(world, "hang", {"pod": "db/web-0", "for": None})
    expected = [
        (0, "set_unready", (("default", "web-0"), 9 * SECOND)), (0, "set_hang", (("db", "web-0"), None)),
    ]  # fmt: skip
    assert log(world, "a") == log(world, "b") == expected


def test_a_fault_of_what_is_not_there_fails_and_does_nothing() -> None:
    world = make_world("a", runs=False)
    world.server.create(make_pod("unbound"))
    world.server.create(make_pod("stopped", node="a"))
    for name, arguments in (
        ("node-crash", {"node": "none"}),
        ("container-exit", {"pod": "none", "container": None, "code": 1}),
        ("container-exit", {"pod": "unbound", "container": None, "code": 1}),
        ("container-exit", {"pod": "stopped", "container": None, "code": 1}),
    ):
        with pytest.raises(FaultFailed):
            apply_fault(world, name, arguments)
    assert world.server.get(Pod, "default", "stopped")


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_says_what_it_is(name: str) -> None:
    shape = FAULTS[name]
    assert shape.meaning.endswith(".")
    assert all(argument.meaning for argument in shape.arguments.values())
    required = {key: 1 for key, argument in shape.arguments.items() if argument.required}
    assert make_fault(name, required).name == name
    for missing in required:
        with pytest.raises(TypeError):
            make_fault(name, {key: 1 for key in required if key != missing})


# ---- zones, clouds, services --------------------------------------------------------------------------------------


def zoned(*zones: str) -> World:
    world = make_world(*(f"n-{i}" for i in range(len(zones))))
    for i, zone in enumerate(zones):
        ready = (Condition(type="Ready", status="True"),)
        node = Node(metadata=ObjectMeta(name=f"n-{i}", labels={ZONE_LABEL: zone}), status=NodeStatus(conditions=ready))
        world.server.preload(node)
    return world


@pytest.mark.parametrize(
    ("name", "begin", "end"), [("zone-outage", "crash", "boot_up"), ("zone-partition", "partition", "heal")]
)
def test_a_zone_is_all_its_machines(name: str, begin: str, end: str) -> None:
    world = zoned("a", "b", "a")
    apply_fault(world, name, {"zone": "a", "for": 9 * SECOND})
    assert [what for _, what, _ in log(world, "n-0")] == [begin, end]
    assert [what for _, what, _ in log(world, "n-2")] == [begin, end]
    assert log(world, "n-1") == []
    with pytest.raises(FaultFailed, match='no node is in zone "c"'):
        apply_fault(world, name, {"zone": "c"})


def test_a_spot_machine_goes_after_its_notice_and_its_node_when_it_is_not_ready() -> None:
    world = zoned("a")
    apply_fault(world, "spot-reclaim", {"node": "n-0"})
    world.sim.clock.run(200 * SECOND)
    assert world.server.find(Node, "", "n-0") is not None
    node = world.server.get(Node, "", "n-0")
    unknown = (Condition(type="Ready", status="Unknown"),)
    world.server.update_status(replace(node, status=NodeStatus(conditions=unknown)))
    world.sim.clock.run(206 * SECOND)
    assert world.server.find(Node, "", "n-0") is None
    assert log(world, "n-0") == [(120, "crash", ())]


def test_an_oom_kill_has_its_reason() -> None:
    world = make_world("a")
    world.server.create(make_pod(node="a"))
    apply_fault(world, "oom-kill", {"pod": "web-0", "container": None})
    assert log(world, "a") == [(0, "exit_container", (("default", "web-0"), None, 137, "OOMKilled"))]


class Switch:
    """A program of the control plane, or a registry, that writes down what happens to it."""

    def __init__(self, world: World) -> None:
        self.clock = world.sim.clock
        self.log: list[tuple[str, float]] = []
        self.available = True

    def stop(self) -> None:
        self.log.append(("stop", self.clock.now / SECOND))

    def start(self) -> None:
        self.log.append(("start", self.clock.now / SECOND))


def test_a_restart_of_the_controller_manager() -> None:
    world = make_world()
    manager = Switch(world)
    apply_fault(replace_world(world, controller_manager=manager), "controller-manager-restart", {"for": 3 * SECOND})
    world.sim.clock.run(9 * SECOND)
    assert manager.log == [("stop", 0), ("start", 3)]
    with pytest.raises(FaultFailed):
        apply_fault(world, "controller-manager-restart", {})


def test_without_a_duration_controllers_are_away_until_another_instance_leads() -> None:
    world = make_world()
    manager = Switch(world)
    apply_fault(replace_world(world, controller_manager=manager), "controller-manager-restart", {})
    world.sim.clock.run(60 * SECOND)
    [(_, stopped), (_, started)] = manager.log
    assert stopped == 0
    assert 13 <= started <= 24


@pytest.mark.parametrize(("seconds", "restarts"), [(9, False), (60, True)])
def test_an_outage_of_the_api_server(seconds: int, restarts: bool) -> None:
    world = make_world("a")
    machine: Any = world.machines["a"]
    machine.connected = True
    manager = Switch(world)
    apply_fault(replace_world(world, controller_manager=manager), "apiserver-outage", {"for": seconds * SECOND})
    assert not world.server.available
    assert [(t, what) for t, what, _ in log(world, "a")] == [(0, "partition"), (seconds, "heal")]
    assert world.server.available
    assert bool(manager.log) == restarts
    if restarts:
        (stop, stopped), (start, started) = manager.log
        assert (stop, start, stopped) == ("stop", "start", 10)
        assert seconds <= started <= seconds + 24  # test_leaderelection.py says when


def test_a_shutdown_boots_after_its_time_from_the_loss_of_power() -> None:
    world = make_world("a")
    machine: Any = world.machines["a"]
    machine.shut_down = lambda power_off: world.sim.clock.call_after(30 * SECOND, power_off)
    apply_fault(world, "node-shutdown", {"node": "a", "for": 60 * SECOND})
    assert [(t, what) for t, what, _ in log(world, "a")] == [(30, "crash"), (90, "boot_up")]


def test_pressure_and_slowness() -> None:
    world = make_world("a")
    machine: Any = world.machines["a"]
    machine.slowdown = 1.0
    apply_fault(world, "memory-pressure", {"node": "a", "for": 5 * SECOND, "evictions": 2})
    apply_fault(world, "disk-pressure", {"node": "a"})
    apply_fault(world, "memory-pressure", {"node": "a", "available": 300})
    assert [args for _, _, args in machine.log] == [
        ("memory", 5 * SECOND, 2, -1, None), ("nodefs", None, None, -1, None), ("memory", None, None, -1, 300),
    ]  # fmt: skip
    apply_fault(world, "node-slow", {"node": "a", "for": 9 * SECOND, "factor": 4.0})
    apply_fault(world, "node-slow", {"node": "a", "for": 5 * SECOND})
    assert machine.slowdown == 40
    world.sim.clock.run(6 * SECOND)
    assert machine.slowdown == 4
    world.sim.clock.run(10 * SECOND)
    assert machine.slowdown == 1


def test_an_outage_of_the_registry() -> None:
    world = make_world("a", "b")
    registry = Switch(world)
    for machine in world.machines.values():
        machine.registry = registry  # type: ignore[assignment]
    apply_fault(world, "registry-outage", {"for": 5 * SECOND})
    assert not registry.available
    world.sim.clock.run(6 * SECOND)
    assert registry.available


def test_faults_of_storage() -> None:
    world = make_world()
    storage = Storage(world.sim)
    world = replace_world(world, storage=storage)
    with pytest.raises(FaultFailed, match='no claim "data"'):
        apply_fault(world, "disk-loss", {"claim": "data"})
    csi = CSIPersistentVolumeSource(driver="d", volume_handle="vol-1")
    world.server.create(PersistentVolume(metadata=ObjectMeta(name="pv"), spec=PersistentVolumeSpec(csi=csi)))
    claim_spec = PersistentVolumeClaimSpec(volume_name="pv")
    claim = PersistentVolumeClaim(metadata=ObjectMeta(name="data", namespace="default"), spec=claim_spec)
    world.server.preload(claim)
    apply_fault(world, "disk-loss", {"claim": "data"})
    assert storage.disk("vol-1").lost == "disk-loss"
    with pytest.raises(FaultFailed, match='the volume of claim "data" is lost already'):
        apply_fault(world, "disk-loss", {"claim": "data"})
    apply_fault(world, "disk-slow", {"driver": "d", "for": 5 * SECOND, "factor": 3})
    apply_fault(world, "disk-slow", {"for": 4 * SECOND, "factor": 2})
    assert (storage.slowness("d"), storage.slowness("e")) == (6, 2)
    apply_fault(world, "storage-outage", {"driver": "d", "for": 5 * SECOND})
    assert storage.failure_of("d", "attach") == "Unavailable"
    assert storage.failure_of("other", "attach") == ""
    world.sim.clock.run(6 * SECOND)
    assert storage.failure_of("d", "attach") == ""
    assert storage.slowness("d") == 1


def test_arguments_are_written_as_a_file_gives_them() -> None:
    given = {"pod": "web-0", "answer": 1_500_000_000, "for": None}
    assert written("slow-answers", given) == {"pod": "web-0", "answer": "1.5s"}
    assert written("spot-reclaim", {"node": "a", "notice": 120 * SECOND}) == {"node": "a", "notice": "2m"}
