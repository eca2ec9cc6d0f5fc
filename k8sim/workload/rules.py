"""How a group of copies works: who may lead, when a write is acknowledged, who can be read. Pure decisions.

The rules are those of many systems with few words; `k8sim.workload.presets` has combinations that are in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from k8sim.sim.distributions import Constant, Distribution

Acks = int | Literal["majority", "all"]
Election = Literal["majority", "in-sync", "any"]


@dataclass(frozen=True)
class Rules:
    """The rules of one application.

    Parameters
    ----------
    acks
        How many copies, the leader's included, have a write before it is acknowledged: a number, ``majority`` of the
        voters, or ``all`` that are in sync.
    min_in_sync
        With ``acks`` all: with fewer copies in sync writes are refused.
    election
        Who can become leader: ``majority``: the best of a majority of voters that are there; ``in-sync``: one of those
        that were in sync; ``any``: the best that is there, by an outside supervisor, after a time-out.
    election_delay
        From the loss of the leader (or of what was missing for an election) to the new one.
    handover
        The same when the leader was stopped cleanly; None: like any other loss.
    keeps_role
        A leader that is back before another is elected goes on, with whatever it has then.
    empty_votes
        A member that has lost its data votes and may win, as if it had never had any.
    unclean
        With ``election`` in-sync: if none of those is there for ``unclean_delay``, any other may win.
    isolated
        What a leader does that was cut off while another is elected elsewhere: it ``steps-down`` in time, or it
        ``goes-on`` with the clients that it reaches, if it can acknowledge without the others.
    detect
        How long a member that died stays among those whose acknowledgement ``all`` waits for; one that stops cleanly
        leaves at once.
    lag_ns
        How far behind a copy is whose acknowledgement is not waited for.
    flush_ns, sync_ns
        How often a process writes its buffer to the kernel, and the kernel's cache to the disk; 0: before every
        acknowledgement. A clean stop does both.
    write_bytes, dataset_bytes, bandwidth
        Size of a write and of all data; bytes per s with which a copy catches up. Bandwidth 0: at once.
    copy_time
        How long a full copy takes, instead of dataset / bandwidth.
    parallel_copies
        How many full copies are made at the same time; 0: any number.
    retained
        How many writes (in units) a leader keeps for those who were away; longer absences need a full copy. 0: all.
    rewind
        Whether a copy that has diverged is cut back to what it has in common; otherwise it is copied in full.
    torn_restore
        Probability that a volume cannot be read which was restored from a snapshot that was taken while a process had
        it, not at rest: 0 for what has a journal.
    reads
        ``leader``: needs a leader that can write or has not lost its majority; ``any``: any copy that is in sync.
    """

    acks: Acks = "majority"
    min_in_sync: int = 1
    election: Election = "majority"
    election_delay: Distribution = field(default_factory=lambda: Constant(0))
    handover: Distribution | None = None
    keeps_role: bool = False
    empty_votes: bool = False
    unclean: bool = False
    unclean_delay_ns: int = 0
    isolated: Literal["steps-down", "goes-on"] = "goes-on"
    detect_ns: int = 0
    lag_ns: int = 0
    flush_ns: int = 0
    sync_ns: int = 0
    write_bytes: int = 1024
    dataset_bytes: int = 0
    bandwidth: int = 0
    copy_time: Distribution | None = None
    parallel_copies: int = 0
    retained: int = 0
    rewind: bool = True
    reads: Literal["leader", "any"] = "leader"
    torn_restore: float = 0.0

    @property
    def memory_ns(self) -> int:
        """How far back one must know how far a copy was."""
        return self.lag_ns + self.flush_ns + self.sync_ns


@dataclass(frozen=True)
class Standing:
    """One member as elections and acknowledgements see it.

    Parameters
    ----------
    there
        It runs and has joined.
    in_sync
        It has what the leader has, but for the lag.
    listed
        It counts among those whose acknowledgement ``all`` waits for.
    empty, partial
        It has nothing; a full copy to it is under way.
    last
        (branch, offset) of its last write.
    """

    name: str
    there: bool = False
    in_sync: bool = False
    listed: bool = False
    empty: bool = False
    partial: bool = False
    last: tuple[int, int] = (0, 0)


def majority(voters: int) -> int:
    """Return how many of so many are a majority."""
    return voters // 2 + 1


def candidates(rules: Rules, standings: Sequence[Standing], virgin: bool) -> tuple[list[Standing], str]:
    """Return who may become leader now, and if nobody, why.

    Parameters
    ----------
    virgin
        Nothing was ever written: being empty is no flaw.
    """
    fit = [s for s in standings if s.there and not s.partial and (virgin or rules.empty_votes or not s.empty)]
    if rules.election == "majority":
        needed = majority(len(standings))
        if len(fit) >= needed:
            return fit, ""
        there = sum(s.there for s in standings)
        what = "members with data" if there >= needed else "members"
        return [], f"no majority: {len(fit)} of {len(standings)} {what}, {needed} needed"
    if rules.election == "in-sync" and not virgin:
        listed = [s for s in fit if s.listed]
        if listed:
            return listed, ""
        return [], "no copy that was in sync is there"
    return (fit, "") if fit else ([], "no copy is there")


def best(fit: Sequence[Standing], order: Sequence[str]) -> str:
    """Return the one with the newest writes; among equals the first in an order."""
    return max(fit, key=lambda s: (s.last, -order.index(s.name))).name


def why_not_writable(rules: Rules, standings: Sequence[Standing], leader: str | None) -> str:
    """Return why writes are not acknowledged now, "" if they are. The leader counts as in sync."""
    if leader is None:
        return "no leader"
    in_sync = [s for s in standings if s.there and (s.in_sync or s.name == leader)]
    if rules.acks == "majority":
        needed = majority(len(standings))
        if len(in_sync) >= needed:
            return ""
        there = sum(s.there for s in standings)
        behind = ", the others are behind" if there >= needed else ""
        return f"{len(in_sync)} of {len(standings)} in sync, {needed} needed{behind}"
    if rules.acks == "all":
        awaited = [s.name for s in standings if s.listed and s.name != leader and not (s.there and s.in_sync)]
        if awaited:
            return f"waits for {', '.join(awaited)}, which does not answer"
        if len(in_sync) < rules.min_in_sync:
            return f"{len(in_sync)} in sync, at least {rules.min_in_sync} needed"
        return ""
    return "" if len(in_sync) >= rules.acks else f"{len(in_sync)} in sync, {rules.acks} needed"


def why_not_readable(rules: Rules, standings: Sequence[Standing], leader: str | None) -> str:
    """Return why the data cannot be read now, "" if it can."""
    if rules.reads == "any":
        usable = any(s.there and (s.in_sync or s.name == leader) for s in standings)
        return "" if usable else "no copy in sync is there"
    if leader is None:
        return "no leader"
    if rules.election == "majority":
        there, needed = sum(s.there for s in standings), majority(len(standings))
        return "" if there >= needed else f"no majority: {there} of {len(standings)} members, {needed} needed"
    return ""


def synchronous(rules: Rules, in_sync: Sequence[str]) -> set[str]:
    """Return which followers have every write when it is acknowledged: the first ones, in the order of members."""
    if isinstance(rules.acks, int):
        return set(in_sync[: rules.acks - 1])
    return set(in_sync)
