"""Named delays of people and programs: who force-deletes, taints, deletes and replaces, and after how long.

Each watches what kubectl shows and has one timer for each node or pod that concerns it; who has recovered meanwhile is
left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final

from k8sim.api.core import Node, Pod
from k8sim.api.meta import condition_of
from k8sim.api.volumes import OUT_OF_SERVICE_TAINT
from k8sim.apiserver.watch import Change
from k8sim.faults.fault import World
from k8sim.operators.hands import Hands, Steps
from k8sim.operators.machines import newcomer
from k8sim.operators.model import (
    DeleteNode,
    Drain,
    ForceDelete,
    Operators,
    OutOfService,
    ReplaceNode,
    TerminationHandler,
)
from k8sim.sim.units import SECOND

TAINT: Final = f"{OUT_OF_SERVICE_TAINT}=nodeshutdown:NoExecute"


def start_operators(world: World, operators: Operators) -> None:
    """Let everybody watch from now on."""
    for number, force in enumerate(operators.force_delete):
        _ForceDeleter(world, force, _numbered("forceDelete", number)).start()
    silent = _SilentNodes(world)
    for number, taint in enumerate(operators.out_of_service):
        _Tainter(world, taint, _numbered("outOfService", number), silent).start()
    for number, delete in enumerate(operators.delete_node):
        _NodeDeleter(world, delete, _numbered("deleteNode", number), silent).start()
    for number, replace in enumerate(operators.replace_node):
        _Replacer(world, replace, _numbered("replaceNode", number)).start()
    for number, handler in enumerate(operators.termination_handler):
        _Handler(world, handler, _numbered("terminationHandler", number)).start()


def _numbered(name: str, number: int) -> str:
    return f"{name} #{number + 1}" if number else name


def is_ready(node: Node | None) -> bool:
    """Tell whether a node says that it is Ready."""
    ready = condition_of(node.status.conditions, "Ready") if node is not None else None
    return ready is not None and ready.status == "True"


class _SilentNodes:
    """Which nodes are not Ready, since when, and the row that said so."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.since: dict[str, tuple[int, int]] = {}
        self._on_lost: list[Callable[[Node, int], object]] = []
        self._on_back: list[Callable[[Node, int], object]] = []
        self._watching = False

    def tell(self, lost: Callable[[Node, int], object], back: Callable[[Node, int], object]) -> None:
        """Call functions when a node ceases to be Ready, and when it is Ready again."""
        self._on_lost.append(lost)
        self._on_back.append(back)
        if not self._watching:
            self._watching = True
            self.world.server.watch(Node, self._on_change)

    def _on_change(self, change: Change) -> None:
        node = change.new
        assert isinstance(node, Node)
        if change.type == "DELETED":
            self.since.pop(node.name, None)
        elif is_ready(node):
            if self.since.pop(node.name, None) is not None:
                for tell in self._on_back:
                    tell(node, change.row)
        elif node.name not in self.since and change.type == "MODIFIED":
            self.since[node.name] = (self.world.sim.clock.now, change.row)
            for tell in self._on_lost:
                tell(node, change.row)


class _OfSilentNodes:
    """Somebody who declares nodes dead that have not been Ready for a while."""

    def __init__(self, world: World, rule: OutOfService | DeleteNode, name: str, silent: _SilentNodes) -> None:
        self.hands = Hands(world, name)
        self.world = world
        self.rule = rule
        self.silent = silent

    def start(self) -> None:
        """Watch nodes."""
        self.silent.tell(self._lost, self._back)

    def _lost(self, node: Node, row: int) -> None:
        if self.rule.nodes.matches(node):
            self._plan(node.name, self.silent.since[node.name])

    def _plan(self, name: str, since: tuple[int, int]) -> None:
        delay = self.hands.draw(self.rule.after, name)
        self.hands.clock.call_after(max(delay, SECOND), self._look, name, since, rank=self.hands.rank(name))

    def _look(self, name: str, since: tuple[int, int]) -> None:
        """Act if the node has been silent all the time and, where that is asked for, its machine is off."""
        if self.silent.since.get(name) != since:
            return
        hands, row = self.hands, since[1]
        if self.rule.fence == "check" and hands.powered(name):
            hands.note("Spares", name, row, reason="its machine is on")
            self._plan(name, since)
            return
        row = hands.note("Acts", name, row, fence=self.rule.fence)
        if self.rule.fence == "powerOff":
            hands.switch_off(name, row)
        hands.clock.spawn(self.act(name, row))

    def _back(self, node: Node, row: int) -> None:
        """A node is Ready again."""

    def act(self, name: str, row: int) -> Steps:
        """Do it."""
        raise NotImplementedError


