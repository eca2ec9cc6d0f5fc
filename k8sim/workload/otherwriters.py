"""Processes that write although they should not: another has their identity, or was elected on the far side of a cut.

What they acknowledge goes on a branch of its own. It is lost when they end or give way: that is what two writers cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8sim.workload.copies import End, Process, Replica
from k8sim.workload.history import Content
from k8sim.workload.rules import why_not_writable

if TYPE_CHECKING:
    from k8sim.workload.group import Group


@dataclass(eq=False)
class Ghost:
    """One such process. ``base``: up to where the group has its writes; ``cut_off``: it is on another side of a cut."""

    replica: Replica
    base: int
    cut_off: bool = False

    def amount(self, now_ns: int) -> int:
        """Return how many acknowledged writes only it has."""
        return self.replica.trajectory.at(now_ns) - self.base


class OtherWriters:
    """Those of one group."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self.ghosts: list[Ghost] = []

    def amount(self) -> int:
        """Return how many acknowledged writes only they have."""
        return sum(ghost.amount(self._group.now) for ghost in self.ghosts)

    def write(self, rate: int) -> None:
        """Let them write at a rate, together."""
        for ghost in self.ghosts:
            self._group.service.write(ghost.replica, rate // len(self.ghosts))

    # ---- how they come about ----------------------------------------------------------------------------------------

    def replace(self, old: Replica, row: int) -> None:
        """Let another have a process' identity: it goes on writing if it led and needs nobody to acknowledge."""
        group = self._group
        was_leader = group.leader is old
        if was_leader:
            group.leadership.resign()
        group.followers.forget(old)
        del group.replicas[old.member]
        if was_leader and group.rules.acks == 1:
            self._add(Ghost(old, group.path.offset), group.path)

    def depose(self, leader: Replica, successor: Content, row: int) -> None:
        """Let a leader that is cut off lose its role to one elected elsewhere.

        It steps down by itself if its rules say so, and where it cannot acknowledge without the others. Otherwise it
        goes on, and what its successor has not got is on its side only.
        """
        group = self._group
        standings = group.standings(group.side_of(leader))
        goes_on = group.rules.isolated == "goes-on" and not why_not_writable(group.rules, standings, leader.member)
        group.leadership.resign()
        if not goes_on:
            return
        whole = group.path
        group.cut_path(group.history.common(successor, whole))
        del group.replicas[leader.member]
        self._add(Ghost(leader, group.path.offset, cut_off=True), whole)
        group.note("TwoLeaders", row, members=[leader.member])

    def _add(self, ghost: Ghost, content: Content) -> None:
        ghost.replica.become(self._group.now, Content(self._group.history.fork(content), content.offset))
        self.ghosts.append(ghost)

    # ---- how they end -----------------------------------------------------------------------------------------------

    def end(self, process: Process, how: End, row: int) -> bool:
        """Let one of them end; False if the process is none of them."""
        ghost = next((g for g in self.ghosts if g.replica.process == process), None)
        if ghost is None:
            return False
        self._give_up(ghost, row)
        if ghost.cut_off:
            ghost.replica.end(self._group.now, how)
        return True

    def give_way(self, row: int) -> None:
        """Let those that reach the others again follow them, if nobody else has their identity."""
        group = self._group
        for ghost in list(self.ghosts):
            member = ghost.replica.member
            if ghost.cut_off and not group.side_of(ghost.replica) and member not in group.replicas:
                self._give_up(ghost, row)
                ghost.replica.stand(group.now)
                group.replicas[member] = ghost.replica

    def _give_up(self, ghost: Ghost, row: int) -> None:
        group, member = self._group, ghost.replica.member
        amount = ghost.amount(group.now)
        self.ghosts.remove(ghost)
        group.count_acknowledged(amount)
        cause, path = ("split-brain", "") if ghost.cut_off else ("two-writers", "L27")
        if amount:
            group.lose(amount, cause, path, member, row)
        if ghost.cut_off:
            group.note("OneLeader", row, members=[member])
