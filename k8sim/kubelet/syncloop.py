"""The kubelet's sync loop takes one thing at a time: what holds up one of them holds up all that come after it.

Source: pkg/kubelet/kubelet.go (syncLoopIteration); node.md 1.1, 4.9.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any


class SyncLoop:
    """Passes on what comes (pods of the watch, events of the PLEG, results of probes), at once unless it is held up."""

    def __init__(self) -> None:
        self._holds = 0
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, handle: Callable[..., object], *args: Any) -> None:
        """Handle something when its turn has come."""
        if self._holds:
            self._waiting.append(partial(handle, *args))
        else:
            handle(*args)

    def hold(self) -> None:
        """Let everything wait from now on, until as often as this `go_on` has been called."""
        self._holds += 1

    def go_on(self) -> None:
        """Take what has come meanwhile, in its order, until something holds up the loop again."""
        self._holds -= 1
        while self._waiting and not self._holds:
            self._waiting.popleft()()
