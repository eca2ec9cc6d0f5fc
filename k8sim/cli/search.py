"""``k8sim search``: histories of commands and faults that break a guarantee or an objective."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from k8sim.search import Counterexample, Report

EPILOG = """
[bold]Examples[/bold]

k8sim search scenarios/web-rolling-update.yaml --budget 100

[dim]# one guarantee; the chain of causes; a scenario file that replays what was found[/dim]
k8sim search db.yaml --guarantee rollback-rolls-back --why -o found/
"""
FOUND: Final = 1


def search(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A scenario file.", show_default=False)],
    budget: Annotated[int, typer.Option(metavar="N", min=1, help="How many runs to make.")] = 300,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the search's own choices.")] = 0,
    guarantee: Annotated[
        list[str] | None,
        typer.Option(
            "--guarantee", "-g", metavar="NAME", show_default=False,
            help="Look for this one only (k8sim guarantees lists them), also with a reason, as the search reports it: "
            "settles:unschedulable; or for an objective of the scenario, by its text. May be given again.",
        ),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Say for each what led to it.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", show_default=False, help="Write a scenario file for each."),
    ] = None,
) -> None:  # fmt: skip
    """Look for a history that [bold]breaks a guarantee[/bold] or an objective of a scenario.

    The actions come from the scenario's own manifests and nodes: rollouts, broken images, scaling, deletes, drains,
    and faults of nodes, zones, pods, disks, registries and the control plane; with applications or clients also of the
    network between them. What is found is made as small as it gets. Exit code 1 if something was found, 0 if not.
    """
    from k8sim.cli.failures import UsageProblem
    from k8sim.cli.files import check_writable, only_scenario
    from k8sim.guarantees import GUARANTEES
    from k8sim.scenario import load
    from k8sim.search import search as look

    path = only_scenario(file)
    scenario = load(path)
    wanted = guarantee or []
    for name in wanted:
        if name.partition(":")[0] not in GUARANTEES and name not in [o.text for o in scenario.objectives]:
            raise UsageProblem(f"there is no guarantee or objective {name!r}", "k8sim guarantees lists the guarantees")
    if output is not None:
        check_writable(output, folder=True)
    report = look(scenario, budget, seed, wanted, _progress(budget))
    for example in report.counterexamples:
        _show(example, path, why, output)
    typer.echo(_tried(report))
    if report.counterexamples:
        raise typer.Exit(FOUND)


def _progress(budget: int) -> Callable[[Report], None]:
    import sys

    def show(report: Report) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{report.runs} of {budget} runs", err=True, nl=False)

    return show


def _show(example: Counterexample, file: Path, explain: bool, output: Path | None) -> None:
    from k8sim.search import timeline_lines, why, write

    finding = example.finding
    typer.secho(f"{finding.guarantee.name}: {finding.verdict}", bold=True)
    typer.echo(f"  {finding.guarantee.promise}")
    typer.echo(f"  {finding.subject}: {finding.problem}")
    reason = finding.guarantee.not_kept_under.get(finding.excuse, "")
    if finding.excuse:
        typer.echo(f"  {finding.excuse}{': ' + reason if reason else ''}")
    for line in timeline_lines(example.scenario) or ["(nothing was done to the cluster)"]:
        typer.echo(f"    {line}")
    if explain:
        typer.echo("  what led to it:")
        for line in why(example):
            typer.echo(f"    {line}")
    if output is not None:
        path = write(example, file.read_text("utf-8"), output)
        typer.echo(f"  replay: k8sim run {shlex.quote(str(path))} --check")
    typer.echo()


def _tried(report: Report) -> str:
    what = f"{report.runs} runs of {report.histories} histories, made of {report.kinds} kinds of actions"
    small = f", and {report.shrinking} to make them small" if report.shrinking else ""
    number = len(report.counterexamples)
    found = f"{number} kinds of counterexamples" if number != 1 else "1 kind of counterexample"
    return f"{found if number else 'nothing'} found in {what}{small}"
