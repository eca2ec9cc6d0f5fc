"""What tools that try numbered cases have in common: limits of CPU time and memory, blocks of numbers, processes."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Outcome = TypeVar("Outcome")


class Hangs(Exception):
    """A case takes too long."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise `Hangs` in what takes more CPU time than that."""

    def hangs(signum: int, frame: FrameType | None) -> None:
        raise Hangs(f"more than {seconds:g} s of CPU")

    signal.signal(signal.SIGVTALRM, hangs)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def limit_memory(limit: int) -> None:
    """Limit the memory of this process: a case that takes more fails with MemoryError."""
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def blocks(first: int, count: int, size: int) -> list[range]:
    """Divide numbers among tasks."""
    return [range(start, min(start + size, first + count)) for start in range(first, first + count, size)]


def in_blocks(
    attempt: Callable[[range], Outcome], numbers: list[range], jobs: int, memory_limit: int
) -> Iterator[Outcome]:
    """Try all numbers, in so many processes; yield what became of them, block by block."""
    if jobs == 1:
        limit_memory(memory_limit)
        yield from map(attempt, numbers)
        return
    with ProcessPoolExecutor(jobs, initializer=limit_memory, initargs=(memory_limit,)) as pool:
        yield from pool.map(attempt, numbers)