class _Tainter(_OfSilentNodes):
    """Taints, and takes the taint off a node that has come back."""

    def act(self, name: str, row: int) -> Steps:
        yield from self.hands.kubectl(f"taint node {name} {TAINT} --overwrite", name, row)

    def _back(self, node: Node, row: int) -> None:
        rule = self.rule
        assert isinstance(rule, OutOfService)
        if rule.remove is not None and any(t.key == OUT_OF_SERVICE_TAINT for t in node.spec.taints):
            delay = self.hands.draw(rule.remove, node.name, "remove")
            self.hands.clock.call_after(delay, self._untaint, node.name, row, rank=self.hands.rank(node.name))

    def _untaint(self, name: str, row: int) -> None:
        node = self.world.server.find(Node, "", name)
        if is_ready(node) and node is not None and any(t.key == OUT_OF_SERVICE_TAINT for t in node.spec.taints):
            row = self.hands.note("TakesBack", name, row)
            self.hands.clock.spawn(self._take_off(name, row))

    def _take_off(self, name: str, row: int) -> Steps:
        yield from self.hands.kubectl(f"taint node {name} {OUT_OF_SERVICE_TAINT}-", name, row)


class _NodeDeleter(_OfSilentNodes):
    """Deletes Node objects."""

    def act(self, name: str, row: int) -> Steps:
        yield from self.hands.kubectl(f"delete node {name}", name, row)


class _ForceDeleter:
    """Deletes pods by force that hang in Terminating."""

    def __init__(self, world: World, rule: ForceDelete, name: str) -> None:
        self.hands = Hands(world, name)
        self.world = world
        self.rule = rule

    def start(self) -> None:
        """Watch pods."""
        self.world.server.watch(Pod, self._on_change)

    def _on_change(self, change: Change) -> None:
        pod = change.new
        due = pod.metadata.deletion_timestamp
        if due is None or change.type == "DELETED" or (change.old is not None and change.old.deleting):
            return
        rule = self.rule
        if any(fnmatchcase(pod.name, p) for p in rule.pods) and any(
            fnmatchcase(pod.namespace, p) for p in rule.namespaces
        ):
            target = f"{pod.namespace}/{pod.name}"
            when = due + self.hands.draw(rule.after, target)
            self.hands.clock.call_at(when, self._look, pod.key, pod.uid, change.row, rank=self.hands.rank(target))

    def _look(self, key: tuple[str, str], uid: str, row: int) -> None:
        pod = self.world.server.find(Pod, *key)
        if pod is None or pod.uid != uid:
            return
        target = "/".join(key)
        node = self.world.server.find(Node, "", pod.spec.node_name)
        if is_ready(node) and not self.rule.any_node:
            self.hands.note("Spares", target, row, reason="its node is Ready")
            return
        row = self.hands.note("Acts", target, row)
        self.hands.clock.spawn(self._delete(key, target, row))

    def _delete(self, key: tuple[str, str], target: str, row: int) -> Steps:
        command = f"delete pod {key[1]} -n {key[0]} --force --grace-period=0 --wait=false"
        yield from self.hands.kubectl(command, target, row)


class _Replacer:
    """Lets a new machine join for each Node that is deleted."""

    def __init__(self, world: World, rule: ReplaceNode, name: str) -> None:
        self.hands = Hands(world, name)
        self.world = world
        self.rule = rule

    def start(self) -> None:
        """Watch nodes."""
        self.world.server.watch(Node, self._on_change)

    def _on_change(self, change: Change) -> None:
        node = change.new
        if change.type != "DELETED" or not isinstance(node, Node) or not self.rule.nodes.matches(node):
            return
        if node.name in self.world.retired:  # an upgrade has replaced it
            return
        self.world.retire(node.name)
        delay = self.hands.draw(self.rule.after, node.name)
        self.hands.clock.call_after(delay, self._join, node, change.row, rank=self.hands.rank(node.name))

    def _join(self, node: Node, row: int) -> None:
        template = newcomer(self.world, node)
        self.hands.note("Acts", node.name, row, joins=template.name)
        self.world.provide(template)


class _Handler:
    """Drains or cordons a spot machine that has had its notice."""

    def __init__(self, world: World, rule: TerminationHandler, name: str) -> None:
        self.hands = Hands(world, name)
        self.world = world
        self.rule = rule

    def start(self) -> None:
        """Wait for notices."""
        self.world.on_notice(self._notice)

    def _notice(self, name: str, lead_ns: int) -> None:
        node = self.world.server.find(Node, "", name)
        if node is None or not self.rule.nodes.matches(node):
            return
        row, seen = self.world.sim.trace.fault, self.hands.draw(self.rule.after, name)
        self.hands.clock.call_after(seen, self._act, name, lead_ns - seen, row, rank=self.hands.rank(name))

    def _act(self, name: str, left_ns: int, row: int) -> None:
        if left_ns <= 0:
            return
        row = self.hands.note("Acts", name, row)
        drain = Drain(timeout_ns=left_ns).command(name)
        self.hands.clock.spawn(self._command(f"cordon {name}" if self.rule.cordon_only else drain, name, row))

    def _command(self, command: str, name: str, row: int) -> Steps:
        yield from self.hands.kubectl(command, name, row)
