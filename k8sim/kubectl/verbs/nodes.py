"""kubectl cordon and uncordon (kubectl/pkg/drain/cordon.go)."""

from __future__ import annotations

from k8sim.api.core import Node
from k8sim.api.meta import Object
from k8sim.api.struct import replace
from k8sim.kubectl.command import Command
from k8sim.kubectl.process import CommandError, Process, Steps, suffix


def set_unschedulable(process: Process, node: Node, unschedulable: bool, dry_run: str) -> Steps[None]:
    """PATCH spec.unschedulable, unless it is so already, and say so; a dry run changes nothing."""
    word = "cordoned" if unschedulable else "uncordoned"
    if node.spec.unschedulable == unschedulable:
        process.report(node, f"already {word}{suffix(dry_run)}")
        return
    if dry_run == "none":
        yield from process.client.patch(
            Node, "", node.name, lambda n: replace(n, spec=replace(n.spec, unschedulable=unschedulable))
        )
    elif dry_run == "server":
        yield from process.client.get(Node, "", node.name)
    process.report(node, f"{word}{suffix(dry_run)}")


def _cordon_or_uncordon(process: Process, command: Command, unschedulable: bool) -> Steps[None]:
    nodes = yield from process.find(command)
    if not nodes and not process.code:
        raise CommandError("no nodes found")

    def act(obj: Object) -> Steps[None]:
        assert isinstance(obj, Node)
        yield from set_unschedulable(process, obj, unschedulable, command.options.dry_run)

    yield from process.each(nodes, act)


def cordon(process: Process, command: Command) -> Steps[None]:
    """Run kubectl cordon."""
    yield from _cordon_or_uncordon(process, command, True)


def uncordon(process: Process, command: Command) -> Steps[None]:
    """Run kubectl uncordon."""
    yield from _cordon_or_uncordon(process, command, False)
