"""Whether a group of copies serves: opened and closed for writes and reads, and who writes at which rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8sim.sim.trace import NO_CAUSE
from k8sim.workload.amounts import Flow, whole
from k8sim.workload.copies import Replica
from k8sim.workload.rules import Standing, why_not_readable, why_not_writable

if TYPE_CHECKING:
    from k8sim.workload.group import Group


class Service:
    """What the clients of one group get.

    Clients are where the control plane is. Of their writes a share stays with a process that was replaced, or that was
    cut off from the others together with some clients; the others find the leader that they reach.

    Parameters
    ----------
    rate
        Writes per s that clients want to make, in units.
    share
        That share, as (numerator, denominator).
    """

    def __init__(self, group: Group, rate: int, share: tuple[int, int]) -> None:
        self._group = group
        self._wanted = rate
        self._rate = 0
        self._share = share
        self._offered = Flow(group.now)
        self.why_closed = "not begun"
        self.why_unreadable = "not begun"
        self._copies: tuple[list[str], list[str]] | None = None
        self._quorum: bool | None = None

    def begin(self) -> None:
        """Let clients begin to write."""
        self._rate = self._wanted
        self._offered.change(self._group.now, self._rate)

    def offered(self) -> int:
        """Return how many writes clients have wanted to make."""
        return self._offered.at(self._group.now)

    # ---- settling ---------------------------------------------------------------------------------------------------

    def settle(self, row: int) -> None:
        """Open or close for writes and reads."""
        standings = self._group.standings()
        closed, unreadable, rate = self._judge(standings)
        numerator, denominator = self._share
        stays = self._rate * numerator // denominator if self._group.others.ghosts else 0
        self._group.others.write(stays)
        if self._group.leader is not None:
            self.write(self._group.leader, max(0, rate - stays))
        self._note("Writes", self.why_closed, closed, row)
        self._note("Reads", self.why_unreadable, unreadable, row)
        changed = (closed == "") != (self.why_closed == "")
        self.why_closed, self.why_unreadable = closed, unreadable
        self._note_quorum(standings, row)
        self._note_copies(row)
        if changed:
            self.write_counts(row)
            self._group.followers.rate_changed()

    def _judge(self, standings: Sequence[Standing]) -> tuple[str, str, int]:
        """Return why clients cannot write, why they cannot read, and at which rate the leader writes."""
        group = self._group
        rules, leader = group.rules, group.leader
        if leader is None:
            _, _, nobody = group.leadership.electorate()
            closed = nobody or why_not_writable(rules, standings, None)
            unreadable = why_not_readable(rules, standings, None)
            return closed, (nobody or unreadable) if unreadable else "", 0
        side = group.side_of(leader)
        if side:  # only the clients that were cut off together with it reach it
            blocked = why_not_writable(rules, group.standings(side), leader.member)
            numerator, denominator = self._share
            unreadable = why_not_readable(rules, standings, None)
            local = 0 if blocked else self._rate * numerator // denominator
            return "the leader is cut off", unreadable and "the leader is cut off", local
        blocked = why_not_writable(rules, standings, leader.member)
        return blocked, why_not_readable(rules, standings, leader.member), 0 if blocked else self._rate

    def write(self, replica: Replica, rate: int) -> None:
        """Let a process write at a rate from now on."""
        if replica.trajectory.rate != rate:
            replica.trajectory.write(self._group.now, rate)
            if replica is self._group.leader:
                self._group.followers.rate_changed()

    # ---- trace ------------------------------------------------------------------------------------------------------

    def _note(self, what: str, was: str, why: str, row: int) -> None:
        if was != why:
            self._group.note(f"{what}Unavailable", row, reason=why) if why else self._group.note(
                f"{what}Available", row
            )

    def _note_quorum(self, standings: Sequence[Standing], row: int) -> None:
        """Write down whether there is a majority that could elect, where one is needed."""
        group = self._group
        if group.rules.election != "majority" or len(group.voters) == 1:
            return
        fit, why = group.leadership.fit(standings)
        if not fit and group.is_cut():
            _, fit, why = group.leadership.electorate()
        if bool(fit) != self._quorum:
            self._quorum = bool(fit)
            group.note("Quorum", row) if fit else group.note("QuorumLost", row, reason=why)

    def _note_copies(self, row: int) -> None:
        group = self._group
        full = sorted(n for n, r in group.replicas.items() if r.state in ("leader", "in-sync"))
        if (full, group.voters) != self._copies:
            self._copies = (full, list(group.voters))
            wanted = len(group.voters)
            group.note("Copies", row, full=len(full), members=full, wanted=wanted, voters=list(group.voters))

    def write_counts(self, row: int = NO_CAUSE) -> None:
        """Write down what has become of the writes so far."""
        group = self._group
        acknowledged = group.acknowledged()
        group.note(
            "Counts",
            row,
            acknowledged=whole(acknowledged),
            refused=whole(self.offered() - acknowledged),
            lost=whole(group.lost),
            surviving=whole(group.position() + group.divergent()),
        )
