"""A group of copies of the same data: what is acknowledged, where it is, and what is lost.

The group is told what happens (a process joins or ends, a volume is gone, the network is cut) and then settles: it
accounts for what is lost, elects (`Leadership`), lets copies catch up (`Followers`), and opens or closes for writes
(`Service`). Between such moments everything is a line.

Invariant, at every instant:  acknowledged = surviving + lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from k8sim.machines.cuts import Side
from k8sim.sim.clock import rank
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.simulation import Simulation
from k8sim.sim.trace import NO_CAUSE
from k8sim.workload.amounts import whole
from k8sim.workload.copies import End, Process, Replica, Store
from k8sim.workload.followers import Followers
from k8sim.workload.history import EMPTY, Content, History
from k8sim.workload.leadership import Leadership
from k8sim.workload.losses import cause_of_path
from k8sim.workload.otherwriters import OtherWriters
from k8sim.workload.rules import Rules, Standing
from k8sim.workload.service import Service

_PATH_OF_END = {"clean": "L1", "killed": "L1", "machine lost": "L2", "fenced": "L21"}


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
        Which share of them goes to a process that another has replaced, or that was cut off; (numerator, denominator).
    changed
        Called after anything has changed.
    side
        Tells on which side of all cuts in the network a machine is.
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
        side: Callable[[str], Side] = lambda node: (),
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
        self.backups: list[Content] = []
        self.lost = 0
        self.restoring = False
        self.entity = name if shard is None else f"{name}/{shard}"
        self.rank = rank("application", self.entity)
        self.clock = sim.clock
        self._acknowledged = 0
        self._leader_base = 0
        self._changed = changed
        self._side = side
        self.others = OtherWriters(self)
        self.followers = Followers(self)
        self.leadership = Leadership(self)
        self.service = Service(self, rate, ghost_share)

    # ---- amounts ----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Now."""
        return self.clock.now

    def position(self) -> int:
        """Return how many writes the group still has, on the path of its last leader."""
        return self.path.offset if self.leader is None else self.leader.trajectory.at(self.now)

    def acknowledged(self) -> int:
        """Return how many writes have been acknowledged."""
        led = 0 if self.leader is None else self.leader.trajectory.at(self.now) - self._leader_base
        return self._acknowledged + led + self.others.amount()

    def divergent(self) -> int:
        """Return how many writes only processes have that should not write."""
        return self.others.amount()

    @property
    def virgin(self) -> bool:
        """Whether nothing was ever written."""
        return self.acknowledged() == 0

    def open_account(self, leader: Replica) -> None:
        """Let a leader's writes count as the group's from now on."""
        self.leader = leader
        self.path = leader.content(self.now)
        self._leader_base = self.path.offset

    def close_account(self, leader: Replica) -> None:
        """Let a leader's writes count no longer."""
        self.path = leader.content(self.now)
        self.leader = None
        self.count_acknowledged(self.path.offset - self._leader_base)

    def count_acknowledged(self, amount: int) -> None:
        """Count writes as acknowledged that nobody counts any more who runs."""
        self._acknowledged += amount

    def cut_path(self, offset: int) -> None:
        """Leave the last leader's later writes to itself: from now on they count as its own."""
        self._acknowledged -= self.path.offset - offset
        self.path = Content(self.path.branch, offset)

    def extant(self) -> list[Content]:
        """Return the contents of all copies that exist: running, at rest, backed up."""
        running = {r.store.place for r in self.replicas.values()}
        ghostly = {id(g.replica.store) for g in self.others.ghosts}
        contents = [r.content(self.now) for r in self.replicas.values()]
        contents += [g.replica.content(self.now) for g in self.others.ghosts if g.cut_off]
        contents += [s.content for p, s in self.stores.items() if p not in running and id(s) not in ghostly]
        return contents + self.backups

    # ---- who reaches whom -------------------------------------------------------------------------------------------

    def side_of(self, replica: Replica) -> Side:
        """Return on which side of all cuts a process is."""
        return self._side(replica.process.node)

    def sides(self) -> list[Side]:
        """Return the sides on which there are processes, that of the control plane first."""
        return sorted({(), *(self.side_of(r) for r in self.replicas.values())})

    def is_cut(self) -> bool:
        """Tell whether any process is cut off from where the control plane is."""
        return any(self.side_of(r) for r in self.replicas.values())

    def at_leader(self, member: str) -> bool:
        """Tell whether a member runs on the leader's side (without a leader: the control plane's)."""
        replica = self.replicas.get(member)
        side = () if self.leader is None else self.side_of(self.leader)
        return replica is not None and self.side_of(replica) == side

    def network_changed(self, row: int) -> None:
        """Let copies that do not reach each other any more go apart, and those that do again come together."""
        self.followers.part()
        if self.leader is not None and not self.side_of(self.leader):  # one that is cut off can strike nobody off
            for member in [name for name in self.listed if not self.at_leader(name)]:
                self._unlist_later(member, "killed")
        self.others.give_way(row)
        self.settle(row)

    # ---- what happens -----------------------------------------------------------------------------------------------

    def begin(self, row: int = NO_CAUSE) -> None:
        """Let clients begin to write."""
        self.service.begin()
        self.settle(row)

    def up(self, process: Process, row: int, origin: str = "new", content: Content | None = None) -> None:
        """Let a process join.

        Parameters
        ----------
        origin, content
            What the place begins with if it was not known before: "new" and nothing, or "restored" and a content.
        """
        old = self.replicas.get(process.member)
        if old is not None:
            self.others.replace(old, row)
        store = self.stores.get(process.place)
        if store is None:
            store = self.stores[process.place] = Store(process.place, origin=origin)
            store.settle(content or EMPTY)
        elif old is not None and old.store is store:
            store.settle(old.synced(self.now))  # they share the volume, not the cache
        self.replicas[process.member] = Replica(process, store, self.rules, self.now)
        self.settle(row)

    def down(self, process: Process, how: End, row: int, path: str = "") -> None:
        """Let a process end; ``path`` is how its volume was taken away from it."""
        if self.others.end(process, how, row):
            self.settle(row)
            return
        replica = self.replicas.get(process.member)
        if replica is None or replica.process != process:
            return
        if self.leader is replica:
            if how == "clean":
                self.followers.leader_stops(replica)
            self.leadership.resign(handed_over=how == "clean")
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
                    self.leadership.resign()
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
        self.leadership.settle(row)
        self.followers.synchronise(row)
        self.service.settle(row)
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
            self.lose(gone, cause, path, member, row)

    def _at_members(self) -> list[Content]:
        return self.extant()[: len(self.extant()) - len(self.backups)]

    def lose(self, amount: int, cause: str, path: str, member: str, row: int) -> None:
        """Count acknowledged writes as lost."""
        self.lost += amount
        detail = {"writes": whole(amount), "cause": cause, "path": path, "member": member}
        self.note("Lost", row, **detail)

    def standings(self, side: Side = ()) -> list[Standing]:
        """Return how every voter stands, as seen from a side of all cuts."""
        return [self._standing(name, side) for name in self.voters]

    def _standing(self, name: str, side: Side) -> Standing:
        replica = self.replicas.get(name)
        if replica is None or self.side_of(replica) != side:
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

    def draw(self, law: Distribution, purpose: str) -> int:
        """Draw a duration from a stream of the group."""
        if isinstance(law, Constant):
            return law.ns
        return law.quantile(self.sim.streams.uniform(self.entity, purpose))

    def _unlist_later(self, member: str, how: End) -> None:
        """Strike a member off the list of those whose acknowledgement is waited for, when its end is noticed."""
        if how == "clean" or self.rules.detect_ns == 0:
            self._unlist(member, None)
        else:
            self.clock.call_after(self.rules.detect_ns, self._unlist, member, NO_CAUSE, rank=self.rank)

    def _unlist(self, member: str, row: int | None) -> None:
        others = any(name != member and self.at_leader(name) for name in self.listed)
        if member in self.listed and not self.at_leader(member) and others:
            del self.listed[member]
            if row is not None:
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
