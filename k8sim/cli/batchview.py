"""Tables about many runs: figures, differences between variants, outages, verdicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k8sim.report.notsimulated import not_simulated_table
from k8sim.sim.units import format_duration

if TYPE_CHECKING:
    from k8sim.runner.batch import Batch, VariantResults
    from k8sim.runner.series import LogHistogram
    from k8sim.runner.statistics import Estimate

COMPARED: Final = ("availability", "downtime_s", "outages", "short_s", "ready_s")
"""Metrics (their last part) whose differences between variants are shown; `Batch.differences` has all."""
BAR: Final = 30
VERDICTS: Final = {"pass": "green", "fail": "red", "undecided": "yellow", "not measured": "red"}


def batch_view(batch: Batch) -> RenderableType:
    """Return all tables of a batch."""
    scenario = batch.results[0].variant.scenario
    variants = f"{len(batch.results)} variants, " if len(batch.results) > 1 else ""
    title = Text.assemble(
        (scenario.name, "bold"),
        f"  {format_duration(scenario.duration_ns)} simulated, seed {batch.seed}, {variants}"
        f"{batch.replicates} replicates{'' if batch.complete else ' (interrupted)'}",
    )
    if scenario.description:
        title.append(f"\n{' '.join(scenario.description.split())}", "italic")
    title.append(f"\nengine: {batch.choice.engine} ({batch.choice.why})", "dim")
    for note in batch.choice.simplified:
        title.append(f"\n  simplified: {note}", "dim")
    parts: list[RenderableType] = [title]
    for result in batch.results:
        if result.replicates:
            parts += ["", _figures(result)]
    if len(batch.results) > 1 and batch.replicates > 1:
        parts += ["", *_differences(batch)]
    if judgements := batch.judgements():
        table = _table("objective", "variant", "figure", "verdict")
        for j in judgements:
            figure = "-" if j.estimate is None else with_interval(j.estimate)
            table.add_row(Text(j.objective.text), Text(j.variant or "-"), figure, Text(j.verdict, VERDICTS[j.verdict]))
        parts += ["", table]
    if scenario.not_simulated:
        parts += ["", not_simulated_table(scenario.not_simulated)]
    return Group(*parts)


def _figures(result: VariantResults) -> RenderableType:
    table = _table("metric", "mean", "95 % interval", "median", "p99", "defined in")
    for column in table.columns[1:]:
        column.justify = "right"
    table.title = Text(result.variant.label) if result.variant.label else None  # no markup: it may hold [brackets]
    for name, series in result.series.items():
        mean = series.mean()
        if mean.n == 0:
            table.add_row(name, "-", "", "", "", "0 runs", style="dim")
            continue
        interval = "always" if mean.method == "constant" else f"{number(mean.low)} to {number(mean.high)}"
        table.add_row(
            name, number(mean.value), interval, number(series.quantile(0.5).value),
            number(series.quantile(0.99).value), f"{mean.n} runs",
        )  # fmt: skip
    parts: list[RenderableType] = [table]
    for name, histogram in result.histograms.items():
        if histogram.n:
            parts += ["", histogram_view(name, histogram)]
    return Group(*parts)


def histogram_view(name: str, histogram: LogHistogram) -> RenderableType:
    """Return a histogram of lengths as a table with bars."""
    bins = histogram.bins()
    most = max(count for _, _, count in bins)
    table = _table(name, "how many", "")
    table.columns[1].justify = "right"
    for low, high, count in bins:
        bar = "█" * max(round(BAR * count / most), 1)
        table.add_row(f"{number(low)} to {number(high)}", str(count), Text(bar, "blue"))
    return table


def _differences(batch: Batch) -> list[RenderableType]:
    base = batch.results[0]
    table = _table("metric", "variant", "difference of the mean", "runs saved by pairing")
    table.title = Text(f"Against {base.variant.label}, replicate by replicate under the same chance")
    for metric, series in base.series.items():
        if metric.rpartition(".")[2] not in COMPARED or not series.exact:
            continue
        for label, difference in batch.differences(metric):
            saved = difference.variance_reduction
            table.add_row(
                metric, Text(label), with_interval(difference.estimate),
                "-" if not math.isfinite(saved) else f"x {number(saved)}",
            )  # fmt: skip
    return [table] if table.row_count else []


def with_interval(estimate: Estimate) -> str:
    """Return an estimate and its interval for reading."""
    if math.isnan(estimate.value):
        return "not defined in any run"
    if estimate.method == "constant":
        return f"{number(estimate.value)} always"
    return f"{number(estimate.value)} ({number(estimate.low)} to {number(estimate.high)})"


def number(value: float) -> str:
    """Return a number with what digits matter: nines of an availability are kept."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "-"
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    if 0.99 < value < 1:
        digits = max(2 - math.floor(math.log10(1 - value)), 4)
        return f"{value:.{min(digits, 12)}f}"
    return f"{value:.4g}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
