"""Upgrades of nodes, pool by pool: drain a node, let it boot anew or replace it, go on with the next.

An upgrade takes the nodes that match when it begins, in the order of their names, so many at a time. In place:
kubectl drain, reboot, wait until the node is Ready, uncordon. Surge: a new machine joins first, then the old node is
drained, switched off and deleted. A node that does not become Ready in time ends the upgrade.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

from k8sim.api.core import Node
from k8sim.apiserver.watch import Change
from k8sim.faults.fault import World
from k8sim.operators.hands import Hands, Steps
from k8sim.operators.machines import newcomer
from k8sim.operators.model import NodeUpgrade
from k8sim.operators.reactions import is_ready
from k8sim.sim.clock import Event
from k8sim.sim.units import SECOND


def start_upgrades(world: World, upgrades: tuple[NodeUpgrade, ...]) -> None:
    """Arrange for all upgrades."""
    for upgrade in upgrades:
        _Upgrade(world, upgrade).start()


class _Upgrade:
    """One upgrade, through all its rounds."""

    def __init__(self, world: World, plan: NodeUpgrade) -> None:
        self.hands = Hands(world, plan.name)
        self.world = world
        self.plan = plan
        self._stopped = False
        self._round = 0

    def start(self) -> None:
        """Begin at its time."""
        self.hands.clock.call_at(self.plan.at_ns, self._begin, rank=self.hands.rank("begin"))

    def _begin(self) -> None:
        self.hands.clock.spawn(self._run())

    def _run(self) -> Steps:
        world, hands = self.world, self.hands
        nodes = sorted(n.name for n in world.server.list(Node) if self.plan.nodes.matches(n))
        row = hands.note("Begins", self.plan.name, nodes=len(nodes))
        queue, self._stopped = deque(nodes), False
        self._round += 1
        yield from [hands.clock.spawn(self._work(queue, row)) for _ in range(min(self.plan.parallel, len(nodes)))]
        hands.note("Stopped" if self._stopped else "Done", self.plan.name, row, left=len(queue))
        if self.plan.every is not None and not self._stopped:
            delay = hands.draw(self.plan.every, self.plan.name, "every")
            hands.clock.call_after(delay, self._begin, rank=hands.rank("begin"))

    def _work(self, queue: deque[str], row: int) -> Steps:
        while queue and not self._stopped:
            name = queue.popleft()
            if self.world.server.find(Node, "", name) is None:
                continue
            if self.plan.surge:
                yield from self._replace(name, row)
            else:
                yield from self._reboot(name, row)

    # ---- in place -----------------------------------------------------------------------------------------------

    def _reboot(self, name: str, row: int) -> Steps:
        hands, machine = self.hands, self.world.machines.get(name)
        if machine is None or not (yield from self._drained(name, row)):
            return
        row = hands.note("Reboots", name, row)
        away = hands.draw(self.plan.reboot, name, "reboot")
        hands.shut_down(name, away, row)
        if not (yield from self._ready(name, machine.boot + 1, away, row)):
            return
        yield hands.clock.sleep(hands.draw(self.plan.settle, name, "settle"), hands.rank(name))
        yield from hands.kubectl(f"uncordon {name}", name, row)
        hands.note("Upgraded", name, row)

    def _drained(self, name: str, row: int) -> Generator[Event, Any, bool]:
        """Drain a node; True if its machine may be taken."""
        hands = self.hands
        row = hands.note("Drains", name, row)
        result = yield from hands.kubectl(self.plan.drain.command(name), name, row)
        if not result.code:
            return True
        failure = self.plan.on_drain_failure
        hands.note("DrainFailed", name, row, then=failure, out=result.err[:300])
        self._stopped = self._stopped or failure == "stop"
        return failure == "proceed"

    # ---- surge --------------------------------------------------------------------------------------------------

    def _replace(self, name: str, row: int) -> Steps:
        hands, world = self.hands, self.world
        template = newcomer(world, world.server.get(Node, "", name))
        row = hands.note("Orders", name, row, joins=template.name)
        world.provide(template, off=True)
        yield hands.clock.sleep(hands.draw(self.plan.boot, name, "boot"), hands.rank(name))
        world.machines[template.name].boot_up()
        if not (yield from self._ready(template.name, 1, 0, row)):
            return
        yield hands.clock.sleep(hands.draw(self.plan.settle, name, "settle"), hands.rank(name))
        if not (yield from self._drained(name, row)):
            return
        world.retire(name)
        hands.shut_down(name, None, row)
        while hands.powered(name):  # its kubelet may hold the shutdown up
            yield hands.clock.sleep(SECOND, hands.rank(name))
        yield from hands.kubectl(f"delete node {name}", name, row)
        hands.note("Upgraded", name, row, by=template.name)

    # ---- waiting ------------------------------------------------------------------------------------------------

    def _ready(self, name: str, boot: int, away_ns: int, row: int) -> Generator[Event, Any, bool]:
        """Wait until a node is Ready, after so many boots of its machine; False if the upgrade gives up."""
        server, clock = self.world.server, self.hands.clock
        limit = self.plan.ready_timeout_ns
        deadline = clock.now + away_ns + limit if limit else None
        while not self._is_ready(name, boot):
            if deadline is not None and clock.now >= deadline:
                self.hands.note("NotReady", name, row, then="stop", timeout=limit / SECOND)
                self._stopped = True
                return False
            changed: Event = clock.event()

            def wake(change: Change | None = None, changed: Event = changed) -> None:
                clock.fire(changed, rank=self.hands.rank(name))

            stop = server.watch_object(Node, "", name, wake)
            if deadline is not None:
                clock.call_at(deadline, wake, rank=self.hands.rank(name))
            yield changed
            stop()
        return True

    def _is_ready(self, name: str, boot: int) -> bool:
        node, machine = self.world.server.find(Node, "", name), self.world.machines[name]
        if node is None or not is_ready(node) or machine.boot < boot:
            return False
        return node.status.node_info.boot_id == machine.boot_id
