from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.sim.clock import Clock, Steps, rank


def test_ties_go_by_rank_and_not_by_insertion() -> None:
    log: list[str] = []
    clock = Clock()
    for name in ("kubelet", "apiserver", "kube-scheduler"):
        clock.call_at(5, log.append, name, rank=rank(name))
    clock.run(10)
    assert log == ["apiserver", "kube-scheduler", "kubelet"]


def test_a_tie_salt_shuffles_equal_components() -> None:
    orders = set()
    for salt in range(8):
        log: list[int] = []
        clock = Clock(tie_salt=salt)
        for i in range(4):
            clock.call_at(5, log.append, i, rank=rank("kubelet", f"node-{i}"))
        clock.run(10)
        orders.add(tuple(log))
    assert len(orders) > 1


calls = st.recursive(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.just([])),
    lambda made: st.tuples(st.integers(0, 3), st.integers(0, 3), st.lists(made, max_size=4)),
    max_leaves=20,
)


@given(st.lists(calls, max_size=6), st.lists(st.integers(1, 4), max_size=4))
def test_what_is_first_in_time_rank_and_number_of_all_that_is_known_comes_next(
    first: list[Any], pauses: list[int]
) -> None:
    """Whatever calls make other calls, and wherever the run is interrupted."""
    clock = Clock()
    known: list[tuple[int, int, int]] = []

    def make(calls: list[Any]) -> None:
        for after, rank_, then in calls:
            entry = (clock.now + after, rank_, clock.events_scheduled)
            known.append(entry)
            if after:
                clock.call_after(after, come, entry, then, rank=rank_)
            else:
                clock.call_now(partial(come, entry, then), rank_)

    def come(entry: tuple[int, int, int], then: list[Any]) -> None:
        assert entry == min(known)
        assert entry[0] == clock.now
        known.remove(entry)
        make(then)

    make(first)
    for pause in (*pauses, 1000):
        clock.run(clock.now + pause)
        make([(1, 1, [])])
    clock.run(clock.now + 1000)
    assert not known


def test_a_killed_process_does_nothing_more_and_its_clean_up_runs() -> None:
    log: list[str] = []
    clock = Clock()

    def steps():  # type: ignore[no-untyped-def]
        try:
            while True:
                yield clock.sleep(10)
                log.append(f"tick {clock.now}")
        finally:
            log.append("closed")

    task = clock.spawn(steps())
    clock.call_at(25, task.kill)
    clock.run(100)
    assert log == ["tick 10", "tick 20", "closed"]
    assert not task.alive


def test_a_signal_wakes_all_who_wait_and_only_them() -> None:
    log: list[tuple[str, int]] = []
    clock = Clock()
    signal = clock.signal()

    def waiter(name: str, start: int):  # type: ignore[no-untyped-def]
        yield clock.sleep(start)
        yield signal.wait()
        log.append((name, clock.now))

    for name, start in (("early", 1), ("also early", 2), ("late", 50)):
        clock.spawn(waiter(name, start))
    clock.call_at(10, signal.set)
    clock.call_at(60, signal.set)
    clock.run(100)
    assert log == [("early", 10), ("also early", 10), ("late", 60)]


def test_a_second_trigger_of_a_bare_event_is_harmless() -> None:
    clock = Clock()
    event = clock.event()
    clock.fire(event, "first")
    clock.fire(event, "second")
    clock.run(1)
    assert event.value == "first"


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**10), st.integers(0, 10**12))
def test_a_virtual_poll_is_the_first_tick_not_before(phase: int, period: int, after: int) -> None:
    tick = Clock().next_on_grid(phase, period, after)
    assert (tick - phase) % period == 0
    assert after <= tick < after + period


@given(st.integers(0, 999_999_999), st.integers(0, 10**13))
def test_times_are_truncated_to_the_wall_clocks_second(phase: int, t: int) -> None:
    stored = Clock(second_phase_ns=phase).truncated(t)
    assert (stored - phase) % 1_000_000_000 == 0
    assert 0 <= t - stored < 1_000_000_000


def test_steps_go_as_far_as_they_can_at_once_and_on_when_what_they_wait_for_has_happened() -> None:
    clock = Clock()
    seen: list[tuple[str, int]] = []
    happened = clock.event()
    clock.fire(happened)

    def steps() -> Steps:
        seen.append(("begin", clock.now))
        yield clock.sleep(5)
        yield happened
        seen.append(("end", clock.now))

    clock.call_at(3, lambda: clock.carry_out(steps()))
    clock.run(4)
    assert seen == [("begin", 3)]
    clock.run(9)
    assert seen == [("begin", 3), ("end", 8)]


def test_an_error_in_steps_ends_the_run() -> None:
    clock = Clock()

    def steps() -> Steps:
        yield clock.sleep(1)
        raise ValueError("gone wrong")

    clock.carry_out(steps())
    with pytest.raises(ValueError, match="gone wrong"):
        clock.run(2)
