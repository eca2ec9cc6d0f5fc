"""A token bucket of size one as arithmetic.

Source: golang.org/x/time/rate as client-go/util/flowcontrol uses it;
pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go (SwapLimiter); workloads.md 4.4.
"""

from __future__ import annotations

_SECOND_NS = 1_000_000_000


class TokenBucket:
    """Gives ``rate`` tokens per second and keeps at most one; full at first. Rate 0 never gives any."""

    def __init__(self, rate: float, now_ns: int) -> None:
        self.rate = rate
        self._next_ns = now_ns

    def next_token_ns(self, now_ns: int) -> int | None:
        """Return when a token can be taken, None for never."""
        return max(now_ns, self._next_ns) if self.rate > 0 else None

    def take(self, now_ns: int) -> bool:
        """Take a token if there is one."""
        if self.rate <= 0 or now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + self._interval_ns()
        return True

    def swap(self, rate: float, now_ns: int) -> None:
        """Change the rate; the new bucket is full unless the old one was empty, or gave nothing at all."""
        if rate == self.rate:
            return
        had_token = self.take(now_ns)
        self.rate = rate
        self._next_ns = now_ns if had_token or rate <= 0 else now_ns + self._interval_ns()

    def _interval_ns(self) -> int:
        return round(_SECOND_NS / self.rate)
