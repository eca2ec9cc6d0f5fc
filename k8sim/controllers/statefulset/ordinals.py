"""A set of ordinals that knows its least and greatest."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable


class Ordinals(list[int]):
    """Ordinals, ascending, each once.

    A set has nine of these, and most have few members or none: no object is smaller than a list, and to move the
    members behind a new one, thousands at most, is one `memmove`.
    """

    __slots__ = ()

    def __init__(self, ordinals: Iterable[int] = ()) -> None:
        super().__init__(sorted(ordinals))

    def __contains__(self, ordinal: object) -> bool:
        return isinstance(ordinal, int) and (i := bisect_left(self, ordinal)) < len(self) and self[i] == ordinal

    def add(self, ordinal: int) -> None:
        """Put an ordinal in."""
        i = bisect_left(self, ordinal)
        if i == len(self) or self[i] != ordinal:
            self.insert(i, ordinal)

    def discard(self, ordinal: int) -> None:
        """Take an ordinal out, if it is there."""
        i = bisect_left(self, ordinal)
        if i < len(self) and self[i] == ordinal:
            del self[i]

    def first(self) -> int | None:
        """Return the lowest ordinal, None if there is none."""
        return self[0] if self else None

    def last(self) -> int | None:
        """Return the highest ordinal, None if there is none."""
        return self[-1] if self else None
