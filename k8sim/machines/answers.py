"""What a container answers to probes, as a function of time that changes only at known moments."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

ProbeKind = Literal["startup", "readiness", "liveness"]
FOR_EVER: Final = 2**62
NEVER: Final = 2**62


class Answers(msgspec.Struct, frozen=True, gc=False):
    """Moments (ns) at which a container's answers change; `FOR_EVER` for what does not happen.

    Parameters
    ----------
    started_from, ready_from
        From when on a startup or a readiness probe passes.
    alive_from
        From when on a liveness probe passes.
    hang_from
        From when on liveness and readiness probes fail.
    unready, hang
        [from, until) of a fault that makes readiness, or liveness and readiness, fail.
    takes_ns
        How long the container takes to answer any probe.
    slow, slow_takes_ns
        [from, until) of a fault that makes it take longer, and how long it takes then.
    """

    started_from: int = 0
    ready_from: int = 0
    hang_from: int = NEVER
    alive_from: int = 0
    unready: tuple[int, int] = (0, 0)
    hang: tuple[int, int] = (0, 0)
    takes_ns: int = 0
    slow: tuple[int, int] = (0, 0)
    slow_takes_ns: int = 0

    def attempt(self, kind: ProbeKind, at_ns: int, timeout_ns: int) -> tuple[bool, int]:
        """Return the outcome of a probe that begins at a moment, and how long it takes: the timeout at most.

        What the container is like when it is asked decides, not what becomes of it before it answers.
        """
        takes = self.takes_ns
        if self.slow[0] <= at_ns < self.slow[1]:
            takes = max(takes, self.slow_takes_ns)
        if takes >= timeout_ns:
            return False, timeout_ns
        return self.passes(kind, at_ns), takes

    def passes(self, kind: ProbeKind, at_ns: int) -> bool:
        """Tell whether a probe passes at a moment."""
        if kind == "startup":
            return at_ns >= self.started_from
        if at_ns >= self.hang_from or self.hang[0] <= at_ns < self.hang[1]:
            return False
        if kind == "liveness":
            return at_ns >= self.alive_from
        return at_ns >= self.ready_from and not self.unready[0] <= at_ns < self.unready[1]

    def next_change(self, kind: ProbeKind, after_ns: int) -> int:
        """Return the first moment after ``after_ns`` at which the answer may change."""
        if kind == "startup":
            moments: tuple[int, ...] = (self.started_from, *self.slow)
        elif kind == "liveness":
            moments = (self.alive_from, self.hang_from, *self.hang, *self.slow)
        else:
            moments = (self.ready_from, self.hang_from, *self.hang, *self.unready, *self.slow)
        first = FOR_EVER
        for moment in moments:
            if after_ns < moment < first:
                first = moment
        return first
