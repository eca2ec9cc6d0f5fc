"""Copies: what is at a place, and what a process that runs there has beyond that.

A write passes three layers (storage.md 9.1): the process' buffer, the kernel's cache, the disk. Two periods say how
often it moves on; which writes are where at a moment is reckoned from how far the process was at the last such moments.
A change of role counts as a moment at which everything is flushed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from k8sim.workload.history import EMPTY, Content
from k8sim.workload.rules import Rules
from k8sim.workload.trajectory import Trajectory

WRITEBACK_NS: Final = 30_000_000_000
"""After this the kernel writes by itself (vm.dirty_expire_centisecs)."""

State = Literal["behind", "copying", "catching-up", "in-sync", "leader"]
End = Literal["clean", "killed", "machine lost", "fenced"]


@dataclass(frozen=True)
class Process:
    """A running process of a member: an instance of its container at a place of data."""

    member: str
    identity: str
    node: str
    place: str
    started_ns: int


@dataclass(eq=False)
class Store:
    """What is at a place while nobody runs there; ``origin``: "" (a copy for long), "new" or "restored".

    A process that was killed leaves writes in its machine's cache: until ``cached_until_ns`` the disk itself has only
    ``on_disk``.
    """

    place: str
    content: Content = EMPTY
    origin: str = "new"
    node: str = ""
    on_disk: Content = EMPTY
    cached_until_ns: int = -1

    def settle(self, content: Content) -> None:
        """Let the disk have a content."""
        self.content = self.on_disk = content
        self.cached_until_ns = -1

    def machine_lost(self, now_ns: int) -> None:
        """Lose what the disk does not have yet."""
        if now_ns < self.cached_until_ns:
            self.content = self.on_disk
        self.cached_until_ns = -1


class Replica:
    """One process' copy in one group."""

    def __init__(self, process: Process, store: Store, rules: Rules, now_ns: int) -> None:
        self.process = process
        self.store = store
        self.state: State = "behind"
        self.branch = store.content.branch
        self._rules = rules
        self.trajectory = Trajectory(now_ns, store.content.offset, rules.memory_ns)

    @property
    def member(self) -> str:
        """The name of the member."""
        return self.process.member

    def content(self, now_ns: int) -> Content:
        """Return what the process has."""
        return Content(self.branch, self.trajectory.at(now_ns))

    def become(self, now_ns: int, content: Content) -> None:
        """Have a content from now on, and stand."""
        self.branch = content.branch
        self.trajectory = Trajectory(now_ns, content.offset, self._rules.memory_ns)

    def stand(self, now_ns: int) -> None:
        """Go no further: whom it followed is gone."""
        self.trajectory.write(now_ns, 0)

    def _last(self, period_ns: int, t_ns: int) -> int:
        """Return the last moment not after a time at which something with a period was done."""
        if not period_ns:
            return t_ns
        started = self.process.started_ns
        return max(started, t_ns - (t_ns - started) % period_ns)

    def flushed(self, now_ns: int) -> Content:
        """Return what the kernel has."""
        return Content(self.branch, self.trajectory.at(self._last(self._rules.flush_ns, now_ns)))

    def synced(self, now_ns: int) -> Content:
        """Return what the disk has."""
        last = self._last(self._rules.sync_ns, now_ns)
        return Content(self.branch, self.trajectory.at(self._last(self._rules.flush_ns, last)))

    def end(self, now_ns: int, how: End) -> None:
        """Leave in the store what is there after the process' end."""
        store = self.store
        if how == "clean":
            store.settle(self.content(now_ns))
        elif how == "killed":
            store.content, store.on_disk = self.flushed(now_ns), self.synced(now_ns)
            store.node = self.process.node
            store.cached_until_ns = now_ns + WRITEBACK_NS
        else:
            store.settle(self.synced(now_ns))
