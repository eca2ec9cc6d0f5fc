"""A token bucket: so many at once, then so many per second (golang.org/x/time/rate)."""

from __future__ import annotations

from k8sim.sim.units import SECOND


class TokenBucket:
    """Tells how long each request has to wait.

    Parameters
    ----------
    rate_per_s
        Tokens that come back per second.
    burst
        Tokens in a full bucket, as it is at the start.
    """

    __slots__ = ("_at_ns", "_burst", "_rate", "_tokens")

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_ns = 0

    def reserve(self, now_ns: int) -> int:
        """Take a token, if need be one that has yet to come, and return how long (ns) to wait for it."""
        if now_ns > self._at_ns:
            self._tokens = min(self._burst, self._tokens + (now_ns - self._at_ns) * self._rate / SECOND)
            self._at_ns = now_ns
        self._tokens -= 1
        return 0 if self._tokens >= 0 else int(-self._tokens * SECOND / self._rate)
