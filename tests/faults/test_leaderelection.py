"""Who leads after a leader has gone, and when (client-go leaderelection)."""

from __future__ import annotations

import pytest

from k8sim.faults.leaderelection import JITTER_FACTOR, LEASE_DURATION, RETRY_PERIOD, takeover_ns
from k8sim.sim.streams import Streams
from k8sim.sim.units import SECOND

LONGEST_PAUSE = RETRY_PERIOD * (1 + JITTER_FACTOR)


def takeovers(unreachable_ns: int = 0, n: int = 2000) -> list[int]:
    streams = Streams(1, 0)
    return [takeover_ns(streams, "kube-controller-manager", unreachable_ns) for _ in range(n)]


def test_another_instance_waits_until_the_lease_has_lapsed_since_it_saw_the_last_renewal() -> None:
    found = takeovers()
    assert min(found) >= LEASE_DURATION - RETRY_PERIOD  # the last renewal may be as old as that, and seen at once
    assert max(found) <= LEASE_DURATION + 2 * LONGEST_PAUSE  # seen late, and looked at late
    assert sum(found) / len(found) / SECOND == pytest.approx(17.3, abs=0.2)


def test_nobody_takes_a_lease_that_nobody_can_reach() -> None:
    found = takeovers(unreachable_ns=60 * SECOND)
    assert min(found) >= 60 * SECOND
    assert max(found) <= 60 * SECOND + LEASE_DURATION + 2 * LONGEST_PAUSE


def test_who_has_not_seen_the_last_renewal_before_an_outage_waits_for_a_whole_lease_after_it() -> None:
    found = takeovers(unreachable_ns=60 * SECOND)
    late = [t for t in found if t > 60 * SECOND + LONGEST_PAUSE]
    assert all(t >= 60 * SECOND + LEASE_DURATION for t in late)
    assert 0.5 < len(late) / len(found) < 0.8  # looks are rarer than renewals
