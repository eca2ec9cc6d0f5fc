"""The machine and its runtime, as PROVENANCE of the recordings describes the scripted one."""

from typing import Any

import pytest

from k8sim.machines.answers import Answers
from k8sim.machines.container import Container
from k8sim.machines.image import Images, with_tag
from k8sim.machines.machine import ADDRESSES, Machine
from k8sim.machines.registry import PullError, Registry
from k8sim.sim.clock import Clock, Steps
from k8sim.sim.distributions import Constant, Exponential
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace
from k8sim.sim.units import SECOND
from tests.kubelet.bench import image

KEY = ("default", "app")


class Runtime:
    """A machine without a kubelet; what is asked of it runs as a process."""

    def __init__(self, *images: Any, seed: int = 1) -> None:
        self.clock = Clock()
        streams = Streams(seed)
        instant = {
            n: Constant(0) for n in ("runtimeSandboxStart", "runtimeSandboxStop", "runtimeContainerStart", "imageCheck")
        }
        sim = Simulation(self.clock, streams, Latencies(streams, instant), Trace(), {})
        self.registry = Registry(sim, Images(images))
        self.machine = Machine(sim, "node", self.registry, index=3)
        self.container: Container | None = None

    def start(self, uid: str = "u", instance: int = 0) -> None:
        def steps() -> Steps:
            if not self.machine.snapshot(uid).sandboxes:
                yield from self.machine.run_sandbox(uid, KEY, 0)
            self.container = yield from self.machine.start_container(uid, "c", "app:v1", instance)

        self.clock.spawn(steps())

    def stop_at(self, at: float, timeout_s: int) -> None:
        def stop() -> None:
            assert self.container is not None
            self.clock.spawn(self.machine.stop_container("u", self.container, timeout_s))

        self.clock.call_at(round(at * SECOND), stop)

    def end(self, until: float = 60) -> tuple[float, int, str]:
        self.clock.run(round(until * SECOND))
        assert self.container is not None
        record = self.container.record
        assert record.state == "exited"
        return record.finished_ns / SECOND, record.exit_code, record.reason


@pytest.mark.parametrize(
    ("stop", "timeout", "end", "code"),
    [(2, 10, 7, 0), (10, 10, 15, 0), (11, 10, 15, 137), (None, 10, 15, 137), (2, 0, 5, 137)],
)
def test_stop_takes_the_shorter_of_stop_time_and_timeout(stop: float | None, timeout: int, end: float, code: int):
    runtime = Runtime(image(stop=stop))
    runtime.start()
    runtime.stop_at(5, timeout)
    assert runtime.end() == (end, code, "Completed" if code == 0 else "Error")


def test_second_stop_with_a_shorter_timeout_kills_at_its_own_deadline():
    runtime = Runtime(image(stop=None))
    runtime.start()
    runtime.stop_at(5, 30)
    runtime.stop_at(10, 3)
    assert runtime.end()[:2] == (13, 137)


def test_second_stop_with_a_longer_timeout_changes_nothing():
    runtime = Runtime(image(stop=None))
    runtime.start()
    runtime.stop_at(5, 5)
    runtime.stop_at(6, 30)
    assert runtime.end()[:2] == (10, 137)


def test_restarted_kubelet_leaves_sigterm_and_takes_back_sigkill():
    runtime = Runtime(image(stop=20))
    runtime.start()
    runtime.stop_at(5, 10)
    runtime.clock.call_at(7 * SECOND, runtime.machine.restart_kubelet)
    assert runtime.end()[:2] == (25, 0)


def test_process_ends_by_itself_and_each_start_counts_anew():
    runtime = Runtime(image(exit_after=4, exit_code=3))
    runtime.start()
    assert runtime.end(5)[:2] == (4, 3)
    runtime.start(instance=1)
    assert runtime.end(10)[:2] == (9, 3)


def test_stopping_the_sandbox_kills_what_is_left_in_it():
    runtime = Runtime(image(stop=None))
    runtime.start()
    runtime.clock.call_at(SECOND, lambda: runtime.clock.spawn(runtime.machine.stop_sandbox("u")))
    assert runtime.end()[:2] == (1, 137)
    assert runtime.machine.snapshot("u").ip == ""


def test_every_sandbox_has_an_address_of_its_own():
    runtime = Runtime(image())
    for i in range(5):
        runtime.start(f"u{i}")
    runtime.clock.run(SECOND)
    addresses = {runtime.machine.snapshot(f"u{i}").ip for i in range(5)}
    assert len(addresses) == 5
    other = Machine(runtime.machine.sim, "other", runtime.registry, index=4)
    assert other.host_ip != runtime.machine.host_ip


