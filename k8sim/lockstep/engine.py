"""The campaign model, thousands of replicates in lock-step: `reference` rule by rule, on arrays.

Each step handles the next event of every replicate, and what is certain to follow (`timers`, `ahead`). A rule gets the
places of what it is about and *k*, the columns they are in (`columns` says how state lies in memory); rules are named
and ordered as in `reference`, which says what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.ahead import Ahead, Start
from k8sim.lockstep.campaign import (
    ABSENT,
    BACKOFF,
    BACKOFF_MAX,
    BACKOFF_RESET,
    CLEANUP,
    DEAD,
    DISKLESS,
    DRAINING,
    EVICTION_RETRY,
    FORCE_DETACH,
    HEARTBEAT,
    IDLE,
    MAINTENANCE,
    MONITOR_GRACE,
    MONITOR_PERIOD,
    NEVER,
    PENDING,
    SERVING,
    STARTING,
    STOPPING,
    TERMINATING,
    Campaign,
)
from k8sim.lockstep.columns import Flags, Ints, Outcome
from k8sim.lockstep.timers import FollowUp, Rows

CHUNK: Final = 20_000
"""Replicates stepped together: more gain little and need more memory, about 1 kB each."""
_COMPACT: Final = 0.75
"""Columns that are done are taken out when fewer than this share is left."""
_REFUSED: Final = np.iinfo(np.int16).max
"""More than any score of a node: see `Lockstep.choose`."""

_WAITS: Final = np.array([0, *(min(BACKOFF << n, BACKOFF_MAX) for n in range(7))])
"""How long a container waits for its start after 0, 1, ... crashes."""

PowerChange = tuple[Ints, Ints, npt.NDArray[np.int8]]
"""Nodes, their columns, and by how much the number of reasons changes for which each is off."""


class Lockstep(Ahead):
    """A range of replicates of a campaign, by the rules.

    What several rules ask for in one step is done once for all of them, after them: nodes lose or get power, and delays
    are drawn and timers set. Each replicate has one event until then, so nothing comes in between.
    """

    # ---- machines -------------------------------------------------------------------------------------------

    def zone_event(self, z: Ints, k: Ints) -> PowerChange:
        at = z * self.width + k
        up = ~self.zone_up[at]
        self.zone_up[at] = up
        self.delays.occasion(at)
        for law, some in (("zone_life", places(up)), ("zone_outage", places(~up))):
            self.arm(at[some], self.now[k[some]], (law, at[some], None))
        n, of = both(self.zone_of[:, None] == z)
        return n, k[of], power_change(up[of])

    def node_event(self, n: Ints, k: Ints) -> PowerChange:
        a = n * self.width + k
        up = ~self.node_up[a]
        self.node_up[a] = up
        timers = self.node_timer(a)
        self.delays.occasion(timers)
        back, fails = places(up), places(~up)
        self.arm(timers[back], self.now[k[back]], ("node_life", timers[back], None))
        failed, of = a[fails], k[fails]
        unused = (self.there[failed] == 0) & (self.waiting[of] == 0)
        outage = FollowUp(of, unused, "node_life", True, self.unused_node_returns)
        self.arm(timers[fails], self.now[of], ("node_outage", timers[fails], None), follow_up=outage)
        return n, k, power_change(up)

    def power_changed(self, changes: list[PowerChange]) -> None:
        n, k, by = (np.concatenate(parts) for parts in zip(*changes, strict=True))
        a = n * self.width + k
        reasons = self.off[a] + by
        self.off[a] = reasons
        changed = places((reasons == 0) | ((reasons == 1) & (by == 1)))
        n, k, a, alive = n[changed], k[changed], a[changed], reasons[changed] == 0
        self.died[a] = self.now[k]
        busy = places(self.there[a] > 0)
        if not len(busy):
            return
        n, k, alive = n[busy], k[busy], alive[busy]
        rows, columns = both(self.node.reshape(-1, self.width).take(k, axis=1) == n)
        k, alive = k[columns], alive[columns]
        q = rows * self.width + k
        state = self.state[q]
        died, returned = places(~alive), places(alive)
        self.nodes_died(q[died], k[died], state[died])
        self.nodes_returned(q[returned], k[returned], state[returned])

    def noticed(self, a: Ints, k: Ints) -> Ints:
        """Return when the control plane will have noticed that nodes are down."""
        died = self.died[a]
        stale: Ints = died - (died - self.heartbeat[a]) % HEARTBEAT + MONITOR_GRACE
        return stale + (self.monitor[k] - stale) % MONITOR_PERIOD

    def nodes_died(self, q: Ints, k: Ints, state: npt.NDArray[np.int8]) -> None:
        serving = state == SERVING
        ran, stopped = places(serving | (state == STARTING)), places(state == STOPPING)
        if len(ran):
            np.subtract.at(self.serving, k[places(serving)], np.int8(1))  # a column may be there more than once
            self.dead(q[ran], k[ran])
        if len(stopped):
            self.terminating(q[stopped], k[stopped])

    def nodes_returned(self, q: Ints, k: Ints, state: npt.NDArray[np.int8]) -> None:
        starts, confirmed = places(state == DEAD), places(state == TERMINATING)
        if len(starts):
            self.count("resumed", k[starts])
            self.delays.occasion(self.pod_timer(q[starts]))
            self.start(q[starts], k[starts], self.now[k[starts]])
        if len(confirmed):
            q, k = q[confirmed], k[confirmed]
            self.state[q] = STOPPING
            self.timers[self.pod_timer(q)] = self.now[k] + CLEANUP

    # ---- pods -----------------------------------------------------------------------------------------------

    def pod_event(self, q: Ints, k: Ints) -> None:
        state = self.state[q]
        rules = (
            (SERVING, self.crash), (STARTING, self.serves), (DEAD, self.evicted), (TERMINATING, self.forced),
            (STOPPING, self.gone), (DISKLESS, self.disk_replaced),
        )  # fmt: skip
        for number, rule in rules:
            concerned = places(state == number)
            if len(concerned):
                rule(q[concerned], k[concerned])
        self.wake_drains(k[(state != SERVING) & (state != DEAD)])

    def serves(self, q: Ints, k: Ints) -> None:
        timers, now = self.pod_timer(q), self.now[k]
        self.serves_from(q, k, now)
        self.arm(timers, now, ("crash", timers, None))

    def evicted(self, q: Ints, k: Ints) -> None:
        self.count("evicted", k)
        self.terminating(q, k)

    def forced(self, q: Ints, k: Ints) -> None:
        self.count("forced", k)
        self.gone(q, k)

    def disk_replaced(self, q: Ints, k: Ints) -> None:
        self.attached[q] = self.pin[q] = -1
        self.gone(q, k)

    def crash(self, q: Ints, k: Ints) -> None:
        self.count("crashes", k)
        self.serving[k] -= 1
        self.delays.occasion(self.pod_timer(q))
        calm = self.now[k] - self.serving_since[q] >= BACKOFF_RESET
        backoff = np.where(calm, 0, self.backoff[q])
        self.backoff[q] = np.minimum(backoff + 1, 7)
        self.start(q, k, self.now[k] + _WAITS[backoff])

    def start(self, q: Ints, k: Ints, when: Ints, *delays: tuple[str, Ints]) -> None:
        self.state[q] = STARTING
        self.starts.append(Start(q, k, when, delays))

    def dead(self, q: Ints, k: Ints) -> None:
        self.state[q] = DEAD
        evicted = self.noticed(self.node[q] * np.int64(self.width) + k, k) + self.c.toleration_ns
        self.deaths.append((q, k, evicted))

    def terminating(self, q: Ints, k: Ints) -> None:
        self.state[q] = TERMINATING
        timers = self.pod_timer(q)
        self.delays.occasion(timers)
        self.arm(timers, self.now[k], ("force_delete", timers, None))

    def stop(self, q: Ints, k: Ints) -> None:
        self.serving[k] -= self.state[q] == SERVING
        self.state[q] = STOPPING
        timers = self.pod_timer(q)
        self.arm(timers, self.now[k], ("stop", timers, None))

    def gone(self, q: Ints, k: Ints) -> None:
        self.state[q] = ABSENT
        timers = self.pod_timer(q)
        self.timers[timers] = NEVER
        self.delays.occasion(timers)
        self.waiting[k] += 1
        self.there[self.node[q] * np.int64(self.width) + k] -= 1
        self.node[q] = -1
        self.released[q] = self.now[k] + FORCE_DETACH
        self.backoff[q] = 0
        self.count("replaced", k)

    # ---- the controller and the scheduler, after every event ------------------------------------------------

    def settle(self, live: Flags) -> None:
        waiting = places((self.waiting > 0) & live)
        if len(waiting):
            self.place_waiting(waiting)
        rolling = places(self.rolling & (self.serving == self.c.replicas) & live)
        if len(rolling):
            self.roll(rolling)

    def place_waiting(self, k: Ints) -> None:
        state = self.state.reshape(-1, self.width).take(k, axis=1)
        wanted = state == ABSENT
        if self.c.ordered:  # all lower ordinals serve
            wanted[1:] &= np.logical_and.accumulate(state == SERVING)[:-1]
        wanted |= state == PENDING
        columns, pods = both(wanted.T)
        k = k[columns]
        q = pods * self.width + k
        self.state[q] = PENDING
        for turn in turns(q, k):
            self.place_pods(*turn)

    def place_pods(self, q: Ints, k: Ints) -> None:
        n = self.choose(q, k)
        taken = n >= 0
        q, k, n = q[taken], k[taken], n[taken]
        self.take_place(q, k, n)
        self.waiting[k] -= 1
        alive = self.off[n * self.width + k] == 0
        if not alive.all():
            self.dead(q[~alive], k[~alive])
            q, k, n = q[alive], k[alive], n[alive]
        if len(k):
            self.volume_follows(q, k, n)

    def take_place(self, q: Ints, k: Ints, n: Ints) -> None:
        """Put pods on nodes, which binds their volumes if nothing has yet."""
        self.node[q] = n
        self.there[n * self.width + k] += 1
        if self.c.pinning != "none":
            pin = self.pin[q]
            self.pin[q] = np.where(pin < 0, n if self.c.pinning == "node" else self.zone_of[n], pin)

    def volume_follows(self, q: Ints, k: Ints, n: Ints) -> None:
        """Start pods as soon as their volumes are where they are."""
        old, now = self.attached[q], self.now[k]
        moves = old != n
        known = moves & (old >= 0)
        there = self.off[np.maximum(old, 0) * np.int64(self.width) + k] == 0
        detached, forced = known & there, known & ~there
        when = np.where(forced, np.maximum(self.released[q], now), now)
        self.attached[q] = n
        self.start(q, k, when, ("detach", places(detached)), ("attach", places(moves)))

    def choose(self, q: Ints, k: Ints) -> Ints:
        c, nodes = self.c, len(self.c.node_zone)
        there, off, drain = (
            rows.reshape(nodes, self.width).take(k, axis=1) for rows in (self.there, self.off, self.drain)
        )
        refused = (drain != IDLE) | (there >= c.per_node)
        n, of = both(off > 0)
        since = k[of]
        known = self.noticed(n * self.width + since, since) <= self.now[since]
        refused[n[known], of[known]] = True
        if c.pinning != "none":
            pin = self.pin[q]
            own = (np.arange(nodes) if c.pinning == "node" else self.zone_of).astype(np.int8)
            refused |= (pin >= 0) & (pin != own[:, None])
        in_zone = np.zeros((c.zones, len(k)), dtype=np.int16)
        for zone, pods in zip(c.node_zone, there, strict=True):
            in_zone[zone] += pods
        in_zone *= (c.replicas + 1) * nodes
        score = in_zone[self.zone_of]
        score += there * np.int16(nodes)
        score += np.arange(nodes, dtype=np.int16)[:, None]
        np.copyto(score, _REFUSED, where=refused)
        lowest = score.min(axis=0)
        return np.where(lowest == _REFUSED, -1, lowest % nodes).astype(np.int64)

    def roll(self, k: Ints) -> None:
        left = ~self.updated.reshape(-1, self.width).take(k, axis=1)
        some = left.any(axis=0)
        highest = self.c.replicas - 1 - np.argmax(left[::-1], axis=0)
        updates = k[some]
        q = highest[some] * self.width + updates
        self.updated[q] = True
        self.count("updated", updates)
        self.stop(q, updates)
        self.rolling[k[~some]] = False

    def rollout_begins(self, k: Ints) -> None:
        self.rolling[k] = True
        self.updated.reshape(-1, self.width)[:, k] = False
        self.arm_rollout(k)

    def arm_rollout(self, k: Ints) -> None:
        later = np.searchsorted(self.rollouts_ns, self.now[k], side="right")
        self.timers[k + self.rollout * self.width] = self.rollouts_ns[later]

    # ---- drains ---------------------------------------------------------------------------------------------

    def drain_event(self, n: Ints, k: Ints) -> PowerChange:
        a = n * self.width + k
        phase = self.drain[a]
        ends, idle = places(phase == MAINTENANCE), places(phase == IDLE)
        alive = self.off[a[idle]] == 0
        again = np.concatenate([ends, idle[~alive]])
        self.drain[a[ends]] = IDLE
        timers = self.drain_timer(a[again])
        self.delays.occasion(timers)
        self.arm(timers, self.now[k[again]], ("drain_every", timers, None))
        begins = idle[alive]
        self.drain[a[begins]] = DRAINING
        self.draining[k[begins]] += 1
        self.drain_began[a[begins]] = self.now[k[begins]]
        goes_on = np.concatenate([begins, places(phase == DRAINING)])
        used = self.there[a[goes_on]] > 0
        busy, down = goes_on[places(used)], goes_on[places(~used)]
        if len(busy):
            self.timers[self.drain_timer(a[busy])] = NEVER
            self.evict(n[busy], k[busy])
        self.maintenance_begins(a[down], k[down])
        changed = np.concatenate([ends, down])
        return n[changed], k[changed], np.repeat(np.array([-1, 1], dtype=np.int8), (len(ends), len(down)))

    def maintenance_begins(self, a: Ints, k: Ints) -> None:
        self.count("drained", k)
        self.drain[a] = MAINTENANCE
        timers = self.drain_timer(a)
        self.delays.occasion(timers)
        self.draining[k] -= 1
        ends = FollowUp(k, self.waiting[k] == 0, "drain_every", True, self.maintenance_ends_alone)
        self.arm(timers, self.now[k], ("maintenance", timers, None), follow_up=ends)

    def evict(self, n: Ints, k: Ints) -> None:
        columns, pods = both((self.node.reshape(-1, self.width).take(k, axis=1) == n).T)
        k = k[columns]
        q = pods * self.width + k
        state = self.state[q]
        runs = places((state == SERVING) | (state == STARTING))
        for pods, of in turns(q[runs], k[runs]):
            some = places(self.serving[of] - (self.state[pods] == SERVING) >= self.c.healthy)
            self.stop(pods[some], of[some])

    def wake_drains(self, k: Ints) -> None:
        k = k[self.draining[k] > 0]
        if not len(k):
            return
        rows, columns = both(self.drain.reshape(-1, self.width).take(k, axis=1) == DRAINING)
        k = k[columns]
        a, now = rows * self.width + k, self.now[k]
        self.woken.append((a, k))
        self.timers[self.drain_timer(a)] = now + 1 + (self.drain_began[a] - now - 1) % EVICTION_RETRY

    # ---- disks ----------------------------------------------------------------------------------------------

    def disk_lost(self, q: Ints, k: Ints) -> None:
        disks = self.disk_timer(q)
        self.delays.occasion(disks)
        self.arm(disks, self.now[k], ("disk_life", disks, None))
        self.copies[k] -= self.data[q]
        self.data[q] = False
        loss: Flags = self.copies[k] == 0
        lost = k[loss]
        if len(lost):
            self.count("losses", lost)
            first = self.figures["first_loss_ns"]
            first[lost] = np.minimum(first[lost], self.now[lost])
            self.data.reshape(-1, self.width)[:, lost] = True
            self.copies[lost] = self.c.replicas
        state = self.state[q]
        nowhere = (state == ABSENT) | (state == PENDING)
        self.attached[q[nowhere]] = self.pin[q[nowhere]] = -1
        self.serving[k] -= state == SERVING
        q, k, loss, disks = q[~nowhere], k[~nowhere], loss[~nowhere], disks[~nowhere]
        self.state[q] = DISKLESS
        for law, some in (("restore", loss), ("replace", ~loss)):
            self.arm(self.pod_timer(q[some]), self.now[k[some]], (law, disks[some], None))

    # ---- the whole ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let all pods serve, each with a volume where it is."""
        c, k = self.c, np.arange(self.width)
        for p in range(c.replicas):
            q = p * self.width + k
            n = self.choose(q, k)
            self.take_place(q, k, n)
            self.state[q], self.attached[q] = SERVING, n
            self.arm(timers := self.pod_timer(q), self.now.copy(), ("crash", timers, None))
            if c.disk_life is not None:
                self.arm(timers := self.disk_timer(q), self.now.copy(), ("disk_life", timers, None))
        self.serving[:] = c.replicas
        for z in range(c.zones if c.zone_life is not None else 0):
            at = z * self.width + k
            self.arm(at, self.now.copy(), ("zone_life", at, None))
        for number in range(len(c.node_zone)):
            a = number * self.width + k
            if c.node_life is not None:
                self.arm(timers := self.node_timer(a), self.now.copy(), ("node_life", timers, None))
            if c.drain_every is not None:
                self.arm(timers := self.drain_timer(a), self.now.copy(), ("drain_every", timers, None))
        if c.rollouts_ns:
            self.timers[k + self.rollout * self.width] = c.rollouts_ns[0]
        self.set_timers()

    def step(self) -> bool:
        """Handle one event of each replicate that has one left; tell whether any had."""
        when, row = self.when, self.row
        live = when < self.c.horizon_ns
        left = int(np.count_nonzero(live))
        self.account(np.minimum(when, self.c.horizon_ns))
        if left < _COMPACT * self.width:
            self.leave(places(~live))
            if not left:
                return False
            self.keep(places(live))
            when, row, live = self.when, self.row, live[live]
        row[~live] = len(self.timers) // self.width
        self.figures["events"] += live
        self.figures["fingerprint"] += when * live
        self.fire(row)
        self.settle(live)
        self.watch_quorum()
        self.arm_pods()
        self.set_timers()
        return True

    def fire(self, ends: Rows) -> None:
        """Apply the rules of timers that have ended: of each column, the one in that row."""
        k = np.argsort(ends, kind="stable")  # a radix sort
        row = ends[k].astype(np.int64)
        kinds = (0, self.first_node, self.first_pod, self.first_drain, self.first_disk, self.rollout)
        edges = np.searchsorted(row, (*kinds, len(self.timers) // self.width)).tolist()
        row, k = row[: edges[-1]], k[: edges[-1]]
        zones, nodes, pods, drains, disks, rollouts = (
            (row[low:high] - first, k[low:high]) for first, (low, high) in zip(kinds, pairwise(edges), strict=True)
        )
        machines = (self.zone_event, zones), (self.node_event, nodes), (self.drain_event, drains)
        changes = [rule(n, k) for rule, (n, k) in machines if len(k)]
        if changes:
            self.power_changed(changes)
        if len(pods[0]):
            self.pod_event(pods[0] * self.width + pods[1], pods[1])
        if len(disks[0]):
            self.disk_lost(disks[0] * self.width + disks[1], disks[1])
        if len(rollouts[0]):
            self.rollout_begins(rollouts[1])

    def run(self) -> Outcome:
        """Run to the horizon."""
        self.begin()
        while self.step():
            pass
        none = (np.empty(0, dtype=np.int64),) * 2
        lengths, places = (np.concatenate(parts) for parts in zip(none, *self.outages, strict=True))
        return Outcome(self.results, lengths, places)


def power_change(up: Flags) -> npt.NDArray[np.int8]:
    """Return by how much the number of reasons changes for a node to be off: something it needs went up, or down."""
    change: npt.NDArray[np.int8] = np.int8(1) - 2 * up.view(np.int8)
    return change


def both(mask: Flags) -> tuple[Ints, Ints]:
    """Return rows and columns where a mask is true: `numpy.nonzero`, which takes several times as long for that."""
    at = places(mask.ravel())
    rows = at // mask.shape[1]
    return rows, at - rows * mask.shape[1]


def places(mask: Flags) -> Ints:
    """Return where a mask is true: `numpy.flatnonzero` without the five calls that it makes for any array's sake."""
    return mask.nonzero()[0]


def turns(q: Ints, k: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield pods and their columns, each column once at a time: its first pod, then its second, which is next to it."""
    while len(k):
        again = k[1:] == k[:-1]
        if not again.any():
            yield q, k
            return
        first = np.concatenate([[True], ~again])
        yield q[first], k[first]
        q, k = q[~first], k[~first]


def run_lockstep(campaign: Campaign, seed: int, replicates: Ints) -> Outcome:
    """Run replicates by their numbers."""
    return Lockstep(campaign, seed, replicates).run()
