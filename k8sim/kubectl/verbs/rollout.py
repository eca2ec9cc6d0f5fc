"""kubectl rollout (kubectl/pkg/cmd/rollout/*.go, kubectl/pkg/polymorphichelpers/{objectrestarter,rollback}.go)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from k8sim.api.apps import ControllerRevision, Deployment, ReplicaSet
from k8sim.api.core import PodTemplateSpec
from k8sim.api.meta import Object
from k8sim.api.scheme import format_time, resource_name
from k8sim.api.struct import replace
from k8sim.kubectl.command import Command
from k8sim.kubectl.grammar import RolloutHistoryOptions, RolloutStatusOptions, RolloutUndoOptions
from k8sim.kubectl.process import CommandError, Process, Steps
from k8sim.kubectl.revisions import Revision, choose_revision, revisions_of
from k8sim.kubectl.rollout_status import RolloutError, rollout_progress

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


def _on_each(process: Process, command: Command, act: Callable[[Any], Steps[None]]) -> Steps[None]:
    yield from process.each((yield from process.find(command)), act)


def _with_template(obj: Any, template: PodTemplateSpec) -> Any:
    return replace(obj, spec=replace(obj.spec, template=template))


# ---- restart, pause, resume -------------------------------------------------------------------------------------


def restarted(template: PodTemplateSpec, at: str) -> PodTemplateSpec:
    """Return the template with the annotation that makes it a new revision."""
    annotations = {**template.metadata.annotations, RESTARTED_AT: at}
    return replace(template, metadata=replace(template.metadata, annotations=annotations))


def restart(process: Process, command: Command) -> Steps[None]:
    """Run kubectl rollout restart."""

    def act(obj: Any) -> Steps[None]:
        if isinstance(obj, Deployment) and obj.spec.paused:
            raise CommandError("can't restart paused deployment (run rollout resume first)")
        at = format_time(process.clock.truncated())
        if obj.spec.template.metadata.annotations.get(RESTARTED_AT) == at:
            raise CommandError(
                f"failed to create patch for {obj.name}: if restart has already been triggered within the past second, "
                "please wait before attempting to trigger another"
            )
        yield from process.client.patch(
            type(obj), obj.namespace, obj.name, lambda o: _with_template(o, restarted(o.spec.template, at))
        )
        process.report(obj, "restarted")

    yield from _on_each(process, command, act)


def _set_paused(process: Process, command: Command, paused: bool) -> Steps[None]:
    word = "paused" if paused else "resumed"

    def act(obj: Object) -> Steps[None]:
        if not isinstance(obj, Deployment):
            doing = "pausing" if paused else "resuming"
            raise CommandError(f'{obj.plural}.apps "{obj.name}" {doing} is not supported')
        if obj.spec.paused == paused:
            raise CommandError(f'deployments.apps "{obj.name}" is {"already paused" if paused else "not paused"}')
        yield from process.client.patch(Deployment, *obj.key, partial(_paused, paused=paused))
        process.report(obj, word)

    yield from _on_each(process, command, act)


def _paused(obj: Deployment, paused: bool) -> Deployment:
    return replace(obj, spec=replace(obj.spec, paused=paused))


def pause(process: Process, command: Command) -> Steps[None]:
    """Run kubectl rollout pause."""
    yield from _set_paused(process, command, True)


def resume(process: Process, command: Command) -> Steps[None]:
    """Run kubectl rollout resume."""
    yield from _set_paused(process, command, False)


# ---- undo, history ----------------------------------------------------------------------------------------------


def _revisions(process: Process, obj: Object) -> Steps[list[Revision]]:
    cls: type[Object] = ReplicaSet if isinstance(obj, Deployment) else ControllerRevision
    return revisions_of(obj, (yield from process.client.list(cls, obj.namespace)))


def undo(process: Process, command: Command) -> Steps[None]:
    """Run kubectl rollout undo: put the template of an earlier revision back. The controller does the rest."""
    options: RolloutUndoOptions = command.options

    def act(obj: Any) -> Steps[None]:
        number = options.to_revision
        if number < 0:
            raise CommandError(f"unable to find specified revision {number} in history")
        if isinstance(obj, Deployment) and obj.spec.paused:
            raise CommandError(
                "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again"
            )
        live = yield from process.client.get(type(obj), *obj.key)
        chosen = choose_revision((yield from _revisions(process, live)), number)
        if chosen is None:
            raise CommandError(_no_revision(obj, number))
        if chosen.template == live.spec.template:
            process.report(obj, f"skipped rollback (current template already matches revision {number})")
            return
        yield from process.client.patch(
            type(obj), live.namespace, live.name, partial(_with_template, template=chosen.template)
        )
        process.report(obj, "rolled back")

    yield from _on_each(process, command, act)


def _no_revision(obj: Object, number: int) -> str:
    if number:
        return f"unable to find specified revision {number} in history"
    if isinstance(obj, Deployment):
        return f'no rollout history found for deployment "{obj.name}"'
    return "no last revision to roll back to"


def history(process: Process, command: Command) -> Steps[None]:
    """Run kubectl rollout history."""
    options: RolloutHistoryOptions = command.options

    def act(obj: Object) -> Steps[None]:
        revisions = yield from _revisions(process, obj)
        name = f"{resource_name(type(obj))}/{obj.name}"
        if options.revision:
            chosen = choose_revision(revisions, options.revision)
            if chosen is None:
                raise CommandError(_no_revision(obj, options.revision))
            process.say(f"{name} with revision #{options.revision}")
            process.say(_describe(chosen.template))
            return
        process.say(f"{name} ")
        process.say("REVISION  CHANGE-CAUSE")
        for revision in revisions:
            process.say(f"{revision.number:<8}  {revision.cause or '<none>'}")

    yield from _on_each(process, command, act)


def _describe(template: PodTemplateSpec) -> str:
    lines = ["Pod Template:"]
    labels = [f"{k}={v}" for k, v in sorted(template.metadata.labels.items())] or ["<none>"]
    lines += [f"  {'Labels:' if i == 0 else '':<11}{label}" for i, label in enumerate(labels)]
    for title, containers in (
        ("Init Containers", template.spec.init_containers),
        ("Containers", template.spec.containers),
    ):
        if containers:
            lines.append(f"  {title}:")
            for container in containers:
                lines += [f"   {container.name}:", f"    Image:     {container.image}"]
    return "\n".join(lines)


# ---- status -----------------------------------------------------------------------------------------------------


def status(process: Process, command: Command) -> Steps[None]:
    """Run kubectl rollout status: print a line for every version of the object until the rollout is done."""
    options: RolloutStatusOptions = command.options
    deadline = process.clock.now + options.timeout if options.timeout > 0 else None

    def act(obj: Object) -> Steps[None]:
        watch = process.watch(type(obj), *obj.key)
        try:
            live: Object = yield from process.client.get(type(obj), *obj.key)
            while True:
                progress = rollout_progress(live, options.revision)
                process.say(progress.line)
                if progress.done or not options.watch:
                    return
                version = live.metadata.resource_version
                while live.metadata.resource_version <= version:
                    change = yield from watch.next(deadline)
                    if change is None:
                        raise CommandError("timed out waiting for the condition")
                    if change.type == "DELETED":
                        raise CommandError("object has been deleted")
                    live = change.new
        except RolloutError as error:
            raise CommandError(str(error)) from None
        finally:
            watch.close()

    yield from _on_each(process, command, act)
