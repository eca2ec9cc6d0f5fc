"""``k8sim get``: what ``kubectl get`` would have shown at a moment."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k8sim.cli.failures import UsageProblem
from k8sim.cli.options import At, Replicate, Seed, moment_of

if TYPE_CHECKING:
    from k8sim.api.meta import Object
    from k8sim.kubectl import Command
    from k8sim.result import Result
    from k8sim.scenario import Scenario

EVENTS = ("events", "event", "ev")
OF_THE_CLUSTER = "default"
"""Where events are of what has no namespace (client-go tools/record, makeEvent)."""

EPILOG = """
[bold]Examples[/bold]

[dim]# all pods, half a second into the update[/dim]
k8sim get scenarios/web-rolling-update.yaml --at 60.5s pods -o wide

[dim]# one object in full, at the end[/dim]
k8sim get scenarios/web-rolling-update.yaml sts web -o yaml

[dim]# several kinds, of all namespaces[/dim]
k8sim get scenarios/web-rolling-update.yaml --at 2m pods,pvc,pv -A

[dim]# what Kubernetes itself has to say[/dim]
k8sim get scenarios/web-rolling-update.yaml events
"""


def get(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A scenario file.", show_default=False)],
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND [NAME]", show_default=False,
            help="As kubectl takes it: pods, sts, pvc, pv, nodes, all, events, pod/web-0, pods,pvc ...",
        ),
    ],
    at: At = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NS", help="Default: the scenario's.", show_default=False),
    ] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")] = False,
    selector: Annotated[
        str | None,
        typer.Option("--selector", "-l", metavar="LABELS", help="Only with these labels.", show_default=False),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FORM", help="wide, yaml, json or name.", show_default=False),
    ] = None,
    show_labels: Annotated[bool, typer.Option("--show-labels", help="A column with the labels.")] = False,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="No heading.")] = False,
    seed: Seed = None,
    replicate: Replicate = 0,
) -> None:  # fmt: skip
    """Show objects [bold]at a moment[/bold], as kubectl get would have."""
    from k8sim.scenario import load

    words = ["get", *what]
    words += [f"--namespace={namespace}"] if namespace else []
    words += [f"--selector={selector}"] if selector else []
    words += [f"--output={output}"] if output else []
    words += ["--all-namespaces"] if all_namespaces else []
    words += ["--show-labels"] if show_labels else []
    words += ["--no-headers"] if no_headers else []
    events = what[0] in EVENTS
    if events and (len(what) > 1 or selector or output or show_labels):
        raise UsageProblem("events are listed as they are", "with --namespace, --all-namespaces, --no-headers and --at")
    command = None if events else _parsed(words)
    scenario = load(file)
    moment_ns = moment_of(at, scenario)
    result = _run_until(scenario, moment_ns, seed, replicate)
    home = None if all_namespaces else namespace or scenario.namespace
    if command is not None:
        lines = _objects(command, result, moment_ns)
    else:
        lines = _events(result, moment_ns, home)[no_headers:]
    for line in lines:
        typer.echo(line)


def _parsed(words: list[str]) -> Command:
    from k8sim.kubectl import KubectlSyntaxError, parse

    try:
        return parse(shlex.join(words))
    except KubectlSyntaxError as problem:
        raise UsageProblem(problem.problem, problem.hint) from None


def _run_until(scenario: Scenario, moment_ns: int, seed: int | None, replicate: int) -> Result:
    """Run only as far as needed: what happens later changes nothing that was."""
    from dataclasses import replace

    from k8sim.cli.simulate import simulate

    shorter = replace(scenario, duration_ns=min(moment_ns + 1, scenario.duration_ns))
    return simulate(shorter, seed, replicate)


def _events(result: Result, moment_ns: int, namespace: str | None) -> list[str]:
    from k8sim.kubectl.printers import events_table

    rows = (row for row in result.log if namespace in (None, row.namespace or OF_THE_CLUSTER))
    table = events_table(rows, moment_ns)
    if len(table) == 1:
        _say_none(namespace)
        return []
    return table


def _say_none(namespace: str | None) -> None:
    typer.echo(f"No resources found in {namespace} namespace." if namespace else "No resources found", err=True)


def _objects(command: Command, result: Result, moment_ns: int) -> list[str]:
    from k8sim.kubectl.printers import print_objects

    options = command.options
    found = _found(command, result)
    if not found:
        anywhere = options.all_namespaces or not any(_namespaced(kind) for kind in command.kinds)
        _say_none(None if anywhere else options.namespace or result.scenario.namespace)
        return []
    return print_objects(
        found, moment_ns, options.output,
        namespaces=options.all_namespaces, labels=options.show_labels, headings=not options.no_headers,
    )  # fmt: skip


def _found(command: Command, result: Result) -> list[Object]:
    """Return the objects that the command speaks of, in kubectl's order."""
    from k8sim.api.selectors import selector_matches
    from k8sim.kubectl.selector import parse_selector

    options = command.options
    objects = {(o.kind, *o.key): o for o in result.objects()}
    home = options.namespace or result.scenario.namespace
    found = []
    for kind, name in command.targets:
        obj = objects.get((kind, home if _namespaced(kind) else "", name))
        if obj is None:
            raise UsageProblem(f'{kind} "{name}" is not there at that time', "k8sim trace shows when it was")
        found.append(obj)
    selector = parse_selector(options.selector)
    for wanted in command.kinds:
        of_kind = [
            obj
            for (kind, namespace, _), obj in objects.items()
            if kind == wanted and (options.all_namespaces or not _namespaced(kind) or namespace == home)
        ]
        found += sorted((o for o in of_kind if selector_matches(selector, o.metadata.labels)), key=lambda o: o.key)
    return found


def _namespaced(kind: str) -> bool:
    from k8sim.api.scheme import kind_class

    cls = kind_class(kind)
    return cls is not None and cls.namespaced
