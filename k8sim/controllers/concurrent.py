"""Several lines of requests at the same time, as a controller's goroutines send them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from k8sim.apiserver.errors import ApiError
from k8sim.sim.clock import Clock, Event

Requests = Generator[Event, Any, None]


def concurrently(clock: Clock, lanes: Sequence[Requests]) -> Generator[Event, Any, list[ApiError]]:
    """Run all lanes at the same time, wait for all, and return the errors in the order in which they came.

    Whoever kills the caller kills its lanes.
    """
    errors: list[ApiError] = []
    if len(lanes) == 1:
        try:
            yield from lanes[0]
        except ApiError as error:
            errors.append(error)
        return errors
    if not lanes:
        return errors
    finished = clock.event()
    running = len(lanes)

    def run(lane: Requests) -> Requests:
        nonlocal running
        try:
            yield from lane
        except ApiError as error:
            errors.append(error)
        running -= 1
        if not running:
            clock.fire(finished)

    tasks = [clock.spawn(run(lane)) for lane in lanes]
    try:
        yield finished
    except GeneratorExit:
        for task in tasks:
            task.kill()
        raise
    return errors


class Aggregate(ApiError):
    """Several errors of one sync (apimachinery/pkg/util/errors Aggregate)."""

    def __init__(self, errors: Sequence[ApiError]) -> None:
        distinct = list(dict.fromkeys(e.message for e in errors))
        super().__init__(distinct[0] if len(distinct) == 1 else "[" + ", ".join(distinct) + "]")
        self.errors = tuple(errors)


def raise_first_of(errors: Sequence[ApiError]) -> None:
    """Raise the only error as it is, several as one."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise Aggregate(errors)
