"""A group of copies of the same data: its leader, its followers, what is acknowledged, and what is lost.

The group is told what happens (a process joins or ends, a volume is gone) and then settles: it accounts for what is
lost, elects, lets copies catch up, and opens or closes for writes. Between such moments everything is a line.

Invariant, at every instant:  acknowledged = surviving + lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k8sim.sim.clock import rank
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE
from k8sim.workload.amounts import Flow, whole
from k8sim.workload.copies import End, Process, Replica, Store
from k8sim.workload.followers import Followers
from k8sim.workload.history import EMPTY, Content, History
from k8sim.workload.losses import cause_of_path, cause_of_promotion
from k8sim.workload.rules import Rules, Standing, best, candidates, why_not_readable, why_not_writable

_PATH_OF_END = {"clean": "L1", "killed": "L1", "machine lost": "L2", "fenced": "L21"}


@dataclass(eq=False)
class Ghost:
    """A process that was leader and still writes although another has its identity."""

    replica: Replica
    base: int


class Group:
    """One group.

    Parameters
    ----------
    name, namespace, shard
        Of the application, for the trace; the number of the group in it, None if it has only one.
    voters
        The members' names, in order.
    rate
        Writes per s that clients want to make, in units.
    ghost_share
        Which share of them goes to a process that another has replaced, while both run; as (numerator, denominator).
    changed
        Called after anything has changed.
    """

    def __init__(
        self,
        sim: Simulation,
        name: str,
        rules: Rules,
        voters: Sequence[str],
        rate: int,
        namespace: str = "",
        shard: int | None = None,
        ghost_share: tuple[int, int] = (1, 2),
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.sim = sim
        self.rules = rules
        self.name = name
        self.namespace = namespace
        self.shard = shard
        self.voters = list(voters)
        self.history = History()
        self.path = EMPTY
        self.leader: Replica | None = None
        self.replicas: dict[str, Replica] = {}
        self.stores: dict[str, Store] = {}
        self.listed: dict[str, None] = {}
        self.ghosts: list[Ghost] = []
        self.backups: list[Content] = []
        self.lost = 0
        self.term = 0
        self.why_closed = "not begun"
        self.why_unreadable = "not begun"
        self.restoring = False
        self.entity = name if shard is None else f"{name}/{shard}"
        self.rank = rank("application", self.entity)
        self.clock = sim.clock
        self._wanted = rate
        self._rate = 0
        self._ghost_share = ghost_share
        self._acknowledged = 0
        self._leader_base = 0
        self._last_leader = ""
        self._leaderless_since = 0
        self._election = 0
        self._election_planned = False
        self._handed_over = False
        self._offered = Flow(self.clock.now)
        self._copies: tuple[str, ...] | None = None
        self._changed = changed
        self.followers = Followers(self)

    # ---- amounts ----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Now."""
        return self.clock.now

    def position(self) -> int:
        """Return how many writes the group still has, on the path of its last leader."""
        return self.path.offset if self.leader is None else self.leader.trajectory.at(self.now)

    def _ghost_amount(self, ghost: Ghost) -> int:
        return ghost.replica.trajectory.at(self.now) - ghost.base

    def acknowledged(self) -> int:
        """Return how many writes have been acknowledged."""
        led = 0 if self.leader is None else self.leader.trajectory.at(self.now) - self._leader_base
        return self._acknowledged + led + sum(self._ghost_amount(g) for g in self.ghosts)

    def divergent(self) -> int:
        """Return how many writes only processes have that another has replaced."""
        return sum(self._ghost_amount(g) for g in self.ghosts)

    def offered(self) -> int:
        """Return how many writes clients have wanted to make."""
        return self._offered.at(self.now)

    def extant(self) -> list[Content]:
        """Return the contents of all copies that exist: running, at rest, backed up."""
        running = {r.store.place for r in self.replicas.values()}
        ghostly = {id(g.replica.store) for g in self.ghosts}
        contents = [r.content(self.now) for r in self.replicas.values()]
        contents += [s.content for p, s in self.stores.items() if p not in running and id(s) not in ghostly]
        return contents + self.backups

    # ---- what happens -----------------------------------------------------------------------------------------------

    def begin(self, row: int = NO_CAUSE) -> None:
        """Let clients begin to write."""
        self._rate = self._wanted
        self._offered.change(self.now, self._rate)
        self.settle(row)

    def set_rate(self, rate: int, row: int = NO_CAUSE) -> None:
        """Let clients write at another rate from now on."""
        self._wanted = rate
        self.begin(row)

    def up(self, process: Process, row: int, origin: str = "new", content: Content | None = None) -> None:
        """Let a process join.

        Parameters
        ----------
        origin, content
            What the place begins with if it was not known before: "new" and nothing, or "restored" and a content.
        """
        old = self.replicas.get(process.member)
        if old is not None:
            self._replace(old, row)
        store = self.stores.get(process.place)
        if store is None:
            store = self.stores[process.place] = Store(process.place, origin=origin)
            store.settle(content or EMPTY)
        elif old is not None and old.store is store:
            store.settle(old.synced(self.now))  # they share the volume, not the cache
        self.replicas[process.member] = Replica(process, store, self.rules, self.now)
        self.settle(row)

    def _replace(self, old: Replica, row: int) -> None:
        """Turn a process whose identity another has taken into a ghost, or forget it if it cannot write alone."""
        was_leader = self.leader is old
        if was_leader:
            self._end_leadership()
        self.followers.forget(old)
        del self.replicas[old.member]
        if was_leader and self.rules.acks == 1:
            old.become(self.now, Content(self.history.fork(self.path), self.path.offset))
            self.ghosts.append(Ghost(old, self.path.offset))

    def down(self, process: Process, how: End, row: int, path: str = "") -> None:
        """Let a process end; ``path`` is how its volume was taken away from it."""
        ghost = next((g for g in self.ghosts if g.replica.process == process), None)
        if ghost is not None:
            self._end_ghost(ghost, row)
            return
        replica = self.replicas.get(process.member)
        if replica is None or replica.process != process:
            return
        if self.leader is replica:
            if how == "clean":
                self.followers.leader_stops(replica)
            self._end_leadership()
            self._handed_over = how == "clean"
        self.followers.forget(replica)
        partial = replica.state == "copying"
        replica.end(self.now, how)
        if partial:
            replica.store.settle(EMPTY)
        del self.replicas[process.member]
        self._unlist_later(process.member, how)
        self.settle(row, path or _PATH_OF_END[how], process.member)

    def machine_lost(self, node: str, row: int) -> None:
        """Lose what a machine had in its cache of processes that had ended before."""
        for store in self.stores.values():
            if store.node == node and store.cached_until_ns >= 0:
                store.machine_lost(self.now)
        self.settle(row, "L2")

    def written_back(self, place: str) -> None:
        """Let a place have what its machine's cache had."""
        store = self.stores.get(place)
        if store is not None and store.cached_until_ns >= 0:
            store.settle(store.content)

    def on_disk(self, place: str) -> Content:
        """Return what somebody finds who reads the disk itself now."""
        for replica in self.replicas.values():
            if replica.store.place == place:
                return replica.synced(self.now)
        store = self.stores.get(place)
        if store is None:
            return EMPTY
        return store.on_disk if self.now < store.cached_until_ns else store.content

    def destroyed(self, place: str, path: str, row: int) -> None:
        """Lose what is at a place, also under a running process."""
        store = self.stores.pop(place, None)
        if store is None:
            return
        member = ""
        for replica in list(self.replicas.values()):
            if replica.store is store:
                member = replica.member
                if self.leader is replica:
                    self._end_leadership()
                self.followers.forget(replica)
                store.settle(EMPTY)
                store.origin = "new"
                self.stores[place] = store
                replica.become(self.now, EMPTY)
                replica.state = "behind"
                self.listed.pop(member, None)
        self.settle(row, path, member)

    def set_voters(self, voters: Sequence[str], row: int) -> None:
        """Change who votes."""
        self.voters = list(voters)
        for name in list(self.listed):
            if name not in self.voters:
                del self.listed[name]
        self.settle(row)

    def back_up(self, keep: int) -> bool:
        """Keep what the leader has now, and so many older backups; False if there is no leader."""
        if self.leader is None:
            return False
        self.backups = [*self.backups, self.leader.content(self.now)][-keep:]
        return True

    def restore(self, member: str, row: int) -> None:
        """Give a member without data the newest backup."""
        replica = self.replicas.get(member)
        if replica is not None and self.backups and self.leader is None:
            replica.become(self.now, self.backups[-1])
            replica.store.origin = "restored"
            self.settle(row)

    # ---- settling ---------------------------------------------------------------------------------------------------

    def settle(self, row: int, path: str = "", member: str = "") -> None:
        """Draw all consequences of what has just happened."""
        self._account(path, member, row)
        self._lead(row)
        self.followers.synchronise(row)
        self._serve(row)
        self._changed()

    def _account(self, path: str, member: str, row: int) -> None:
        """Find out whether the last copy of some writes is gone."""
        if self.leader is not None:
            return
        left = max((self.history.common(c, self.path) for c in self.extant()), default=0)
        if left < self.path.offset:
            gone = self.path.offset - left
            nothing_left = left == 0 or not any(self.history.common(c, self.path) for c in self._at_members())
            cause = cause_of_path(path, len(self.voters) if nothing_left else 1)
            self.path = Content(self.path.branch, left)
            self._lose(gone, cause, path, member, row)

    def _at_members(self) -> list[Content]:
        return self.extant()[: len(self.extant()) - len(self.backups)]

    def _lose(self, amount: int, cause: str, path: str, member: str, row: int) -> None:
        self.lost += amount
        detail = {"writes": whole(amount), "cause": cause, "path": path, "member": member}
        self.note("Lost", row, **detail)

    def standings(self) -> list[Standing]:
        """Return how every voter stands."""
        return [self._standing(name) for name in self.voters]

    def _standing(self, name: str) -> Standing:
        replica = self.replicas.get(name)
        if replica is None:
            return Standing(name, listed=name in self.listed)
        last = self.history.normal(replica.content(self.now))
        return Standing(
            name,
            there=True,
            in_sync=replica.state == "in-sync",
            listed=name in self.listed,
            empty=last.offset == 0,
            partial=replica.state == "copying",
            last=last,
        )

    # ---- leadership -------------------------------------------------------------------------------------------------

    @property
    def virgin(self) -> bool:
        """Whether nothing was ever written."""
        return self.acknowledged() == 0

    def _end_leadership(self) -> None:
        """Let the leader be leader no more; nobody gets further."""
        leader = self.leader
        assert leader is not None
        offset = leader.trajectory.at(self.now)
        self._acknowledged += offset - self._leader_base
        self.path = Content(leader.branch, offset)
        self._last_leader = leader.member
        self._leaderless_since = self.now
        self._handed_over = False
        leader.stand(self.now)
        leader.state = "behind"
        self.leader = None
        self.followers.leader_lost(leader)

    def electable(self) -> tuple[list[Standing], str]:
        """Return who may become leader now, and if nobody, why."""
        fit, why = candidates(self.rules, self.standings(), self.virgin)
        if self.backups and not self.virgin:
            fit = [s for s in fit if not s.empty]  # a backup is better than nothing
        return fit, why

    def _lead(self, row: int) -> None:
        """Elect, now or after the delay, if there is no leader and somebody can be."""
        if self.leader is not None:
            return
        fit, _ = self.electable()
        names = [s.name for s in fit]
        if self.rules.keeps_role and self._last_leader in names:
            self._promote(self._last_leader, row)
        elif self.virgin and self.rules.election != "majority" and self.voters[0] in names:
            self._promote(self.voters[0], row)
        elif not fit:
            self._election_planned = False
            self._election += 1
            self._plan_unclean()
        elif not self._election_planned:
            delay = self._delay()
            self._election += 1
            if delay == 0:
                self._promote(best(fit, self.voters), row)
            else:
                self._election_planned = True
                self.clock.call_after(delay, self._elect, self._election, row, rank=self.rank)

    def _delay(self) -> int:
        handed_over = self._handed_over and self.rules.handover is not None
        law = self.rules.handover if handed_over else self.rules.election_delay
        assert law is not None
        return self.draw(law, "election")

    def draw(self, law: Distribution, purpose: str) -> int:
        """Draw a duration from a stream of the group."""
        if isinstance(law, Constant):
            return law.ns
        return law.quantile(self.sim.streams.uniform(self.entity, purpose))

    def _elect(self, number: int, row: int) -> None:
        if number != self._election or self.leader is not None:
            return
        self._election_planned = False
        fit, _ = self.electable()
        if fit:
            self._promote(best(fit, self.voters), row)
            self.settle(row)

    def _plan_unclean(self) -> None:
        """Elect somebody who was not in sync, when nobody else has come back for long enough."""
        if self.rules.election == "in-sync" and self.rules.unclean:
            when = max(self.now, self._leaderless_since + self.rules.unclean_delay_ns)
            self.clock.call_at(when, self._elect_unclean, self._election, rank=self.rank)

    def _elect_unclean(self, number: int) -> None:
        if number != self._election or self.leader is not None:
            return
        fit = [s for s in self.standings() if s.there and not s.partial]
        if fit:
            self._promote(best(fit, self.voters), NO_CAUSE)
            self.settle(NO_CAUSE)

    def _promote(self, name: str, row: int) -> None:
        """Make a member the leader: what it has is from now on what the group has."""
        replica = self.replicas[name]
        content = replica.content(self.now)
        kept = self.history.common(content, self.path)
        lost, back = self.path.offset - kept, content.offset - kept
        self.term += 1
        self.followers.forget(replica)
        leader_row = self.note("Leader", row, member=name, term=self.term)
        if lost:
            cause = cause_of_promotion(replica.store.origin, content.offset == 0, name == self._last_leader)
            self._lose(lost, cause, "", name, leader_row)
        if back:  # writes that had been given up: this copy has them
            self.lost -= back
            self.note("Found", leader_row, writes=whole(back), member=name)
        branch = self.history.fork(content)
        self.path = Content(branch, content.offset)
        replica.become(self.now, self.path)
        replica.state = "leader"
        replica.store.origin = ""
        self.leader = replica
        for other in [n for n in self.listed if n not in self.replicas]:
            del self.listed[other]  # who is not there at an election is known to be gone
        self.listed[name] = None
        self._leader_base = content.offset
        self._election_planned = False

    def _unlist_later(self, member: str, how: End) -> None:
        """Strike a member off the list of those whose acknowledgement is waited for, when its end is noticed."""
        if how == "clean" or self.rules.detect_ns == 0:
            self._unlist(member, None)
        else:
            self.clock.call_after(self.rules.detect_ns, self._unlist, member, NO_CAUSE, rank=self.rank)

    def _unlist(self, member: str, row: int | None) -> None:
        others = any(name != member and name in self.replicas for name in self.listed)
        if member in self.listed and member not in self.replicas and others:
            del self.listed[member]
            if row is not None:
                self.settle(row)

    # ---- service ----------------------------------------------------------------------------------------------------

    def _serve(self, row: int) -> None:
        """Open or close for writes and reads."""
        standings = self.standings()
        leader = self.leader.member if self.leader is not None else None
        _, nobody = self.electable() if leader is None else ([], "")
        closed = why_not_writable(self.rules, standings, leader)
        unreadable = why_not_readable(self.rules, standings, leader)
        if leader is None and nobody:
            closed = nobody if closed else ""
            unreadable = nobody if unreadable else ""
        numerator, denominator = self._ghost_share if self.ghosts else (0, 1)
        ghosts = self._rate * numerator // denominator
        for ghost in self.ghosts:
            self._write(ghost.replica, ghosts // len(self.ghosts))
        if self.leader is not None:
            self._write(self.leader, 0 if closed else self._rate - ghosts)
        self._note_service("Writes", self.why_closed, closed, row)
        self._note_service("Reads", self.why_unreadable, unreadable, row)
        changed = (closed == "") != (self.why_closed == "")
        self.why_closed, self.why_unreadable = closed, unreadable
        self._note_copies(row)
        if changed:
            self.write_counts(row)
            self.followers.rate_changed()

    def _write(self, replica: Replica, rate: int) -> None:
        if replica.trajectory.rate != rate:
            replica.trajectory.write(self.now, rate)
            if replica is self.leader:
                self.followers.rate_changed()

    def _note_service(self, what: str, was: str, why: str, row: int) -> None:
        if was != why and (was == "") != (why == ""):
            self.note(f"{what}Available", row) if why == "" else self.note(f"{what}Unavailable", row, reason=why)
        elif was != why:
            self.note(f"{what}Unavailable", row, reason=why)

    def _note_copies(self, row: int) -> None:
        full = tuple(n for n, r in self.replicas.items() if r.state in ("leader", "in-sync"))
        if full != self._copies:
            self._copies = full
            self.note("Copies", row, full=len(full), members=sorted(full), wanted=len(self.voters))

    def write_counts(self, row: int = NO_CAUSE) -> None:
        """Write down what has become of the writes so far."""
        acknowledged = self.acknowledged()
        self.note(
            "Counts",
            row,
            acknowledged=whole(acknowledged),
            refused=whole(self.offered() - acknowledged),
            lost=whole(self.lost),
            surviving=whole(self.position() + self.divergent()),
        )

    def _end_ghost(self, ghost: Ghost, row: int) -> None:
        amount = self._ghost_amount(ghost)
        self._acknowledged += amount
        self.ghosts.remove(ghost)
        if amount:
            self._lose(amount, "two-writers", "L27", ghost.replica.member, row)
        self.settle(row)

    # ---- trace ------------------------------------------------------------------------------------------------------

    def note(self, event: str, row: int, **detail: object) -> int:
        """Write a row about the application."""
        if self.shard is not None:
            detail = {"shard": self.shard, **detail}
        return self.sim.trace.append(self.now, "Application", self.name, event, detail, row, self.namespace)

    def note_member(self, member: str, event: str, row: int, **detail: object) -> int:
        """Write a row about a member."""
        if self.shard is not None:
            detail = {"shard": self.shard, **detail}
        detail = {"application": self.name, **detail}
        return self.sim.trace.append(self.now, "Member", member, event, detail, row, self.namespace)
