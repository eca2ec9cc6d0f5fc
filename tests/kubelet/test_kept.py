"""What the kubelet keeps or takes from its place, lest it be computed or looked for again, is what it stands for."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import Pod, PodStatus
from k8sim.api.meta import Condition
from k8sim.api.resources import pod_requests
from k8sim.api.struct import Time, replace
from k8sim.kubelet.conditions import OWNED, OWNED_OR_SHARED, SHARED, with_transition_times
from k8sim.kubelet.podstatus import basis_of, generate_api_pod_status
from k8sim.kubelet.process import KubeletProcess
from k8sim.kubelet.statusmerge import merge_pod_status, same_for_kubelet
from tests.kubelet.bench import READY, Bench, image

BIG: dict[str, Any] = {"name": "app", "resources": {"requests": {"cpu": "1500m"}}, "readinessProbe": READY}
NAMES = ("a", "b", "c")
OPERATIONS = ("create", "delete", "force", "exit", "restart", "crash", "boot")
steps = st.lists(st.tuples(st.integers(2, 40), st.sampled_from(OPERATIONS), st.sampled_from(NAMES)), max_size=12)


class Watched(Bench):
    """A bench with room for two of three pods, whose kubelet is looked into all the time."""

    def __init__(self) -> None:
        super().__init__(image(start=0.5, stop=1), capacity={"cpu": "4", "memory": "16Gi", "pods": "110"})
        self.uids: list[str] = []
        for half in range(120):
            self.at(half / 2 + 0.1, self.check)

    def do(self, what: str, name: str) -> None:
        key = ("default", name)
        if what == "create" and self.get(name) is None:
            self.uids.append(self.pod(name, BIG, restartPolicy="Never").uid)
        elif what in ("delete", "force") and self.get(name) is not None:
            self.server.delete(Pod, *key, grace_period_seconds=0 if what == "force" else None)
        elif what == "exit":
            self.machine.exit_container(key)
        elif what == "restart":
            self.machine.restart_kubelet()
        elif what == "crash":
            self.machine.crash()
        elif what == "boot":
            self.machine.boot_up()

    def check(self) -> None:
        """What is kept of each pod is what would be computed of it now."""
        process = self.kubelet.process
        if process is None:
            return
        assert process._requests == {uid: pod_requests(pod) for uid, pod in process.pods.items()}
        workers = {uid: process.workers.get(uid) for uid in self.uids}
        may_run = {uid for uid, w in workers.items() if w is not None and w.stage in ("syncing", "terminating")}
        assert process.workers.running == may_run
        for uid, pod in process.pods.items():
            self.check_status(process, uid, pod)

    def check_status(self, process: KubeletProcess, uid: str, pod: Pod) -> None:
        """A status that is left as it is since its basis is the same is what it would be if computed anew."""
        entry, runtime = process.status.entry(uid), process.pleg.get(uid)
        if entry is None or entry.basis is None:
            return
        ended = entry.basis[2]
        if entry.basis != basis_of(pod, runtime, ended):
            return
        kept = entry.status
        fill = process.prober.update_pod_status
        host_ip = self.machine.host_ip
        new = generate_api_pod_status(pod, runtime, kept, {}, self.clock.truncated, host_ip, ended, None, fill)
        if (new.container_statuses, new.init_container_statuses) == (kept.container_statuses, ()):
            conditions = with_transition_times(new.conditions, kept.conditions, Time(-1))
            assert replace(new, conditions=conditions, start_time=kept.start_time) == kept


@settings(max_examples=25, deadline=None)
@given(steps)
def test_what_is_kept_of_pods_follows_them(operations: list[tuple[int, str, str]]):
    bench = Watched()
    for name in NAMES:
        bench.at(1, lambda name=name: bench.do("create", name))
    for at, what, name in operations:
        bench.at(at, lambda what=what, name=name: bench.do(what, name))
    bench.run(60)


def test_room_of_a_pod_that_ended_is_free_for_the_next():
    bench = Watched()
    for at, name in ((1, "a"), (2, "b"), (3, "c")):
        bench.at(at, lambda name=name: bench.do("create", name))
    bench.at(5, lambda: bench.do("exit", "a"))
    bench.at(10, lambda: bench.do("force", "c"))
    bench.at(12, lambda: bench.do("create", "c"))
    bench.run(9)
    assert bench.stored("c").status.reason == "OutOfcpu"
    bench.run(30)
    assert bench.stored("c").status.phase == "Running"


def test_worker_of_a_process_that_is_gone_goes_on_with_nothing():
    bench = Bench(image(stop=8))
    uid = bench.pod("app").uid
    bench.delete_at(5)
    bench.at(7, bench.machine.restart_kubelet)
    bench.run(6)
    assert bench.kubelet.process is not None
    worker = bench.kubelet.process.workers.get(uid)
    assert worker is not None
    assert worker.steps is not None  # it waits for the container's end
    bench.run(60)
    assert worker.stage == "terminating"
    assert bench.get() is None  # its successor has seen to the pod


# ---- conditions -----------------------------------------------------------------------------------------------------

TYPES = [*sorted(OWNED_OR_SHARED), "example.com/x", "example.com/y"]
condition = st.builds(
    Condition,
    type=st.sampled_from(TYPES),
    status=st.sampled_from(["True", "False"]),
    reason=st.sampled_from(["", "A"]),
    last_transition_time=st.sampled_from([None, Time(1), Time(2)]),
)
conditions = st.lists(condition, unique_by=lambda c: c.type, max_size=8).map(tuple)
Conditions = tuple[Condition, ...]


def by_type(these: Conditions) -> dict[str, Condition]:
    return {c.type: c for c in these if c.type in OWNED_OR_SHARED}


@given(conditions, conditions, st.booleans())
def test_conditions_get_their_times_wherever_they_stand(new: Conditions, old: Conditions, in_place: bool):
    if in_place:
        old = tuple(replace(c, last_transition_time=Time(3)) for c in new)
    before, now = {c.type: c for c in old}, Time(9)
    result = with_transition_times(new, old, now)
    assert [(c.type, c.status, c.reason) for c in result] == [(c.type, c.status, c.reason) for c in new]
    for given_, timed in zip(new, result, strict=True):
        last = before.get(given_.type)
        if given_.type not in OWNED_OR_SHARED:
            assert timed is given_
        elif last is None or last.status != given_.status:
            assert timed.last_transition_time == now
        elif last.reason != given_.reason:
            assert timed.last_transition_time == (last.last_transition_time or now)
        else:
            assert timed is last


@given(conditions, conditions, st.data())
def test_what_old_conditions_were_made_of_saves_work_only(given_: Conditions, older: Conditions, data: st.DataObject):
    old = with_transition_times(given_, older, Time(5))
    again = st.one_of(condition, st.sampled_from(given_)) if given_ else condition
    new = tuple(data.draw(st.lists(again, unique_by=lambda c: c.type, max_size=8)))
    assert with_transition_times(new, old, Time(9), given_) == with_transition_times(new, old, Time(9))


@given(conditions, conditions, st.randoms())
def test_order_of_conditions_makes_no_difference(a: Conditions, b: Conditions, chance: Any):
    assert same_for_kubelet(PodStatus(conditions=a), PodStatus(conditions=b)) == (by_type(a) == by_type(b))
    shuffled = list(a)
    chance.shuffle(shuffled)
    assert same_for_kubelet(PodStatus(conditions=a), PodStatus(conditions=tuple(shuffled)))


@given(conditions, conditions, st.booleans(), st.booleans())
def test_merged_conditions_are_each_of_its_owner(old: Conditions, new: Conditions, ends: bool, could_run: bool):
    ended = PodStatus(phase="Succeeded" if ends else "Running", conditions=new)
    merged = merge_pod_status(PodStatus(phase="Running", conditions=old), ended, could_run, Time(9)).conditions
    ended_for_good = ends and not could_run
    assert [c for c in merged if c.type not in OWNED_OR_SHARED] == [c for c in old if c.type not in OWNED_OR_SHARED]
    assert {c.type for c in merged if c.type in OWNED} == {c.type for c in new if c.type in OWNED}
    shared = {c.type: c for c in (*old, *(new if ended_for_good else ())) if c.type in SHARED}
    assert {c.type: c for c in merged if c.type in SHARED} == shared
