"""kubectl label, annotate and taint (kubectl/pkg/cmd/{label,annotate,taint})."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from k8sim.api.core import Node, Taint
from k8sim.api.meta import Object, with_meta
from k8sim.api.struct import replace
from k8sim.kubectl.command import Command, KeyChange, TaintChange
from k8sim.kubectl.grammar import KeysOptions, TaintOptions
from k8sim.kubectl.process import CommandError, Process, Steps

Pairs = Mapping[str, str]


def changed_pairs(pairs: Pairs, changes: Sequence[KeyChange]) -> dict[str, str]:
    """Return labels or annotations after changes."""
    result = dict(pairs)
    for key, value in changes:
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def label(process: Process, command: Command) -> Steps[None]:
    """Run kubectl label."""
    changes: tuple[KeyChange, ...] = command.arguments

    def act(obj: Object) -> Steps[None]:
        old = obj.metadata.labels
        for key, value in changes:
            if value is None and key not in old:
                process.warn(f'label "{key}" not found.')
            elif value is not None and key in old and not command.options.overwrite:
                raise CommandError(f"'{key}' already has a value ({old[key]}), and --overwrite is false")
        _check_version(obj, command.options)
        new = changed_pairs(old, changes)
        if new == old:
            process.report(obj, "not labeled")
            return
        yield from process.client.patch(type(obj), *obj.key, partial(_with_pairs, "labels", changes))
        removed_only = all(value is None for _, value in changes)
        process.report(obj, "unlabeled" if removed_only else "labeled")

    yield from _on_each(process, command, act)


def annotate(process: Process, command: Command) -> Steps[None]:
    """Run kubectl annotate."""
    changes: tuple[KeyChange, ...] = command.arguments

    def act(obj: Object) -> Steps[None]:
        old = obj.metadata.annotations
        taken = [key for key, value in changes if value is not None and key in old]
        if taken and not command.options.overwrite:
            found = "; ".join(f"'{key}' already has a value ({old[key]})" for key in taken)
            raise CommandError(f"--overwrite is false but found the following declared annotation(s): {found}")
        _check_version(obj, command.options)
        yield from process.client.patch(type(obj), *obj.key, partial(_with_pairs, "annotations", changes))
        process.report(obj, "annotated")

    yield from _on_each(process, command, act)


def _with_pairs(field: str, changes: Sequence[KeyChange], obj: Object) -> Object:
    new = changed_pairs(getattr(obj.metadata, field), changes)
    return obj if new == getattr(obj.metadata, field) else with_meta(obj, **{field: new})


def _check_version(obj: Object, options: KeysOptions) -> None:
    version = str(obj.metadata.resource_version)
    if options.resource_version and options.resource_version != version:
        raise CommandError(f"the object has version {version}, not {options.resource_version}")


def _on_each(process: Process, command: Command, act: Any) -> Steps[None]:
    objects = yield from process.find(command)
    if not objects and not process.code:
        process.warn("No resources found")
    yield from process.each(objects, act)


# ---- taints -----------------------------------------------------------------------------------------------------


def changed_taints(taints: Sequence[Taint], changes: Sequence[TaintChange]) -> tuple[Taint, ...]:
    """Return a node's taints after changes: new ones in front, as kubectl's reorganizeTaints puts them."""
    new = [c for c in changes if not c.remove]
    gone = [c for c in changes if c.remove]
    added = tuple(Taint(key=c.key, value=c.value, effect=c.effect) for c in new)
    kept = tuple(t for t in taints if not any(t.key == c.key and t.effect == c.effect for c in new))
    return tuple(t for t in (*added, *kept) if not any(_names(c, t) for c in gone))


def _names(change: TaintChange, taint: Taint) -> bool:
    """Tell whether a removal speaks of a taint: by key, and by effect if it gives one."""
    return taint.key == change.key and change.effect in ("", taint.effect)


def taint(process: Process, command: Command) -> Steps[None]:
    """Run kubectl taint."""
    changes: tuple[TaintChange, ...] = command.arguments
    options: TaintOptions = command.options

    def act(obj: Object) -> Steps[None]:
        assert isinstance(obj, Node)
        old = obj.spec.taints
        _check_taints(obj, changes, options.overwrite)
        yield from process.client.patch(
            Node,
            "",
            obj.name,
            lambda n: replace(n, spec=replace(n.spec, taints=changed_taints(n.spec.taints, changes))),
        )
        overwritten = any(t.key == c.key and t.effect == c.effect for t in old for c in changes if not c.remove)
        if all(c.remove for c in changes):
            said = "untainted"
        else:
            said = "modified" if overwritten or any(c.remove for c in changes) else "tainted"
        process.report(obj, said)

    yield from process.each((yield from process.find(command)), act)


def _check_taints(node: Node, changes: Sequence[TaintChange], overwrite: bool) -> None:
    for change in changes:
        there = any(_names(change, t) for t in node.spec.taints)
        if change.remove and not there:
            named = f"{change.key}:{change.effect}" if change.effect else change.key
            raise CommandError(f'taint "{named}" not found')
        if not change.remove and there and not overwrite:
            raise CommandError(
                f"node {node.name} already has {change.key} taint(s) with same effect(s) and --overwrite is false"
            )
