"""kubectl scale, set and patch: read the object, then PATCH it (kubectl/pkg/cmd/{scale,set,patch})."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from k8sim.api.core import Container, PodSpec
from k8sim.api.meta import Object
from k8sim.api.struct import replace
from k8sim.kubectl.command import Command, ImageChange, KeyChange
from k8sim.kubectl.grammar import PatchOptions, ScaleOptions, SetEnvOptions, SetResourcesOptions
from k8sim.kubectl.process import CommandError, Process, Steps
from k8sim.kubectl.wire import patch_change, rewritten

Containers = list[dict[str, Any]]


def scale(process: Process, command: Command) -> Steps[None]:
    """Run kubectl scale: one PATCH of the scale subresource per object."""
    options: ScaleOptions = command.options
    objects = yield from process.find(command)
    if not objects and not process.code:
        raise CommandError("no objects passed to scale")

    def act(obj: Object) -> Steps[None]:
        if options.current_replicas >= 0 or options.resource_version:
            live = yield from process.client.get(type(obj), *obj.key)  # a precondition needs the scale first
            _check_precondition(live, options)
        yield from process.patch(obj, lambda data: _merged(data, {"spec": {"replicas": options.replicas}}))
        process.report(obj, "scaled")
        if options.timeout:
            yield from _wait_for_replicas(process, obj, options)

    yield from process.each(objects, act)


def _merged(data: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    return {**data, **{key: {**data.get(key, {}), **value} for key, value in patch.items()}}


def _check_precondition(obj: Object, options: ScaleOptions) -> None:
    replicas = obj.spec.replicas  # type: ignore[attr-defined]
    if options.current_replicas >= 0 and replicas != options.current_replicas:
        raise CommandError(f"Expected replicas to be {options.current_replicas}, was {replicas}")
    version = str(obj.metadata.resource_version)
    if options.resource_version and options.resource_version != version:
        raise CommandError(f"Expected resource version to be {options.resource_version}, was {version}")


def _wait_for_replicas(process: Process, obj: Object, options: ScaleOptions) -> Steps[None]:
    deadline = process.clock.now + options.timeout
    watch = process.watch(type(obj), *obj.key)
    try:
        live: Object = yield from process.client.get(type(obj), *obj.key)
        while not _has_replicas(live, options.replicas):
            change = yield from watch.next(deadline)
            if change is None:
                raise CommandError("timed out waiting for the condition")
            live = change.new
    finally:
        watch.close()


def _has_replicas(obj: Any, replicas: int) -> bool:
    observed = obj.status.observed_generation >= obj.metadata.generation
    return bool(observed and obj.spec.replicas == replicas and obj.status.replicas == replicas)


def patch(process: Process, command: Command) -> Steps[None]:
    """Run kubectl patch."""
    options: PatchOptions = command.options
    objects = yield from process.find(command)

    def act(obj: Object) -> Steps[None]:
        change = patch_change(type(obj), options.type, command.arguments[0])
        send = process.patch_status if options.subresource == "status" else process.patch
        new = yield from send(obj, change)
        process.report(obj, "patched" if new != obj else "patched (no change)")

    yield from process.each(objects, act)


def set_image(process: Process, command: Command) -> Steps[None]:
    """Run kubectl set image."""
    images: tuple[ImageChange, ...] = command.arguments

    def change(spec: PodSpec) -> PodSpec:
        names = {"*", *[c.name for c in (*spec.containers, *spec.init_containers)]}
        for wanted, _ in images:
            if wanted not in names:
                raise CommandError(f'unable to find container named "{wanted}"')
        inits = _with_images(spec.init_containers, images)
        return replace(spec, containers=_with_images(spec.containers, images), init_containers=inits)

    def alter(obj: Object) -> Object:
        new: Object = _with_pod_spec(obj, _POD_SPEC.get(obj.kind, _TEMPLATES_POD_SPEC), change)
        return new

    yield from _set(process, command, alter, "image updated")


def _with_images(containers: tuple[Container, ...], images: tuple[ImageChange, ...]) -> tuple[Container, ...]:
    changed = []
    for container in containers:
        for wanted, image in images:
            if wanted in ("*", container.name):
                container = replace(container, image=image)
        changed.append(container)
    return tuple(changed)


def _with_pod_spec(part: Any, path: tuple[str, ...], change: Callable[[PodSpec], PodSpec]) -> Any:
    """Return a part of an object with a change of the pod spec to which a path leads from there."""
    if not path:
        return change(part)
    return replace(part, **{path[0]: _with_pod_spec(getattr(part, path[0]), path[1:], change)})


def set_env(process: Process, command: Command) -> Steps[None]:
    """Run kubectl set env."""
    options: SetEnvOptions = command.options
    changes: tuple[KeyChange, ...] = command.arguments

    def change(containers: Containers) -> None:
        for container in _chosen(containers, options.containers):
            for key, value in changes:
                variables = [v for v in container.get("env", ()) if v["name"] != key]
                had = len(variables) < len(container.get("env", ()))
                if value is None:
                    container["env"] = variables
                elif had and not options.overwrite:
                    raise CommandError(f"'{key}' already has a value, and --overwrite is false")
                elif had:
                    container["env"] = [
                        {"name": key, "value": value} if v["name"] == key else v for v in container["env"]
                    ]
                else:
                    container["env"] = [*variables, {"name": key, "value": value}]

    yield from _set(process, command, _of_plain_containers(change), "env updated")


def set_resources(process: Process, command: Command) -> Steps[None]:
    """Run kubectl set resources: limits and requests that are not named stay."""
    options: SetResourcesOptions = command.options

    def change(containers: Containers) -> None:
        for container in _chosen(containers, options.containers):
            resources = dict(container.get("resources", {}))
            for field, text in (("limits", options.limits), ("requests", options.requests)):
                if text:
                    pairs = dict(pair.split("=") for pair in text.split(","))
                    resources[field] = {**resources.get(field, {}), **pairs}
            container["resources"] = resources

    yield from _set(process, command, _of_plain_containers(change), "resource requirements updated")


def _chosen(containers: Containers, wanted: str) -> Containers:
    chosen = [c for c in containers if wanted == "*" or c["name"] in wanted.split(",")]
    if not chosen:
        raise CommandError(f"unable to find container named {wanted}")
    return chosen


def _set(process: Process, command: Command, alter: Callable[[Object], Object], said: str) -> Steps[None]:
    """Read the objects, change the containers of their templates, and PATCH what differs (set.CalculatePatches)."""
    objects = yield from process.find(command)
    if not objects and not process.code:
        raise CommandError("one or more resources must be specified as <resource> <name> or <resource>/<name>")

    def act(obj: Object) -> Steps[None]:
        new = alter(obj)
        if new != obj:
            client = process.client
            yield from client.patch(type(obj), *obj.key, lambda stored: new if stored is obj else alter(stored))
            process.report(obj, said)

    yield from process.each(objects, act)


def _of_plain_containers(change: Callable[[Containers], None]) -> Callable[[Object], Object]:
    """Return what a change of the plain form of containers makes of an object."""

    def alter(data: dict[str, Any]) -> dict[str, Any]:
        data, containers = _with_own_containers(data)
        change(containers)
        return data

    return lambda obj: rewritten(obj, alter)


def _with_own_containers(data: dict[str, Any]) -> tuple[dict[str, Any], Containers]:
    """Return an object whose template's containers are its own, and those containers, init containers last."""
    data = spec = dict(data)
    for field in _POD_SPEC.get(data["kind"], _TEMPLATES_POD_SPEC):
        key = _JSON_NAMES.get(field, field)
        inner = spec[key] = dict(spec[key])
        spec = inner
    containers: Containers = []
    for key in ("containers", "initContainers"):
        if key in spec:
            spec[key] = [dict(container) for container in spec[key]]
            containers += spec[key]
    return data, containers


_TEMPLATES_POD_SPEC: Final = ("spec", "template", "spec")
_POD_SPEC: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "job_template", *_TEMPLATES_POD_SPEC),
}
"""Which fields lead to the pod spec of an object."""
_JSON_NAMES: Final = {"job_template": "jobTemplate"}
