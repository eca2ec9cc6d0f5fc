"""Exponential back-off of restarts and of image pulls (client-go/util/flowcontrol/backoff.go; node.md 1.11, 1.12)."""

from __future__ import annotations

from k8sim.sim.units import SECOND


class Backoff:
    """Delays by key. An entry goes stale when it is older than twice the longest delay.

    Parameters
    ----------
    initial_ns, max_ns
        First and longest delay.
    """

    def __init__(self, initial_ns: int = 10 * SECOND, max_ns: int = 300 * SECOND) -> None:
        self.initial_ns = min(initial_ns, max_ns)
        self.max_ns = max_ns
        self._entries: dict[str, tuple[int, int]] = {}  # key -> (delay, last update)

    def next(self, key: str, event_ns: int, now_ns: int) -> None:
        """Note a permitted attempt after an event at ``event_ns``: the delay begins, or doubles."""
        entry = self._entries.get(key)
        if entry is None or self._stale(event_ns, now_ns, entry):
            delay = self.initial_ns
        else:
            delay = min(entry[0] * 2, self.max_ns)
        self._entries[key] = (delay, now_ns)

    def expiry_since(self, key: str, event_ns: int, now_ns: int) -> int | None:
        """Return when the back-off after an event ends, or None if there is none (IsInBackOffSince)."""
        entry = self._entries.get(key)
        if entry is None or self._stale(event_ns, now_ns, entry):
            return None
        return event_ns + entry[0] if now_ns - event_ns < entry[0] else None

    def expiry_since_update(self, key: str, now_ns: int) -> int | None:
        """Return when the back-off after the last update ends, or None (IsInBackOffSinceUpdate)."""
        entry = self._entries.get(key)
        if entry is None or self._stale(now_ns, now_ns, entry):
            return None
        return entry[1] + entry[0] if now_ns - entry[1] < entry[0] else None

    def delay_ns(self, key: str) -> int:
        """Return the present delay of a key."""
        entry = self._entries.get(key)
        return 0 if entry is None else entry[0]

    def forget(self, prefix: str) -> None:
        """Drop all entries whose key begins with a prefix (a pod is gone)."""
        for key in [k for k in self._entries if k.startswith(prefix)]:
            del self._entries[key]

    def _stale(self, event_ns: int, now_ns: int, entry: tuple[int, int]) -> bool:
        """An entry is stale for a late event, or when the garbage collection (every 2 s) has passed it by now."""
        return event_ns - entry[1] > 2 * self.max_ns or now_ns - entry[1] > 2 * self.max_ns
