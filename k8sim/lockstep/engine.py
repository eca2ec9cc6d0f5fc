"""The campaign model, thousands of replicates in lock-step: `reference` rule by rule, on arrays.

Each step handles the next event of every replicate. A rule gets *which* entities, and *k*, the replicates (columns)
they are in; rules are named and ordered as in `reference`, which says what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    FIGURES,
    FORCE_DETACH,
    HEARTBEAT,
    IDLE,
    LONGEST,
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
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.streams import RoundKeys, address, round_keys, uniforms, uniforms_of

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CHUNK: Final = 10_000
"""Replicates stepped together: more gain little and need more memory, about 2 kB each."""
AHEAD: Final = 8
"""How many delays of each address are drawn ahead."""
_BLOCK: Final = 1 << 13
_COMPACT: Final = 0.25
_PER_COLUMN: Final = (
    "timers", "now", "replicates", "place", "accounted", "down_since", "rolling", "monitor", "zone_up", "node_up",
    "alive", "detected", "heartbeat", "drain", "drain_began", "state", "node", "attached", "released", "pin", "data",
    "backoff", "serving_since", "updated",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Results of a range of replicates.

    Attributes
    ----------
    figures
        One int64 array for each name in `campaign.FIGURES`.
    outages_ns
        Lengths of all times below quorum; those of one replicate in the order in which they ended.
    outage_of
        The place in the range of the replicate that each belongs to.
    """

    figures: dict[str, Ints]
    outages_ns: Ints
    outage_of: Ints


class _Delays:
    """Delays of one purpose, by entity and replicate, drawn ahead: a few large draws cost less than many small ones.

    A ring of `AHEAD` delays for each. When one is empty, all are filled up.
    """

    def __init__(self, keys: RoundKeys, law: Distribution, names: list[str], purpose: str, replicates: Ints) -> None:
        self._keys, self._law = keys, law
        words = np.array([address(name, purpose) for name in names], dtype=np.uint64)
        self._h0, self._h1 = words[:, 0].copy(), words[:, 1].copy()
        shape = (len(names), len(replicates))
        self._ring = np.empty((*shape, AHEAD), dtype=np.int64)
        self._used, self._made = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)

    def draw(self, which: Ints, k: Ints, replicates: Ints) -> Ints:
        """Return the next delay of some entities."""
        used = self._used[which, k]
        if (used >= self._made[which, k]).any():
            self._fill(replicates)
        self._used[which, k] = used + 1
        return self._ring[which, k, used % AHEAD]

    def _fill(self, replicates: Ints) -> None:
        wanted = self._used + AHEAD - self._made
        which, k = np.nonzero(wanted)
        count = wanted[which, k]
        ends = np.cumsum(count)
        which, k = np.repeat(which, count), np.repeat(k, count)
        occurrence = np.arange(ends[-1]) - np.repeat(ends - count, count) + self._made[which, k]
        for first in range(0, len(which), _BLOCK):
            e, c, n = (array[first : first + _BLOCK] for array in (which, k, occurrence))
            u = uniforms_of(self._keys, replicates[c].astype(np.uint64), self._h0[e], self._h1[e], n.astype(np.uint64))
            self._ring[e, c, n % AHEAD] = np.minimum(self._law.quantiles(u), LONGEST)
        self._made = self._used + AHEAD

    def keep(self, columns: Ints) -> None:
        """Leave only some columns."""
        self._ring, self._used, self._made = self._ring[:, columns], self._used[:, columns], self._made[:, columns]


