"""``k8sim report``: one page for people: the answer, the timeline, outages phase by phase, distributions, tables."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k8sim.cli.failures import UsageProblem
from k8sim.cli.options import Replicate, Seed
from k8sim.cli.results import resolve

if TYPE_CHECKING:
    from k8sim.runner.batch import Batch
    from k8sim.scenario.sweep import Variant

EPILOG = """
[bold]Examples[/bold]

[dim]# a page to open in a browser; it needs no network[/dim]
k8sim report scenarios/web-canary.yaml -o report.html

[dim]# what "k8sim run -o results/" has kept[/dim]
k8sim report results/web-canary -o report.html

[dim]# for a pull request; for ui.perfetto.dev[/dim]
k8sim report scenarios/web-canary.yaml --format markdown
k8sim report scenarios/web-canary.yaml --format perfetto -o trace.json
"""


class Format(StrEnum):
    """What is written."""

    HTML = "html"
    MARKDOWN = "markdown"
    PERFETTO = "perfetto"


def report(
    source: Annotated[
        Path, typer.Argument(metavar="FILE|DIR", help="A scenario file, or a folder of results.", show_default=False)
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False,
            help="Where to [dim](default: stdout; html has to name a file)[/dim].",
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="html: a page; markdown: text; perfetto: a trace to zoom in.")
    ] = Format.HTML,
    seed: Seed = None,
    replicate: Replicate = 0,
    replicates: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, show_default=False,
            help="So many runs for distributions [dim](default: the file's number)[/dim].",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Write a [bold]report[/bold]: what came of a scenario and why, on one page that works offline."""
    from k8sim.cli.files import check_writable, write_whole
    from k8sim.cli.simulate import simulate
    from k8sim.scenario.loader import load_variants

    if form is Format.HTML and output is None:
        raise UsageProblem("a page needs a file", "k8sim report FILE -o report.html")
    if output is not None and output != "-":
        check_writable(Path(output), folder=False)
    path, seed, replicates, kept = resolve(source, seed, replicates)
    variants = load_variants(path)
    result = simulate(variants[0].scenario, seed, replicate)
    number = replicates or variants[0].scenario.replicates
    batch = None
    if form is not Format.PERFETTO and (number > 1 or len(variants) > 1):
        batch = _batch(variants, number, result.seed, kept)
    if form is Format.HTML:
        from k8sim.report.page import page

        text = page(result, batch)
    elif form is Format.MARKDOWN:
        from k8sim.report.markdown import markdown

        text = markdown(result, batch)
    else:
        from k8sim.report.perfetto import perfetto

        text = perfetto(result)
    if output is None or output == "-":
        sys.stdout.write(text)
    else:
        write_whole(Path(output), text.encode())


def _batch(variants: list[Variant], replicates: int, seed: int, kept: Path | None) -> Batch:
    from k8sim.runner.experiment import experiment

    return experiment(variants, replicates, seed=seed, folder=kept, resume=kept is not None)
