"""``k8sim run``: simulate scenarios and say what came of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k8sim.cli.options import Seed
from k8sim.cli.trace import to_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from k8sim.result import Result
    from k8sim.scenario import Scenario

EPILOG = """
[bold]Examples[/bold]

k8sim run scenarios/web-rolling-update.yaml

[dim]# another draw of everything that is random[/dim]
k8sim run scenarios/web-rolling-update.yaml --seed 7

[dim]# every scenario in a folder; keep summaries and traces[/dim]
k8sim run scenarios/ -o results/

[dim]# how much do ten repetitions differ?[/dim]
k8sim run scenarios/web-rolling-update.yaml --replicates 10
"""


def run(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Scenario files, folders or patterns.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", show_default=False,
            help="Keep the results in DIR/NAME/: summary.txt, run.json, and trace.json (trace.R.json for replicate R). "
            "Without it nothing is written.",
        ),
    ] = None,
    seed: Seed = None,
    replicates: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, show_default=False,
            help="Repeat with other draws under the same seed [dim](default: the file's number, mostly 1)[/dim].",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Simulate scenarios and print [bold]what came of them[/bold].

    For each workload: how long which pods were not Ready and why, rollouts, and what the commands of the timeline
    answered. What of the manifests has no effect in the simulation is listed, never silently dropped.
    """
    from k8sim.cli.files import check_writable, scenario_files
    from k8sim.scenario import load

    scenarios = [load(path) for path in scenario_files(files)]
    folders = [None if output is None else output / Path(s.path or s.name).stem for s in scenarios]
    for folder in folders:
        if folder is not None:
            check_writable(folder, folder=True)
    for number, (scenario, folder) in enumerate(zip(scenarios, folders, strict=True)):
        if number:
            typer.echo()
        _run(scenario, seed, replicates or scenario.replicates, folder)


def _run(scenario: Scenario, seed: int | None, replicates: int, folder: Path | None) -> None:
    from k8sim.cli.simulate import simulate
    from k8sim.cli.terminal import console
    from k8sim.report.readiness import readiness
    from k8sim.report.summary import replicates_table, summary

    runs = []
    result = None
    for replicate in range(replicates):
        label = scenario.name if replicates == 1 else f"{scenario.name} {replicate + 1}/{replicates}"
        result = simulate(scenario, seed, replicate, label=label)
        if replicates > 1:
            runs.append((replicate, readiness(result.history, scenario.duration_ns)))
        if folder is not None:
            _keep_trace(folder, result, "trace.json" if replicates == 1 else f"trace.{replicate}.json")
    assert result is not None
    view: RenderableType = replicates_table(scenario, runs) if runs else summary(result)
    console().print(view)
    if folder is not None:
        _keep_summary(folder, view, result, replicates)
        typer.echo(f"\nwritten to {folder}/")


def _keep_trace(folder: Path, result: Result, name: str) -> None:
    from k8sim.cli.files import write_whole

    write_whole(folder / name, to_json(result.public_trace()))


def _keep_summary(folder: Path, view: RenderableType, result: Result, replicates: int) -> None:
    from k8sim import KUBERNETES_VERSION, __version__
    from k8sim.cli.files import write_whole
    from k8sim.cli.terminal import as_text

    about = {
        "k8sim": __version__,
        "kubernetes": KUBERNETES_VERSION,
        "scenario": result.scenario.path,
        "seed": result.seed,
        "replicates": replicates,
    }
    write_whole(folder / "run.json", (json.dumps(about, indent=2) + "\n").encode())
    write_whole(folder / "summary.txt", as_text(view).encode())
