"""How copies become as new as the leader: in full, or by what they lack, and when they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8sim.workload.amounts import SECOND, UNIT, whole
from k8sim.workload.copies import Replica
from k8sim.workload.history import EMPTY, Content
from k8sim.workload.rules import synchronous

if TYPE_CHECKING:
    from k8sim.workload.group import Group


class Followers:
    """The copies of a group that are not the leader."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._rules = group.rules
        self._lags: dict[Replica, int] = {}
        self._plans: dict[Replica, tuple[int, int]] = {}
        self._number = 0
        self._waiting: list[Replica] = []
        self._copying: dict[Replica, Content] = {}

    # ---- what happens -----------------------------------------------------------------------------------------------

    def forget(self, replica: Replica) -> None:
        """Drop a copy whose process has ended, or that leads now."""
        self._plans.pop(replica, None)
        self._lags.pop(replica, None)
        if replica in self._waiting:
            self._waiting.remove(replica)
        self._copying.pop(replica, None)

    def leader_stops(self, leader: Replica) -> None:
        """Let those in sync get the rest: a leader that stops cleanly waits until it has shipped everything."""
        content = leader.content(self._group.now)
        for replica in self._group.replicas.values():
            if replica.state == "in-sync" and self._group.at_leader(replica.member):
                replica.become(self._group.now, content)

    def leader_lost(self, leader: Replica) -> None:
        """Let all stand where they are; full copies go on while there is another to copy from."""
        others = [r for r in self._group.replicas.values() if r is not leader]
        source = any(r.state == "in-sync" for r in others)
        for replica in others:
            if replica.state == "copying" and source:
                continue
            self.forget(replica)
            replica.stand(self._group.now)
            replica.state = "behind" if replica.state != "in-sync" else "in-sync"

    def part(self) -> None:
        """Let those stand where they are that do not reach the leader any more."""
        group = self._group
        for replica in group.replicas.values():
            if group.leader is not None and not group.at_leader(replica.member):
                self.forget(replica)
                replica.stand(group.now)
                leader_is_away = group.side_of(group.leader) != ()
                replica.state = "in-sync" if replica.state == "in-sync" and leader_is_away else "behind"

    def rate_changed(self) -> None:
        """Reckon anew when those that catch up are there: the leader writes at another rate."""
        for replica, (_, row) in list(self._plans.items()):
            if replica.state == "catching-up":
                self._plan_arrival(replica, row)

    def synchronise(self, row: int) -> None:
        """Let every copy that does not follow the leader begin to, and set who is waited for."""
        group = self._group
        leader = group.leader
        if leader is None:
            return
        for name in [*group.voters, *(n for n in group.replicas if n not in group.voters)]:
            replica = group.replicas.get(name)
            if replica is None or replica is leader or replica in self._lags or not group.at_leader(name):
                continue
            if replica not in self._waiting and replica not in self._copying:
                self._begin(replica, leader, row)
        self._start_copies(row)
        self._set_lags(leader)

    # ---- catching up ------------------------------------------------------------------------------------------------

    def _gain(self) -> int | None:
        """Return how fast a copy gains writes, in units per s; None: at once."""
        return self._rules.bandwidth * UNIT // self._rules.write_bytes if self._rules.bandwidth else None

    def _begin(self, replica: Replica, leader: Replica, row: int) -> None:
        """Let a copy follow the leader, from what the two have in common, or from nothing."""
        group, now = self._group, self._group.now
        mine, theirs = replica.content(now), leader.content(now)
        common = group.history.common(mine, theirs)
        diverged = mine.offset - common
        if diverged:
            group.note_member(replica.member, "Diverged", row, writes=whole(diverged), rewound=self._rules.rewind)
        full_costs = self._rules.copy_time is not None or self._rules.dataset_bytes > 0
        too_old = 0 < self._rules.retained < theirs.offset - common
        if (common == 0 < theirs.offset and full_costs) or too_old or (diverged and not self._rules.rewind):
            replica.state = "behind"
            self._waiting.append(replica)
            return
        replica.become(now, Content(theirs.branch, common))
        self._catch_up(replica, leader, row)

    def _catch_up(self, replica: Replica, leader: Replica, row: int) -> None:
        now = self._group.now
        self._lags[replica] = self._rules.lag_ns
        replica.trajectory.follow(now, leader.trajectory, self._rules.lag_ns, self._gain())
        was, replica.state = replica.state, "catching-up"
        behind = leader.trajectory.at(now - self._rules.lag_ns) - replica.trajectory.at(now)
        if behind <= 0 or self._gain() is None:
            replica.state = was
            self._in_sync(replica, row)
            return
        detail = {"writes": whole(behind), "bytes": behind * self._rules.write_bytes // UNIT}
        self._group.note_member(replica.member, "CatchingUp", row, **detail)
        self._plan_arrival(replica, row)

    def _plan_arrival(self, replica: Replica, row: int) -> None:
        leader, now = self._group.leader, self._group.now
        assert leader is not None
        when = leader.trajectory.caught_up_at(now, replica.trajectory.at(now), self._gain(), self._rules.lag_ns)
        self._number += 1
        self._plans[replica] = (self._number, row)
        if when is not None:
            self._group.clock.call_at(when, self._arrive, replica, self._number, row, rank=self._group.rank)

    def _arrive(self, replica: Replica, number: int, row: int) -> None:
        if self._plans.get(replica) == (number, row) and replica.state == "catching-up":
            del self._plans[replica]
            self._in_sync(replica, row)
            self._group.settle(row)

    def _in_sync(self, replica: Replica, row: int) -> None:
        """Note that a copy has what the leader has, but for the lag."""
        group = self._group
        leader = group.leader
        assert leader is not None
        if replica.state != "in-sync":
            group.note_member(replica.member, "InSync", row)
        replica.state = "in-sync"
        replica.store.origin = ""
        group.listed[replica.member] = None
        replica.trajectory.follow(group.now, leader.trajectory, self._lags[replica])

    def _set_lags(self, leader: Replica) -> None:
        """Let those follow without lag whose acknowledgement is waited for."""
        group = self._group
        in_sync = [n for n in group.voters if group.at_leader(n) and group.replicas[n].state == "in-sync"]
        waited = synchronous(self._rules, in_sync)
        for name in in_sync:
            replica = group.replicas[name]
            lag = 0 if name in waited else self._rules.lag_ns
            if self._lags.get(replica) != lag:
                self._lags[replica] = lag
                replica.trajectory.follow(group.now, leader.trajectory, lag)

    # ---- full copies ------------------------------------------------------------------------------------------------

    def _start_copies(self, row: int) -> None:
        group, limit = self._group, self._rules.parallel_copies
        leader = group.leader
        while self._waiting and leader is not None and (not limit or len(self._copying) < limit):
            replica = self._waiting.pop(0)
            self._copying[replica] = leader.content(group.now)
            replica.become(group.now, EMPTY)
            replica.store.origin = "new"
            replica.state = "copying"
            started = group.note_member(replica.member, "Copying", row, bytes=self._rules.dataset_bytes)
            self._number += 1
            self._plans[replica] = (self._number, started)
            group.clock.call_after(self._copy_time(), self._copied, replica, self._number, started, rank=group.rank)

    def _copy_time(self) -> int:
        rules = self._rules
        if rules.copy_time is not None:
            return self._group.draw(rules.copy_time, "copy")
        return rules.dataset_bytes * SECOND // rules.bandwidth if rules.bandwidth else 0

    def _copied(self, replica: Replica, number: int, row: int) -> None:
        if self._plans.get(replica) != (number, row) or replica not in self._copying:
            return
        group, now = self._group, self._group.now
        content = self._copying.pop(replica)
        del self._plans[replica]
        replica.become(now, content)
        replica.state = "behind"
        group.note_member(replica.member, "Copied", row)
        leader = group.leader
        if leader is not None:
            theirs = leader.content(now)
            replica.become(now, Content(theirs.branch, group.history.common(content, theirs)))
            self._catch_up(replica, leader, row)
        group.settle(row)
