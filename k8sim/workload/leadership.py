"""Who leads a group of copies: who may be elected, on which side of a cut in the network, when, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8sim.machines.cuts import Side
from k8sim.sim.trace import NO_CAUSE
from k8sim.workload.amounts import whole
from k8sim.workload.copies import Replica
from k8sim.workload.history import Content
from k8sim.workload.losses import PATH_OF_ORIGIN, cause_of_promotion
from k8sim.workload.rules import Standing, best, candidates

if TYPE_CHECKING:
    from k8sim.workload.group import Group


class Leadership:
    """The elections of one group.

    Members elect among those that reach each other: on whichever side of a cut there is a majority, or, where an
    outside supervisor decides, on the side that the control plane is on. A leader on another side is deposed.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._rules = group.rules
        self._clock = group.clock
        self.last = ""
        self._term = 0
        self._ended_ns = 0
        self._handed_over = False
        self._planned = False
        self._number = 0

    # ---- who --------------------------------------------------------------------------------------------------------

    def electorate(self) -> tuple[Side, list[Standing], str]:
        """Return on which side a leader can be elected now, who may be, and if nobody, why."""
        group = self._group
        sides = group.sides() if self._rules.election == "majority" else [()]
        why_not = ""
        for side in sides:
            fit, why = self.fit(group.standings(side))
            if fit:
                return side, fit, ""
            why_not = why_not or why
        return (), [], why_not

    def fit(self, standings: Sequence[Standing]) -> tuple[list[Standing], str]:
        """Return who may be elected among members that stand so, and if nobody, why."""
        virgin = self._group.virgin
        fit, why = candidates(self._rules, standings, virgin)
        if self._group.backups and not virgin:
            fit = [s for s in fit if not s.empty]  # a backup is better than nothing
        return fit, why

    # ---- when -------------------------------------------------------------------------------------------------------

    def settle(self, row: int) -> None:
        """Elect, now or after the delay, where somebody can be and no leader is."""
        group = self._group
        if group.leader is not None and not group.is_cut():
            self._cancel()
            return
        side, fit, _ = self.electorate()
        names = [s.name for s in fit]
        if group.leader is not None and (not fit or group.side_of(group.leader) == side):
            self._cancel()
        elif group.leader is None and self._rules.keeps_role and self.last in names:
            self._promote(self.last, row)
        elif group.leader is None and group.virgin and self._rules.election != "majority" and group.voters[0] in names:
            self._promote(group.voters[0], row)
        elif not fit:
            self._cancel()
            self._plan_unclean()
        elif not self._planned:
            self._plan(fit, row)

    def _cancel(self) -> None:
        self._planned = False
        self._number += 1

    def _plan(self, fit: list[Standing], row: int) -> None:
        delay = self._delay()
        self._number += 1
        if delay == 0:
            self._promote(best(fit, self._group.voters), row)
        else:
            self._planned = True
            self._clock.call_after(delay, self._elect, self._number, row, rank=self._group.rank)

    def _delay(self) -> int:
        handed_over = self._handed_over and self._rules.handover is not None
        law = self._rules.handover if handed_over else self._rules.election_delay
        assert law is not None
        return self._group.draw(law, "election")

    def _elect(self, number: int, row: int) -> None:
        if number != self._number:
            return
        self._planned = False
        _, fit, _ = self.electorate()
        if fit:
            self._promote(best(fit, self._group.voters), row)
            self._group.settle(row)

    def _plan_unclean(self) -> None:
        """Elect somebody who was not in sync, when nobody else has come back for long enough."""
        if self._rules.election == "in-sync" and self._rules.unclean:
            when = max(self._group.now, self._ended_ns + self._rules.unclean_delay_ns)
            self._clock.call_at(when, self._elect_unclean, self._number, rank=self._group.rank)

    def _elect_unclean(self, number: int) -> None:
        group = self._group
        if number != self._number or group.leader is not None:
            return
        fit = [s for s in group.standings() if s.there and not s.partial]
        if fit:
            self._promote(best(fit, group.voters), NO_CAUSE)
            group.settle(NO_CAUSE)

    # ---- the change -------------------------------------------------------------------------------------------------

    def resign(self, handed_over: bool = False) -> None:
        """Let the leader be leader no more; nobody gets further."""
        group = self._group
        leader = group.leader
        assert leader is not None
        self.last = leader.member
        self._ended_ns = group.now
        self._handed_over = handed_over
        leader.stand(group.now)
        leader.state = "behind"
        group.close_account(leader)
        group.followers.leader_lost(leader)

    def _promote(self, name: str, row: int) -> None:
        """Make a member the leader: what it has is from now on what the group has."""
        group, replica = self._group, self._group.replicas[name]
        content = replica.content(group.now)
        self._term += 1
        leader_row = group.note("Leader", row, member=name, term=self._term)
        if group.leader is not None:
            group.others.depose(group.leader, content, leader_row)
        kept = group.history.common(content, group.path)
        lost, back = group.path.offset - kept, content.offset - kept
        group.followers.forget(replica)
        if lost:
            origin = replica.store.origin
            kept_role = name == self.last and self._rules.election != "majority"
            cause = cause_of_promotion(origin, content.offset == 0, kept_role)
            group.lose(lost, cause, PATH_OF_ORIGIN.get(origin, ""), name, leader_row)
        if back:  # writes that had been given up: this copy has them
            group.lost -= back
            group.note("Found", leader_row, writes=whole(back), member=name)
        self._install(replica, content)

    def _install(self, replica: Replica, content: Content) -> None:
        group = self._group
        replica.become(group.now, Content(group.history.fork(content), content.offset))
        replica.state = "leader"
        replica.store.origin = ""
        group.open_account(replica)
        group.followers.part()
        there = {s.name for s in group.standings(group.side_of(replica)) if s.there}
        for other in [n for n in group.listed if n not in there]:
            del group.listed[other]  # who is not there at an election is known to be gone
        group.listed[replica.member] = None
        self._cancel()
        self._handed_over = False
