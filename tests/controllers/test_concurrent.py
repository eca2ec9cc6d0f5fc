from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from k8sim.apiserver.errors import ApiError, Conflict
from k8sim.controllers.concurrent import Aggregate, concurrently, raise_first_of
from k8sim.sim.clock import Clock

Steps = Generator[Any, Any, None]


def lane(clock: Clock, log: list[tuple[int, str]], name: str, *delays: int, error: ApiError | None = None) -> Steps:
    for delay in delays:
        yield clock.sleep(delay)
        log.append((clock.now, name))
    if error is not None:
        raise error


def test_lanes_run_side_by_side_and_all_errors_are_kept() -> None:
    clock, log, result = Clock(), [], []  # type: ignore[var-annotated]

    def caller() -> Steps:
        errors = yield from concurrently(
            clock,
            [lane(clock, log, "a", 5, 5), lane(clock, log, "b", 3, error=Conflict("x")), lane(clock, log, "c", 7)],
        )
        result.append((clock.now, [e.message for e in errors]))

    clock.spawn(caller())
    clock.run(100)
    assert log == [(3, "b"), (5, "a"), (7, "c"), (10, "a")]
    assert result == [(10, ["x"])]


def test_who_kills_the_caller_kills_its_lanes() -> None:
    clock, log = Clock(), []  # type: ignore[var-annotated]

    def caller() -> Steps:
        yield from concurrently(clock, [lane(clock, log, "a", 5, 5), lane(clock, log, "b", 6, 6)])

    task = clock.spawn(caller())
    clock.run(7)
    task.kill()
    clock.run(100)
    assert log == [(5, "a"), (6, "b")]


def test_no_lanes_take_no_time() -> None:
    clock = Clock()
    with pytest.raises(StopIteration) as stop:
        next(concurrently(clock, []))
    assert stop.value.value == []


def test_one_error_is_raised_as_it_is_and_several_as_one() -> None:
    raise_first_of([])
    with pytest.raises(Conflict):
        raise_first_of([Conflict("a")])
    with pytest.raises(Aggregate, match=r"\[a, b\]"):
        raise_first_of([Conflict("a"), ApiError("b"), Conflict("a")])
