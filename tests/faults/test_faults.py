from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import Pod
from k8sim.apiserver.server import APIServer
from k8sim.faults.catalogue import FAULTS, apply_fault, make_fault
from k8sim.faults.fault import FaultFailed, World
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
    return World(server.sim, server, machines)


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
