"""Campaigns: months and years of failures and maintenance of one StatefulSet, as a model with explicit states.

What happens in the full engine through dozens of API calls is one event here: a node dies, a pod is evicted, a volume
is re-attached. States are integers, every entity has one timer, times are int64 ns, and every draw has a name; so
the model can be stepped singly (`reference`, plain if/else: the truth) or thousands at once (`engine`),
with equal results, replicate by replicate and bit by bit.

Entities, in the order in which simultaneous timers fire: zones, nodes, pods, maintenance of each node, disk of each
pod, the rollout. A pod is in one of these states:

=============  ==========================================================  ==========================================
state          meaning                                                     its timer
=============  ==========================================================  ==========================================
SERVING        Ready                                                       its container crashes
STARTING       placed: volume detached and attached, container, catch-up   it is SERVING
DEAD           its node is down; not yet evicted                           toleration over: it is TERMINATING
TERMINATING    deleted, but its kubelet cannot confirm                     an operator deletes it by force
STOPPING       deleted; its containers stop                                it is gone
ABSENT         gone; the controller waits for lower ordinals               none
PENDING        made; no node takes it                                      none
DISKLESS       its disk is lost                                            an operator has replaced disk and pod
=============  ==========================================================  ==========================================

What differs from the full engine: API calls, watches and queues take no time; readiness is what the pod does, not what
the API says; a stuck volume is released 6 minutes after its pod was deleted, even if the node comes back in between;
the scheduler weighs zones, then nodes, by their pods of this set alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final, Literal

from k8sim.sim.distributions import Distribution
from k8sim.sim.units import DAY, MINUTE, SECOND

HEARTBEAT: Final = 10 * SECOND
"""A kubelet renews its lease so often (nodeLeaseDurationSeconds 40 x 0.25; pkg/kubelet/kubelet.go)."""
MONITOR_GRACE: Final = 50 * SECOND
"""--node-monitor-grace-period."""
MONITOR_PERIOD: Final = 5 * SECOND
"""--node-monitor-period; nodes are looked at on this grid."""
FORCE_DETACH: Final = 6 * MINUTE
"""maxWaitForUnmountDuration (pkg/controller/volume/attachdetach/attach_detach_controller.go)."""
EVICTION_RETRY: Final = 5 * SECOND
"""kubectl drain tries a refused eviction again after this (staging/src/k8s.io/kubectl/pkg/drain/drain.go)."""
BACKOFF: Final = 10 * SECOND
BACKOFF_MAX: Final = 300 * SECOND
BACKOFF_RESET: Final = 600 * SECOND
"""CrashLoopBackOff: 10 s, doubled up to 5 min, forgotten after twice that (pkg/kubelet/kubelet.go)."""
CLEANUP: Final = 2 * SECOND
"""From the return of a node until the pods that were deleted meanwhile are gone."""

NEVER: Final = 2**62
LONGEST: Final = 2**61
"""No delay is longer: sums must fit into int64."""

SERVING, STARTING, DEAD, TERMINATING, STOPPING, ABSENT, PENDING, DISKLESS = range(8)
IDLE, DRAINING, MAINTENANCE = range(3)

DRAWN_BY: Final = {
    "zone_life": "zone", "zone_outage": "zone", "node_life": "node", "node_outage": "node", "drain_every": "drain",
    "maintenance": "drain", "crash": "pod", "start": "pod", "catch_up": "pod", "rebuild": "pod", "stop": "pod",
    "attach": "pod", "detach": "pod", "force_delete": "pod", "disk_life": "disk", "replace": "disk", "restore": "disk",
}  # fmt: skip
"""The laws of a campaign, and which entities have delays by them.

Each has a new occasion to draw (`k8sim.sim.splitmix`) whenever a zone or a node fails or returns, maintenance begins or
ends or is put off, a container crashes or starts again, a pod is gone or hangs in its termination, a disk is lost.
"""

Pinning = Literal["none", "zone", "node"]


@dataclass(frozen=True)
class Campaign:
    """What is simulated. A law that is None: this never happens.

    Parameters
    ----------
    node_zone
        The zone of each node, as a number.
    per_node
        How many of the set's pods a node takes (1: anti-affinity, or no room for more).
    pinning
        What a volume is bound to once it has been made.
    ordered
        OrderedReady rather than Parallel.
    max_unavailable
        Of the disruption budget that drains respect.
    toleration_ns
        tolerationSeconds for an unreachable node; NEVER: for ever.
    force_delete
        When an operator deletes a stuck pod by force, from its deletion.
    rollouts_ns
        When the set gets a new revision, as planned.
    rebuild, catch_up
        From the start of the container until it serves, with an empty disk and with its data.
    replace, restore
        When a lost disk and its pod are replaced; when that was the last copy, and a backup is restored.
    """

    node_zone: tuple[int, ...]
    replicas: int
    horizon_ns: int
    start: Distribution
    catch_up: Distribution
    rebuild: Distribution
    stop: Distribution
    attach: Distribution
    detach: Distribution
    maintenance: Distribution
    replace: Distribution
    restore: Distribution
    node_outage: Distribution
    zone_outage: Distribution
    node_life: Distribution | None = None
    zone_life: Distribution | None = None
    crash: Distribution | None = None
    disk_life: Distribution | None = None
    drain_every: Distribution | None = None
    force_delete: Distribution | None = None
    toleration_ns: int = 300 * SECOND
    per_node: int = 1
    pinning: Pinning = "zone"
    ordered: bool = True
    max_unavailable: int = 1
    rollouts_ns: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.replicas <= 16 or not 1 <= len(self.node_zone) <= 100:
            raise ValueError("a campaign has 1 to 16 pods and 1 to 100 nodes")
        if sorted(set(self.node_zone)) != list(range(max(self.node_zone) + 1)):
            raise ValueError("zones are numbered from 0")
        if self.replicas > self.per_node * len(self.node_zone):
            raise ValueError("there is no room for all pods")
        if any(later <= earlier for earlier, later in pairwise((-1, *self.rollouts_ns))):
            raise ValueError("rollouts are planned one after the other")
        if not 0 < self.horizon_ns <= 100 * 365 * DAY:
            raise ValueError("at most a hundred years")

    @property
    def zones(self) -> int:
        """How many zones there are."""
        return max(self.node_zone) + 1

    def entities(self, kind: str) -> int:
        """How many zones, nodes, drains, pods or disks there are."""
        return {"zone": self.zones, "node": len(self.node_zone), "drain": len(self.node_zone)}.get(kind, self.replicas)

    @property
    def quorum(self) -> int:
        """A majority of the pods."""
        return self.replicas // 2 + 1

    @property
    def healthy(self) -> int:
        """How many pods the budget wants to serve."""
        return self.replicas - self.max_unavailable


@dataclass
class Figures:
    """What is counted in a replicate; whole numbers, so that sums are exact.

    ``down_ns``: below quorum; ``short_ns``: fewer than all pods serving. ``resumed``: pods that started again when
    their node was back. ``first_loss_ns``: NEVER if there was none.
    ``fingerprint``: sum of the times of all events, modulo 2**64 as int64.
    """

    events: int = 0
    fingerprint: int = 0
    down_ns: int = 0
    short_ns: int = 0
    outages: int = 0
    longest_ns: int = 0
    evicted: int = 0
    forced: int = 0
    crashes: int = 0
    resumed: int = 0
    replaced: int = 0
    drained: int = 0
    updated: int = 0
    losses: int = 0
    first_loss_ns: int = NEVER


FIGURES: Final = tuple(field.name for field in fields(Figures))
