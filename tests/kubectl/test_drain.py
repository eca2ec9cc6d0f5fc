from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import EmptyDirVolumeSource, Node, Pod, Volume
from k8sim.api.meta import Condition, OwnerReference, with_meta
from k8sim.api.pods import CONFIG_MIRROR
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.struct import Time, replace
from k8sim.apiserver.errors import ApiError, Forbidden, InternalError, TooManyRequests
from k8sim.kubectl.grammar import DrainOptions
from k8sim.kubectl.process import Process
from k8sim.kubectl.verbs import drain
from k8sim.kubectl.verbs.drain import go_duration, grouped, judge_pod
from k8sim.sim.units import HOUR, MILLISECOND, MINUTE, SECOND
from tests.apiserver.world import make_pod
from tests.kubectl.world import World

NODE = "{apiVersion: v1, kind: Node, metadata: {name: n}}"


def owned(pod: Pod, kind: str = "StatefulSet", name: str = "web") -> Pod:
    ref = OwnerReference(api_version="apps/v1", kind=kind, name=name, uid="u", controller=True)
    return with_meta(pod, owner_references=(ref,))


def with_status(pod: Pod, **changes: Any) -> Pod:
    return replace(pod, status=replace(pod.status, **changes))


EMPTY_DIR = Volume(name="v", empty_dir=EmptyDirVolumeSource())
BARE = make_pod(node="n")
OWNED = owned(BARE)
LOCAL = replace(OWNED, spec=replace(OWNED.spec, volumes=(EMPTY_DIR,)))
DAEMON = owned(BARE, "DaemonSet", "agent")


@pytest.mark.parametrize(
    ("pod", "missing", "options", "delete", "said"),
    [
        (OWNED, None, {}, True, ""),
        (BARE, None, {}, False, drain.UNMANAGED_FATAL),
        (BARE, None, {"force": True}, True, drain.UNMANAGED_WARNING),
        (with_status(BARE, phase="Failed"), None, {}, True, ""),
        (LOCAL, None, {}, False, drain.LOCAL_STORAGE_FATAL),
        (LOCAL, None, {"delete_emptydir_data": True}, True, ""),
        (with_status(LOCAL, phase="Succeeded"), None, {}, True, ""),
        (DAEMON, None, {}, False, drain.DAEMON_SET_FATAL),
        (DAEMON, None, {"ignore_daemonsets": True}, False, drain.DAEMON_SET_WARNING),
        (DAEMON, "gone", {"ignore_daemonsets": True}, False, "gone"),
        (DAEMON, "gone", {"force": True}, True, ""),
        (with_status(DAEMON, phase="Failed"), None, {}, True, ""),
        (with_meta(OWNED, annotations={CONFIG_MIRROR: "x"}), None, {}, False, ""),
        (with_meta(OWNED, deletion_timestamp=Time(0)), None, {"skip_wait_for_delete_timeout": 59}, False, ""),
        (with_meta(OWNED, deletion_timestamp=Time(0)), None, {"skip_wait_for_delete_timeout": 60}, True, ""),
        (with_meta(OWNED, deletion_timestamp=Time(0)), None, {}, True, ""),
    ],
)
def test_the_filters(pod: Pod, missing: str | None, options: dict[str, Any], delete: bool, said: str) -> None:
    verdict = judge_pod(pod, missing, DrainOptions(**options), 60 * SECOND + MILLISECOND)
    assert (verdict.delete, verdict.warning or verdict.fatal) == (delete, said)


def test_lines_name_the_pods_that_they_are_about() -> None:
    assert grouped([("a", BARE), ("b", OWNED), ("a", OWNED)]) == [
        "a: default/web-0, default/web-0", "b: default/web-0",
    ]  # fmt: skip


def test_durations_as_go_prints_them() -> None:
    assert [go_duration(t) for t in (12 * SECOND, 90 * SECOND, 5 * MINUTE, HOUR, 1500 * MILLISECOND)] == [
        "12s", "1m30s", "5m0s", "1h0m0s", "1.5s",
    ]  # fmt: skip


class Evictions:
    """Replaces the server's eviction: answers in turn, and the time of each request."""

    def __init__(self, world: World, *answers: ApiError | None) -> None:
        self.world = world
        self.times: list[float] = []
        self.answers = list(answers)
        world.server.evict = self.evict  # type: ignore[method-assign]

    def evict(self, namespace: str, name: str, **options: Any) -> Pod:
        self.times.append(self.world.clock.now / SECOND)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        grace = options.get("grace_period_seconds")
        return self.world.server.delete(Pod, namespace, name, grace_period_seconds=grace)


def drained(*pods: Pod) -> World:
    world = World(NODE)
    for pod in pods:
        world.server.create(pod)
    return world


