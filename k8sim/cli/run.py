"""``k8sim run``: simulate scenarios and say what came of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from k8sim.cli.failures import UsageProblem
from k8sim.cli.options import Seed
from k8sim.cli.trace import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from k8sim.cli.batch import Batches
    from k8sim.result import PublicEvent
    from k8sim.scenario import Scenario
    from k8sim.scenario.sweep import Variant

EPILOG = """
[bold]Examples[/bold]

k8sim run scenarios/web-rolling-update.yaml

[dim]# another draw of everything that is random[/dim]
k8sim run scenarios/web-rolling-update.yaml --seed 7

[dim]# every scenario in a folder; keep summaries and traces[/dim]
k8sim run scenarios/ -o results/

[dim]# a thousand repetitions of each variant, in two processes; goes on where an earlier run was stopped[/dim]
k8sim run scenarios/replicas-and-zones.yaml --replicates 1000 --jobs 2 -o results/ --resume

[dim]# as many as it takes for the mean outage to be known within a second[/dim]
k8sim run scenarios/web-rolling-update.yaml --replicates 10000 --until web.short_s=1s

[dim]# years of one StatefulSet, ten thousand times, in lock-step[/dim]
k8sim run scenarios/backup-interval.yaml --replicates 10000 --engine lockstep
"""
ENGINES: Final = ("auto", "simpy", "lockstep", "reference")
TRACES_KEPT: Final = 10
"""Of so many replicates of each variant the trace is kept."""


def _engine(value: str) -> str:
    if value not in ENGINES:
        raise typer.BadParameter(f"{value} is none of {', '.join(ENGINES)}")
    return value


Files = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Scenario files, folders or patterns.", show_default=False)
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", show_default=False,
        help="Keep the results in DIR/NAME/: summary.txt, run.json, and trace.json; of several runs trace.R.json "
        "for the first ten replicates, the figures of all as Parquet files in replicates/, and convergence.svg. "
        "Without it nothing is written.",
    ),
]  # fmt: skip
Replicates = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, show_default=False,
        help="Repeat with other draws under the same seed [dim](default: the file's number, mostly 1)[/dim].",
    ),
]  # fmt: skip
Jobs = Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="How many processes work on it.")]
Executor = Annotated[
    str | None,
    typer.Option(metavar="dask://HOST:PORT", show_default=False, help="Let the workers of a Dask cluster do it."),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="auto|simpy|lockstep|reference", callback=_engine,
        help="What many runs run on: the whole cluster (simpy), campaigns in lock-step, thousands at once, or the "
        "same campaigns one by one on SimPy (reference). auto: lockstep where it can and runs are long.",
    ),
]  # fmt: skip
Until = Annotated[
    str | None,
    typer.Option(
        metavar="METRIC=X", show_default=False,
        help="Stop when the mean of a metric is known within X either way (95 % confidence), in every variant.",
    ),
]  # fmt: skip
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with what an earlier run, killed or interrupted, left in DIR.")
]
JUnit = Annotated[
    Path | None, typer.Option(metavar="FILE", show_default=False, help="Write the verdicts as JUnit XML.")
]
Markdown = Annotated[
    Path | None, typer.Option(metavar="FILE", show_default=False, help="Write figures and verdicts as Markdown.")
]
Profile = Annotated[bool, typer.Option("--profile", help="Run one replicate and say where its CPU time went.")]
Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Check what Kubernetes promises (k8sim guarantees); exit code 1 if a promise was broken."
    ),
]


def run(
    files: Files,
    output: Output = None,
    seed: Seed = None,
    replicates: Replicates = None,
    jobs: Jobs = 1,
    executor: Executor = None,
    engine: Engine = "auto",
    until: Until = None,
    resume: Resume = False,
    junit: JUnit = None,
    markdown: Markdown = None,
    profile: Profile = False,
    check: Check = False,
) -> None:
    """Simulate scenarios and print [bold]what came of them[/bold].

    One run: for each workload, how long which pods were not Ready and why, rollouts, and what the commands of the
    timeline answered. Several (replicates, a sweep): figures with confidence intervals, differences between variants,
    and verdicts on the scenario's objectives. What of the manifests has no effect is listed, never silently dropped.
    """
    from k8sim.cli.files import scenario_files
    from k8sim.scenario.loader import load_variants

    scenarios = [load_variants(path) for path in scenario_files(files)]
    folders = _folders(scenarios, output)
    of_batches = {
        "--jobs": jobs > 1, "--executor": executor, "--until": until, "--resume": resume, "--junit": junit,
        "--markdown": markdown, "--engine": engine in ("lockstep", "reference"),
    }  # fmt: skip
    if profile:
        _refuse("--profile", {**of_batches, "--replicates": replicates, "--check": check})
        _profile(scenarios, folders, seed)
    elif check:
        _refuse("--check", {**of_batches, "--output": output})
        _check(scenarios, seed, replicates)
    else:
        single = [not any(of_batches.values()) and _is_single(variants, replicates) for variants in scenarios]
        batches = None
        if not all(single):
            from k8sim.cli.batch import Batches

            batches = Batches(seed, replicates, jobs, executor, until, resume, TRACES_KEPT, engine)
            batches.check_targets(junit, markdown)
        _simulate(scenarios, folders, seed, single, batches)
        if batches is not None:
            batches.finish(junit, markdown)


def _folders(scenarios: list[list[Variant]], output: Path | None) -> list[Path | None]:
    """Return where the results of each scenario are kept."""
    from k8sim.cli.files import check_stems, check_writable

    if output is None:
        return [None for _ in scenarios]
    paths = [Path(variants[0].scenario.path or "") for variants in scenarios]
    check_stems(paths, "/")
    folders = [output / path.stem for path in paths]
    for folder in folders:
        check_writable(folder, folder=True)
    return [*folders]


def _refuse(mode: str, options: Mapping[str, object]) -> None:
    """Refuse options that would have no effect."""
    idle = [name for name, given in options.items() if given]
    if idle:
        raise UsageProblem(f"{', '.join(idle)} would have no effect with {mode}")


def _profile(scenarios: list[list[Variant]], folders: list[Path | None], seed: int | None) -> None:
    from k8sim.cli.profile import profile_run

    for variants, folder in zip(scenarios, folders, strict=True):
        profile_run(variants[0].scenario, seed, folder)


def _check(scenarios: list[list[Variant]], seed: int | None, replicates: int | None) -> None:
    from k8sim.cli.check import NOT_KEPT, check_runs

    kept = [check_runs(variant.scenario, seed, replicates) for variants in scenarios for variant in variants]
    if not all(kept):
        raise typer.Exit(NOT_KEPT)


def _simulate(
    scenarios: list[list[Variant]],
    folders: list[Path | None],
    seed: int | None,
    single: list[bool],
    batches: Batches | None,
) -> None:
    for number, (variants, folder) in enumerate(zip(scenarios, folders, strict=True)):
        if number:
            typer.echo()
        if single[number] or batches is None:
            _run(variants[0].scenario, seed, folder)
        else:
            batches.run(variants, folder)


def _is_single(variants: list[Variant], replicates: int | None) -> bool:
    """Whether there is one run to tell about, rather than figures of many."""
    scenario = variants[0].scenario
    return len(variants) == 1 and (replicates or scenario.replicates) == 1 and not scenario.objectives


def _run(scenario: Scenario, seed: int | None, folder: Path | None) -> None:
    from k8sim.cli.simulate import simulate
    from k8sim.cli.terminal import console
    from k8sim.report.summary import summary

    result = simulate(scenario, seed)
    view = summary(result)
    console().print(view)
    if folder is not None:
        keep_trace(folder, result.public_trace(), "trace.json")
        keep_summary(folder, view, result.scenario, result.seed, 1)
        typer.echo(f"\nwritten to {folder}/")


def keep_trace(folder: Path, trace: list[PublicEvent], name: str) -> None:
    """Write a public trace."""
    from k8sim.cli.files import write_whole

    write_whole(folder / name, to_json(trace))


def keep_summary(
    folder: Path, view: RenderableType, scenario: Scenario, seed: int, replicates: int, engine: str = "simpy"
) -> None:
    """Write what was printed, and what it was made of."""
    from k8sim import KUBERNETES_VERSION, __version__
    from k8sim.cli.files import write_whole
    from k8sim.cli.terminal import as_text

    about = {
        "k8sim": __version__,
        "kubernetes": KUBERNETES_VERSION,
        "scenario": scenario.path,
        "seed": seed,
        "replicates": replicates,
        "engine": engine,
    }
    write_whole(folder / "run.json", (json.dumps(about, indent=2) + "\n").encode())
    write_whole(folder / "summary.txt", as_text(view).encode())
