"""``k8sim validate``: what is wrong with scenario files, and what of them has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from k8sim.cli.failures import BAD_INPUT, say_scenario_error

if TYPE_CHECKING:
    from k8sim.scenario import Scenario

EPILOG = """
[bold]Examples[/bold]

k8sim validate scenarios/web-canary.yaml

[dim]# every scenario in a folder[/dim]
k8sim validate scenarios/
"""


def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Scenario files, folders or patterns.", show_default=False)
    ],
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
) -> None:
    """Check scenario files [bold]without running them[/bold].

    Says file, line and problem of what is wrong, as the API server would refuse it, and lists what is accepted but
    has no effect in the simulation. Exits with 2 when a file is wrong.
    """
    from k8sim.cli.files import scenario_files
    from k8sim.runner.names import check_objectives
    from k8sim.scenario import ScenarioError, load

    wrong = 0
    for path in scenario_files(files):
        try:
            scenario = load(path)
            check_objectives(scenario)
        except ScenarioError as problem:
            wrong += 1
            say_scenario_error(problem)
        else:
            if not quiet:
                _say_fine(str(path), scenario)
    if wrong:
        raise typer.Exit(BAD_INPUT)


def _say_fine(name: str, scenario: Scenario) -> None:
    from k8sim.cli.terminal import painter
    from k8sim.sim.units import format_duration

    objects, steps, nodes = len(scenario.objects), len(scenario.timeline), len(scenario.node_manifests())
    counts = f"{_count(objects, 'object')}, {_count(steps, 'step')}, {_count(nodes, 'node')}"
    typer.echo(f"{name}: {painter()('fine', 'green')} ({counts}, {format_duration(scenario.duration_ns)})")
    if scenario.not_simulated:
        from rich.console import Console

        from k8sim.report.notsimulated import not_simulated_table

        Console().print(not_simulated_table(scenario.not_simulated))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