class Lockstep:
    """A range of replicates of a campaign: pods, nodes and zones are rows, replicates columns (timers: in turn)."""

    def __init__(self, campaign: Campaign, seed: int, replicates: Ints) -> None:
        c = self.c = campaign
        r, zones, nodes, pods = len(replicates), c.zones, len(c.node_zone), c.replicas
        self.replicates, self.place = replicates.astype(np.int64), np.arange(r)
        self.keys: RoundKeys = round_keys(seed)
        self.delays: dict[tuple[str, str], _Delays] = {}
        self.first_node, self.first_pod = zones, zones + nodes
        self.first_drain, self.first_disk = zones + nodes + pods, zones + 2 * nodes + pods
        self.rollout = self.first_disk + pods
        self.zone_of = np.array(c.node_zone)
        self.timers = np.full((r, self.rollout + 1), NEVER, dtype=np.int64)
        self.zone_up, self.node_up, self.alive = (np.ones((n, r), dtype=bool) for n in (zones, nodes, nodes))
        self.detected = np.full((nodes, r), NEVER, dtype=np.int64)
        beats = [uniforms(seed, replicates, f"node-{n}", "heartbeat", 0) for n in range(nodes)]
        self.heartbeat = (np.stack(beats) * HEARTBEAT).astype(np.int64)
        self.monitor = (uniforms(seed, replicates, "controller", "monitor", 0) * MONITOR_PERIOD).astype(np.int64)
        self.drain, self.drain_began = np.full((nodes, r), IDLE, dtype=np.int8), np.zeros((nodes, r), dtype=np.int64)
        self.state = np.full((pods, r), ABSENT, dtype=np.int8)
        self.node, self.attached, self.pin = (np.full((pods, r), -1, dtype=np.int64) for _ in range(3))
        self.released, self.backoff, self.serving_since = (np.zeros((pods, r), dtype=np.int64) for _ in range(3))
        self.data, self.updated = np.ones((pods, r), dtype=bool), np.ones((pods, r), dtype=bool)
        self.rolling = np.zeros(r, dtype=bool)
        self.now, self.accounted = np.zeros(r, dtype=np.int64), np.zeros(r, dtype=np.int64)
        self.down_since = np.full(r, NEVER, dtype=np.int64)
        self.figures = {name: np.zeros(r, dtype=np.int64) for name in FIGURES}
        self.figures["first_loss_ns"][:] = NEVER
        self.outages: list[tuple[Ints, Ints]] = []

    # ---- draws and timers -----------------------------------------------------------------------------------

    def draw(self, law: Distribution, kind: str, purpose: str, which: Ints, k: Ints) -> Ints:
        if isinstance(law, Constant):
            return np.full(len(k), min(law.ns, LONGEST), dtype=np.int64)
        delays = self.delays.get((kind, purpose))
        if delays is None:
            size = {"zone": self.c.zones, "node": len(self.c.node_zone), "pod": self.c.replicas, "rollout": 0}[kind]
            names = [f"{kind}-{i}" for i in range(size)] or [kind]
            delays = self.delays[kind, purpose] = _Delays(self.keys, law, names, purpose, self.replicates)
        return delays.draw(which, k, self.replicates)

    def next(self, law: Distribution | None, kind: str, purpose: str, which: Ints, k: Ints) -> Ints:
        if law is None:
            return np.full(len(k), NEVER, dtype=np.int64)
        return self.now[k] + self.draw(law, kind, purpose, which, k)

    def count(self, name: str, k: Ints) -> None:
        self.figures[name][self.place[k]] += 1

    # ---- accounting -----------------------------------------------------------------------------------------

    def serving(self, k: Ints) -> Ints:
        count: Ints = (self.state[:, k] == SERVING).sum(axis=0)
        return count

    def account(self, k: Ints) -> None:
        elapsed, serving = self.now[k] - self.accounted[k], self.serving(k)
        self.accounted[k] = self.now[k]
        place = self.place[k]
        self.figures["short_ns"][place] += np.where(serving < self.c.replicas, elapsed, 0)
        self.figures["down_ns"][place] += np.where(serving < self.c.quorum, elapsed, 0)

    def watch_quorum(self, k: Ints) -> None:
        down, since = self.serving(k) < self.c.quorum, self.down_since[k]
        begins = k[down & (since == NEVER)]
        self.down_since[begins] = self.now[begins]
        self.outage_ends(k[~down & (since != NEVER)])

    def outage_ends(self, k: Ints) -> None:
        length = self.now[k] - self.down_since[k]
        self.down_since[k] = NEVER
        k, length = k[length > 0], length[length > 0]
        if len(k):
            place = self.place[k]
            self.outages.append((length, place))
            self.figures["outages"][place] += 1
            self.figures["longest_ns"][place] = np.maximum(self.figures["longest_ns"][place], length)

    # ---- machines -------------------------------------------------------------------------------------------

    def zone_event(self, z: Ints, k: Ints) -> None:
        up = ~self.zone_up[z, k]
        self.zone_up[z, k] = up
        self.timers[k[up], z[up]] = self.next(self.c.zone_life, "zone", "life", z[up], k[up])
        self.timers[k[~up], z[~up]] = self.next(self.c.zone_outage, "zone", "outage", z[~up], k[~up])
        for n, zone in enumerate(self.c.node_zone):
            there = k[z == zone]
            if len(there):
                self.power_changed(np.full(len(there), n), there)

    def node_event(self, n: Ints, k: Ints) -> None:
        up = ~self.node_up[n, k]
        self.node_up[n, k] = up
        timer = self.first_node + n
        self.timers[k[up], timer[up]] = self.next(self.c.node_life, "node", "life", n[up], k[up])
        self.timers[k[~up], timer[~up]] = self.next(self.c.node_outage, "node", "outage", n[~up], k[~up])
        self.power_changed(n, k)

    def power_changed(self, n: Ints, k: Ints) -> None:
        alive = self.node_up[n, k] & self.zone_up[self.zone_of[n], k] & (self.drain[n, k] != MAINTENANCE)
        changed = alive != self.alive[n, k]
        n, k, alive = n[changed], k[changed], alive[changed]
        if not len(k):
            return
        self.alive[n, k] = alive
        now = self.now[k]
        stale = now - (now - self.heartbeat[n, k]) % HEARTBEAT + MONITOR_GRACE
        self.detected[n, k] = np.where(alive, NEVER, stale + (self.monitor[k] - stale) % MONITOR_PERIOD)
        for p in range(self.c.replicas):
            there = self.node[p, k] == n
            if there.any():
                self.node_returned(p, k[there & alive])
                self.node_died(p, k[there & ~alive])

    def node_died(self, p: int, k: Ints) -> None:
        state = self.state[p, k]
        for rule, concerned in (
            (self.dead, k[(state == SERVING) | (state == STARTING)]),
            (self.terminating, k[state == STOPPING]),
        ):
            if len(concerned):
                rule(np.full(len(concerned), p), concerned)

    def node_returned(self, p: int, k: Ints) -> None:
        state = self.state[p, k]
        starts, confirmed = k[state == DEAD], k[state == TERMINATING]
        if len(starts):
            self.count("resumed", starts)
            self.start(np.full(len(starts), p), starts, np.zeros(len(starts), dtype=np.int64))
        if len(confirmed):
            self.state[p, confirmed] = STOPPING
            self.timers[confirmed, self.first_pod + p] = self.now[confirmed] + CLEANUP

    # ---- pods -----------------------------------------------------------------------------------------------

    def pod_event(self, p: Ints, k: Ints) -> None:
        state = self.state[p, k]
        crashed, started, dead = state == SERVING, state == STARTING, state == DEAD
        forced, diskless = state == TERMINATING, state == DISKLESS
        if crashed.any():
            self.crash(p[crashed], k[crashed])
        if started.any():
            q, kk = p[started], k[started]
            self.state[q, kk] = SERVING
            self.data[q, kk] = True
            self.serving_since[q, kk] = self.now[kk]
            self.timers[kk, self.first_pod + q] = self.next(self.c.crash, "pod", "crash", q, kk)
        if dead.any():
            self.count("evicted", k[dead])
            self.terminating(p[dead], k[dead])
        if forced.any():
            self.count("forced", k[forced])
        if diskless.any():
            q, kk = p[diskless], k[diskless]
            self.attached[q, kk] = self.pin[q, kk] = -1
        gone = ~(crashed | started | dead)
        if gone.any():
            self.gone(p[gone], k[gone])
        self.wake_drains(k[~(crashed | dead)])

    def crash(self, p: Ints, k: Ints) -> None:
        self.count("crashes", k)
        calm = self.now[k] - self.serving_since[p, k] >= BACKOFF_RESET
        backoff = np.where(calm, 0, self.backoff[p, k])
        wait = np.where(backoff > 0, np.minimum(BACKOFF << np.maximum(backoff - 1, 0), BACKOFF_MAX), 0)
        self.backoff[p, k] = np.minimum(backoff + 1, 7)
        self.start(p, k, wait)

    def start(self, p: Ints, k: Ints, delay: Ints) -> None:
        self.state[p, k] = STARTING
        delay = delay + self.draw(self.c.start, "pod", "start", p, k)
        whole = self.data[p, k]
        delay[whole] += self.draw(self.c.catch_up, "pod", "catch up", p[whole], k[whole])
        if not whole.all():
            delay[~whole] += self.draw(self.c.rebuild, "pod", "rebuild", p[~whole], k[~whole])
        self.timers[k, self.first_pod + p] = self.now[k] + delay

    def dead(self, p: Ints, k: Ints) -> None:
        self.state[p, k] = DEAD
        evicted = self.detected[self.node[p, k], k] + self.c.toleration_ns
        self.timers[k, self.first_pod + p] = np.minimum(evicted, NEVER)

    def terminating(self, p: Ints, k: Ints) -> None:
        self.state[p, k] = TERMINATING
        self.timers[k, self.first_pod + p] = self.next(self.c.force_delete, "pod", "force", p, k)

    def stop(self, p: Ints, k: Ints) -> None:
        self.state[p, k] = STOPPING
        self.timers[k, self.first_pod + p] = self.now[k] + self.draw(self.c.stop, "pod", "stop", p, k)

    def gone(self, p: Ints, k: Ints) -> None:
        self.state[p, k] = ABSENT
        self.node[p, k] = -1
        self.released[p, k] = self.now[k] + FORCE_DETACH
        self.backoff[p, k] = 0
        self.count("replaced", k)
        self.timers[k, self.first_pod + p] = NEVER

    # ---- the controller and the scheduler, after every event ------------------------------------------------

    def settle(self, k: Ints) -> None:
        state = self.state[:, k]
        waiting = ((state == ABSENT) | (state == PENDING)).any(axis=0)
        if waiting.any():
            self.place_waiting(k[waiting])
        rolling = k[self.rolling[k]]
        if len(rolling):
            self.roll(rolling)

    def place_waiting(self, k: Ints) -> None:
        lower = np.ones(len(k), dtype=bool)  # all lower ordinals serve
        for p in range(self.c.replicas):
            state = self.state[p, k]
            made = k[(state == ABSENT) & lower] if self.c.ordered else k[state == ABSENT]
            self.state[p, made] = PENDING
            pending = k[self.state[p, k] == PENDING]
            if len(pending):
                self.place_pod(p, pending)
            lower &= state == SERVING

    def place_pod(self, p: int, k: Ints) -> None:
        n = self.choose(p, k)
        k, n = k[n >= 0], n[n >= 0]
        if not len(k):
            return
        self.node[p, k] = n
        if self.c.pinning != "none":
            pin = n if self.c.pinning == "node" else self.zone_of[n]
            self.pin[p, k] = np.where(self.pin[p, k] < 0, pin, self.pin[p, k])
        alive = self.alive[n, k]
        if not alive.all():
            self.dead(np.full(int((~alive).sum()), p), k[~alive])
            k, n = k[alive], n[alive]
            if not len(k):
                return
        pods = np.full(len(k), p)
        old, delay = self.attached[p, k], np.zeros(len(k), dtype=np.int64)
        moves, known = old != n, old >= 0
        there = self.alive[np.maximum(old, 0), k]
        detached, forced = moves & known & there, moves & known & ~there
        if detached.any():
            delay[detached] += self.draw(self.c.detach, "pod", "detach", pods[detached], k[detached])
        delay[forced] += np.maximum(self.released[p, k[forced]] - self.now[k[forced]], 0)
        if moves.any():
            delay[moves] += self.draw(self.c.attach, "pod", "attach", pods[moves], k[moves])
        self.attached[p, k] = n
        self.start(pods, k, delay)

    def choose(self, p: int, k: Ints) -> Ints:
        c, nodes = self.c, len(self.c.node_zone)
        node = self.node[:, k]
        there = np.stack([(node == n).sum(axis=0) for n in range(nodes)])
        in_zone = np.stack([there[self.zone_of == z].sum(axis=0) for z in range(c.zones)])[self.zone_of]
        known_dead = ~self.alive[:, k] & (self.detected[:, k] <= self.now[k])
        pin = self.pin[p, k]
        wanted = np.arange(nodes)[:, None] if c.pinning == "node" else self.zone_of[:, None]
        refused = known_dead | (self.drain[:, k] != IDLE) | (there >= c.per_node) | ((pin >= 0) & (pin != wanted))
        score = np.where(refused, NEVER, (in_zone * (c.replicas + 1) + there) * nodes + np.arange(nodes)[:, None])
        best = np.argmin(score, axis=0)
        return np.where(refused[best, np.arange(len(k))], -1, best)

    def roll(self, k: Ints) -> None:
        k = k[self.serving(k) == self.c.replicas]
        if not len(k):
            return
        left = ~self.updated[:, k]
        some = left.any(axis=0)
        highest = self.c.replicas - 1 - np.argmax(left[::-1], axis=0)
        p, updates, done = highest[some], k[some], k[~some]
        if len(updates):
            self.updated[p, updates] = True
            self.count("updated", updates)
            self.stop(p, updates)
        self.rolling[done] = False
        none = np.zeros(len(done), dtype=np.int64)
        self.timers[done, self.rollout] = self.next(self.c.rollout_every, "rollout", "every", none, done)

    # ---- drains ---------------------------------------------------------------------------------------------

    def drain_event(self, n: Ints, k: Ints) -> None:
        timer, phase = self.first_drain + n, self.drain[n, k]
        ends = phase == MAINTENANCE
        if ends.any():
            self.drain[n[ends], k[ends]] = IDLE
            self.power_changed(n[ends], k[ends])
        put_off = (phase == IDLE) & ~self.alive[n, k]
        again = ends | put_off
        if again.any():
            self.timers[k[again], timer[again]] = self.next(self.c.drain_every, "node", "drain", n[again], k[again])
        begins = (phase == IDLE) & ~put_off
        self.drain[n[begins], k[begins]] = DRAINING
        self.drain_began[n[begins], k[begins]] = self.now[k[begins]]
        n, k, timer = n[~again], k[~again], timer[~again]
        if not len(k):
            return
        for p in range(self.c.replicas):
            state = self.state[p, k]
            concerned = k[(self.node[p, k] == n) & ((state == SERVING) | (state == STARTING))]
            if len(concerned):
                self.evict(p, concerned)
        empty = (self.node[:, k] != n).all(axis=0)
        n, k, timer = n[empty], k[empty], timer[empty]
        if len(k):
            self.count("drained", k)
            self.drain[n, k] = MAINTENANCE
            self.power_changed(n, k)
            self.timers[k, timer] = self.next(self.c.maintenance, "node", "maintenance", n, k)

    def evict(self, p: int, k: Ints) -> None:
        spare = self.serving(k) - (self.state[p, k] == SERVING)
        k = k[spare >= self.c.healthy]
        if len(k):
            self.stop(np.full(len(k), p), k)

    def wake_drains(self, k: Ints) -> None:
        n, at = np.nonzero(self.drain[:, k] == DRAINING)
        if len(n):
            k = k[at]
            now = self.now[k]
            self.timers[k, self.first_drain + n] = now + 1 + (self.drain_began[n, k] - now - 1) % EVICTION_RETRY

    # ---- disks ----------------------------------------------------------------------------------------------

    def disk_lost(self, p: Ints, k: Ints) -> None:
        self.timers[k, self.first_disk + p] = self.next(self.c.disk_life, "pod", "disk", p, k)
        self.data[p, k] = False
        loss: Flags = ~np.any(self.data[:, k], axis=0)
        lost = k[loss]
        if len(lost):
            self.count("losses", lost)
            first = self.figures["first_loss_ns"]
            first[self.place[lost]] = np.minimum(first[self.place[lost]], self.now[lost])
            self.data[:, lost] = True
        state = self.state[p, k]
        nowhere = (state == ABSENT) | (state == PENDING)
        self.attached[p[nowhere], k[nowhere]] = self.pin[p[nowhere], k[nowhere]] = -1
        p, k, loss = p[~nowhere], k[~nowhere], loss[~nowhere]
        self.state[p, k] = DISKLESS
        for law, purpose, concerned in ((self.c.restore, "restore", loss), (self.c.replace, "replace", ~loss)):
            if concerned.any():
                wait = self.draw(law, "pod", purpose, p[concerned], k[concerned])
                self.timers[k[concerned], self.first_pod + p[concerned]] = self.now[k[concerned]] + wait

    # ---- the whole ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let all pods serve, each with a volume where it is."""
        c, k = self.c, np.arange(len(self.now))
        pods, nodes = c.replicas, len(c.node_zone)
        for p in range(pods):
            self.state[p] = SERVING
            chosen = self.choose(p, k)
            self.node[p] = self.attached[p] = chosen
            if c.pinning != "none":
                self.pin[p] = chosen if c.pinning == "node" else self.zone_of[chosen]
        for z in range(c.zones):
            self.timers[:, z] = self.next(c.zone_life, "zone", "life", np.full(len(k), z), k)
        for n in range(nodes):
            one = np.full(len(k), n)
            self.timers[:, self.first_node + n] = self.next(c.node_life, "node", "life", one, k)
            self.timers[:, self.first_drain + n] = self.next(c.drain_every, "node", "drain", one, k)
        for p in range(pods):
            one = np.full(len(k), p)
            self.timers[:, self.first_pod + p] = self.next(c.crash, "pod", "crash", one, k)
            self.timers[:, self.first_disk + p] = self.next(c.disk_life, "pod", "disk", one, k)
        self.timers[:, self.rollout] = self.next(
            c.rollout_every, "rollout", "every", np.zeros(len(k), dtype=np.int64), k
        )

    def step(self) -> bool:
        """Handle one event of each replicate that has one left; tell whether any had."""
        columns = np.arange(len(self.now))
        entity = np.argmin(self.timers, axis=1)
        when = self.timers[columns, entity]
        k = np.flatnonzero(when < self.c.horizon_ns)
        if not len(k):
            return False
        if len(k) < (1 - _COMPACT) * len(columns):
            self.finish(np.flatnonzero(when >= self.c.horizon_ns))
            self.keep(k)
            entity, when, k = entity[k], when[k], np.arange(len(k))
        else:
            entity, when = entity[k], when[k]
        self.now[k] = when
        self.account(k)
        self.timers[k, entity] = NEVER
        place = self.place[k]
        self.figures["events"][place] += 1
        self.figures["fingerprint"][place] += when
        edges = (0, self.first_node, self.first_pod, self.first_drain, self.first_disk, self.rollout)
        rules = (self.zone_event, self.node_event, self.pod_event, self.drain_event, self.disk_lost)
        for first, end, rule in zip(edges, edges[1:], rules, strict=False):
            concerned = (entity >= first) & (entity < end)
            if concerned.any():
                rule(entity[concerned] - first, k[concerned])
        begins = k[entity == self.rollout]
        self.rolling[begins] = True
        self.updated[:, begins] = False
        self.settle(k)
        self.watch_quorum(k)
        return True

    def finish(self, k: Ints) -> None:
        """Account for the time up to the horizon."""
        self.now[k] = self.c.horizon_ns
        self.account(k)
        self.outage_ends(k[self.down_since[k] != NEVER])

    def keep(self, k: Ints) -> None:
        """Leave only some columns."""
        for name in _PER_COLUMN:
            array = getattr(self, name)
            setattr(self, name, array[k] if name == "timers" else array[..., k])
        for delays in self.delays.values():
            delays.keep(k)

    def run(self) -> Outcome:
        """Run to the horizon."""
        self.begin()
        while self.step():
            pass
        self.finish(np.arange(len(self.now)))
        none = (np.empty(0, dtype=np.int64),) * 2
        lengths, places = (np.concatenate(parts) for parts in zip(none, *self.outages, strict=True))
        return Outcome(self.figures, lengths, places)


def run_lockstep(campaign: Campaign, seed: int, replicates: Ints) -> Outcome:
    """Run replicates by their numbers."""
    return Lockstep(campaign, seed, replicates).run()
