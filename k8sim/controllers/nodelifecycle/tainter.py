"""Puts NoExecute taints on lost nodes, zone by zone, at the rate that the zone's state allows.

The loop looks at its queues every 100 ms; only the looks at which a token and a node are there are events.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (doNoExecuteTaintingPass),
scheduler/rate_limited_queue.go; workloads.md 4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from k8sim.api.core import Node
from k8sim.api.struct import Time
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.informer import Informer
from k8sim.controllers.nodelifecycle.control import (
    NOT_READY,
    UNREACHABLE,
    no_execute_key,
    ready_condition,
    with_taints,
)
from k8sim.controllers.nodelifecycle.limiter import TokenBucket
from k8sim.sim.clock import Event
from k8sim.sim.simulation import Simulation
from k8sim.sim.units import MILLISECOND

TAINTING_PERIOD_NS = 100 * MILLISECOND


class _Zone:
    """The nodes of a zone that wait for a taint, with the trace rows that made them wait."""

    def __init__(self, bucket: TokenBucket) -> None:
        self.bucket = bucket
        self.waiting: dict[str, int] = {}
        self.handled: dict[str, None] = {}
        self.due: int | None = None


class NoExecuteTainter:
    """Rate-limited queues, one for each zone.

    Every monitor pass of Kubernetes queues all waiting nodes anew, in no particular order; so whoever is waiting when a
    token comes is as likely as any other to be next.

    Parameters
    ----------
    look_again
        Called with a node's name when its taint was not written because it seemed to be Ready.
    """

    def __init__(
        self,
        sim: Simulation,
        nodes: Informer[Node],
        client: Client,
        rank: int,
        rate: float,
        look_again: Callable[[str], None],
    ) -> None:
        self._clock = sim.clock
        self._nodes = nodes
        self._client = client
        self._rank = rank
        self._rate = rate
        self._look_again = look_again
        self._zones: dict[str, _Zone] = {}
        self._phase = int(sim.streams.uniform("kube-controller-manager", "noExecutePhase") * TAINTING_PERIOD_NS)
        self._choice = sim.streams.stream("kube-controller-manager", "noExecuteOrder").uniform
        self.stopped = False

    def add_zone(self, zone: str) -> None:
        """Make the queue of a zone that is new."""
        if zone not in self._zones:
            self._zones[zone] = _Zone(TokenBucket(self._rate, self._clock.now))

    def add(self, zone: str, node: str, lacks_taint: bool, cause: int) -> None:
        """Let a lost node wait for its taint; one that has it only if it has not been handled yet."""
        queue = self._zones[zone]
        if lacks_taint:
            queue.handled.pop(node, None)
        if node not in queue.handled:
            queue.waiting.setdefault(node, cause)
            self._schedule(queue)

    def remove(self, zone: str, node: str) -> None:
        """Let a node wait no longer, and be queued anew when it is lost again."""
        queue = self._zones.get(zone)
        if queue is not None:
            queue.waiting.pop(node, None)
            queue.handled.pop(node, None)

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Change zones' rates."""
        for zone, rate in rates.items():
            self._zones[zone].bucket.swap(rate, self._clock.now)
            self._schedule(self._zones[zone])

    def _schedule(self, zone: _Zone) -> None:
        """Look at the first tick at which a token is there, if somebody waits for it."""
        token = zone.bucket.next_token_ns(self._clock.now)
        if not zone.waiting or token is None:
            zone.due = None
            return
        due = self._clock.next_on_grid(self._phase, TAINTING_PERIOD_NS, token)
        if due != zone.due:
            zone.due = due
            self._clock.call_at(due, self._tick, zone, due, rank=self._rank)

    def _tick(self, zone: _Zone, due: int) -> None:
        if zone.due != due or self.stopped:
            return
        zone.due = None
        if zone.waiting and zone.bucket.take(due):
            names = list(zone.waiting)
            name = names[int(self._choice() * len(names))]
            zone.handled[name] = None
            self._clock.spawn(self._taint(zone, name, zone.waiting.pop(name)))
        self._schedule(zone)

    def _taint(self, zone: _Zone, name: str, cause: int) -> Generator[Event, Any, None]:
        """Taint a node that is still not Ready. The token is spent in any case."""
        node = self._nodes.get("", name)
        if node is None:
            return
        key = no_execute_key(ready_condition(node))
        if key is None:
            self._look_again(name)
            return
        client = self._client
        client.cause = cause
        try:
            yield from swap_taints(client, name, "NoExecute", (key,), (), self._clock.truncated())
            other = NOT_READY if key == UNREACHABLE else UNREACHABLE
            if any(t.key == other and t.effect == "NoExecute" for t in node.spec.taints):
                yield from swap_taints(client, name, "NoExecute", (), (other,), self._clock.truncated())
        except ApiError:
            if not self.stopped:
                zone.waiting.setdefault(name, cause)
                self._schedule(zone)


def swap_taints(
    client: Client, name: str, effect: str, add: tuple[str, ...], remove: tuple[str, ...], now_ns: int
) -> Generator[Event, Any, Node]:
    """Patch a node's taints of one effect (SwapNodeControllerTaint)."""
    return client.patch(Node, "", name, lambda node: with_taints(node, effect, add, remove, Time(now_ns)))
