"""Timers of thousands of replicates: how they are set, and which of them ends next in each.

A third of what a step costs is the same whether much happens in it or little, so the fewer steps the better. Often it
is certain what comes next when a timer is set: a pod that starts will serve, a node on which nothing runs will be back.
If the timer then is the first of its column to end, its event is handled in the step that sets it, ahead of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.campaign import NEVER, Campaign
from k8sim.lockstep.columns import Columns, Flags, Ints
from k8sim.lockstep.delays import Wanted

Delay = tuple[str, Ints, Flags | Ints | None]
"""A law, the entities that have delays by it (see `delays`), and to which of some timers they belong; None: to all."""

Rows = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_BLOCK: Final = 1 << 12
_NONE: Final = np.empty(0, dtype=np.int64)


class FollowUp(NamedTuple):
    """What happens when timers end, if nothing else has happened in their columns since they were set.

    Attributes
    ----------
    k
        The columns of the timers.
    certain
        Of which timers this is all that happens then; one in each column at most.
    law
        The delay until they end again.
    later
        Whether their entities draw it at an occasion later than that of the delays before.
    rule
        What it changes, given places of timers, their columns and the time.
    before
        What may come before, given the columns, when the timers end, when again, which of them are handled (it may
        change that), and some more delays.
    delays
        These delays. Only one rule of a step may want any.
    """

    k: Ints
    certain: Flags
    law: str
    later: bool
    rule: Callable[[Ints, Ints, Ints], None]
    before: Callable[[Ints, Ints, Ints, Flags, list[Ints | int]], None] | None = None
    delays: tuple[Wanted, ...] = ()


class Armed(NamedTuple):
    """Timers that will be set."""

    timers: Ints
    when: Ints
    delays: tuple[Delay, ...]
    follow_up: FollowUp | None


class Candidates(NamedTuple):
    """Timers whose events may be handled ahead of their time: which of all that are set, and their columns."""

    follow_up: FollowUp
    places: Ints
    timers: Ints
    k: Ints


class Timers(Columns):
    """A range of replicates, with timers."""

    def __init__(self, campaign: Campaign, seed: int, replicates: Ints) -> None:
        super().__init__(campaign, seed, replicates)
        self.armed: list[Armed] = []
        n = len(self.timers) // self.width
        self.numbers = np.arange(n, 0, -1)[:, None].astype(np.uint8 if n < 256 else np.uint16)

    def arm(self, timers: Ints, when: Ints, *delays: Delay, follow_up: FollowUp | None = None) -> None:
        """Set timers to a time and some delays after it, all of which are drawn together at the end of the step.

        The array of times is overwritten then.
        """
        self.armed.append(Armed(timers, when, delays, follow_up))

    def set_timers(self) -> None:
        """Set the timers that were armed in this step, handle what can be handled ahead, and find the next events."""
        armed, self.armed = self.armed, []
        ahead = self.may_be_ahead(armed)
        wanted = [Wanted(f.law, at, int(f.later)) for f, _, at, _ in ahead]
        timers, when, delays = self.drawn(armed, [*wanted, *(more for f, *_ in ahead for more in f.delays)])
        places = np.concatenate([_NONE, *(a.places for a in ahead)])
        ends = when[places]
        when[places] = NEVER
        self.timers[timers] = when
        self.next_events()
        if ahead:
            self.handle_ahead(ahead, ends, delays)

    def drawn(self, armed: list[Armed], more: list[Wanted]) -> tuple[Ints, Ints, list[Ints | int]]:
        """Return timers, to when they are to be set, and more delays that are wanted."""
        wanted = [Wanted(law, at, 0) for _, _, delays, _ in armed for law, at, _ in delays]
        drawn = iter(self.delays.draw(wanted + more))
        for _, when, delays, _ in armed:
            for *_, some in delays:
                if some is None:
                    when += next(drawn)
                else:
                    when[some] += next(drawn)
        timers, when = (
            np.concatenate([_NONE, *parts]) for parts in ([a.timers for a in armed], [a.when for a in armed])
        )
        return timers, when, list(drawn)

    def may_be_ahead(self, armed: list[Armed]) -> list[Candidates]:
        """Return which timers are followed by something certain."""
        found, begin = [], 0
        for timers, _, _, follow_up in armed:
            if follow_up:
                places = follow_up.certain.nonzero()[0]
                found.append(Candidates(follow_up, places + begin, timers[places], follow_up.k[places]))
            begin += len(timers)
        return found

    def handle_ahead(self, ahead: list[Candidates], ends: Ints, delays: list[Ints | int]) -> None:
        """Handle the events of timers that end first in their columns, before the horizon; set the others."""
        timers, k = np.concatenate([a.timers for a in ahead]), np.concatenate([a.k for a in ahead])
        handled: Flags = ends < np.minimum(self.when[k], self.c.horizon_ns)
        edges = (0, *accumulate(len(a.places) for a in ahead))
        parts = [slice(low, high) for low, high in pairwise(edges)]
        when = np.concatenate([ends[part] + delay for part, delay in zip(parts, delays, strict=False)])
        for (follow_up, *_), part in zip(ahead, parts, strict=True):
            if follow_up.before:
                follow_up.before(k[part], ends[part], when[part], handled[part], delays[len(ahead) :])
        self.set_first(timers, k, np.where(handled, when, ends))
        for a, part in zip(ahead, parts, strict=True):
            some = handled[part].nonzero()[0]
            if a.follow_up.later:
                self.delays.occasion_now(a.timers[some])
            a.follow_up.rule(a.timers[some], a.k[some], ends[part][some])
        some = handled.nonzero()[0]
        self.happened(k[some], ends[some])

    def set_first(self, timers: Ints, k: Ints, when: Ints) -> None:
        """Set timers, one in each column, when the next events without them are known."""
        self.timers[timers] = when
        others, row = self.when[k], timers // self.width
        first = ((when < others) | ((when == others) & (row < self.row[k]))).nonzero()[0]
        k = k[first]
        self.when[k], self.row[k] = when[first], row[first]

    def next_events(self) -> None:
        """Find when each column's first timer ends, and its row; of timers that end at the same time, the first row.

        Timers are read in blocks that fit a processor's cache, twice each. Rows are found by numbers that fall with
        them, of which the largest belongs to the first: a search in each column would take longer.
        """
        timers, numbers = self.timers.reshape(-1, self.width), self.numbers
        self.when, self.row = np.empty(self.width, dtype=np.int64), np.empty(self.width, dtype=numbers.dtype)
        for first in range(0, self.width, _BLOCK):
            block = slice(first, first + _BLOCK)
            when = np.minimum.reduce(timers[:, block], axis=0, out=self.when[block])
            ends = np.multiply((timers[:, block] == when).view(np.uint8), numbers)
            np.subtract(len(timers), np.maximum.reduce(ends, axis=0), out=self.row[block])
