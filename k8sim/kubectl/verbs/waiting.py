"""kubectl wait (kubectl/pkg/cmd/wait/{wait,delete,condition,json,create}.go)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from k8sim.api.meta import Object
from k8sim.api.scheme import encode
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.kubectl.command import Command, Target
from k8sim.kubectl.grammar import WaitOptions
from k8sim.kubectl.process import CommandError, Process, Steps, class_of
from k8sim.kubectl.verbs.delete import A_WEEK, wait_until_gone

Condition = Callable[[Object], bool]


def has_condition(obj: Object, name: str, value: str) -> bool:
    """Tell whether a status condition has a value, said of the object's current generation."""
    status = encode(obj).get("status", {})
    for condition in status.get("conditions", ()):
        if str(condition.get("type", "")).lower() == name.lower():
            generation = condition.get("observedGeneration", status.get("observedGeneration"))
            if generation is not None and generation < obj.metadata.generation:
                return False
            return str(condition.get("status", "")).lower() == value.lower()
    return False


def path_values(obj: Object, path: str) -> list[str]:
    """Return what a simple JSONPath (``{.status.phase}``, ``{.spec.containers[0].image}``, ``[*]``) finds."""
    found: list[Any] = [encode(obj)]
    for key, index in re.findall(r"\.?([A-Za-z_][\w-]*)|\[(\*|\d+)\]", path):
        step = key or index
        found = [v for value in found for v in _children(value, step)]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in found]


def _children(value: Any, step: str) -> list[Any]:
    if isinstance(value, list):
        if step == "*":
            return value
        return [value[int(step)]] if step.isdigit() and int(step) < len(value) else []
    if isinstance(value, dict):
        return list(value.values()) if step == "*" else [value[step]] if step in value else []
    return []


def condition_function(text: str) -> Condition:
    """Return the predicate that ``--for=condition=...`` or ``--for=jsonpath=...`` asks."""
    what, _, rest = text.partition("=")
    if what == "condition":
        name, _, value = rest.partition("=")
        return lambda obj: has_condition(obj, name, value or "true")
    path, _, wanted = rest.partition("=")
    if not wanted:
        return lambda obj: bool(path_values(obj, path))
    return lambda obj: wanted in path_values(obj, path)


def wait(process: Process, command: Command) -> Steps[None]:
    """Run kubectl wait."""
    options: WaitOptions = command.options
    timeout = options.timeout if options.timeout >= 0 else A_WEEK
    deadline = process.clock.now + timeout
    if options.condition == "create":
        for target in command.targets:
            yield from _wait_until_created(process, command, target, deadline)
        return
    objects = yield from process.find(command, ignore_not_found=options.condition == "delete")
    if not objects and not process.code and options.condition != "delete":
        raise CommandError("no matching resources found")
    for obj in objects:
        try:
            if options.condition == "delete":
                yield from wait_until_gone(process, obj, deadline)
            else:
                yield from _wait_until(process, obj, condition_function(options.condition), deadline)
            process.report(obj, "condition met")
        except (ApiError, CommandError) as error:
            process.fail(error)


def _wait_until(process: Process, obj: Object, condition: Condition, deadline_ns: int) -> Steps[None]:
    watch = process.watch(type(obj), *obj.key)
    try:
        live: Object = yield from process.client.get(type(obj), *obj.key)
        while not condition(live):
            change = yield from watch.next(deadline_ns)
            if change is None:
                raise CommandError(f"timed out waiting for the condition on {obj.plural}/{obj.name}")
            if change.type != "DELETED":
                live = change.new
    finally:
        watch.close()


def _wait_until_created(process: Process, command: Command, target: Target, deadline_ns: int) -> Steps[None]:
    cls = class_of(target.kind)
    namespace = process.namespace_of(command, cls)
    watch = process.watch(cls, namespace, target.name)
    try:
        try:
            obj = yield from process.client.get(cls, namespace, target.name)
        except NotFound:
            change = yield from watch.next(deadline_ns)
            if change is None:
                process.fail(CommandError(f"timed out waiting for the condition on {cls.plural}/{target.name}"))
                return
            obj = change.new
        process.report(obj, "condition met")
    finally:
        watch.close()
