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
from k8sim.sim.streams import uniforms

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_BY_ROW: Final = (
    "timers", "zone_up", "node_up", "off", "died", "heartbeat", "drain", "drain_began", "there", "state", "node",
    "attached", "pin", "released", "backoff", "serving_since", "data", "updated",
)  # fmt: skip
_BY_COLUMN: Final = (
    "place", "monitor", "rolling", "was_down", "serving", "waiting", "draining", "copies", "now", "when", "row",
    "down_since",
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
        self.first_node = zones if c.zone_life is not None else 0  # of timers, only those that will ever be set
        self.first_pod = self.first_node + (nodes if c.node_life is not None else 0)
        self.first_drain = self.first_pod + pods
        self.first_disk = self.first_drain + (nodes if c.drain_every is not None else 0)
        self.rollout = self.first_disk + (pods if c.disk_life is not None else 0)
        self.zone_of, self.rollouts_ns = np.array(c.node_zone), np.array([*c.rollouts_ns, NEVER])
        self.delays = DelaysOf(c, seed, replicates, self.entities())
        self.timers = np.full((self.rollout + (1 if c.rollouts_ns else 0)) * r, NEVER, dtype=np.int64)
        self.zone_up, self.node_up = np.ones(zones * r, dtype=bool), np.ones(nodes * r, dtype=bool)
        self.off = np.zeros(nodes * r, dtype=np.int8)  # for how many reasons a node is off: itself, zone, maintenance
        self.died = np.zeros(nodes * r, dtype=np.int64)  # when a node that is off went off
        beats = [uniforms(seed, replicates, f"node-{n}", "heartbeat", 0) for n in range(nodes)]
        self.heartbeat = (np.concatenate(beats) * HEARTBEAT).astype(np.int64)
        self.monitor = (uniforms(seed, replicates, "controller", "monitor", 0) * MONITOR_PERIOD).astype(np.int64)
        self.drain, self.drain_began = np.full(nodes * r, IDLE, dtype=np.int8), np.zeros(nodes * r, dtype=np.int64)
        self.there = np.zeros(nodes * r, dtype=np.int8)  # pods on each node
        self.state = np.full(pods * r, ABSENT, dtype=np.int8)
        self.node, self.attached, self.pin = (np.full(pods * r, -1, dtype=np.int8) for _ in range(3))
        self.released, self.serving_since = np.zeros(pods * r, dtype=np.int64), np.zeros(pods * r, dtype=np.int64)
        self.backoff = np.zeros(pods * r, dtype=np.int8)
        self.data, self.updated = np.ones(pods * r, dtype=bool), np.ones(pods * r, dtype=bool)
        self.rolling, self.was_down = np.zeros(r, dtype=bool), np.zeros(r, dtype=bool)
        self.serving, self.waiting, self.draining = (np.zeros(r, dtype=np.int8) for _ in range(3))
        self.copies = np.full(r, pods, dtype=np.int8)
        self.now, self.down_since = np.zeros(r, dtype=np.int64), np.zeros(r, dtype=np.int64)
        self.when, self.row = np.zeros(r, dtype=np.int64), np.zeros(r, dtype=np.uint16)  # of the next event
        self.figures = {name: np.zeros(r, dtype=np.int64) for name in FIGURES}
        self.figures["first_loss_ns"][:] = NEVER
        self.results = {name: np.zeros(r, dtype=np.int64) for name in FIGURES}
        self.outages: list[tuple[Ints, Ints]] = []

    # ---- timers ---------------------------------------------------------------------------------------------

    def entities(self) -> list[str]:
        """Return whose delays the timers of each row are."""
        kinds = (
            ("zone", self.first_node), ("node", self.first_pod - self.first_node), ("pod", self.c.replicas),
            ("drain", self.first_disk - self.first_drain), ("disk", self.rollout - self.first_disk),
        )  # fmt: skip
        return [f"{kind}-{number}" for kind, count in kinds for number in range(count)]

    def pod_timer(self, q: Ints) -> Ints:
        """Return the timers of pods."""
        return q + self.first_pod * self.width

    def node_timer(self, a: Ints) -> Ints:
        """Return the timers of nodes."""
        return a + self.first_node * self.width

    def drain_timer(self, a: Ints) -> Ints:
        """Return the timers of nodes' maintenance."""
        return a + self.first_drain * self.width

    def disk_timer(self, q: Ints) -> Ints:
        """Return the timers of pods' disks."""
        return q + self.first_disk * self.width

    def happened(self, k: Ints, when: Ints) -> None:
        """Count events, one in each column."""
        np.add.at(self.figures["events"], k, 1)  # half as long as += for thousands of places
        np.add.at(self.figures["fingerprint"], k, when)

    def count(self, name: str, k: Ints) -> None:
        """Count something that happened, for each time that a column is there."""
        np.add.at(self.figures[name], k, 1)

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
