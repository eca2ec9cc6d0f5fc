"""``k8sim trace``: what happened, event by event; the form that recordings of real clusters have."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from k8sim.cli.failures import UsageProblem
from k8sim.cli.options import Replicate, Seed

if TYPE_CHECKING:
    from k8sim.scenario import Scenario

EPILOG = """
[bold]Examples[/bold]

[dim]# read it[/dim]
k8sim trace scenarios/web-rolling-update.yaml

[dim]# only the pods, as they come[/dim]
k8sim trace scenarios/web-rolling-update.yaml | grep Pod

[dim]# for a program: a JSON list of \\[t, kind, name, event, detail][/dim]
k8sim trace scenarios/web-rolling-update.yaml --seed 7 -o trace.json

[dim]# ten seeds: traces/web-rolling-update.0.json to .9.json[/dim]
k8sim trace scenarios/web-rolling-update.yaml --seeds 10 -o traces/
"""


def trace(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Scenario files, folders or patterns.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", show_default=False,
            help="Write JSON to this file ([bold]-[/bold]: stdout). With several files or seeds, to this folder, "
            "as [bold]NAME.SEED.json[/bold].",
        ),
    ] = None,
    seed: Seed = None,
    seeds: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, show_default=False, help="Run with the seeds 0 to N-1."),
    ] = None,
    replicate: Replicate = 0,
) -> None:  # fmt: skip
    r"""Show [bold]what happened[/bold], event by event.

    Without -o a log to read. With -o a JSON list of \[t, kind, name, event, detail], t in seconds.
    """
    from k8sim.cli.files import scenario_files
    from k8sim.scenario import load

    if seed is not None and seeds is not None:
        raise UsageProblem("--seed and --seeds exclude each other", "--seeds N runs the seeds 0 to N-1")
    scenarios = [(path, load(path)) for path in scenario_files(files)]
    chosen: Iterable[int | None] = range(seeds) if seeds is not None else (seed,)
    several = len(scenarios) > 1 or seeds is not None
    if output is None or str(output) == "-":
        if output is not None and several:
            raise UsageProblem("several traces do not fit into one stream", "give a folder: -o traces/")
        _show(scenarios, chosen, replicate, as_json=output is not None, titles=several)
    else:
        _write(scenarios, chosen, replicate, output, several=several or output.is_dir())


def _write(
    scenarios: list[tuple[Path, Scenario]], seeds: Iterable[int | None], replicate: int, output: Path, *, several: bool
) -> None:
    from k8sim.cli.files import check_stems, check_writable, write_whole
    from k8sim.cli.simulate import simulate

    check_writable(output, folder=several)
    if several:
        check_stems([path for path, _ in scenarios], ".SEED.json")
    for path, scenario in scenarios:
        for number in seeds:
            result = simulate(scenario, number, replicate, keep_history=False, label=_label(scenario, number))
            name = f"{path.stem}.{result.seed}.json"
            write_whole(output / name if several else output, to_json(result.public_trace()))


def _show(
    scenarios: list[tuple[Path, Scenario]],
    seeds: Iterable[int | None],
    replicate: int,
    *,
    as_json: bool,
    titles: bool,
) -> None:
    from k8sim.cli.simulate import simulate
    from k8sim.cli.terminal import line_width, painter
    from k8sim.report.eventlog import event_log

    paint = painter()
    for _, scenario in scenarios:
        for number in seeds:
            result = simulate(scenario, number, replicate, keep_history=False, label=_label(scenario, number))
            if as_json:
                sys.stdout.buffer.write(to_json(result.public_trace()))
                continue
            if titles:
                typer.echo(paint(f"# {_label(scenario, result.seed)}", "cyan"))
            for line in event_log(result.public_trace(), paint, line_width()):
                sys.stdout.write(line + "\n")


def _label(scenario: Scenario, seed: int | None) -> str:
    return scenario.name if seed is None else f"{scenario.name}, seed {seed}"


def to_json(events: list[Any]) -> bytes:
    """Return the trace as JSON, one event a line."""
    from msgspec.json import encode

    lines = b",\n".join(map(encode, events))
    return b"[\n" + lines + b"\n]\n" if lines else b"[]\n"
