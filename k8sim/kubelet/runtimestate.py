"""Whether a kubelet takes its container runtime for alive; while it does not, it takes in nothing and starts nothing.

The runtime is asked every 5 s. If the last answer is 30 s old, the node is NotReady, and the sync loop pauses until the
runtime answers again: it looks after 100 ms, then after twice as long each time, and after 5 s at most.

Source: pkg/kubelet/kubelet.go (updateRuntimeUp, syncLoop), pkg/kubelet/runtime.go; node.md 0.2.
"""

from __future__ import annotations

from typing import Final

from k8sim.api.meta import Condition
from k8sim.kubelet.nodestatus import READY, NodeStatus
from k8sim.kubelet.syncloop import SyncLoop
from k8sim.sim.clock import Clock
from k8sim.sim.units import MILLISECOND, SECOND

CHECK_PERIOD: Final = 5 * SECOND
DOWN_AFTER: Final = 30 * SECOND
FIRST_PAUSE: Final = 100 * MILLISECOND
LONGEST_PAUSE: Final = 5 * SECOND
DOWN: Final = Condition(type="Ready", status="False", reason="KubeletNotReady", message="container runtime is down")


def end_of_pauses(began_ns: int, until_ns: int) -> int:
    """Return when the sync loop, which pauses since one moment, looks for the first time from another one on."""
    pause, looks = FIRST_PAUSE, began_ns
    while looks < until_ns:
        looks += pause
        pause = min(2 * pause, LONGEST_PAUSE)
    return looks


class RuntimeState:
    """What one kubelet process thinks of its runtime.

    Parameters
    ----------
    phase_ns
        Where the checks lie.
    """

    def __init__(self, clock: Clock, rank: int, phase_ns: int, loop: SyncLoop, node_status: NodeStatus) -> None:
        self._clock = clock
        self._rank = rank
        self._phase_ns = phase_ns
        self._loop = loop
        self._node_status = node_status
        self._turn = 0
        self._down_since: int | None = None

    def begin_without(self) -> None:
        """Begin while there is no runtime: the first check finds none."""
        self._down(self._turn)

    def runtime_stopped(self) -> None:
        """No check succeeds from now on."""
        self._turn += 1
        last = self._clock.next_on_grid(self._phase_ns, CHECK_PERIOD, self._clock.now + 1) - CHECK_PERIOD
        if self._down_since is None:
            self._clock.call_at(last + DOWN_AFTER, self._down, self._turn, rank=self._rank)

    def runtime_started(self) -> None:
        """The next check succeeds."""
        self._turn += 1
        if self._down_since is not None:
            check = self._clock.next_on_grid(self._phase_ns, CHECK_PERIOD, self._clock.now)
            self._clock.call_at(check, self._up, self._turn, rank=self._rank)

    def stop(self) -> None:
        """The kubelet's process ends."""
        self._turn += 1

    def _down(self, turn: int) -> None:
        if turn == self._turn:
            self._down_since = self._clock.now
            self._loop.hold()
            self._node_status.set_condition(DOWN)

    def _up(self, turn: int) -> None:
        if turn != self._turn or self._down_since is None:
            return
        looks = end_of_pauses(self._down_since, self._clock.now)
        self._down_since = None
        self._clock.call_at(looks, self._loop.go_on, rank=self._rank)
        if self._node_status.says(DOWN):
            self._node_status.set_condition(READY)
