"""Smaller versions of a history and of the scenario that it happens to, one change at a time.

What is smaller comes first: fewer steps, objects and nodes, then fewer replicas, then simpler pods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from k8sim.scenario.model import Scenario, Step
from k8sim.search.space import DURATIONS, GAPS, moved

Manifest = Mapping[str, Any]
History = tuple[Step, ...]

DROPPED_KINDS: Final = frozenset(
    {"StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob", "Pod", "Service", "PodDisruptionBudget", "Node"}
)
"""Kinds of which an object may go; without the classes, volumes and quotas of its pods a story is another one."""
OPTIONAL: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("spec",): (
        "minReadySeconds", "podManagementPolicy", "updateStrategy", "strategy", "ordinals", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "progressDeadlineSeconds",
    ),
    ("spec", "template", "spec"): (
        "affinity", "topologySpreadConstraints", "tolerations", "initContainers", "terminationGracePeriodSeconds",
        "nodeSelector", "securityContext",
    ),
}  # fmt: skip
"""Fields of workloads that have defaults, by where they stand."""
OPTIONAL_OF_CONTAINERS: Final = (
    "readinessProbe", "livenessProbe", "startupProbe", "lifecycle", "resources", "env", "ports", "command", "args",
)  # fmt: skip


def smaller_histories(steps: History) -> Iterator[History]:
    """Yield simpler histories: fewer steps, shorter faults, fewer pods in a delete, closer together."""
    for i in range(len(steps)):
        yield steps[:i] + steps[i + 1 :]
    for i, step in enumerate(steps):
        for simpler in _simpler(step):
            yield (*steps[:i], simpler, *steps[i + 1 :])
    for i in range(1, len(steps)):
        gap = steps[i].at_ns - steps[i - 1].at_ns
        for less in GAPS:
            if less < gap:
                closer = tuple(moved(s, s.at_ns - (gap - less)) for s in steps[i:])
                yield (*steps[:i], *closer)


def _simpler(step: Step) -> Iterator[Step]:
    words = step.command.split()
    if words[:2] == ["set", "image"]:
        yield replace(step, command=f"rollout undo {words[2]}")
    if words[:2] == ["delete", "pod"]:
        pods = [w for w in words[2:] if not w.startswith("-")]
        if len(pods) > 1:
            for pod in pods:
                yield replace(step, command=" ".join(w for w in words if w != pod))
    lasts = step.arguments.get("for", 0)
    for shorter in DURATIONS[:3]:
        if "for" in step.arguments and (lasts is None or shorter < lasts):
            yield replace(step, arguments={**step.arguments, "for": shorter})


def smaller_scenarios(scenario: Scenario) -> Iterator[Scenario]:
    """Yield scenarios with an object, an application, a node, a replica or a field less."""
    yield from _without_applications(scenario)
    needed: set[tuple[str, str]] = {(a.kind, a.workload) for a in scenario.applications}
    if scenario.applications:  # members find each other by their services
        needed |= {("Service", m["metadata"].get("name", "")) for m in scenario.objects if m["kind"] == "Service"}
    for i, manifest in enumerate(scenario.objects):
        name = manifest["metadata"].get("name")
        if manifest["kind"] in DROPPED_KINDS and (manifest["kind"], name) not in needed:
            yield _with_objects(scenario, scenario.objects[:i] + scenario.objects[i + 1 :])
    for i, group in enumerate(scenario.nodes):
        if group.count > 1:
            fewer = replace(group, count=group.count - 1)
            yield replace(scenario, nodes=(*scenario.nodes[:i], fewer, *scenario.nodes[i + 1 :]))
    for i, manifest in enumerate(scenario.objects):
        for simpler in _simpler_workloads(manifest, (manifest["kind"], manifest["metadata"].get("name")) in needed):
            yield _with_objects(scenario, (*scenario.objects[:i], simpler, *scenario.objects[i + 1 :]))


def _without_applications(scenario: Scenario) -> Iterator[Scenario]:
    """Yield the scenario without one application, and without its workload and the service of that name."""
    for application in scenario.applications:
        rest = tuple(a for a in scenario.applications if a is not application)
        about = {(application.kind, application.workload), ("Service", application.workload)}
        objects = tuple(m for m in scenario.objects if (m["kind"], m["metadata"].get("name")) not in about)
        yield _with_objects(replace(scenario, applications=rest), objects)


def _with_objects(scenario: Scenario, objects: tuple[Manifest, ...]) -> Scenario:
    return replace(scenario, objects=objects, object_sources=())


def _simpler_workloads(manifest: Manifest, has_members: bool) -> Iterator[Manifest]:
    spec = manifest.get("spec") or {}
    if "template" not in spec:
        return
    if spec.get("replicas", 1) > 1 and not has_members:
        yield {**manifest, "spec": {**spec, "replicas": spec["replicas"] - 1}}
    for path, names in OPTIONAL.items():
        for name in names:
            yield from _without(manifest, (*path, name))
    pod = spec["template"].get("spec") or {}
    for i, container in enumerate(pod.get("containers") or ()):
        for name in OPTIONAL_OF_CONTAINERS:
            if name in container:
                rest = {k: v for k, v in container.items() if k != name}
                containers = [*pod["containers"][:i], rest, *pod["containers"][i + 1 :]]
                template = {**spec["template"], "spec": {**pod, "containers": containers}}
                yield {**manifest, "spec": {**spec, "template": template}}


def _without(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield the value without what stands at a path, if it has it."""
    first, *rest = path
    if not isinstance(value, Mapping) or first not in value:
        return
    if not rest:
        yield {k: v for k, v in value.items() if k != first}
    else:
        for inner in _without(value[first], tuple(rest)):
            yield {**value, first: inner}
