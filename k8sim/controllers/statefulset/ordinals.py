"""A set of ordinals that knows its least and greatest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush


class Ordinals:
    """Ordinals with cheap first and last.

    Both ends are heaps that may hold ordinals that have left; those are dropped when they come to the top.
    """

    __slots__ = ("_descending", "_heap", "_members")

    def __init__(self, ordinals: Iterable[int] = ()) -> None:
        members = sorted(ordinals)
        self._members = set(members)
        self._heap = members
        self._descending = [-i for i in reversed(members)]

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, ordinal: int) -> bool:
        return ordinal in self._members

    def __iter__(self) -> Iterator[int]:
        """Ascending."""
        return iter(sorted(self._members))

    def add(self, ordinal: int) -> None:
        """Put an ordinal in."""
        if ordinal not in self._members:
            self._members.add(ordinal)
            heappush(self._heap, ordinal)
            heappush(self._descending, -ordinal)

    def discard(self, ordinal: int) -> None:
        """Take an ordinal out, if it is there."""
        self._members.discard(ordinal)

    def first(self) -> int | None:
        """Return the lowest ordinal, None if there is none."""
        heap = self._heap
        while heap and heap[0] not in self._members:
            heappop(heap)
        return heap[0] if heap else None

    def last(self) -> int | None:
        """Return the highest ordinal, None if there is none."""
        heap = self._descending
        while heap and -heap[0] not in self._members:
            heappop(heap)
        return -heap[0] if heap else None
