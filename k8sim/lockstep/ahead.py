"""Events that are handled ahead, in the step before their own: rules of `engine` in their simplest cases.

In all of them the controller and the scheduler have nothing to do after the event, for no pod waits for a place, and no
rollout for a pod. Whether the event is the next one of its column, `Timers.set_timers` sees to.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from k8sim.lockstep.campaign import (
    DRAINING,
    IDLE,
    MAINTENANCE,
    NEVER,
    SERVING,
    TERMINATING,
    Campaign,
)
from k8sim.lockstep.columns import Flags, Ints
from k8sim.lockstep.delays import Wanted
from k8sim.lockstep.timers import Delay, FollowUp, Timers

_NONE: Final = np.empty(0, dtype=np.int64)


class Start(NamedTuple):
    """Pods that start, their columns, from when on, and delays by some laws for some of them."""

    q: Ints
    k: Ints
    when: Ints
    delays: tuple[tuple[str, Ints], ...]


class Ahead(Timers):
    """A range of replicates, and what is certain to follow in them.

    Attributes
    ----------
    starts, deaths
        What happened to pods in this step: pods that start; pods that died, their columns and when they are evicted.
    woken
        Nodes whose drains go on after this step, and their columns.
    hands_over, drained
        See `find_drained`: in which columns there is such a node; which, and when that is seen.
    """

    def __init__(self, campaign: Campaign, seed: int, replicates: Ints) -> None:
        super().__init__(campaign, seed, replicates)
        self.starts: list[Start] = []
        self.deaths: list[tuple[Ints, Ints, Ints]] = []
        self.woken: list[tuple[Ints, Ints]] = []
        self.hands_over = np.zeros(0, dtype=bool)
        self.drained = _NONE, _NONE

    # ---- nodes ----------------------------------------------------------------------------------------------

    def unused_node_returns(self, timers: Ints, k: Ints, when: Ints) -> None:
        a = timers - self.first_node * self.width
        self.node_up[a] = True
        self.off[a] -= 1

    def maintenance_ends_alone(self, timers: Ints, k: Ints, when: Ints) -> None:
        a = timers - self.first_drain * self.width
        self.drain[a] = IDLE
        self.off[a] -= 1

    # ---- pods -----------------------------------------------------------------------------------------------

    def arm_pods(self) -> None:
        """Arm the timers of pods that start, and of those that have died."""
        missing = self.one_missing()
        calm = missing & (self.draining == 0)
        deaths, self.deaths = self.deaths, []
        if deaths:
            q, k, evicted = (np.concatenate(parts) for parts in zip(*deaths, strict=True))
            follow_up = FollowUp(k, calm[k], "force_delete", True, self.evicted_alone)
            self.arm(self.pod_timer(q), evicted, follow_up=follow_up)
        starts, self.starts = self.starts, []
        if starts:
            q, k, when = (
                np.concatenate(parts) for parts in zip(*((q, k, when) for q, k, when, _ in starts), strict=True)
            )
            timers = self.pod_timer(q)
            self.find_drained(missing, k)
            certain, timer = calm[k] | self.hands_over[k], self.drain_timer(self.drained[0])
            drains = Wanted("maintenance", timer, 1), Wanted("drain_every", timer, 2)
            follow_up = FollowUp(k, certain, "crash", False, self.serves_alone, self.drained_first, drains)
            self.arm(timers, when, *self.until_serving(q, timers, starts), follow_up=follow_up)
        self.woken = []

    def until_serving(self, q: Ints, timers: Ints, starts: list[Start]) -> list[Delay]:
        """Return the delays until pods serve."""
        whole = self.data[q]
        delays: list[Delay] = [("start", timers, None)]
        if whole.all():
            delays.append(("catch_up", timers, None))
        else:
            delays += [("catch_up", timers[whole], whole), ("rebuild", timers[~whole], ~whole)]
        begin = 0
        for start in starts:
            delays += [(law, timers[some + begin], some + begin) for law, some in start.delays]
            begin += len(start.q)
        return delays

    def one_missing(self) -> Flags:
        """Return in which columns one pod alone does not serve, and nothing is on the way but drains.

        There must be a quorum without it.
        """
        if self.c.replicas == self.c.quorum:
            return np.zeros(self.width, dtype=bool)
        missing: Flags = (self.waiting + self.rolling == 0) & (self.serving == self.c.replicas - 1)
        return missing

    def serves_alone(self, timers: Ints, k: Ints, when: Ints) -> None:
        self.serves_from(timers - self.first_pod * self.width, k, when)
        np.add.at(self.figures["short_ns"], k, when - self.now[k])

    def serves_from(self, q: Ints, k: Ints, when: Ints) -> None:
        self.state[q] = SERVING
        self.serving[k] += 1
        if self.c.disk_life is not None:
            self.copies[k] += ~self.data[q]
            self.data[q] = True
        self.serving_since[q] = when

    def evicted_alone(self, timers: Ints, k: Ints, when: Ints) -> None:
        self.count("evicted", k)
        self.state[timers - self.first_pod * self.width] = TERMINATING

    # ---- drains ---------------------------------------------------------------------------------------------

    def find_drained(self, missing: Flags, starting: Ints) -> None:
        """Find nodes that have been drained, which is yet to be seen, while their last pod starts elsewhere.

        It is the only one that starts there. Their timers are held back; `drained_first` sets them.
        """
        self.hands_over = np.zeros(self.width, dtype=bool)
        self.drained = _NONE, _NONE
        if not self.woken:
            return
        a, k = (np.concatenate(parts) for parts in zip(*self.woken, strict=True))
        starts_in = np.zeros(self.width, dtype=bool)
        starts_in[starting] = True
        empty = (self.there[a] == 0) & (self.off[a] == 0)
        some = (missing[k] & starts_in[k] & empty & (self.draining[k] == 1)).nonzero()[0]
        a, k = a[some], k[some]
        place = np.empty(self.width, dtype=np.int64)
        place[k] = np.arange(len(k))
        self.hands_over[k] = True
        a = a[place[starting[self.hands_over[starting]]]]
        timers = self.drain_timer(a)
        self.drained = a, self.timers[timers]
        self.timers[timers] = NEVER

    def drained_first(self, k: Ints, serves: Ints, crashes: Ints, handled: Flags, delays: list[Ints | int]) -> None:
        """Handle the end of drains before their pods serve, and that of maintenance after it."""
        of = self.hands_over[k].nonzero()[0]
        if not len(of):
            return
        (a, begins), k, serves, crashes = self.drained, k[of], serves[of], crashes[of]
        timers = self.drain_timer(a)
        maintenance, pause = delays
        limit = np.minimum(self.when[k], self.c.horizon_ns)
        ends = begins + maintenance
        begun = begins < np.minimum(serves, limit)
        served = begun & (serves < np.minimum(ends, limit))
        ended = served & (ends < np.minimum(crashes, limit))
        handled[of] = served
        self.set_first(timers, k, np.where(ended, ends + pause, np.where(begun, ends, begins)))
        self.drain[a] = np.where(ended, IDLE, np.where(begun, MAINTENANCE, DRAINING))
        goes_off = (begun & ~ended).nonzero()[0]
        self.off[a[goes_off]] = 1
        self.died[a[goes_off]] = begins[goes_off]
        for some, time in ((begun.nonzero()[0], begins), (ended.nonzero()[0], ends)):
            self.happened(k[some], time[some])
            self.delays.occasion_now(timers[some])
        k = k[begun]
        self.count("drained", k)
        self.draining[k] -= 1
