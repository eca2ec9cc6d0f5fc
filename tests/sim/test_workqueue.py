from k8sim.sim.clock import Clock
from k8sim.sim.units import MILLISECOND, SECOND
from k8sim.sim.workqueue import WorkQueue


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


def test_a_waiting_worker_is_woken() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock, 0)
    taken: list[tuple[str, int]] = []

    def worker():  # type: ignore[no-untyped-def]
        while True:
            while not queue.keys:
                yield queue.key_comes()
            key, _ = queue.take()
            yield clock.sleep(5)
            taken.append((key, clock.now))
            queue.done(key)

    for _ in range(2):
        clock.spawn(worker())
    for key in "abc":
        clock.call_at(10, queue.add, key)
    clock.run(100)
    assert sorted(taken) == [("a", 15), ("b", 15), ("c", 20)]


def test_workers_begin_when_there_is_a_key_for_them_each_in_its_turn() -> None:
    """A worker that has not begun stands in the row of idle ones where it would stand if it had."""
    clock, log = Clock(), []
    queue: WorkQueue[str] = WorkQueue(clock, 0)

    def begin(number: int) -> None:
        name = ("first", "second", "third")[number]
        log.append(f"{name} begins")
        clock.spawn(work(name))

    def work(name: str):  # type: ignore[no-untyped-def]
        while True:
            while not queue.keys:
                yield queue.key_comes()
            key, _ = queue.take()
            log.append(f"{name} {key}")
            yield clock.sleep(1)
            queue.done(key)

    queue.add("early")
    queue.employ(begin, 3)
    for at, key in ((10, "a"), (20, "b"), (30, "c")):
        clock.call_at(at, queue.add, key)
    clock.run(15)
    assert log == ["first begins", "first early", "second begins", "second a"]
    clock.run(50)
    assert log[4:] == ["third begins", "third b", "first c"]