def test_crash_empties_the_runtime_and_keeps_the_disk():
    runtime = Runtime(image(exit_after=5))
    runtime.start()
    runtime.machine.images["app:v1"] = "app:v1"
    runtime.clock.call_at(SECOND, runtime.machine.crash)
    runtime.clock.call_at(2 * SECOND, runtime.machine.boot_up)
    boot = runtime.machine.boot_id
    runtime.clock.run(10 * SECOND)
    assert not runtime.machine.pods()
    assert runtime.machine.images
    assert runtime.machine.restart_counts == {"u": {"c": 0}}
    assert runtime.machine.boot_id != boot
    assert [r.event for r in runtime.machine.sim.trace] == ["Started", "Lost"]


def test_draws_belong_to_the_instance_not_to_the_order():
    law = image()
    law = type(law)("*", stop=Exponential(5 * SECOND), ready=Exponential(5 * SECOND))

    def lifetimes(order: list[tuple[str, int]]) -> dict[tuple[str, int], Any]:
        runtime = Runtime(law)
        found = {}
        for uid, instance in order:
            runtime.start(uid, instance)
            runtime.clock.run(runtime.clock.now + SECOND)
            assert runtime.container is not None
            found[uid, instance] = runtime.container.lifetime
        return found

    forth = [("a", 0), ("a", 1), ("b", 0)]
    assert lifetimes(forth) == lifetimes(forth[::-1])
    assert len({str(v) for v in lifetimes(forth).values()}) == 3


def test_pull_of_a_missing_image_fails_and_of_a_present_one_takes_no_time():
    runtime = Runtime(image("gone:*", missing=True), image(pull=7))
    ends: dict[str, object] = {}

    def pull(name: str, *there: str) -> Steps:
        try:
            yield from runtime.registry.pull("node", name, there)
            ends[name] = runtime.clock.now / SECOND
        except PullError as error:
            ends[name] = error.reason

    runtime.clock.spawn(pull("gone:v1"))
    runtime.clock.spawn(pull("new:v1"))
    runtime.clock.spawn(pull("old:v1", "old:v1"))
    runtime.clock.run(20 * SECOND)
    assert ends == {"gone:v1": "ErrImagePull", "new:v1": 7, "old:v1": 0}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("app", "app:latest"),
        ("app:v1", "app:v1"),
        ("reg:5000/app", "reg:5000/app:latest"),
        ("app@sha256:ab", "app@sha256:ab"),
    ],
)
def test_tag_of_an_image(name: str, known: str):
    assert with_tag(name) == known


def test_first_matching_pattern_counts():
    images = Images((image("db:bad", ready=None), image("db:*", ready=1), image("*", ready=2)))
    assert images.of("db:bad").ready is None
    assert images.of("db:v1").ready == Constant(SECOND)
    assert images.of("web").ready == Constant(2 * SECOND)
    assert Images().of("x").ready == Constant(0)


def test_answers_change_only_at_the_moments_they_name():
    answers = Answers(started_from=2, ready_from=3, hang_from=20, unready=(5, 7), hang=(10, 12))
    ready = [t for t in range(25) if answers.passes("readiness", t)]
    assert ready == [3, 4, 7, 8, 9, *range(12, 20)]
    assert [t for t in range(25) if not answers.passes("liveness", t)] == [10, 11, *range(20, 25)]
    for kind in ("startup", "readiness", "liveness"):
        t = 0
        while t < 25:
            change = min(answers.next_change(kind, t), 25)
            assert len({answers.passes(kind, u) for u in range(t, change)}) == 1
            t = change


def test_an_address_is_given_again_only_when_nobody_has_it() -> None:
    """A CronJob a minute uses up a range in a day and a half; who has been there all the time keeps its address."""
    runtime = Runtime(image("app:v1"))
    machine = runtime.machine

    def lives(uid: str) -> Steps:
        yield from machine.run_sandbox(uid, KEY, 0)

    def passes(uid: str) -> Steps:
        yield from lives(uid)
        seen.append(machine.snapshot(uid).ip)
        machine.remove_pod(uid)

    seen: list[str] = []
    runtime.clock.spawn(lives("stays"))
    runtime.clock.run(1)
    for i in range(ADDRESSES):
        runtime.clock.spawn(passes(f"job-{i}"))
        runtime.clock.run(2 + i)
    assert len(set(seen)) == ADDRESSES - 1
    assert seen[-1] == seen[0]
    assert machine.snapshot("stays").ip not in seen
