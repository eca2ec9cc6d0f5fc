"""Node leases as arithmetic: a healthy kubelet renews its lease for ever without an event.

A kubelet says when its renewals begin (a first time and a period) and when they end; who watches leases computes the
last renewal before any moment. Only a beginning and an end of renewals are events.

Source: component-helpers/apimachinery/lease/controller.go; workloads.md 4.1 (renewed every 10 s, duration 40 s).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Renewals(msgspec.Struct, frozen=True, gc=False):
    """Renewals at ``first_ns + k * period_ns``, up to and including ``until_ns`` (None: they go on)."""

    first_ns: int
    period_ns: int
    until_ns: int | None = None

    def last(self, at_ns: int) -> int | None:
        """Return the time of the last renewal not after ``at_ns``, or None if there was none."""
        end = at_ns if self.until_ns is None else min(at_ns, self.until_ns)
        if end < self.first_ns:
            return None
        return end - (end - self.first_ns) % self.period_ns


class Leases:
    """The leases of all nodes (namespace kube-node-lease)."""

    def __init__(self) -> None:
        self._current: dict[str, Renewals] = {}
        self._before: dict[str, int] = {}
        self._watchers: list[Callable[[str], None]] = []

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Call the watcher with a node's name whenever its renewals begin or end."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[str], None]) -> None:
        """End a watch."""
        self._watchers.remove(watcher)

    def begin(self, node: str, first_ns: int, period_ns: int) -> None:
        """Record that the node's kubelet renews from ``first_ns`` on, every ``period_ns``."""
        last = self.last_renewal(node, first_ns)
        if last is not None:
            self._before[node] = last
        self._current[node] = Renewals(first_ns, period_ns)
        self._tell(node)

    def end(self, node: str, at_ns: int) -> None:
        """Record that no renewal of the node arrives after ``at_ns``."""
        current = self._current.get(node)
        if current is not None and current.until_ns is None:
            self._current[node] = Renewals(current.first_ns, current.period_ns, at_ns)
            self._tell(node)

    def renewals(self, node: str) -> Renewals | None:
        """Return the node's present or last series of renewals."""
        return self._current.get(node)

    def last_renewal(self, node: str, at_ns: int) -> int | None:
        """Return the time of the node's last renewal not after ``at_ns``."""
        current = self._current.get(node)
        last = current.last(at_ns) if current is not None else None
        return last if last is not None else self._before.get(node)

    def _tell(self, node: str) -> None:
        for watcher in self._watchers:
            watcher(node)
