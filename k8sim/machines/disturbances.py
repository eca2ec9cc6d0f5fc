"""What faults do to the answers of a machine's pods, by name: a pod that takes the name meanwhile is disturbed, too."""

from __future__ import annotations

from k8sim.api.struct import replace
from k8sim.machines.answers import Answers
from k8sim.sim.trace import NO_CAUSE

Key = tuple[str, str]
Window = tuple[int, int]
NONE: Window = (0, 0)


class Disturbances:
    """Of each pod the last window, [from, until), of each kind, and the trace row of the last fault."""

    def __init__(self) -> None:
        self._unready: dict[Key, Window] = {}
        self._hang: dict[Key, Window] = {}
        self._slow: dict[Key, tuple[Window, int]] = {}
        self._rows: dict[Key, int] = {}

    def unready(self, key: Key, window: Window, row: int) -> None:
        """Let readiness probes fail."""
        self._unready[key] = window
        self._rows[key] = row

    def hang(self, key: Key, window: Window, row: int) -> None:
        """Let liveness and readiness probes fail."""
        self._hang[key] = window
        self._rows[key] = row

    def slow(self, key: Key, window: Window, takes_ns: int, row: int) -> None:
        """Let any probe's answer take so long."""
        self._slow[key] = (window, takes_ns)
        self._rows[key] = row

    def applied(self, key: Key, answers: Answers) -> Answers:
        """Return what becomes of a container's answers."""
        if key not in self._rows:
            return answers
        slow, takes = self._slow.get(key, (NONE, 0))
        unready, hang = self._unready.get(key, NONE), self._hang.get(key, NONE)
        return replace(answers, unready=unready, hang=hang, slow=slow, slow_takes_ns=takes)

    def row_at(self, key: Key, now_ns: int) -> int:
        """Return the row of the fault that disturbs a pod now, if one does."""
        if key not in self._rows:
            return NO_CAUSE
        slow, _ = self._slow.get(key, (NONE, 0))
        windows = (self._unready.get(key, NONE), self._hang.get(key, NONE), slow)
        return self._rows[key] if any(begin <= now_ns < end for begin, end in windows) else NO_CAUSE