def remove(world: World, name: str = "web-0") -> None:
    world.server.delete(Pod, "default", name, grace_period_seconds=0)


BUDGET = "Cannot evict pod as it would violate the pod's disruption budget."


def test_drain_cordons_evicts_and_polls_every_second_until_the_pod_is_gone() -> None:
    world = drained(OWNED)
    evictions = Evictions(world)
    done = world.start("drain n --ignore-daemonsets")
    world.at(1.3, remove, world)
    world.run(5)
    [(t, result)] = done
    assert result == (0, "node/n cordoned\nevicting pod default/web-0\npod/web-0 evicted\nnode/n drained", "")
    assert world.get(Node, "n").spec.unschedulable
    assert 2 < t - evictions.times[0] < 2.05  # polls at 0, 1 and 2 s after the eviction


def test_a_refused_eviction_is_tried_again_after_five_seconds() -> None:
    world = drained(OWNED)
    evictions = Evictions(world, TooManyRequests(BUDGET), TooManyRequests(BUDGET))
    done = world.start("drain n")
    world.at(11, remove, world)
    world.run(20)
    first, second, third = evictions.times
    assert 5 < second - first < 5.05
    assert 5 < third - second < 5.05
    refused = f'error when evicting pods/"web-0" -n "default" (will retry after 5s): {BUDGET}'
    assert done[0][1].err.splitlines() == [refused, refused]


def test_the_timeout_does_not_interrupt_the_sleep() -> None:
    """drain --timeout=12s returns after 15 s."""
    world = drained(OWNED)
    evictions = Evictions(world, *[TooManyRequests(BUDGET)] * 9)
    done = world.start("drain n --timeout=12s")
    world.run(30)
    [(t, result)] = done
    assert result.code == 1
    assert 15 < t < 15.3
    assert len(evictions.times) == 3
    assert result.out == "node/n cordoned" + 4 * "\nevicting pod default/web-0"
    assert "global timeout reached: 12s" in result.err
    assert "There are pending nodes to be drained:\n n" in result.err
    assert world.get(Node, "n").spec.unschedulable


def test_the_timeout_ends_the_wait_for_a_pod() -> None:
    world = drained(OWNED)
    Evictions(world)
    done = world.start("drain n --timeout=3s")
    world.run(10)
    [(t, result)] = done
    assert 3 < t < 3.3
    assert "to terminate: context deadline exceeded" in result.err


def test_the_trap_a_replacement_of_the_same_name_is_evicted() -> None:
    world = drained(OWNED)
    evictions = Evictions(world, TooManyRequests(BUDGET))
    world.start("drain n")
    elsewhere = owned(make_pod(node="other"))

    def replace_it() -> None:
        remove(world)
        world.server.create(elsewhere)

    world.at(2, replace_it)
    world.run(6)
    assert len(evictions.times) == 2
    assert world.get(Pod, "web-0").deleting


def test_a_pod_that_may_not_be_touched_saves_all_others() -> None:
    world = drained(OWNED, make_pod("bare", node="n"))
    evictions = Evictions(world)
    result = world.kubectl("drain n")
    assert result.code == 1
    assert "cannot delete Pods that declare no controller (use --force to override): default/bare" in result.err
    assert not evictions.times
    assert world.get(Node, "n").spec.unschedulable


def test_pods_of_a_node_are_evicted_at_once() -> None:
    world = drained(owned(make_pod("web-0", node="n")), owned(make_pod("web-1", node="n")))
    evictions = Evictions(world)
    world.start("drain n")
    world.run(1)
    first, second = evictions.times
    assert abs(first - second) < 0.02


def test_other_errors_are_final_for_their_pod() -> None:
    world = drained(OWNED)
    evictions = Evictions(world, InternalError("two budgets"))
    result = world.kubectl("drain n")
    assert result.code == 1
    assert 'error when evicting pods/"web-0" -n "default": two budgets' in result.err
    assert len(evictions.times) == 1


def test_a_terminating_namespace_is_waited_for() -> None:
    refusal = Forbidden("forbidden: unable to create because it is being terminated")
    world = drained(OWNED)
    evictions = Evictions(world, refusal)
    done = world.start("drain n")
    world.at(1, world.server.delete, Pod, "default", "web-0")
    evictions.answers.append(refusal)
    world.at(8, remove, world)
    world.run(12)
    assert len(evictions.times) == 2  # the pod is terminating by then, so the second refusal ends the loop
    assert done[0][1].code == 0


def test_retry_after_is_obeyed_by_the_client_itself() -> None:
    world = drained(OWNED)
    evictions = Evictions(world, TooManyRequests("budget is being processed", retry_after_s=10))
    done = world.start("drain n")
    world.at(11, remove, world)
    world.run(15)
    assert 10 < evictions.times[1] - evictions.times[0] < 10.05
    assert done[0][1].err == ""


