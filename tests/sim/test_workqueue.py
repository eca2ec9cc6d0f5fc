import pytest

from k8sim.sim.clock import Clock, Steps
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import MILLISECOND, SECOND
from k8sim.sim.workqueue import Worker, WorkQueue


def drain(queue: WorkQueue[str]) -> list[str]:
    keys = []
    while queue.keys:
        key, _ = queue.take()
        queue.done(key)
        keys.append(key)
    return keys


def test_a_key_is_queued_once_and_keeps_its_first_cause() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock(), 0)
    queue.add("a", cause=3)
    queue.add("a", cause=4)
    assert queue.take() == ("a", 3)


def test_a_key_that_is_being_processed_runs_once_more_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock(), 0)
    queue.add("a")
    queue.take()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert drain(queue) == ["a"]


def test_of_two_delays_the_earlier_counts_in_either_order() -> None:
    for delays in ((30, 10), (10, 30)):
        clock = Clock()
        queue: WorkQueue[str] = WorkQueue(clock, 0)
        for delay in delays:
            queue.add_after("a", delay)
        clock.run(11)
        assert drain(queue) == ["a"]
        clock.run(100)
        assert drain(queue) == []


def test_back_off_doubles_from_5_ms_and_a_success_resets_it() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock, 0)
    waits = []
    for _ in range(4):
        start = clock.now
        queue.add_rate_limited("a")
        while not drain(queue):
            clock.run(clock.now + MILLISECOND)
        waits.append((clock.now - start) // MILLISECOND)
    assert waits == [6, 11, 21, 41]  # 5, 10, 20, 40 ms, seen one step of 1 ms later
    queue.forget("a")
    assert queue.failures("a") == 0


def test_the_shared_bucket_slows_a_flood_of_failures() -> None:
    clock = Clock()
    queue: WorkQueue[int] = WorkQueue(clock, 0)
    for i in range(120):
        queue.add_rate_limited(i)
    clock.run(SECOND)
    assert len(queue) == 100 + 9  # the burst, then ten a second (the tenth falls on the second itself)


class Client:
    """Who syncs."""

    cause = NO_CAUSE


class Broken(Exception):
    """A sync that does not work."""


def employ(queue: WorkQueue[str], log: list[str], takes: int = 5, broken: str = "") -> Worker[str, Client, Broken]:
    """Let a worker begin whose syncs say when they begin, and end after a while; those of one key fail."""

    def sync(key: str, client: Client) -> Steps:
        log.append(f"{key} {queue.clock.now} for {client.cause}")
        if takes:
            yield queue.clock.sleep(takes)
        if key == broken:
            raise Broken
        log.append(f"{key} done {queue.clock.now}")

    def fail(key: str, error: Broken, client: Client) -> None:
        log.append(f"{key} fails {queue.clock.now}")

    worker = Worker(queue, Client(), sync, (Broken,), fail)
    worker.begin()
    return worker


def test_a_waiting_worker_is_woken() -> None:
    clock, log = Clock(), list[str]()
    queue: WorkQueue[str] = WorkQueue(clock, 0)
    for _ in range(2):
        employ(queue, log)
    for cause, key in enumerate("abc"):
        clock.call_at(10, queue.add, key, cause)
    clock.run(100)
    assert log == ["a 10 for 0", "b 10 for 1", "a done 15", "c 15 for 2", "b done 15", "c done 20"]


def test_a_sync_that_waits_for_nothing_leaves_its_worker_to_the_next_key() -> None:
    clock, log = Clock(), list[str]()
    queue: WorkQueue[str] = WorkQueue(clock, 0)
    employ(queue, log, takes=0, broken="b")
    for key in "abc":
        clock.call_at(10, queue.add, key, 7)
    clock.run(100)
    assert log == ["a 10 for 7", "a done 10", "b 10 for 7", "b fails 10", "c 10 for 7", "c done 10"]


def test_a_sync_that_has_no_steps_has_ended() -> None:
    """As one whose steps wait for nothing: with a success, or with a failure."""

    def sync(key: str, client: Client) -> None:
        if key == "b":
            raise Broken

    clock, failed = Clock(), list[str]()
    queue: WorkQueue[str] = WorkQueue(clock, 0)
    Worker(queue, Client(), sync, (Broken,), lambda key, error, client: failed.append(key)).begin()
    for key in "abc":
        queue.add_rate_limited(key)
    clock.run(SECOND)
    assert failed == ["b"]
    assert [queue.failures(key) for key in "abc"] == [0, 1, 0]
    assert not queue.keys


def test_a_success_resets_the_back_off_and_a_failure_does_not() -> None:
    clock, log = Clock(), list[str]()
    queue: WorkQueue[str] = WorkQueue(clock, 0)
    employ(queue, log, broken="b")
    for key in "ab":
        queue.add_rate_limited(key)
    clock.run(SECOND)
    assert (queue.failures("a"), queue.failures("b")) == (0, 1)


def test_an_error_that_is_no_failure_of_a_sync_ends_the_run() -> None:
    def sync(key: str, client: Client) -> Steps:
        yield clock.sleep(5)
        raise ZeroDivisionError(key)

    clock, failed = Clock(), list[str]()
    queue: WorkQueue[str] = WorkQueue(clock, 0)
    Worker(queue, Client(), sync, (Broken,), lambda key, error, client: failed.append(key)).begin()
    clock.call_at(10, queue.add, "a")
    with pytest.raises(ZeroDivisionError, match="a"):
        clock.run(100)
    assert (clock.now, failed) == (15, [])


def test_a_worker_that_is_stopped_ends_what_it_does_and_begins_nothing() -> None:
    for at, begun in ((9, []), (12, ["a 10 for -1"])):
        clock, log = Clock(), list[str]()
        queue: WorkQueue[str] = WorkQueue(clock, 0)
        worker = employ(queue, log)
        for key in "ab":
            clock.call_at(10, queue.add, key)
        clock.call_at(at, worker.stop)
        clock.run(100)
        assert log == begun


def test_workers_begin_when_there_is_a_key_for_them_each_in_its_turn() -> None:
    """A worker that has not begun stands in the row of idle ones where it would stand if it had."""
    clock, log = Clock(), list[str]()
    queue: WorkQueue[str] = WorkQueue(clock, 0)

    def begin(number: int) -> None:
        log.append(f"worker {number} begins")
        employ(queue, log, takes=1)

    queue.add("early")
    queue.employ(begin, 3)
    for at, key in ((10, "a"), (20, "b"), (30, "c")):
        clock.call_at(at, queue.add, key)
    clock.run(45)
    assert log == [
        "worker 0 begins", "early 0 for -1", "early done 1",
        "worker 1 begins", "a 10 for -1", "a done 11",
        "worker 2 begins", "b 20 for -1", "b done 21",
        "c 30 for -1", "c done 31",
    ]  # fmt: skip
