"""The campaign model one replicate at a time, on the simulator's clock. This is the truth; `engine` must equal it."""

from __future__ import annotations

from collections import Counter

from k8sim.lockstep.campaign import (
    ABSENT,
    BACKOFF,
    BACKOFF_MAX,
    BACKOFF_RESET,
    CLEANUP,
    DEAD,
    DISKLESS,
    DRAINING,
    DRAWN_BY,
    EVICTION_RETRY,
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
    Figures,
)
from k8sim.sim.clock import Clock
from k8sim.sim.distributions import Distribution
from k8sim.sim.splitmix import Occasions
from k8sim.sim.streams import Streams


class Reference:
    """One replicate of a campaign.

    Attributes
    ----------
    figures
        What came of it, after `run`.
    branches
        How often each branch of the rules was taken.
    outages_ns
        Lengths of the times below quorum that have ended.
    """

    def __init__(self, campaign: Campaign, seed: int, replicate: int) -> None:
        c = self.c = campaign
        self.clock = Clock()
        self.occasions = {
            kind: [Occasions(seed, replicate, f"{kind}-{i}") for i in range(c.entities(kind))]
            for kind in dict.fromkeys(DRAWN_BY.values())
        }
        streams = Streams(seed, replicate)
        self.figures = Figures()
        self.branches: Counter[str] = Counter()
        self.outages_ns: list[int] = []
        zones, nodes, pods = c.zones, len(c.node_zone), c.replicas
        self.first_node, self.first_pod = zones, zones + nodes
        self.first_drain, self.first_disk = zones + nodes + pods, zones + 2 * nodes + pods
        self.rollout = self.first_disk + pods
        self.timers = [NEVER] * (self.rollout + 1)
        self.zone_up, self.node_up, self.alive = [True] * zones, [True] * nodes, [True] * nodes
        self.detected = [NEVER] * nodes  # when the control plane will have noticed that a node is down
        self.heartbeat = [int(streams.uniform(f"node-{n}", "heartbeat") * HEARTBEAT) for n in range(nodes)]
        self.monitor = int(streams.uniform("controller", "monitor") * MONITOR_PERIOD)
        self.drain, self.drain_began = [IDLE] * nodes, [0] * nodes
        self.state, self.node, self.attached = [ABSENT] * pods, [-1] * pods, [-1] * pods
        self.released = [0] * pods  # when a volume that hangs on a dead node will be detached by force
        self.pin = [-1] * pods
        self.data = [True] * pods
        self.backoff, self.serving_since = [0] * pods, [0] * pods
        self.updated = [True] * pods
        self.rolling, self.rollouts = False, iter(campaign.rollouts_ns)
        self.down_since = NEVER
        self.accounted = 0

    # ---- draws and timers -----------------------------------------------------------------------------------

    def occasion(self, kind: str, i: int) -> None:
        self.occasions[kind][i].next()

    def draw(self, law: str, i: int) -> int:
        distribution: Distribution = getattr(self.c, law)
        return min(distribution.quantile(self.occasions[DRAWN_BY[law]][i].uniform(law)), LONGEST)

    def next(self, law: str, i: int) -> int:
        return NEVER if getattr(self.c, law) is None else self.clock.now + self.draw(law, i)

    def arm(self, entity: int, when: int) -> None:
        self.timers[entity] = when
        if when < self.c.horizon_ns:
            self.clock.call_at(when, self.fire, entity, when, rank=entity)

    def arm_pod(self, p: int, when: int) -> None:
        self.arm(self.first_pod + p, when)

    def fire(self, entity: int, when: int) -> None:
        if self.timers[entity] != when:
            return  # it was set anew meanwhile
        self.account()
        self.timers[entity] = NEVER
        self.figures.events += 1
        self.figures.fingerprint += when
        if entity < self.first_node:
            self.zone_event(entity)
        elif entity < self.first_pod:
            self.node_event(entity - self.first_node)
        elif entity < self.first_drain:
            self.pod_event(entity - self.first_pod)
        elif entity < self.first_disk:
            self.drain_event(entity - self.first_drain)
        elif entity < self.rollout:
            self.disk_lost(entity - self.first_disk)
        else:
            self.take("another rollout begins" if self.rolling else "rollout begins")
            self.rolling = True
            self.updated = [False] * self.c.replicas
            self.arm_rollout()
        self.settle()
        self.watch_quorum()

    def take(self, branch: str) -> None:
        self.branches[branch] += 1

    # ---- accounting -----------------------------------------------------------------------------------------

    def serving(self) -> int:
        return sum(state == SERVING for state in self.state)

    def account(self) -> None:
        elapsed, serving = self.clock.now - self.accounted, self.serving()
        self.accounted = self.clock.now
        if serving < self.c.replicas:
            self.figures.short_ns += elapsed
        if serving < self.c.quorum:
            self.figures.down_ns += elapsed

    def watch_quorum(self) -> None:
        if self.serving() < self.c.quorum:
            if self.down_since == NEVER:
                self.down_since = self.clock.now
        elif self.down_since != NEVER:
            self.outage_ends()

    def outage_ends(self) -> None:
        length = self.clock.now - self.down_since
        self.down_since = NEVER
        if length > 0:
            self.outages_ns.append(length)
            self.figures.outages += 1
            self.figures.longest_ns = max(self.figures.longest_ns, length)

    # ---- machines -------------------------------------------------------------------------------------------

    def zone_event(self, z: int) -> None:
        self.zone_up[z] = not self.zone_up[z]
        self.occasion("zone", z)
        if self.zone_up[z]:
            self.take("zone returns")
            self.arm(z, self.next("zone_life", z))
        else:
            self.take("zone fails")
            self.arm(z, self.next("zone_outage", z))
        for n, zone in enumerate(self.c.node_zone):
            if zone == z:
                self.power_changed(n)

    def node_event(self, n: int) -> None:
        self.node_up[n] = not self.node_up[n]
        self.occasion("node", n)
        if self.node_up[n]:
            self.take("node returns")
            self.arm(self.first_node + n, self.next("node_life", n))
        else:
            self.take("node fails")
            self.arm(self.first_node + n, self.next("node_outage", n))
        self.power_changed(n)

    def power_changed(self, n: int) -> None:
        alive = self.node_up[n] and self.zone_up[self.c.node_zone[n]] and self.drain[n] != MAINTENANCE
        if alive == self.alive[n]:
            return
        self.alive[n] = alive
        if alive:
            self.detected[n] = NEVER
            for p in range(self.c.replicas):
                if self.node[p] == n:
                    self.node_returned(p)
        else:
            now = self.clock.now
            stale = now - (now - self.heartbeat[n]) % HEARTBEAT + MONITOR_GRACE
            self.detected[n] = stale + (self.monitor - stale) % MONITOR_PERIOD
            for p in range(self.c.replicas):
                if self.node[p] == n:
                    self.node_died(p)

    def node_died(self, p: int) -> None:
        if self.state[p] in (SERVING, STARTING):
            self.take("pod dies with its node")
            self.dead(p)
        elif self.state[p] == STOPPING:
            self.take("pod hangs in its termination")
            self.terminating(p)

    def node_returned(self, p: int) -> None:
        if self.state[p] == DEAD:
            self.take("pod starts again on its node")
            self.figures.resumed += 1
            self.occasion("pod", p)
            self.start(p, 0)
        elif self.state[p] == TERMINATING:
            self.take("deleted pod is confirmed by its node")
            self.state[p] = STOPPING
            self.arm_pod(p, self.clock.now + CLEANUP)

    # ---- pods -----------------------------------------------------------------------------------------------

    def pod_event(self, p: int) -> None:
        state = self.state[p]
        if state == SERVING:
            self.crash(p)
        elif state == STARTING:
            self.take("pod serves")
            self.state[p] = SERVING
            self.data[p] = True
            self.serving_since[p] = self.clock.now
            self.arm_pod(p, self.next("crash", p))
        elif state == DEAD:
            self.take("pod is evicted")
            self.figures.evicted += 1
            self.terminating(p)
        elif state == TERMINATING:
            self.take("pod is deleted by force")
            self.figures.forced += 1
            self.gone(p)
        elif state == STOPPING:
            self.take("pod is gone")
            self.gone(p)
        else:
            self.take("disk is replaced")
            self.attached[p] = self.pin[p] = -1
            self.gone(p)
        if state != SERVING and state != DEAD:
            self.wake_drains()

    def crash(self, p: int) -> None:
        self.take("container crashes")
        self.figures.crashes += 1
        self.occasion("pod", p)
        if self.clock.now - self.serving_since[p] >= BACKOFF_RESET:
            self.backoff[p] = 0
        wait = min(BACKOFF << (self.backoff[p] - 1), BACKOFF_MAX) if self.backoff[p] else 0
        self.backoff[p] = min(self.backoff[p] + 1, 7)
        self.start(p, wait)

    def start(self, p: int, delay: int) -> None:
        self.state[p] = STARTING
        delay += self.draw("start", p)
        if self.data[p]:
            delay += self.draw("catch_up", p)
        else:
            self.take("copy is rebuilt")
            delay += self.draw("rebuild", p)
        self.arm_pod(p, self.clock.now + delay)

    def dead(self, p: int) -> None:
        self.state[p] = DEAD
        self.arm_pod(p, min(self.detected[self.node[p]] + self.c.toleration_ns, NEVER))

    def terminating(self, p: int) -> None:
        self.state[p] = TERMINATING
        self.occasion("pod", p)
        self.arm_pod(p, self.next("force_delete", p))

    def stop(self, p: int) -> None:
        self.state[p] = STOPPING
        self.arm_pod(p, self.next("stop", p))

    def gone(self, p: int) -> None:
        self.state[p] = ABSENT
        self.occasion("pod", p)
        self.node[p] = -1
        self.released[p] = self.clock.now + FORCE_DETACH
        self.backoff[p] = 0
        self.figures.replaced += 1
        self.arm_pod(p, NEVER)

    # ---- the controller and the scheduler, after every event ------------------------------------------------

    def settle(self) -> None:
        for p in range(self.c.replicas):
            if self.state[p] == ABSENT:
                if self.c.ordered and any(state != SERVING for state in self.state[:p]):
                    self.take("pod waits for lower ordinals")
                else:
                    self.state[p] = PENDING
            if self.state[p] == PENDING:
                self.place(p)
        if self.rolling:
            self.roll()

    def place(self, p: int) -> None:
        n = self.choose(p)
        if n < 0:
            self.take("no node takes the pod")
            return
        self.node[p] = n
        if self.c.pinning != "none" and self.pin[p] < 0:
            self.pin[p] = n if self.c.pinning == "node" else self.c.node_zone[n]
        if not self.alive[n]:
            self.take("pod is placed on a node whose death is not known")
            self.dead(p)
            return
        old, delay = self.attached[p], 0
        if old != n:
            if old >= 0 and self.alive[old]:
                self.take("volume is detached")
                delay += self.draw("detach", p)
            elif old >= 0:
                self.take("volume is detached by force")
                delay += max(self.released[p] - self.clock.now, 0)
            delay += self.draw("attach", p)
        self.attached[p] = n
        self.start(p, delay)

    def choose(self, p: int) -> int:
        best, chosen, nodes = NEVER, -1, len(self.c.node_zone)
        for n, zone in enumerate(self.c.node_zone):
            there = sum(m == n for m in self.node)
            in_zone = sum(m >= 0 and self.c.node_zone[m] == zone for m in self.node)
            known_dead = not self.alive[n] and self.detected[n] <= self.clock.now
            pinned = self.pin[p] >= 0 and self.pin[p] != (n if self.c.pinning == "node" else zone)
            if known_dead or self.drain[n] != IDLE or there >= self.c.per_node or pinned:
                continue
            score = (in_zone * (self.c.replicas + 1) + there) * nodes + n
            if score < best:
                best, chosen = score, n
        return chosen

    def roll(self) -> None:
        """Update the highest pod that is not updated, once all serve."""
        if self.serving() < self.c.replicas:
            return
        for p in reversed(range(self.c.replicas)):
            if not self.updated[p]:
                self.take("pod is updated")
                self.updated[p] = True
                self.figures.updated += 1
                self.stop(p)
                return
        self.take("rollout ends")
        self.rolling = False

    def arm_rollout(self) -> None:
        self.arm(self.rollout, next(self.rollouts, NEVER))

    # ---- drains ---------------------------------------------------------------------------------------------

    def drain_event(self, n: int) -> None:
        if self.drain[n] == MAINTENANCE:
            self.take("maintenance ends")
            self.drain[n] = IDLE
            self.occasion("drain", n)
            self.power_changed(n)
            self.arm(self.first_drain + n, self.next("drain_every", n))
            return
        if self.drain[n] == IDLE:
            if not self.alive[n]:
                self.take("drain of a dead node is put off")
                self.occasion("drain", n)
                self.arm(self.first_drain + n, self.next("drain_every", n))
                return
            self.take("drain begins")
            self.drain[n] = DRAINING
            self.drain_began[n] = self.clock.now
        for p in range(self.c.replicas):
            if self.node[p] == n and self.state[p] in (SERVING, STARTING):
                self.evict(p)
        if n in self.node:
            self.take("drain waits")
            return
        self.take("maintenance begins")
        self.figures.drained += 1
        self.drain[n] = MAINTENANCE
        self.occasion("drain", n)
        self.power_changed(n)
        self.arm(self.first_drain + n, self.next("maintenance", n))

    def evict(self, p: int) -> None:
        spare = self.serving() - (1 if self.state[p] == SERVING else 0)
        if spare >= self.c.healthy:
            self.take("drain evicts a pod")
            self.stop(p)
        else:
            self.take("the budget refuses")

    def wake_drains(self) -> None:
        """Something has changed: a drain that waits tries again on its grid."""
        for n in range(len(self.c.node_zone)):
            if self.drain[n] == DRAINING:
                now = self.clock.now
                self.arm(self.first_drain + n, now + 1 + (self.drain_began[n] - now - 1) % EVICTION_RETRY)

    # ---- disks ----------------------------------------------------------------------------------------------

    def disk_lost(self, p: int) -> None:
        self.take("disk is lost")
        self.occasion("disk", p)
        self.arm(self.first_disk + p, self.next("disk_life", p))
        self.data[p] = False
        loss = not any(self.data)
        if loss:
            self.take("data are lost")
            self.figures.losses += 1
            self.figures.first_loss_ns = min(self.figures.first_loss_ns, self.clock.now)
            self.data = [True] * self.c.replicas
        if self.state[p] in (ABSENT, PENDING):
            self.take("disk of a pod without a node is lost")
            self.attached[p] = self.pin[p] = -1
            return
        self.state[p] = DISKLESS
        self.arm_pod(p, self.next("restore" if loss else "replace", p))

    # ---- the whole ------------------------------------------------------------------------------------------

    def run(self) -> Figures:
        """Run to the horizon. All pods serve at the beginning, each with a volume where it is."""
        c = self.c
        for p in range(c.replicas):
            self.state[p], n = SERVING, self.choose(p)
            self.node[p] = self.attached[p] = n
            if c.pinning != "none":
                self.pin[p] = n if c.pinning == "node" else c.node_zone[n]
        for z in range(c.zones):
            self.arm(z, self.next("zone_life", z))
        for n in range(len(c.node_zone)):
            self.arm(self.first_node + n, self.next("node_life", n))
            self.arm(self.first_drain + n, self.next("drain_every", n))
        for p in range(c.replicas):
            self.arm_pod(p, self.next("crash", p))
            self.arm(self.first_disk + p, self.next("disk_life", p))
        self.arm_rollout()
        self.clock.run(c.horizon_ns)
        self.account()
        if self.down_since != NEVER:
            self.outage_ends()
        self.figures.fingerprint = (self.figures.fingerprint + 2**63) % 2**64 - 2**63
        return self.figures


def run_reference(campaign: Campaign, seed: int, replicate: int) -> Figures:
    """Run one replicate."""
    return Reference(campaign, seed, replicate).run()
