"""The campaign model, thousands of replicates in lock-step: `reference` rule by rule, on arrays.

Each step handles the next event of every replicate. A rule gets the places of what it is about and *k*, the columns
they are in (`columns` says how state lies in memory); rules are named and ordered as in `reference`, which says what
they mean.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

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
from k8sim.lockstep.columns import Columns, Flags, Ints, Outcome

CHUNK: Final = 10_000
"""Replicates stepped together: more gain little and need more memory, about 2 kB each."""
_COMPACT: Final = 0.75
"""Columns that are done are taken out when fewer than this share is left."""


class Lockstep(Columns):
    """A range of replicates of a campaign, by the rules."""

    # ---- machines -------------------------------------------------------------------------------------------

    def zone_event(self, z: Ints, k: Ints) -> None:
        at = z * self.width + k
        up = ~self.zone_up[at]
        self.zone_up[at] = up
        for law, purpose, some in ((self.c.zone_life, "life", up), (self.c.zone_outage, "outage", ~up)):
            self.timers[at[some]] = self.next(law, "zone", purpose, at[some], k[some])
        for n, zone in enumerate(self.c.node_zone):
            here = k[z == zone]
            if len(here):
                self.power_changed(np.full(len(here), n), here)

    def node_event(self, n: Ints, k: Ints) -> None:
        a = n * self.width + k
        up = ~self.node_up[a]
        self.node_up[a] = up
        timer = a + self.first_node * self.width
        for law, purpose, some in ((self.c.node_life, "life", up), (self.c.node_outage, "outage", ~up)):
            self.timers[timer[some]] = self.next(law, "node", purpose, a[some], k[some])
        self.power_changed(n, k)

    def power_changed(self, n: Ints, k: Ints) -> None:
        a = n * self.width + k
        powered = self.zone_up[self.zone_of[n] * self.width + k]
        alive = self.node_up[a] & powered & (self.drain[a] != MAINTENANCE)
        changed = np.flatnonzero(alive != self.alive[a])
        if not len(changed):
            return
        n, k, a, alive = n[changed], k[changed], a[changed], alive[changed]
        self.alive[a] = alive
        self.detected[a[alive]] = NEVER
        self.detected[a[~alive]] = self.noticed(a[~alive], k[~alive])
        busy = np.flatnonzero(self.there[a])
        if not len(busy):
            return
        n, k, alive = n[busy], k[busy], alive[busy]
        rows, columns = np.nonzero(self.node.reshape(-1, self.width).take(k, axis=1) == n)
        k, alive = k[columns], alive[columns]
        q = rows * self.width + k
        state = self.state[q]
        self.nodes_died(q[~alive], k[~alive], state[~alive])
        self.nodes_returned(q[alive], k[alive], state[alive])

    def noticed(self, a: Ints, k: Ints) -> Ints:
        """Return when the control plane will have noticed that nodes are down since now."""
        now = self.now[k]
        stale: Ints = now - (now - self.heartbeat[a]) % HEARTBEAT + MONITOR_GRACE
        return stale + (self.monitor[k] - stale) % MONITOR_PERIOD

    def nodes_died(self, q: Ints, k: Ints, state: npt.NDArray[np.int8]) -> None:
        ran, stopped = (state == SERVING) | (state == STARTING), state == STOPPING
        if ran.any():
            np.subtract.at(self.serving, k[state == SERVING], 1)
            self.dead(q[ran], k[ran])
        if stopped.any():
            self.terminating(q[stopped], k[stopped])

    def nodes_returned(self, q: Ints, k: Ints, state: npt.NDArray[np.int8]) -> None:
        starts, confirmed = state == DEAD, state == TERMINATING
        if starts.any():
            self.count("resumed", k[starts])
            self.start(q[starts], k[starts], 0)
        if confirmed.any():
            self.state[q[confirmed]] = STOPPING
            self.arm_pod(q[confirmed], self.now[k[confirmed]] + CLEANUP)

    # ---- pods -----------------------------------------------------------------------------------------------

    def pod_event(self, q: Ints, k: Ints) -> None:
        state = self.state[q]
        rules = (
            (SERVING, self.crash), (STARTING, self.serves), (DEAD, self.evicted), (TERMINATING, self.forced),
            (STOPPING, self.gone), (DISKLESS, self.disk_replaced),
        )  # fmt: skip
        for number, rule in rules:
            concerned = np.flatnonzero(state == number)
            if len(concerned):
                rule(q[concerned], k[concerned])
        self.wake_drains(k[(state != SERVING) & (state != DEAD)])

    def serves(self, q: Ints, k: Ints) -> None:
        self.state[q] = SERVING
        self.serving[k] += 1
        self.copies[k] += ~self.data[q]
        self.data[q] = True
        self.serving_since[q] = self.now[k]
        self.arm_pod(q, self.next(self.c.crash, "pod", "crash", q, k))

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
        calm = self.now[k] - self.serving_since[q] >= BACKOFF_RESET
        backoff = np.where(calm, 0, self.backoff[q])
        wait = np.where(backoff > 0, np.minimum(BACKOFF << np.maximum(backoff - 1, 0), BACKOFF_MAX), 0)
        self.backoff[q] = np.minimum(backoff + 1, 7)
        self.start(q, k, wait)

    def start(self, q: Ints, k: Ints, delay: Ints | int) -> None:
        self.state[q] = STARTING
        delay = delay + self.draw(self.c.start, "pod", "start", q)
        whole = self.data[q]
        if whole.all():
            delay += self.draw(self.c.catch_up, "pod", "catch up", q)
        else:
            delay[whole] += self.draw(self.c.catch_up, "pod", "catch up", q[whole])
            delay[~whole] += self.draw(self.c.rebuild, "pod", "rebuild", q[~whole])
        self.arm_pod(q, self.now[k] + delay)

    def dead(self, q: Ints, k: Ints) -> None:
        self.state[q] = DEAD
        evicted = self.detected[self.node[q] * self.width + k] + self.c.toleration_ns
        self.arm_pod(q, np.minimum(evicted, NEVER))

    def terminating(self, q: Ints, k: Ints) -> None:
        self.state[q] = TERMINATING
        self.arm_pod(q, self.next(self.c.force_delete, "pod", "force", q, k))

    def stop(self, q: Ints, k: Ints) -> None:
        self.serving[k] -= self.state[q] == SERVING
        self.state[q] = STOPPING
        self.arm_pod(q, self.now[k] + self.draw(self.c.stop, "pod", "stop", q))

    def gone(self, q: Ints, k: Ints) -> None:
        self.state[q] = ABSENT
        self.waiting[k] += 1
        n = self.node[q]
        self.there[n * self.width + k] -= 1
        self.in_zone[self.zone_of[n] * self.width + k] -= 1
        self.node[q] = -1
        self.released[q] = self.now[k] + FORCE_DETACH
        self.backoff[q] = 0
        self.count("replaced", k)
        self.arm_pod(q, NEVER)

    # ---- the controller and the scheduler, after every event ------------------------------------------------

    def settle(self, live: Flags) -> None:
        waiting = np.flatnonzero((self.waiting > 0) & live)
        if len(waiting):
            self.place_waiting(waiting)
        rolling = np.flatnonzero(self.rolling & (self.serving == self.c.replicas) & live)
        if len(rolling):
            self.roll(rolling)

    def place_waiting(self, k: Ints) -> None:
        lower = np.ones(len(k), dtype=bool)  # all lower ordinals serve
        for p in range(self.c.replicas):
            q = p * self.width + k
            state = self.state[q]
            wanted = (state == ABSENT) & lower if self.c.ordered else state == ABSENT
            wanted |= state == PENDING
            if wanted.any():
                self.state[q[wanted]] = PENDING
                self.place_pod(q[wanted], k[wanted])
            lower &= state == SERVING

    def place_pod(self, q: Ints, k: Ints) -> None:
        n = self.choose(q, k)
        taken = n >= 0
        q, k, n = q[taken], k[taken], n[taken]
        if not len(k):
            return
        self.take_place(q, k, n)
        self.waiting[k] -= 1
        alive = self.alive[n * self.width + k]
        if not alive.all():
            self.dead(q[~alive], k[~alive])
            q, k, n = q[alive], k[alive], n[alive]
            if not len(k):
                return
        self.start(q, k, self.volume_follows(q, k, n))

    def take_place(self, q: Ints, k: Ints, n: Ints) -> None:
        """Put pods on nodes, which binds their volumes if nothing has yet."""
        self.node[q] = n
        zone = self.zone_of[n]
        self.there[n * self.width + k] += 1
        self.in_zone[zone * self.width + k] += 1
        if self.c.pinning != "none":
            pin = self.pin[q]
            self.pin[q] = np.where(pin < 0, n if self.c.pinning == "node" else zone, pin)

    def volume_follows(self, q: Ints, k: Ints, n: Ints) -> Ints:
        """Return how long it takes until volumes are where their pods are."""
        old, delay = self.attached[q], np.zeros(len(k), dtype=np.int64)
        moves = old != n
        if moves.any():
            known = moves & (old >= 0)
            there = self.alive[np.maximum(old, 0) * self.width + k]
            detached, forced = known & there, known & ~there
            if detached.any():
                delay[detached] += self.draw(self.c.detach, "pod", "detach", q[detached])
            delay[forced] += np.maximum(self.released[q[forced]] - self.now[k[forced]], 0)
            delay[moves] += self.draw(self.c.attach, "pod", "attach", q[moves])
            self.attached[q] = n
        return delay

    def choose(self, q: Ints, k: Ints) -> Ints:
        c, nodes = self.c, len(self.c.node_zone)
        there, alive, detected, drain = (
            rows.reshape(nodes, self.width).take(k, axis=1)
            for rows in (self.there, self.alive, self.detected, self.drain)
        )
        in_zone = self.in_zone.reshape(-1, self.width).take(k, axis=1)[self.zone_of]
        refused = (~alive & (detected <= self.now[k])) | (drain != IDLE) | (there >= c.per_node)
        number = np.arange(nodes)[:, None]
        if c.pinning != "none":
            pin = self.pin[q]
            refused |= (pin >= 0) & (pin != (number if c.pinning == "node" else self.zone_of[:, None]))
        score = (in_zone * (c.replicas + 1) + there) * nodes + number
        score[refused] = NEVER
        lowest = score.min(axis=0)
        return np.where(lowest == NEVER, -1, lowest % nodes)

    def roll(self, k: Ints) -> None:
        left = ~self.updated.reshape(-1, self.width).take(k, axis=1)
        some = left.any(axis=0)
        highest = self.c.replicas - 1 - np.argmax(left[::-1], axis=0)
        updates, done = k[some], k[~some]
        if len(updates):
            q = highest[some] * self.width + updates
            self.updated[q] = True
            self.count("updated", updates)
            self.stop(q, updates)
        if len(done):
            self.rolling[done] = False
            again = self.next(self.c.rollout_every, "rollout", "every", done, done)
            self.timers[done + self.rollout * self.width] = again

    def rollout_begins(self, k: Ints) -> None:
        self.rolling[k] = True
        self.updated.reshape(-1, self.width)[:, k] = False

    # ---- drains ---------------------------------------------------------------------------------------------

    def drain_event(self, n: Ints, k: Ints) -> None:
        a = n * self.width + k
        phase = self.drain[a]
        ends = phase == MAINTENANCE
        if ends.any():
            self.drain[a[ends]] = IDLE
            self.power_changed(n[ends], k[ends])
        put_off = (phase == IDLE) & ~self.alive[a]
        again = ends | put_off
        if again.any():
            self.arm_drain(a[again], self.next(self.c.drain_every, "node", "drain", a[again], k[again]))
        begins = (phase == IDLE) & ~put_off
        self.drain[a[begins]] = DRAINING
        self.draining[k[begins]] += 1
        self.drain_began[a[begins]] = self.now[k[begins]]
        n, k, a = n[~again], k[~again], a[~again]
        if not len(k):
            return
        busy = np.flatnonzero(self.there[a])
        for p in range(self.c.replicas if len(busy) else 0):
            self.evict(p, n[busy], k[busy])
        empty = self.there[a] == 0
        n, k, a = n[empty], k[empty], a[empty]
        if len(k):
            self.count("drained", k)
            self.drain[a] = MAINTENANCE
            self.draining[k] -= 1
            self.power_changed(n, k)
            self.arm_drain(a, self.next(self.c.maintenance, "node", "maintenance", a, k))

    def evict(self, p: int, n: Ints, k: Ints) -> None:
        q = p * self.width + k
        state = self.state[q]
        spare = self.serving[k] - (state == SERVING)
        runs = (state == SERVING) | (state == STARTING)
        concerned = np.flatnonzero((self.node[q] == n) & runs & (spare >= self.c.healthy))
        if len(concerned):
            self.stop(q[concerned], k[concerned])

    def wake_drains(self, k: Ints) -> None:
        k = k[self.draining[k] > 0]
        if not len(k):
            return
        rows, columns = np.nonzero(self.drain.reshape(-1, self.width).take(k, axis=1) == DRAINING)
        k = k[columns]
        a, now = rows * self.width + k, self.now[k]
        self.arm_drain(a, now + 1 + (self.drain_began[a] - now - 1) % EVICTION_RETRY)

    # ---- disks ----------------------------------------------------------------------------------------------

    def disk_lost(self, q: Ints, k: Ints) -> None:
        self.timers[q + self.first_disk * self.width] = self.next(self.c.disk_life, "pod", "disk", q, k)
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
        q, k, loss = q[~nowhere], k[~nowhere], loss[~nowhere]
        self.state[q] = DISKLESS
        for law, purpose, some in ((self.c.restore, "restore", loss), (self.c.replace, "replace", ~loss)):
            if some.any():
                self.arm_pod(q[some], self.now[k[some]] + self.draw(law, "pod", purpose, q[some]))

    # ---- the whole ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let all pods serve, each with a volume where it is."""
        c, k = self.c, np.arange(self.width)
        for p in range(c.replicas):
            q = p * self.width + k
            n = self.choose(q, k)
            self.take_place(q, k, n)
            self.state[q], self.attached[q] = SERVING, n
            self.arm_pod(q, self.next(c.crash, "pod", "crash", q, k))
            self.timers[q + self.first_disk * self.width] = self.next(c.disk_life, "pod", "disk", q, k)
        self.serving[:] = c.replicas
        for z in range(c.zones):
            at = z * self.width + k
            self.timers[at] = self.next(c.zone_life, "zone", "life", at, k)
        for number in range(len(c.node_zone)):
            a = number * self.width + k
            self.timers[a + self.first_node * self.width] = self.next(c.node_life, "node", "life", a, k)
            self.arm_drain(a, self.next(c.drain_every, "node", "drain", a, k))
        self.timers[k + self.rollout * self.width] = self.next(c.rollout_every, "rollout", "every", k, k)

    def step(self) -> bool:
        """Handle one event of each replicate that has one left; tell whether any had."""
        timers = self.timers.reshape(-1, self.width)
        when = timers.min(axis=0)
        live = when < self.c.horizon_ns
        left = int(np.count_nonzero(live))
        self.account(np.minimum(when, self.c.horizon_ns))
        if left < _COMPACT * self.width:
            self.leave(np.flatnonzero(~live))
            if not left:
                return False
            self.keep(np.flatnonzero(live))
            timers, when, live = self.timers.reshape(-1, self.width), when[live], live[live]
        hits = np.flatnonzero(timers == np.where(live, when, -1))
        if len(hits) > left:  # of timers that end at the same time the first counts
            _, first = np.unique(hits % self.width, return_index=True)
            hits = np.sort(hits[first])
        self.figures["events"] += live
        self.figures["fingerprint"] += when * live
        self.timers[hits] = NEVER
        self.fire(hits)
        self.settle(live)
        self.watch_quorum()
        return True

    def fire(self, hits: Ints) -> None:
        """Apply the rules of timers that have ended; they are in order, so those of one rule are together."""
        width = self.width
        firsts = (0, self.first_node, self.first_pod, self.first_drain, self.first_disk, self.rollout, self.rollout + 1)
        edges = np.searchsorted(hits, np.array(firsts) * width).tolist()
        zones, nodes, pods, drains, disks, rollouts = (
            hits[low:high] - first * width for first, low, high in zip(firsts[:-1], edges[:-1], edges[1:], strict=True)
        )
        for rule, at in ((self.zone_event, zones), (self.node_event, nodes)):
            if len(at):
                rule(*np.divmod(at, width))
        if len(pods):
            self.pod_event(pods, pods % width)
        if len(drains):
            self.drain_event(*np.divmod(drains, width))
        if len(disks):
            self.disk_lost(disks, disks % width)
        if len(rollouts):
            self.rollout_begins(rollouts)

    def run(self) -> Outcome:
        """Run to the horizon."""
        self.begin()
        while self.step():
            pass
        none = (np.empty(0, dtype=np.int64),) * 2
        lengths, places = (np.concatenate(parts) for parts in zip(none, *self.outages, strict=True))
        return Outcome(self.results, lengths, places)


def run_lockstep(campaign: Campaign, seed: int, replicates: Ints) -> Outcome:
    """Run replicates by their numbers."""
    return Lockstep(campaign, seed, replicates).run()