def test_disable_eviction_deletes_past_the_budgets() -> None:
    world = drained(OWNED)
    evictions = Evictions(world)
    done = world.start("drain n --disable-eviction --grace-period=7")
    world.run(0.5)
    assert world.get(Pod, "web-0").metadata.deletion_grace_period_seconds == 7
    world.at(1.2, remove, world)
    world.run(3)
    assert not evictions.times
    assert done[0][1].out == "node/n cordoned\npod/web-0 deleted\nnode/n drained"


def test_a_pod_whose_deletion_is_long_due_is_waited_for_no_longer() -> None:
    world = drained(OWNED)
    Evictions(world)
    done = world.start("drain n --skip-wait-for-delete-timeout=4 --grace-period=1")
    world.run(20)
    [(t, result)] = done
    assert "has DeletionTimestamp older than 4 seconds, skipping" in result.out
    assert 5 < t < 7.2


@pytest.mark.parametrize("options", ["", " --disable-eviction"])
def test_a_dry_run_of_the_client_says_what_would_go(options: str) -> None:
    world = drained(OWNED)
    evictions = Evictions(world)
    result = world.kubectl(f"drain n --dry-run=client{options}", within=1)
    said = ["node/n cordoned", "evicting pod default/web-0", "node/n drained"]
    assert result == (0, "\n".join(f"{line} (dry run)" for line in said), "")
    assert not evictions.times
    assert not world.get(Node, "n").spec.unschedulable
    refused = drained(BARE).kubectl("drain n --dry-run=client", within=1)
    assert refused.code == 1
    assert drain.UNMANAGED_FATAL in refused.err


def test_a_dry_run_of_the_server_asks_the_budgets_and_evicts_nothing() -> None:
    """It is refused and tried again like any eviction, and takes nothing from the budget."""
    world = drained(OWNED)
    ready = (Condition(type="Ready", status="True"),)
    world.server.update_status(with_status(world.get(Pod, "web-0"), phase="Running", conditions=ready))
    budget = world.create(
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b}, spec: {minAvailable: 1, selector: {}}}"
    )
    assert isinstance(budget, PodDisruptionBudget)
    closed = replace(budget, status=replace(budget.status, observed_generation=budget.metadata.generation))
    closed = world.server.update_status(closed)
    allowed = replace(closed, status=replace(closed.status, disruptions_allowed=1))
    world.at(7, lambda: world.server.update_status(with_meta(allowed, resource_version=0)))
    done = world.start("drain n --dry-run=server")
    world.run(20)
    ((t, result),) = done
    assert 10 < t < 11
    assert result.out.splitlines() == [
        "node/n cordoned (server dry run)", *["evicting pod default/web-0 (server dry run)"] * 3,
        "node/n drained (server dry run)",
    ]  # fmt: skip
    assert result.err.count("will retry after 5s") == 2
    assert not world.get(Pod, "web-0").deleting
    assert world.get(PodDisruptionBudget, "b").status.disruptions_allowed == 1
    assert not world.get(Node, "n").spec.unschedulable


def test_a_dry_run_of_the_server_that_deletes_waits_for_nothing() -> None:
    world = drained(OWNED)
    result = world.kubectl("drain n --dry-run=server --disable-eviction", within=1)
    assert result == (0, "node/n cordoned (server dry run)\nnode/n drained (server dry run)", "")
    assert not world.get(Pod, "web-0").deleting


@pytest.mark.parametrize(("size", "further"), [(500, 0), (0, 0), (10, 0), (9, 1), (5, 1), (1, 9)])
def test_a_long_list_comes_in_chunks(size: int, further: int, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []
    real = Process.round_trip
    monkeypatch.setattr(Process, "round_trip", lambda process: requests.append(1) or real(process))
    world = drained(*(with_meta(OWNED, name=f"web-{i}") for i in range(10)))
    result = world.kubectl(f"drain n --dry-run=client --chunk-size={size}")
    assert result.out.count("evicting") == 10
    assert len(requests) == further


def test_nodes_one_after_another_and_an_empty_one() -> None:
    world = drained(owned(make_pod(node="n")))
    world.create("{apiVersion: v1, kind: Node, metadata: {name: m}}")
    Evictions(world)
    done = world.start("drain m n")
    world.at(1.3, remove, world)
    world.run(4)
    assert done[0][1].out.splitlines() == [
        "node/m cordoned", "node/n cordoned", "node/m drained", "evicting pod default/web-0", "pod/web-0 evicted",
        "node/n drained",
    ]  # fmt: skip
    assert world.kubectl("drain nosuch").err == 'Error from server (NotFound): nodes "nosuch" not found'
