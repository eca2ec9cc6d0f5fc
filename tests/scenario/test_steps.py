from __future__ import annotations

import itertools
from typing import Any

import pytest
import yaml

from k8sim.api.core import Namespace, Pod
from k8sim.apiserver.errors import TooManyRequests
from k8sim.apiserver.server import APIServer
from k8sim.faults.fault import World
from k8sim.scenario.model import Scenario, Step
from k8sim.scenario.steps import run_timeline
from k8sim.sim.trace import Row
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_server


def manifest(name: str, kind: str = "Pod", **metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "app", "image": "app:v1"}]}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def play(*steps: Step, objects: tuple[dict[str, Any], ...] = (), seed: int = 1, until: int = 30) -> APIServer:
    server = make_server(seed)
    scenario = Scenario(name="test", objects=objects, timeline=steps, duration_ns=60 * SECOND)
    run_timeline(World(server.sim, server, {}), scenario)
    server.sim.clock.run(until * SECOND)
    return server


def commands(server: APIServer) -> list[Row]:
    return [row for row in server.sim.trace if row.kind == "Command"]


def test_manifests_are_applied_in_order_some_milliseconds_apart() -> None:
    server = make_server()
    seen: list[tuple[float, str]] = []
    server.watch(Pod, lambda change: seen.append((server.sim.clock.now / SECOND, change.new.name)))
    objects = tuple(manifest(name) for name in ("c", "a", "b"))
    run_timeline(World(server.sim, server, {}), Scenario(name="t", objects=objects))
    server.sim.clock.run(SECOND)
    assert [name for _, name in seen] == ["c", "a", "b"]
    times = [0.0, *(t for t, _ in seen)]
    laws = server.sim.latencies
    least = laws.distribution("kubectlRequest").quantile(0)
    most = sum(laws.distribution(name).quantile(1) for name in ("kubectlRequest", "apiResponse", "podAdmission"))
    assert all(least <= (later - earlier) * SECOND <= most for earlier, later in itertools.pairwise(times))
    assert not commands(server)


def test_namespaces_that_nothing_makes_are_made() -> None:
    server = play(objects=(manifest("a", namespace="db"),))
    assert server.get(Namespace, "", "db")
    assert server.get(Pod, "db", "a")


def test_an_object_that_is_refused_is_said_and_the_others_follow() -> None:
    server = play(objects=(manifest("A_b"), manifest("ok")))
    [row] = commands(server)
    assert (row.name, row.event, row.detail["step"], row.detail["code"]) == ("apply", "Done", -1, 1)
    assert "is invalid" in row.detail["out"]
    assert server.get(Pod, "default", "ok")


def test_foreign_kinds_are_accepted() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}}
    assert not commands(play(objects=(role,)))


def test_steps_run_at_their_times_and_do_not_wait_for_each_other() -> None:
    server = make_server()
    pods = yaml.safe_load("[{metadata: {name: web-0}}]")
    body = {**manifest("web-0"), "metadata": {**pods[0]["metadata"], "finalizers": ["a/b"]}}
    steps = (
        Step.kubectl(5 * SECOND, "delete pod web-0 --timeout=9s"),
        Step.kubectl(6 * SECOND, "label pod web-0 x=y"),
        Step.apply(7 * SECOND, manifest("new")),
    )
    run_timeline(World(server.sim, server, {}), Scenario(name="t", objects=(body,), timeline=steps))
    server.sim.clock.run(30 * SECOND)
    rows = commands(server)
    assert [(r.name, r.detail["step"], r.detail["code"]) for r in rows] == [
        ("kubectl", 1, 0), ("apply", 2, 0), ("kubectl", 0, 1),
    ]  # fmt: skip
    assert [r.detail["out"] for r in rows] == [
        "pod/web-0 labeled", "pod/new created",
        "error: timed out waiting for the condition on pods/web-0",
    ]  # fmt: skip
    assert 14 < rows[-1].t / SECOND < 14.3


def test_what_a_step_does_goes_back_to_its_beginning() -> None:
    server = make_server()
    causes: list[int] = []
    server.recorder = lambda *change: causes.append(change[-1]) or change[-1]  # type: ignore[func-returns-value]
    step = Step.apply(SECOND, manifest("a"))
    run_timeline(World(server.sim, server, {}), Scenario(name="t", timeline=(step,)))
    server.sim.clock.run(2 * SECOND)
    begins, done = server.sim.trace
    assert (begins.kind, begins.event, begins.t) == ("Step", "Begins", SECOND)
    assert done.cause == 0
    assert causes == [0]


@pytest.mark.parametrize(
    ("fault", "arguments", "target"),
    [("node-crash", {"node": "a"}, "a"), ("zone-outage", {"zone": "z"}, "z"), ("apiserver-outage", {}, "")],
)
def test_a_fault_says_what_it_breaks_and_how_long(fault: str, arguments: dict[str, str], target: str) -> None:
    server = make_server()
    step = Step(SECOND, "fault", name=fault, arguments={**arguments, "for": SECOND})
    run_timeline(World(server.sim, server, {}), Scenario(name="t", timeline=(step,)))
    server.sim.clock.run(SECOND + 1)
    begins = next(row for row in server.sim.trace if row.event == "Begins")
    assert (begins.detail["target"], begins.detail["for"]) == (target, SECOND)


def test_an_eviction_is_tried_once() -> None:
    server = make_server()
    answers: list[str] = []

    def evict(namespace: str, name: str, **options: Any) -> Pod:
        answers.append(f"{namespace}/{name}")
        raise TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.")

    server.evict = evict  # type: ignore[method-assign]
    run_timeline(World(server.sim, server, {}), Scenario(name="t", timeline=(Step.evict(SECOND, "web-0"),)))
    server.sim.clock.run(60 * SECOND)
    [row] = commands(server)
    assert answers == ["default/web-0"]
    assert (row.name, row.detail["code"]) == ("evict", 1)
    assert row.detail["out"] == "Cannot evict pod as it would violate the pod's disruption budget."


def test_faults_that_cannot_happen_and_commands_that_cannot_be_read() -> None:
    server = play(Step.fault(SECOND, "node-crash", node="none"), Step.kubectl(SECOND, "frobnicate"))
    fault, command = commands(server)
    assert (fault.t, fault.name, fault.detail["code"]) == (SECOND, "node-crash", 1)
    assert fault.detail["out"] == 'there is no machine "none"'
    assert command.detail["code"] == 1


@pytest.mark.parametrize("position", [0, 1])
def test_a_further_step_changes_no_delay_of_another(position: int) -> None:
    steps = [Step.kubectl(5 * SECOND, "label pod a x=y")]
    alone = commands(play(*steps, objects=(manifest("a"),)))[0].t
    steps.insert(position, Step.kubectl(5 * SECOND, "label pod b x=y"))
    both = commands(play(*steps, objects=(manifest("a"), manifest("b"))))
    assert alone in [row.t for row in both]


def test_long_output_is_cut() -> None:
    server = play(Step.kubectl(SECOND, "get pod " + " ".join(f"no-{i}" for i in range(20))))
    assert len(commands(server)[0].detail["out"]) == 300
