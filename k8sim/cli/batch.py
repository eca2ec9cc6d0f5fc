"""Several runs as a command does them: progress, tables, files, verdicts, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from k8sim.cli.failures import FAILED, INTERRUPTED, Crash, UsageProblem, say_error

if TYPE_CHECKING:
    from k8sim.result import PublicEvent
    from k8sim.runner.batch import Batch
    from k8sim.runner.experiment import Progress, Until
    from k8sim.runner.shards import RunFailed
    from k8sim.scenario.sweep import Variant

UNTIL: Final = "METRIC=X, for example web.downtime_s=1s or web.availability=0.0001"


class Batches:
    """Runs the experiments of one command one after the other."""

    def __init__(
        self, seed: int | None, replicates: int | None, jobs: int, executor: str | None, until: str | None,
        resume: bool, traces: int, engine: str = "auto",
    ) -> None:  # fmt: skip
        self._seed, self._replicates, self._jobs, self._executor = seed, replicates, jobs, executor
        self._until = parse_until(until) if until is not None else None
        self._resume, self._traces, self._engine = resume, traces, engine
        self._batches: list[Batch] = []

    def run(self, variants: list[Variant], folder: Path | None) -> None:
        """Run one experiment and print what came of it."""
        from k8sim.cli.batchview import batch_view
        from k8sim.cli.run import keep_summary, keep_trace
        from k8sim.cli.terminal import console
        from k8sim.runner.engines import OutsideSubset
        from k8sim.runner.experiment import experiment
        from k8sim.runner.names import UnknownMetric
        from k8sim.runner.shards import RunFailed
        from k8sim.runner.store import StoreProblem, available

        if self._resume and folder is None:
            raise UsageProblem("--resume needs -o DIR", "the folder that the earlier run was given")
        if folder is not None and not available():
            say_error("the figures of the runs are not kept: pyarrow is missing", "pip install 'k8sim[parquet]'")

        def keep(variant: int, replicate: int, trace: list[PublicEvent]) -> None:
            prefix = "trace" if len(variants) == 1 else f"trace.v{variant}"
            if folder is not None:
                keep_trace(folder, trace, f"{prefix}.{replicate}.json")

        scenario = variants[0].scenario
        try:
            with _progress(scenario.name) as show:
                batch = experiment(
                    variants, self._replicates, seed=self._seed, jobs=self._jobs, executor=self._executor,
                    until=self._until, folder=folder / "replicates" if folder is not None and available() else None,
                    resume=self._resume, traces=self._traces if folder is not None else 0, engine=self._engine,
                    on_progress=show, on_trace=keep,
                )  # fmt: skip
        except RunFailed as failure:
            raise _crash(failure, variants) from failure
        except OutsideSubset as problem:
            outside = "\n  ".join(("--engine simpy runs it in full; outside are:", *problem.reasons))
            raise UsageProblem(
                f"{scenario.name}: the {self._engine} engine cannot run this scenario", outside
            ) from None
        except (StoreProblem, UnknownMetric) as problem:
            raise UsageProblem(problem.problem, problem.hint) from None
        except ValueError as problem:
            raise UsageProblem(str(problem)) from None
        view = batch_view(batch)
        console().print(view)
        if folder is not None:
            keep_summary(folder, view, scenario, batch.seed, batch.replicates, batch.choice.engine)
            self._keep_convergence(folder, batch)
            typer.echo(f"\nwritten to {folder}/")
        self._batches.append(batch)
        if not batch.complete:
            done = sum(result.replicates for result in batch.results)
            hint = "the same command with --resume goes on" if batch.folder is not None else None
            say_error(f"interrupted after {done} runs, which the figures above are made of", hint)
            raise typer.Exit(INTERRUPTED)

    def _keep_convergence(self, folder: Path, batch: Batch) -> None:
        """Draw how what is asked about settled: the objectives' metrics and the stopping rule's, else availability."""
        from k8sim.cli.files import write_whole

        asked = [objective.metric for result in batch.results for objective in result.objectives]
        asked += [self._until.metric] if self._until is not None else []
        available = [metric for metric in batch.metrics() if metric.endswith("availability")]
        if find_spec("matplotlib") is None or batch.replicates < 2:
            return
        from k8sim.report.convergence import convergence_svg

        write_whole(folder / "convergence.svg", convergence_svg(batch, asked or available))

    def check_targets(self, *targets: Path | None) -> None:
        """See that verdicts can be written, before anything runs."""
        from k8sim.cli.files import check_writable

        for target in targets:
            if target is not None:
                check_writable(target, folder=False)

    def finish(self, junit: Path | None, markdown: Path | None) -> None:
        """Write the verdicts, and end with the exit code that they mean."""
        from k8sim.cli.files import write_whole
        from k8sim.runner.verdicts import as_junit, as_markdown

        if junit is not None:
            write_whole(junit, as_junit(self._batches))
        if markdown is not None:
            write_whole(markdown, as_markdown(self._batches).encode())
        judged = [(batch, judgement) for batch in self._batches for judgement in batch.judgements()]
        for batch, judgement in judged:
            if judgement.verdict == "not measured":
                known = ", ".join(batch.metrics()) or "nothing"
                problem = f"{batch.name}: {judgement.objective.text!r}: {judgement.objective.metric} was not measured"
                raise UsageProblem(problem, f"measured: {known}")
        if any(judgement.verdict == "fail" for _, judgement in judged):
            raise typer.Exit(FAILED)


def parse_until(text: str) -> Until:
    """Read the stopping rule of the command line."""
    from k8sim.runner.experiment import Until
    from k8sim.scenario.objectives import parse_number

    metric, equals, target = text.partition("=")
    try:
        width = parse_number(target)
    except ValueError:
        width = 0.0
    if not equals or not metric or not width > 0:
        raise UsageProblem(f"--until {text}: not understood", UNTIL)
    return Until(metric.strip(), width)


def _crash(failure: RunFailed, variants: list[Variant]) -> Crash:
    from k8sim.cli.simulate import replay_command

    return Crash(replay_command(variants[failure.variant].scenario, failure.seed, failure.replicate), ())


@contextmanager
def _progress(label: str) -> Iterator[Callable[[Progress], None]]:
    """Show how many runs are done, how fast, and how long it will take; only to a person at a terminal."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("runs, {task.fields[rate]}/s,"),
        TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, rate="?")

        def show(progress: object) -> None:
            state = bar.tasks[0]
            done, resumed, total = progress.done, progress.resumed, progress.total  # type: ignore[attr-defined]
            rate = (done - resumed) / state.elapsed if state.elapsed else 0.0
            bar.update(task, completed=done, total=total, rate=f"{rate:.1f}")

        yield show
