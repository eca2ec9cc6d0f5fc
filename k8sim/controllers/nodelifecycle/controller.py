"""Node lifecycle controller: notices nodes that have fallen silent, and says so in conditions, taints and pods.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go; workloads.md 4.3, 4.4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from heapq import heappop, heappush
from typing import Any

from k8sim.api.core import Node, Pod
from k8sim.api.struct import Time, replace
from k8sim.apiserver.client import Client
from k8sim.apiserver.errors import ApiError, Conflict, NotFound
from k8sim.apiserver.watch import Change
from k8sim.controllers.controller import Controller, ControllerContext, Key, Sync
from k8sim.controllers.nodelifecycle.control import (
    EXCLUDE_DISRUPTION,
    NOT_READY,
    UNREACHABLE,
    Health,
    ZoneState,
    grace_period_ns,
    handle_disruption,
    has_no_execute,
    is_silent,
    no_execute_key,
    no_schedule_taints,
    not_ready_pod,
    notice_heartbeat,
    ready_condition,
    unknown_conditions,
    zone_key,
)
from k8sim.controllers.nodelifecycle.passes import Passes
from k8sim.controllers.nodelifecycle.settings import NodeLifecycleSettings
from k8sim.controllers.nodelifecycle.tainter import NoExecuteTainter, swap_taints
from k8sim.sim.clock import Event
from k8sim.sim.trace import NO_CAUSE
from k8sim.sim.units import MILLISECOND

_UPDATE_WORKERS = 8
_UPDATE_RETRIES = 5
_RETRY_SLEEP_NS = 20 * MILLISECOND
_NO_EXECUTE = (UNREACHABLE, NOT_READY)


class NodeLifecycleController(Controller):
    """The queue holds nodes whose NoSchedule taints are to mirror them, and pods bound to nodes that are not Ready.

    The health monitor looks at all nodes every 5 s. Heartbeats are arithmetic, so only a pass at which something can
    change is an event, and it looks only at the nodes that something has happened to: a change of the Node, the
    beginning or end of its lease's renewals, the end of its grace period.
    """

    name = "nodelifecycle"
    workers = 8

    def __init__(self, context: ControllerContext, settings: NodeLifecycleSettings | None = None) -> None:
        super().__init__(context)
        settings = settings or NodeLifecycleSettings()
        self.settings = settings
        self._client = self.client("taints")
        self._monitors: dict[int, Client] = {}
        self._nodes = self.informers.of(Node)
        self._pods = self.informers.of(Pod)
        self._pods.add_index("spec.nodeName", lambda p: (p.spec.node_name,) if p.spec.node_name else ())
        self._lag = self.sim.latencies.distribution("watch").quantile(0.5)
        self._health: dict[str, Health] = {}
        self._counted: dict[str, tuple[str, bool]] = {}
        self._counts: dict[str, list[int]] = {}
        self._judged: dict[str, tuple[int, int]] = {}
        self._states: dict[str, ZoneState] = {}
        self._known: dict[str, None] = {}
        self._dirty: dict[str, int] = {}
        self._cause: dict[str, int] = {}
        self._to_retry: dict[str, None] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._probe_floor = 0
        self._next_pass: int | None = None
        self._last_pass = -1
        self._in_pass = False
        self._settled = False
        self._stopped = False
        self._passes: Passes | None = None
        self._tainter = NoExecuteTainter(
            self.sim, self._nodes, self._client, self.rank, settings.node_eviction_rate, self._look_again
        )
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod, of_status=False)
        self.server.leases.watch(self._on_lease)

    def start(self) -> None:
        """Start. At t = 0 the loops have been running for a while; later (a restart) the first pass is now."""
        super().start()
        period = self.settings.node_monitor_period_ns
        first = self.clock.now
        self._settled = first > 0
        if first == 0:
            first = int(self.sim.streams.uniform("kube-controller-manager", "nodeMonitorPhase") * period)
        run = self.sim.latencies.distribution("nodeMonitorPass").quantile(0.5)
        self._passes = Passes(first, period, run)
        self._schedule_pass()

    def stop(self) -> None:
        """Stop all loops."""
        super().stop()
        self.server.leases.unwatch(self._on_lease)
        self._stopped = self._tainter.stopped = True

    # ---- observe --------------------------------------------------------------------------------------------

    def _on_node(self, change: Change) -> None:
        node, old = change.new, change.old
        assert isinstance(node, Node)
        if isinstance(old, Node) and change.type == "MODIFIED":
            if (
                node.status.conditions == old.status.conditions
                and node.spec == old.spec
                and node.metadata.labels == old.metadata.labels
            ):
                return
        if change.type != "DELETED" and any(no_schedule_taints(node)):
            self.queue.add(node.key, change.row)
        self._touch(node.metadata.name, change.row)

    def _on_pod(self, change: Change) -> None:
        pod, old = change.new, change.old
        assert isinstance(pod, Pod)
        node = pod.spec.node_name
        if change.type == "DELETED" or not node or (isinstance(old, Pod) and old.spec.node_name == node):
            return
        health = self._health.get(node)
        if health is not None and health.ready is not None and health.ready.status != "True":
            self.queue.add(pod.key, change.row)

    def _on_lease(self, node: str) -> None:
        """Look at a node whose kubelet begins or ceases to renew its lease; a fault that did it is the cause."""
        self._cause[node] = self.sim.trace.fault
        self._touch(node, self.sim.trace.fault)

    def _look_again(self, node: str) -> None:
        self._touch(node, self._cause.get(node, NO_CAUSE))

    def _touch(self, node: str, cause: int) -> None:
        """Let the next pass look at a node. If it is to look at another one, it is planned already."""
        self._dirty.setdefault(node, cause)
        if len(self._dirty) == 1:
            self._schedule_pass()

    def _schedule_pass(self) -> None:
        """Plan the next pass that has something to do."""
        if self._passes is None or self._in_pass or self._stopped:
            return
        when: int | None = None
        earliest = max(self.clock.now, self._last_pass + 1)
        if self._dirty:
            when = self._passes.at_or_after(earliest)
        elif self._deadlines:
            when = self._passes.at_or_after(max(self._deadlines[0][0], earliest))
        if when is not None and (self._next_pass is None or when < self._next_pass):
            self._next_pass = when
            self.clock.call_at(when, self._begin_pass, when, rank=self.rank)

    # ---- taints that mirror conditions; pods bound to a lost node ---------------------------------------------

    def sync(self, key: Key, client: Client) -> Sync:
        """Mirror a node's conditions in its NoSchedule taints; or mark a pod that was just bound to a lost node."""
        if key[0]:
            yield from self._process_pod(key, client)
            return
        node = self._nodes.find(key)
        if node is None:
            return
        add, remove = no_schedule_taints(node)
        if add or remove:
            yield from swap_taints(client, node.name, "NoSchedule", add, remove, self.clock.truncated())

    def _process_pod(self, key: Key, client: Client) -> Sync:
        pod = self._pods.find(key)
        health = self._health.get(pod.spec.node_name) if pod is not None else None
        if pod is None or health is None or health.ready is None or health.ready.status == "True":
            return
        yield from self._mark_pod_not_ready(pod, client)

    # ---- the monitor ------------------------------------------------------------------------------------------

    def _begin_pass(self, when: int) -> None:
        if self._next_pass != when or self._stopped:
            return
        self._next_pass, self._last_pass = None, when
        while self._deadlines and self._deadlines[0][0] <= when:
            name = heappop(self._deadlines)[1]
            self._dirty.setdefault(name, self._cause.get(name, NO_CAUSE))
        for name in self._to_retry:
            self._dirty.setdefault(name, NO_CAUSE)
        work, self._dirty = self._dirty, {}
        busy = deque((node, cause) for name, cause in work.items() if (node := self._classify(name)) is not None)
        self._in_pass = True
        self.tasks = [t for t in self.tasks if t.alive]
        self.tasks.append(self.clock.spawn(self._monitor(when, busy)))

    def _classify(self, name: str) -> Node | None:
        """Return a node; forget one that is gone."""
        node = self._nodes.get("", name)
        if node is None:
            self._uncount(name)
            self._known.pop(name, None)
            self._to_retry.pop(name, None)
        return node

    def _monitor(self, when: int, busy: deque[tuple[Node, int]]) -> Generator[Event, Any, None]:
        """One pass: look at nodes eight at a time, then at the zones."""
        left = min(_UPDATE_WORKERS, len(busy))
        done = self.clock.event()

        def worker(i: int) -> Generator[Event, Any, None]:
            nonlocal left
            while busy:
                client = self._monitor_client(i)
                node, client.cause = busy.popleft()
                yield from self._monitor_node(node, when, client)
            left -= 1
            if not left:
                self.clock.fire(done, rank=self.rank)

        if left:
            self.tasks += [self.clock.spawn(worker(i)) for i in range(left)]
            yield done
        yield from self._handle_disruption()
        assert self._passes is not None
        if self.clock.now > when:
            self._passes.ended(when, self.clock.now)
        self._in_pass = False
        self._settled = True
        self._schedule_pass()

    def _monitor_client(self, i: int) -> Client:
        """Return the connection of a worker. Those after the first get a node only while it waits for an answer."""
        client = self._monitors.get(i)
        if client is None:
            client = self._monitors[i] = self.client(f"monitor/{i}")
        return client

    def _monitor_node(self, node: Node, when: int, client: Client) -> Sync:
        """Look at one node (monitorNodeHealth, updateNodeFunc)."""
        name, zone = node.metadata.name, zone_key(node)
        self._tainter.add_zone(zone)
        if name not in self._known:
            self._known[name] = None
            if self._settled:  # those that are there at t = 0 were registered long before
                client.event(
                    node, "Normal", "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller"
                )
            yield from self._mark_reachable(node, zone, client)
        was_ready = _is_ready(node)
        try:
            node = yield from self._update_health(node, when, client)
        except ApiError:
            self._touch(name, client.cause)
            return
        zone, is_ready = zone_key(node), _is_ready(node)
        self._count(node, zone, is_ready)
        yield from self._process_taints(node, zone, client)
        lost = was_ready and not is_ready
        if lost:
            client.event(node, "Normal", "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        if lost or (name in self._to_retry and not was_ready):
            failed = False
            for pod in list(self._pods.by_index("spec.nodeName", name)):
                try:
                    yield from self._mark_pod_not_ready(pod, client)
                except ApiError:
                    failed = True
            if failed:
                self._to_retry[name] = None
                self._touch(name, client.cause)
                return
        self._to_retry.pop(name, None)

    def _update_health(self, node: Node, when: int, client: Client) -> Generator[Event, Any, Node]:
        """Update what is remembered of a node, and its status if it has been silent for too long."""
        for attempt in range(_UPDATE_RETRIES):
            name = node.metadata.name
            health = notice_heartbeat(node, self._health.get(name), self._renewal(name, when), when)
            if health.probe_ns < self._probe_floor:
                health = Health(health.ready, self._probe_floor, health.lease_ns)
            self._health[name] = health
            grace = grace_period_ns(health.ready, self.settings)
            if not is_silent(health, grace, when):
                self._plan_deadline(name, health, grace)
                return node
            if health.ready is not None and health.ready.status == "Unknown":
                return node
            now = Time(self.clock.truncated())
            new = replace(node, status=replace(node.status, conditions=unknown_conditions(node, now)))
            try:
                node = yield from client.update_status(new)
            except Conflict:
                if attempt == _UPDATE_RETRIES - 1:
                    raise
                yield self.clock.sleep(_RETRY_SLEEP_NS, self.rank)
                node = yield from client.get(Node, "", name)
                continue
            self._health[name] = Health(ready_condition(node), health.probe_ns, health.lease_ns)
            return node
        return node

    def _renewal(self, name: str, when: int) -> tuple[int, int] | None:
        """Return the last renewal of a node's lease that has arrived, and the pass that noticed it."""
        assert self._passes is not None
        renewed = self.server.leases.last_renewal(name, when - self._lag)
        return None if renewed is None else (renewed, self._passes.at_or_after(renewed + self._lag))

    def _plan_deadline(self, name: str, health: Health, grace: int) -> None:
        """Come back when the grace period ends, unless the lease is renewed on and on and often enough."""
        ready = health.ready
        if ready is not None and ready.status == "Unknown":
            return  # nothing changes until a heartbeat comes
        renewals = self.server.leases.renewals(name)
        if renewals is not None and renewals.until_ns is None and renewals.first_ns <= self.clock.now:
            if renewals.period_ns + 2 * self.settings.node_monitor_period_ns <= grace:
                return
            heappush(self._deadlines, (self.clock.now + 1, name))  # so short a grace period needs a look at every pass
            return
        heappush(self._deadlines, (health.probe_ns + grace + 1, name))

    def _mark_pod_not_ready(self, pod: Pod, client: Client) -> Sync:
        new = not_ready_pod(pod, Time(self.clock.truncated()))
        if new is None:
            return
        try:
            yield from client.update_status(new)
        except NotFound:
            return
        client.event(pod, "Warning", "NodeNotReady", "Node is not ready")

    # ---- NoExecute taints and zones -----------------------------------------------------------------------------

    def _process_taints(self, node: Node, zone: str, client: Client) -> Sync:
        """Queue a lost node for its NoExecute taint, switch it, or take it off (processTaintBaseEviction)."""
        ready = ready_condition(node)
        if ready is None:
            return
        key = no_execute_key(ready)
        if key is None:
            yield from self._mark_reachable(node, zone, client)
            return
        other = NOT_READY if key == UNREACHABLE else UNREACHABLE
        if has_no_execute(node, other):
            try:
                yield from swap_taints(client, node.name, "NoExecute", (key,), (), self.clock.truncated())
                yield from swap_taints(client, node.name, "NoExecute", (), (other,), self.clock.truncated())
            except ApiError:
                self._touch(node.name, client.cause)
        else:
            self._tainter.add(zone, node.name, not has_no_execute(node, key), client.cause)

    def _mark_reachable(self, node: Node, zone: str, client: Client) -> Iterable[Event]:
        """Take both NoExecute taints off a node, and the node out of its queue (markNodeAsReachable)."""
        self._tainter.remove(zone, node.metadata.name)
        return self._take_taints_off(node, client) if node.spec.taints else ()

    def _take_taints_off(self, node: Node, client: Client) -> Sync:
        for key in _NO_EXECUTE:
            if has_no_execute(node, key):
                try:
                    yield from swap_taints(client, node.name, "NoExecute", (), (key,), self.clock.truncated())
                except ApiError:
                    self._touch(node.name, client.cause)
                    return

    def _count(self, node: Node, zone: str, is_ready: bool) -> None:
        """Count a node in its zone, unless it is excluded."""
        self._uncount(node.metadata.name)
        if EXCLUDE_DISRUPTION in node.metadata.labels:
            return
        self._counted[node.metadata.name] = (zone, is_ready)
        self._counts.setdefault(zone, [0, 0])[0 if is_ready else 1] += 1

    def _uncount(self, name: str) -> None:
        entry = self._counted.pop(name, None)
        if entry is not None:
            counts = self._counts[entry[0]]
            counts[0 if entry[1] else 1] -= 1
            if counts == [0, 0]:
                del self._counts[entry[0]]

    def _handle_disruption(self) -> Sync:
        """Set the zones' rates by what this pass has found."""
        counts = {zone: (c[0], c[1]) for zone, c in self._counts.items()}
        if counts == self._judged:
            return  # what follows from it is done
        self._judged = counts
        plan = handle_disruption(self._states, counts, self.settings)
        if plan.stop_evictions:
            client = self._client
            client.cause = NO_CAUSE
            for node in self._nodes.list():
                zone = zone_key(node)
                if zone in counts:
                    yield from self._mark_reachable(node, zone, client)
        if plan.reset_probes:
            self._probe_floor = self.clock.now
            for name in self._known:
                self._dirty.setdefault(name, NO_CAUSE)
        for zone, state in plan.states.items():
            if state != self._states.get(zone, "Normal"):
                self._note_zone(zone, state, counts[zone], plan.rates.get(zone))
        self._states = dict(plan.states)
        self._tainter.set_rates(plan.rates)

    def _note_zone(self, zone: str, state: ZoneState, counts: tuple[int, int], rate: float | None) -> None:
        """Write down a zone's new state: with a rate of 0 it is why no pod is evicted there."""
        detail = {"ready": counts[0], "notReady": counts[1], "rate": rate}
        self.sim.trace.append(self.clock.now, "Zone", zone.replace(":\x00:", "/"), state, detail)


def _is_ready(node: Node) -> bool:
    ready = ready_condition(node)
    return ready is not None and ready.status == "True"
