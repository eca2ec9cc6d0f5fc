"""``k8sim compare``: two scenarios, or two folders of results, run by run under the same chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from k8sim.cli.failures import UsageProblem
from k8sim.cli.options import Seed
from k8sim.cli.results import resolve

if TYPE_CHECKING:
    from k8sim.runner.batch import Batch

FEW: Final = 20
"""Pairs that are run when neither the command line nor a scenario says how many."""

EPILOG = """
[bold]Examples[/bold]

[dim]# does the change help? Twenty runs of each, paired by their chance[/dim]
k8sim compare before.yaml after.yaml

[dim]# a figure, too[/dim]
k8sim compare before.yaml after.yaml --replicates 200 -o difference.png

[dim]# what "k8sim run -o" has kept[/dim]
k8sim compare results/before results/after
"""


def compare(
    base: Annotated[
        Path, typer.Argument(metavar="A", help="A scenario file or a folder of results.", show_default=False)
    ],
    variant: Annotated[Path, typer.Argument(metavar="B", help="What is compared with it.", show_default=False)],
    seed: Seed = None,
    replicates: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, show_default=False, help=f"Pairs of runs [dim](default: A's number, or {FEW})[/dim]."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", show_default=False, help="Draw the differences: .png, .svg, .pdf."
        ),
    ] = None,
) -> None:
    """Compare two variants [bold]under the same chance[/bold], and say what is sure and what is not."""
    from k8sim.cli.files import check_writable
    from k8sim.cli.terminal import console
    from k8sim.report.comparison import compare as compared_batches
    from k8sim.report.comparison import comparison_figure, comparison_view

    if output is not None:
        check_writable(output, folder=False)
        if output.suffix not in (".png", ".svg", ".pdf"):
            raise UsageProblem(f"{output}: unknown kind of figure", "end it in .png, .svg or .pdf")
    first = _batch(base, seed, replicates, None)
    second = _batch(
        variant, first.seed if seed is None and not variant.is_dir() else seed, replicates, first.replicates
    )
    try:
        found = compared_batches(first, second)
    except ValueError as problem:
        raise UsageProblem(str(problem), "give --seed N, and both are run anew") from None
    if not found:
        raise UsageProblem(f"{base} and {variant} have no metric in common", "workloads are compared by name")
    names = _names(base, variant)
    console().print(comparison_view(found, *names, min(first.replicates, second.replicates)))
    if output is not None:
        comparison_figure(found, *names).savefig(output, dpi=150)


def _batch(path: Path, seed: int | None, replicates: int | None, as_many: int | None) -> Batch:
    from k8sim.runner.experiment import experiment
    from k8sim.scenario.loader import load_variants

    source = resolve(path, seed, replicates)
    variants = load_variants(source.scenario)[:1]
    own = variants[0].scenario.replicates
    number = source.replicates or as_many or (own if own > 1 else FEW)
    if source.kept is not None:
        variants = load_variants(source.scenario)
    return experiment(variants, number, seed=source.seed, folder=source.kept, resume=source.kept is not None)


def _names(base: Path, variant: Path) -> tuple[str, str]:
    a, b = base.stem, variant.stem
    return (a, b) if a != b else (str(base), str(variant))
