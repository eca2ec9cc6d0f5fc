"""The times of a loop that sleeps a period after each run, without running it: arithmetic of sliding passes.

A run with nothing to do takes ``run_ns``. One that had work to do ended later; the passes after it count from its end.
"""

from __future__ import annotations

from bisect import bisect_right


class Passes:
    """Past and future passes: at ``first_ns``, then every ``period_ns + run_ns``, shifted by what took longer."""

    def __init__(self, first_ns: int, period_ns: int, run_ns: int) -> None:
        self._period = period_ns
        self._step = period_ns + run_ns
        self._firsts = [first_ns]  # of each stretch between two runs that took their time
        self._lasts: list[int] = []  # of all stretches but the present one

    def ended(self, pass_ns: int, now_ns: int) -> None:
        """Say that the run that began at ``pass_ns`` has ended now; the next pass is one period later."""
        self._lasts.append(pass_ns)
        self._firsts.append(now_ns + self._period)

    def at_or_after(self, t_ns: int) -> int:
        """Return the first pass that is not before a time."""
        i = max(bisect_right(self._firsts, t_ns) - 1, 0)
        if i < len(self._lasts) and t_ns > self._lasts[i]:
            return self._firsts[i + 1]
        first = self._firsts[i]
        return first if t_ns <= first else first + -(-(t_ns - first) // self._step) * self._step

    def after(self, t_ns: int) -> int:
        """Return the first pass strictly after a time."""
        return self.at_or_after(t_ns + 1)
