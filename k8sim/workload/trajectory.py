"""How far a copy is, as a function of time: it stands, writes at a rate, follows another, or catches up with it."""

from __future__ import annotations

from dataclasses import dataclass

from k8sim.workload.amounts import SECOND, grown


@dataclass(frozen=True, slots=True)
class _Piece:
    """From a moment on: its own line, and if it follows, never beyond what the other had ``lag_ns`` ago.

    ``rate`` None: as fast as the other. What it had at the beginning it keeps.
    """

    since_ns: int
    offset: int
    rate: int | None = 0
    other: Trajectory | None = None
    lag_ns: int = 0

    def at(self, t_ns: int) -> int:
        own = None if self.rate is None else self.offset + grown(self.rate, t_ns - self.since_ns)
        if self.other is None:
            return self.offset if own is None else own
        limit = max(self.offset, self.other.at(t_ns - self.lag_ns))
        return limit if own is None else min(own, limit)


class Trajectory:
    """Offsets over time. Before it began it stood where it began.

    Parameters
    ----------
    memory_ns
        How far back somebody may ask.
    """

    __slots__ = ("_memory_ns", "_pieces")

    def __init__(self, now_ns: int, offset: int, memory_ns: int = 0) -> None:
        self._pieces = [_Piece(now_ns, offset)]
        self._memory_ns = memory_ns

    def at(self, t_ns: int) -> int:
        """Return the offset at a moment."""
        for piece in reversed(self._pieces):
            if t_ns >= piece.since_ns:
                return piece.at(t_ns)
        return self._pieces[0].offset

    @property
    def rate(self) -> int | None:
        """The rate of its own line now."""
        return self._pieces[-1].rate

    def write(self, now_ns: int, rate: int) -> None:
        """Grow at a rate from now on (0: stand)."""
        self._begin(_Piece(now_ns, self.at(now_ns), rate))

    def follow(self, now_ns: int, other: Trajectory, lag_ns: int = 0, rate: int | None = None) -> None:
        """Follow another with a lag; ``rate``: not faster than that."""
        self._begin(_Piece(now_ns, self.at(now_ns), rate, other, lag_ns))

    def _begin(self, piece: _Piece) -> None:
        if self._pieces[-1].since_ns == piece.since_ns:
            self._pieces[-1] = piece
        else:
            self._pieces.append(piece)
        oldest = piece.since_ns - self._memory_ns
        while len(self._pieces) > 1 and self._pieces[1].since_ns <= oldest:
            del self._pieces[0]

    def caught_up_at(self, now_ns: int, offset: int, rate: int | None, lag_ns: int) -> int | None:
        """Return when one that is at an offset now, and gains at a rate, is as far as this was ``lag_ns`` before.

        None: never, if this goes on as it does now (it must write by itself, not follow).
        """
        if rate is None or offset >= self.at(now_ns - lag_ns):
            return now_ns
        begins = [now_ns, *(max(now_ns, piece.since_ns + lag_ns) for piece in self._pieces)]
        ends = [*begins[1:], None]
        for start, end, own in zip(begins, ends, [0, *(piece.rate or 0 for piece in self._pieces)], strict=True):
            if end is not None and end <= start:
                continue
            gap = (self.at(start - lag_ns) - offset) * SECOND - rate * (start - now_ns)
            if gap <= 0:
                return start
            if rate > own:
                meets = start + -(-gap // (rate - own))
                if end is None or meets < end:
                    return meets
        return None
