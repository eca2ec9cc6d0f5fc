"""Expectations: do not create or delete again before the cache shows what was already done.

Source: pkg/controller/controller_utils.go (UIDTrackingControllerExpectations); workloads.md 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MINUTE_NS = 60_000_000_000
EXPECTATIONS_TIMEOUT_NS = 5 * MINUTE_NS


@dataclass
class _Expected:
    creations: int
    deletions: set[str] = field(default_factory=set)
    since_ns: int = 0


class Expectations:
    """What the pods' cache has still to show, per owner (by UID); a new expectation replaces the last."""

    def __init__(self) -> None:
        self._expected: dict[str, _Expected] = {}

    def expect(self, owner: str, now_ns: int, creations: int = 0, deletions: Iterable[str] = ()) -> None:
        """Expect a number of additions, or the deletion of pods by name."""
        self._expected[owner] = _Expected(creations, set(deletions), now_ns)

    def creation_observed(self, owner: str, count: int = 1) -> None:
        """Tell that additions were seen, or will not come."""
        expected = self._expected.get(owner)
        if expected is not None:
            expected.creations -= count

    def deletion_observed(self, owner: str, pod: str) -> None:
        """Tell that a pod's deletion (its timestamp, or its end) was seen, or will not come."""
        expected = self._expected.get(owner)
        if expected is not None:
            expected.deletions.discard(pod)

    def satisfied(self, owner: str, now_ns: int) -> bool:
        """Tell whether nothing is expected any more, or has been for too long."""
        expected = self._expected.get(owner)
        if expected is None or (expected.creations <= 0 and not expected.deletions):
            return True
        return now_ns - expected.since_ns > EXPECTATIONS_TIMEOUT_NS

    def forget(self, owner: str) -> None:
        """Drop an owner that is gone."""
        self._expected.pop(owner, None)
