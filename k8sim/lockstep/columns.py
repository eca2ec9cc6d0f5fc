"""The state of thousands of replicates of a campaign, and its bookkeeping: clocks, timers, figures.

Replicates are columns; whatever there is several of (pods, nodes, zones, timers) are rows. Rows lie one after the other
in flat arrays, for NumPy is ten times as fast with one index as with two: what belongs to pod p in column k is at
*q* = p * width + k, and to node n at *a* = n * width + k.

What the reference counts anew each time (pods that serve, wait, copies, places taken) is counted along here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.campaign import ABSENT, FIGURES, HEARTBEAT, IDLE, MONITOR_PERIOD, NEVER, Campaign
from k8sim.lockstep.delays import DelaysOf
from k8sim.sim.distributions import Distribution
from k8sim.sim.streams import uniforms

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_BY_ROW: Final = (
    "timers", "zone_up", "node_up", "alive", "detected", "heartbeat", "drain", "drain_began", "there", "in_zone",
    "state", "node", "attached", "pin", "released", "backoff", "serving_since", "data", "updated",
)  # fmt: skip
_BY_COLUMN: Final = (
    "place", "monitor", "rolling", "was_down", "serving", "waiting", "draining", "copies", "now", "down_since",
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


class Columns:
    """A range of replicates of a campaign, at their beginning."""

    def __init__(self, campaign: Campaign, seed: int, replicates: Ints) -> None:
        c = self.c = campaign
        r, zones, nodes, pods = len(replicates), c.zones, len(c.node_zone), c.replicas
        self.width, self.place = r, np.arange(r)
        self.rows = {"zone": zones, "node": nodes, "pod": pods, "rollout": 1}
        self.first_node, self.first_pod = zones, zones + nodes
        self.first_drain, self.first_disk = zones + nodes + pods, zones + 2 * nodes + pods
        self.rollout = self.first_disk + pods
        self.zone_of = np.array(c.node_zone)
        self.delays = DelaysOf(seed, replicates.astype(np.int64))
        self.timers = np.full((self.rollout + 1) * r, NEVER, dtype=np.int64)
        self.zone_up, self.node_up, self.alive = (np.ones(n * r, dtype=bool) for n in (zones, nodes, nodes))
        self.detected = np.full(nodes * r, NEVER, dtype=np.int64)
        beats = [uniforms(seed, replicates, f"node-{n}", "heartbeat", 0) for n in range(nodes)]
        self.heartbeat = (np.concatenate(beats) * HEARTBEAT).astype(np.int64)
        self.monitor = (uniforms(seed, replicates, "controller", "monitor", 0) * MONITOR_PERIOD).astype(np.int64)
        self.drain, self.drain_began = np.full(nodes * r, IDLE, dtype=np.int8), np.zeros(nodes * r, dtype=np.int64)
        self.there = np.zeros(nodes * r, dtype=np.int64)  # pods on each node
        self.in_zone = np.zeros(zones * r, dtype=np.int64)
        self.state = np.full(pods * r, ABSENT, dtype=np.int8)
        self.node, self.attached, self.pin = (np.full(pods * r, -1, dtype=np.int64) for _ in range(3))
        self.released, self.backoff, self.serving_since = (np.zeros(pods * r, dtype=np.int64) for _ in range(3))
        self.data, self.updated = np.ones(pods * r, dtype=bool), np.ones(pods * r, dtype=bool)
        self.rolling, self.was_down = np.zeros(r, dtype=bool), np.zeros(r, dtype=bool)
        self.serving, self.waiting, self.draining = (np.zeros(r, dtype=np.int64) for _ in range(3))
        self.copies = np.full(r, pods, dtype=np.int64)
        self.now, self.down_since = np.zeros(r, dtype=np.int64), np.zeros(r, dtype=np.int64)
        self.figures = {name: np.zeros(r, dtype=np.int64) for name in FIGURES}
        self.figures["first_loss_ns"][:] = NEVER
        self.results = {name: np.zeros(r, dtype=np.int64) for name in FIGURES}
        self.outages: list[tuple[Ints, Ints]] = []

    # ---- draws and timers -----------------------------------------------------------------------------------

    def draw(self, law: Distribution, kind: str, purpose: str, at: Ints) -> Ints:
        """Return the next delays of some entities of a kind."""
        return self.delays.draw(law, kind, purpose, self.rows[kind], at)

    def next(self, law: Distribution | None, kind: str, purpose: str, at: Ints, k: Ints) -> Ints:
        """Return when something happens next; NEVER without a law."""
        if law is None:
            return np.full(len(k), NEVER, dtype=np.int64)
        return self.now[k] + self.draw(law, kind, purpose, at)

    def arm_pod(self, q: Ints, when: Ints | int) -> None:
        """Set the timers of pods."""
        self.timers[q + self.first_pod * self.width] = when

    def arm_drain(self, a: Ints, when: Ints) -> None:
        """Set the timers of nodes' maintenance."""
        self.timers[a + self.first_drain * self.width] = when

    def count(self, name: str, k: Ints) -> None:
        """Count something that happened."""
        np.add.at(self.figures[name], k, 1)  # a column may be there more than once

    # ---- accounting -----------------------------------------------------------------------------------------

    def account(self, to: Ints) -> None:
        """Account for the time up to a moment in each column."""
        elapsed = to - self.now
        self.figures["short_ns"] += elapsed * (self.serving < self.c.replicas)
        self.figures["down_ns"] += elapsed * self.was_down
        self.now = to

    def watch_quorum(self) -> None:
        """See where a time below quorum begins or ends."""
        down = self.serving < self.c.quorum
        changed = np.flatnonzero(down != self.was_down)
        if len(changed):
            begins = down[changed]
            self.down_since[changed[begins]] = self.now[changed[begins]]
            self.outage_ends(changed[~begins])
            self.was_down = down

    def outage_ends(self, k: Ints) -> None:
        """Note the times below quorum that end now."""
        length = self.now[k] - self.down_since[k]
        k, length = k[length > 0], length[length > 0]
        if len(k):
            self.outages.append((length, self.place[k]))
            self.figures["outages"][k] += 1
            self.figures["longest_ns"][k] = np.maximum(self.figures["longest_ns"][k], length)

    # ---- columns that are done ------------------------------------------------------------------------------

    def leave(self, k: Ints) -> None:
        """Take down the results of columns that have come to the horizon."""
        self.outage_ends(k[self.was_down[k]])
        for name, values in self.results.items():
            values[self.place[k]] = self.figures[name][k]

    def keep(self, k: Ints) -> None:
        """Leave only some columns."""
        for name in _BY_ROW:
            setattr(self, name, getattr(self, name).reshape(-1, self.width).take(k, axis=1).ravel())
        for name in _BY_COLUMN:
            setattr(self, name, getattr(self, name)[k])
        self.figures = {name: values[k] for name, values in self.figures.items()}
        self.delays.keep(k)
        self.width = len(k)
