"""kubectl delete: DELETE every object, then wait until they are gone (kubectl/pkg/cmd/delete/delete.go, cmd/wait)."""

from __future__ import annotations

from typing import Any

from k8sim.api.meta import Object
from k8sim.api.scheme import resource_name
from k8sim.apiserver.errors import ApiError, NotFound
from k8sim.kubectl.command import Command
from k8sim.kubectl.grammar import DeleteOptions
from k8sim.kubectl.process import CommandError, Process, Steps, class_of, suffix
from k8sim.sim.units import DAY

A_WEEK = 7 * DAY
"""How long delete waits when --timeout is 0."""
PROPAGATION = {
    "background": "Background", "true": "Background", "foreground": "Foreground", "orphan": "Orphan",
    "false": "Orphan",
}  # fmt: skip


def delete_options(options: DeleteOptions) -> dict[str, Any]:
    """Return the options of the request.

    A grace of 0 without --force becomes 1 s, so that nothing is removed by mistake while it runs (workloads 4.10).
    """
    grace: int | None = options.grace_period
    if options.now:
        grace = 1
    if options.force and grace is not None and grace < 0:
        grace = 0
    if grace == 0 and not options.force:
        grace = 1
    if grace is not None and grace < 0:
        grace = None
    return {"grace_period_seconds": grace, "propagation": PROPAGATION[options.cascade]}


def delete(process: Process, command: Command) -> Steps[None]:
    """Run kubectl delete."""
    options: DeleteOptions = command.options
    request = delete_options(options)
    if request["grace_period_seconds"] == 0:
        process.warn(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
            "terminated. The resource may continue to run on the cluster indefinitely."
        )
    deleted = yield from _delete_each(process, command, request)
    if process.code:
        return  # kubectl does not wait when something has gone wrong
    if not deleted:
        process.say("No resources found")
    elif options.wait and options.dry_run == "none":
        deadline = process.clock.now + (options.timeout or A_WEEK)
        for obj in deleted:
            assert obj is not None
            yield from wait_until_gone(process, obj, deadline)


def _delete_each(process: Process, command: Command, request: dict[str, Any]) -> Steps[list[Object | None]]:
    """Send the request for each object; return what the server answers (None: it was not asked)."""
    options: DeleteOptions = command.options
    said = "force deleted" if request["grace_period_seconds"] == 0 else "deleted"
    # What has gone meanwhile is no error where nobody named it (Complete: --all and selectors imply the flag).
    ignore_not_found = options.ignore_not_found or bool(command.kinds)
    answers = []
    for cls, namespace, name in (yield from _keys(process, command)):
        try:
            answers.append((yield from _delete_one(process, options.dry_run, cls, namespace, name, request)))
            process.say(f'{resource_name(cls)} "{name}" {said}{suffix(options.dry_run)}')
        except NotFound as error:
            if not ignore_not_found:
                process.fail(error)
        except ApiError as error:
            process.fail(error, cls, name)
    return answers


def _keys(process: Process, command: Command) -> Steps[list[tuple[type[Object], str, str]]]:
    """Return what is to go: the objects that are named, and those that are found."""
    named = [(class_of(kind), name) for kind, name in command.targets]
    keys = [(cls, process.namespace_of(command, cls), name) for cls, name in named]
    for kind in command.kinds:
        try:
            found = yield from process.list(class_of(kind), command)
        except ApiError as error:
            process.fail(error)
        else:
            keys += [(class_of(kind), *obj.key) for obj in found]
    return keys


def _delete_one(
    process: Process, dry_run: str, cls: type[Object], namespace: str, name: str, request: dict[str, Any]
) -> Steps[Object | None]:
    """DELETE an object; a dry run asks the server only whether it is there, or does not ask at all."""
    if dry_run == "client":
        return None
    if dry_run == "server":
        return (yield from process.client.get(cls, namespace, name))
    return (yield from process.client.delete(cls, namespace, name, **request))


def wait_until_gone(process: Process, obj: Object, deadline_ns: int) -> Steps[None]:
    """Wait until an object is gone, or has another UID.

    Raises
    ------
    CommandError
        The deadline has passed.
    """
    watch = process.watch(type(obj), *obj.key)
    try:
        try:
            live = yield from process.client.get(type(obj), *obj.key)
        except NotFound:
            return
        while live.uid == obj.uid:
            change = yield from watch.next(deadline_ns)
            if change is None:
                raise CommandError(f"timed out waiting for the condition on {obj.plural}/{obj.name}")
            if change.type == "DELETED" and change.new.uid == obj.uid:
                return
    finally:
        watch.close()
