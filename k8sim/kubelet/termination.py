"""The order in which a pod's containers get SIGTERM: sidecars after the others, the last one first.

Source: pkg/kubelet/kuberuntime/kuberuntime_termination_order.go; node.md 4.3.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from k8sim.api.core import Pod
from k8sim.api.pods import is_sidecar
from k8sim.kubelet.waiting import first_of
from k8sim.sim.clock import Clock, Event
from k8sim.sim.units import SECOND


def prerequisites(pod: Pod) -> Mapping[str, tuple[str, ...]]:
    """Return which containers must have ended before a container's turn comes (newTerminationOrdering)."""
    mains = tuple(c.name for c in pod.spec.containers)
    result: dict[str, tuple[str, ...]] = {}
    later: str | None = None
    for container in reversed(pod.spec.init_containers):
        if is_sidecar(container.restart_policy):
            result[container.name] = mains if later is None else (*mains, later)
            later = container.name
    return result


class TerminationOrder:
    """One termination of a pod with sidecars."""

    def __init__(self, clock: Clock, rank: int, pod: Pod, running: Iterable[str]) -> None:
        self._clock = clock
        self._rank = rank
        self._prerequisites = prerequisites(pod)
        self._ended = {name: clock.event() for name in running}

    def wait_for_turn(self, name: str, grace_s: int) -> Generator[Event, Any, int]:
        """Wait for a container's turn, at most its remaining grace; return the time it took (ns)."""
        start = self._clock.now
        deadline = start + grace_s * SECOND
        for other in self._prerequisites.get(name, ()):
            ended = self._ended.get(other)
            if ended is not None and not ended.processed:
                if self._clock.now >= deadline:
                    break
                yield first_of(self._clock, self._rank, ended, until_ns=deadline)
        return self._clock.now - start

    def ended(self, name: str) -> None:
        """Note that a container has ended."""
        event = self._ended.get(name)
        if event is not None:
            self._clock.fire(event, None, self._rank)
