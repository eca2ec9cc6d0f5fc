from __future__ import annotations

from k8sim.sim.tokenbucket import TokenBucket
from k8sim.sim.units import MILLISECOND, SECOND


def test_a_burst_goes_at_once_then_at_the_rate() -> None:
    bucket = TokenBucket(20, 30)
    waits = [bucket.reserve(0) for _ in range(33)]
    assert waits == [0] * 30 + [50 * MILLISECOND, 100 * MILLISECOND, 150 * MILLISECOND]


def test_tokens_come_back_up_to_the_burst() -> None:
    bucket = TokenBucket(10, 2)
    assert [bucket.reserve(t * SECOND) for t in (0, 0, 1, 1, 1)] == [0, 0, 0, 0, SECOND // 10]
    assert bucket.reserve(100 * SECOND) == 0
