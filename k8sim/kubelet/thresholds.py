"""The eviction thresholds of memory.available: which are met, since when, and whether it is time to evict.

A hard threshold acts at once, a soft one when it has been met for its grace period. One that has acted stays met until
so much more is available than it asks for (the minimum reclaim).

Source: pkg/kubelet/eviction/{eviction_manager,helpers}.go (thresholdsMet, thresholdsFirstObservedAt,
thresholdsMetGracePeriod); node.md 4.7.
"""

from __future__ import annotations

import msgspec

from k8sim.kubelet.settings import KubeletSettings


class Threshold(msgspec.Struct, frozen=True, gc=False):
    """A threshold: bytes that are to be available, and how long they may be missing."""

    hard: bool
    available: int
    grace_ns: int = 0


def memory_thresholds(settings: KubeletSettings) -> tuple[Threshold, ...]:
    """Return the thresholds of a kubelet, the hard one first."""
    thresholds = [Threshold(True, settings.eviction_hard_bytes)]
    if settings.eviction_soft_bytes:
        thresholds.append(Threshold(False, settings.eviction_soft_bytes, settings.eviction_soft_grace_period_ns))
    return tuple(thresholds)


class Thresholds:
    """The state of some thresholds of one signal."""

    def __init__(self, thresholds: tuple[Threshold, ...], minimum_reclaim: int) -> None:
        self._thresholds = thresholds
        self._minimum_reclaim = minimum_reclaim
        self._since: dict[Threshold, int] = {}
        self._acted: set[Threshold] = set()

    @property
    def any_met(self) -> bool:
        """Whether one was met when it was last looked."""
        return bool(self._since)

    def observe(self, available: int, now_ns: int) -> Threshold | None:
        """Take in what is available now; return the first threshold for which it is time to evict."""
        for threshold in self._thresholds:
            wanted = threshold.available + (self._minimum_reclaim if threshold in self._acted else 0)
            if available < wanted:
                self._since.setdefault(threshold, now_ns)
            else:
                self._since.pop(threshold, None)
        due = [t for t in self._thresholds if t in self._since and now_ns - self._since[t] >= t.grace_ns]
        self._acted = set(due)
        return due[0] if due else None
