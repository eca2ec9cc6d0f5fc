"""Waiting for the first of several things."""

from __future__ import annotations

from typing import Any

from k8sim.sim.clock import Clock, Event


def first_of(clock: Clock, rank: int, *events: Event, until_ns: int | None = None) -> Event:
    """Return an event that happens with the first of the given ones, or at a time."""
    first = clock.event()

    def fire(_: Any) -> None:
        clock.fire(first, None, rank)

    for event in events:
        if event.processed:  # it has happened
            fire(event)
        else:
            event.callbacks.append(fire)
    if until_ns is not None:
        clock.call_at(until_ns, clock.fire, first, None, rank, rank=rank)
    return first
