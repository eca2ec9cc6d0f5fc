"""The scenario's will, as processes: the manifests are applied at t = 0, and each step runs at its time.

A step does not wait for earlier ones. When it is done it leaves a row ("Command", its name, "Done") in the trace: the
index of the step, its exit code and its output. A row ("Step", name, "Begins") stands for its beginning: the cause of
everything that the step does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from k8sim.api.core import Namespace
from k8sim.api.meta import ObjectMeta
from k8sim.api.scheme import kind_class
from k8sim.apiserver.errors import ApiError
from k8sim.apiserver.server import APIServer
from k8sim.faults.catalogue import apply_fault, target_named
from k8sim.faults.failures import start_failures
from k8sim.faults.fault import FaultFailed, World
from k8sim.kubectl.apply import apply
from k8sim.kubectl.command import KubectlSyntaxError
from k8sim.kubectl.parser import parse
from k8sim.kubectl.process import CommandError, Process, Result, Steps
from k8sim.kubectl.run import run
from k8sim.operators.reactions import start_operators
from k8sim.operators.upgrades import start_upgrades
from k8sim.scenario.model import Scenario, Step
from k8sim.sim.clock import rank
from k8sim.sim.trace import NO_CAUSE

OUT_LENGTH = 300
"""How much of a command's output the trace keeps."""


def run_timeline(world: World, scenario: Scenario) -> None:
    """Arrange for everything that a scenario does by itself: its manifests at t = 0, then its steps."""
    sim, server = world.sim, world.server
    make_namespaces(server, scenario)
    sim.clock.spawn(apply_manifests(server, scenario))
    start_failures(world, scenario.failures)
    start_operators(world, scenario.operators)
    start_upgrades(world, scenario.node_upgrades)
    seen: Counter[str] = Counter()
    for index, step in enumerate(scenario.timeline):
        entity = _entity(step)
        seen[entity] += 1
        if seen[entity] > 1:
            entity = f"{entity} #{seen[entity]}"
        order = rank("world" if step.action == "fault" else "kubectl", entity)
        sim.clock.call_at(step.at_ns, _begin, world, index, step, entity, rank=order)


def make_namespaces(server: APIServer, scenario: Scenario) -> None:
    """Make the namespaces that objects or kubectl steps need and that nothing makes."""
    made = {m["metadata"]["name"] for m in scenario.objects if m.get("kind") == "Namespace"}
    needed = [scenario.namespace]
    for manifest in scenario.objects:
        cls = kind_class(str(manifest.get("kind")))
        if cls is not None and cls.namespaced:
            needed.append((manifest.get("metadata") or {}).get("namespace") or scenario.namespace)
    for name in dict.fromkeys(needed):
        if name not in made and server.find(Namespace, "", name) is None:
            server.create(Namespace(metadata=ObjectMeta(name=name)), "kubectl")


def apply_manifests(server: APIServer, scenario: Scenario) -> Steps[None]:
    """Create the initial objects in file order, one request after the other; nodes are there already."""
    process = Process(server, scenario.namespace, "kubectl apply of the manifests")
    for manifest in scenario.objects:
        if manifest.get("kind") == "Node":
            continue
        process.code = 0
        yield from _apply_one(process, manifest, known_absent=True)
        if process.code:
            _done(process, "apply", -1, process.result)


def _apply_one(process: Process, manifest: Mapping[str, Any], known_absent: bool = False) -> Steps[None]:
    try:
        yield from apply(process, manifest, known_absent)
    except (ApiError, CommandError) as error:
        process.fail(error)


def _entity(step: Step) -> str:
    """Return what names the streams of a step's delays: what it does, not its place among the steps."""
    if step.action == "apply":
        names = (f"{o.get('kind')}/{(o.get('metadata') or {}).get('name')}" for o in step.objects)
        return f"apply {' '.join(names)}"
    if step.action == "fault":
        return f"{step.name} {dict(step.arguments)}"
    return f"{step.action} {step.command or step.pod}"


def _begin(world: World, index: int, step: Step, entity: str) -> None:
    sim, namespace = world.sim, world.namespace
    detail: dict[str, Any] = {"step": index, "what": entity}
    if step.action == "fault":
        detail |= {"target": target_named(step.name, step.arguments), "for": step.arguments.get("for")}
    row = sim.trace.append(sim.clock.now, "Step", step.label, "Begins", detail, -1, namespace)
    process = Process(world.server, namespace, entity, row)
    if step.action == "fault":
        sim.trace.fault = row
        result = _fault(world, step)
        sim.trace.fault = NO_CAUSE
        _done(process, step.name, index, result)
    else:
        sim.clock.spawn(_perform(process, index, step))


def begin_step(world: World, index: int, step: Step) -> None:
    """Do a step now, whatever time it says: for programs that steer a cluster while it runs."""
    _begin(world, index, step, f"{_entity(step)} #{index}")


def _perform(process: Process, index: int, step: Step) -> Steps[None]:
    if step.action == "kubectl":
        result = yield from _kubectl(process, step)
    elif step.action == "apply":
        yield from process.start()
        for manifest in step.objects:
            yield from _apply_one(process, manifest)
        result = process.result
    else:
        result = yield from _evict(process, step)
    _done(process, step.label, index, result)


def _kubectl(process: Process, step: Step) -> Steps[Result]:
    try:
        command = parse(step.command)
    except KubectlSyntaxError as error:  # the loader refuses it; a program may have built the step
        return Result(1, "", f"error: {error}")
    return (yield from run(process, command))


def _evict(process: Process, step: Step) -> Steps[Result]:
    """POST the pod's eviction once."""
    namespace, _, name = step.pod.rpartition("/")
    try:
        yield from process.client.evict(namespace or process.namespace, process.server.real_name("Pod", name))
    except ApiError as error:
        return Result(1, "", error.message)
    return Result(0, "", "")


def _fault(world: World, step: Step) -> Result:
    try:
        apply_fault(world, step.name, step.arguments)
    except (FaultFailed, KeyError, TypeError) as error:
        return Result(1, "", str(error))
    return Result(0, "", "")


def _done(process: Process, name: str, index: int, result: Result) -> None:
    out = (result.err if result.code else result.out)[:OUT_LENGTH]
    detail = {"step": index, "code": result.code, "out": out}
    trace, now = process.sim.trace, process.clock.now
    trace.append(now, "Command", name, "Done", detail, process.client.cause, process.namespace)
