from __future__ import annotations

from collections.abc import Generator
from typing import Any

from k8sim.sim.clock import Clock
from k8sim.sim.lifetime import Lifetime


def test_timers_and_processes_end_with_the_program() -> None:
    clock = Clock()
    log: list[str] = []
    first, second = Lifetime(clock), Lifetime(clock)

    def ticks(life: Lifetime, name: str) -> Generator[Any, Any, None]:
        try:
            while True:
                yield life.sleep(10)
                log.append(f"{name} {clock.now}")
        finally:
            log.append(f"{name} ends")

    for life, name in ((first, "first"), (second, "second")):
        life.spawn(ticks(life, name))
        life.call_at(15, log.append, f"{name} at 15")
        life.call_after(25, log.append, f"{name} after 25")
    clock.call_at(18, first.end)
    clock.run(29)
    assert log == [
        "first 10", "second 10", "first at 15", "second at 15", "first ends", "second 20", "second after 25"
    ]  # fmt: skip


def test_nothing_begins_after_the_end() -> None:
    clock = Clock()
    log: list[str] = []
    life = Lifetime(clock)
    life.end()

    def steps() -> Generator[Any, Any, None]:
        log.append("begins")
        yield life.sleep(1)

    life.spawn(steps())
    life.call_after(0, log.append, "acts")
    clock.run(10)
    assert log == []


def test_a_process_that_has_ended_is_forgotten() -> None:
    clock = Clock()
    life = Lifetime(clock)

    def steps() -> Generator[Any, Any, None]:
        yield life.sleep(1)

    for _ in range(5):
        life.spawn(steps())
    clock.run(10)
    assert not life._tasks
