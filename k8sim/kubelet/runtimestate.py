"""Whether a kubelet takes its container runtime, and the runtime's network plug-in, for alive.

The runtime is asked every 5 s. If the last answer is 30 s old, the node is NotReady, and the sync loop pauses until the
runtime answers again: it looks after 100 ms, then after twice as long each time, and after 5 s at most. After 3 min
without a relist the PLEG is not healthy either. What the runtime says of the network counts at once: while that is not
ready the node is not either, and only pods of the host network are synced.

Source: pkg/kubelet/kubelet.go (updateRuntimeUp, syncLoop, SyncPod), pkg/kubelet/runtime.go, pkg/kubelet/pleg/generic.go
(Healthy); node.md 0.2, 1.4.
"""

from __future__ import annotations

from typing import Final

from k8sim.api.meta import Condition
from k8sim.api.struct import replace
from k8sim.kubelet.grid import Grid
from k8sim.kubelet.nodestatus import READY, NodeStatus
from k8sim.kubelet.syncloop import SyncLoop
from k8sim.machines.machine import Machine
from k8sim.sim.clock import Clock
from k8sim.sim.units import MILLISECOND, MINUTE, SECOND

CHECK_PERIOD: Final = 5 * SECOND
DOWN_AFTER: Final = 30 * SECOND
RELIST_THRESHOLD: Final = 3 * MINUTE
FIRST_PAUSE: Final = 100 * MILLISECOND
LONGEST_PAUSE: Final = 5 * SECOND
NOT_READY: Final = Condition(type="Ready", status="False", reason="KubeletNotReady")
RUNTIME_DOWN: Final = "container runtime is down"
NO_RELIST: Final = "PLEG is not healthy: pleg was last seen active more than 3m0s ago; threshold is 3m0s"
NO_NETWORK: Final = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


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
    checks
        When it is asked.
    first_check
        The first check is now; else there have been checks for long.
    """

    def __init__(
        self,
        clock: Clock,
        rank: int,
        machine: Machine,
        checks: Grid,
        loop: SyncLoop,
        node_status: NodeStatus,
        first_check: bool,
    ) -> None:
        self._clock = clock
        self._rank = rank
        self._machine = machine
        self._checks = checks
        self._loop = loop
        self._node_status = node_status
        self._turn = 0
        self._down_since: int | None = None
        self._pleg_is_healthy = True
        self._stopped = False
        self._reported = READY
        self.network_error = ""
        if first_check:
            if not machine.runtime_up:
                self._down(self._turn)
            self._look_at_network()

    def runtime_stopped(self) -> None:
        """No check succeeds from now on."""
        self._turn += 1
        if self._down_since is None:
            last = self._checks.next(self._clock.now + 1) - self._checks.period_ns
            self._clock.call_at(last + DOWN_AFTER, self._down, self._turn, rank=self._rank)
            self._clock.call_after(RELIST_THRESHOLD, self._no_relist, self._turn, rank=self._rank)

    def runtime_started(self) -> None:
        """The next check succeeds."""
        self._turn += 1
        if self._down_since is not None:
            self._clock.call_at(self._checks.next(self._clock.now), self._up, self._turn, rank=self._rank)

    def network_changed(self) -> None:
        """The next check says otherwise of the network."""
        self._clock.call_at(self._checks.next(self._clock.now), self._look_at_network, rank=self._rank)

    def stop(self) -> None:
        """The kubelet's process ends."""
        self._turn += 1
        self._stopped = True

    def _down(self, turn: int) -> None:
        if turn == self._turn:
            self._down_since = self._clock.now
            self._loop.hold()
            self._report()

    def _no_relist(self, turn: int) -> None:
        if turn == self._turn:
            self._pleg_is_healthy = False
            self._report()

    def _up(self, turn: int) -> None:
        if turn != self._turn or self._down_since is None:
            return
        looks = end_of_pauses(self._down_since, self._clock.now)
        self._down_since = None
        self._pleg_is_healthy = True
        self._clock.call_at(looks, self._loop.go_on, rank=self._rank)
        self._report()

    def _look_at_network(self) -> None:
        if not self._stopped:
            self.network_error = "" if self._machine.network_plugin_up else NO_NETWORK
            self._report()

    def _report(self) -> None:
        """Say whether the node is ready, unless something else is being said (a shutdown)."""
        errors = [RUNTIME_DOWN] if self._down_since is not None else []
        errors += [NO_RELIST] if not self._pleg_is_healthy else []
        errors += [self.network_error] if self.network_error else []
        condition = replace(NOT_READY, message=", ".join(errors)) if errors else READY
        if self._node_status.says(self._reported):
            self._node_status.set_condition(condition)
            self._reported = condition
