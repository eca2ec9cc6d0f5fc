"""Two variants under the same chance: what differs, by how much, and whether chance could explain it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k8sim.runner.statistics import Estimate, paired_difference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from k8sim.runner.batch import Batch

Judgement = Literal["better", "worse", "different", "open", "same"]
MORE_IS_BETTER: Final = ("availability",)
LESS_IS_BETTER: Final = ("downtime_s", "outages", "longest_outage_s", "short_s", "ready_s", "restarts")
_STYLE: Final = {"better": "green", "worse": "red", "different": "cyan", "open": "yellow", "same": "dim"}


@dataclass(frozen=True)
class Compared:
    """One metric under both variants.

    Attributes
    ----------
    base, variant
        Means over the replicates, with intervals.
    difference
        Variant minus base, replicate by replicate.
    saved
        How many times more replicates independent runs would have needed; NaN where it is not defined.
    """

    metric: str
    base: Estimate
    variant: Estimate
    difference: Estimate
    saved: float

    @property
    def judgement(self) -> Judgement:
        """What the difference is: "open" when the interval holds 0, "same" when all runs agree."""
        d = self.difference
        if d.n == 0 or (d.low <= 0 <= d.high):
            return "same" if d.n and d.low == d.high == 0 else "open"
        last = self.metric.rpartition(".")[2]
        if last not in MORE_IS_BETTER + LESS_IS_BETTER:
            return "different"
        return "better" if (d.value > 0) == (last in MORE_IS_BETTER) else "worse"


def compare(base: Batch, variant: Batch) -> list[Compared]:
    """Compare the first variants of two batches, replicate by replicate; metrics that both have, in order.

    Raises
    ------
    ValueError
        They have different seeds: then nothing is paired.
    """
    if base.seed != variant.seed:
        raise ValueError(f"seeds {base.seed} and {variant.seed} differ, so the runs are no pairs")
    a, b = base.results[0].series, variant.results[0].series
    found = []
    for metric in a:
        if metric not in b:
            continue
        n = min(len(a[metric].values), len(b[metric].values))
        pair = paired_difference(a[metric].values[:n], b[metric].values[:n], f"{metric} difference")
        found.append(Compared(metric, a[metric].mean(), b[metric].mean(), pair.estimate, pair.variance_reduction))
    return found


def sentences(compared: Sequence[Compared], base: str, variant: str) -> Iterator[str]:
    """Yield what can be said for sure, one sentence a metric, and what cannot."""
    for c in compared:
        if c.judgement in ("better", "worse", "different"):
            more = "more" if c.difference.value > 0 else "less"
            low, high = sorted((abs(c.difference.low), abs(c.difference.high)))
            verdict = "" if c.judgement == "different" else f", which is {c.judgement}"
            yield (
                f"{c.metric}: {variant} has {value_words(c.metric, abs(c.difference.value))} {more} than {base} "
                f"(95 %: {value_words(c.metric, low)} to {value_words(c.metric, high)}){verdict}."
            )
    unsure = [c.metric for c in compared if c.judgement == "open" and c.difference.n > 0]
    if unsure:
        yield f"Chance could explain the rest: {', '.join(unsure)}. More replicates may tell."
    same = [c.metric for c in compared if c.judgement == "same"]
    if same:
        yield f"The same in every run: {', '.join(same)}."


def comparison_view(compared: Sequence[Compared], base: str, variant: str, replicates: int) -> RenderableType:
    """Return the comparison as a table with sentences."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("metric", base, variant, "difference", "95 % interval", ""):
        table.add_column(column, overflow="fold", justify="left" if column in ("metric", "") else "right")
    for c in compared:
        d = c.difference
        if d.n == 0:
            continue
        interval = f"{value_words(c.metric, d.low)} to {value_words(c.metric, d.high)}" if d.n > 1 else "one run only"
        table.add_row(
            c.metric, value_words(c.metric, c.base.value), value_words(c.metric, c.variant.value),
            signed_words(c.metric, d.value), interval, Text(c.judgement, _STYLE[c.judgement]),
        )  # fmt: skip
    title = Text.assemble(
        (variant, "bold"), " against ", (base, "bold"), f": {replicates} pairs of runs under the same chance"
    )
    saved = [c.saved for c in compared if math.isfinite(c.saved)]
    note = f"Pairing saved up to {max(saved):.3g} times as many runs." if saved and max(saved) > 1 else ""
    return Group(title, "", table, "", *map(Text, sentences(compared, base, variant)), Text(note, "dim"))


def comparison_figure(compared: Sequence[Compared], base: str, variant: str) -> Figure:
    """Draw the differences, each metric on a scale of its own."""
    from matplotlib.figure import Figure

    from k8sim.report.figures import comparison

    shown = [c for c in compared if c.difference.n > 1 and c.judgement != "same"]
    figure = Figure(figsize=(7, 0.8 + 0.85 * max(len(shown), 1)), layout="constrained")
    axes = figure.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0]
    for c, ax in zip(shown, axes, strict=False):
        unit = " [s]" if c.metric.endswith("_s") else ""
        comparison([c.metric.removesuffix("_s") + unit], [c.difference], ax, xlabel="")
    if not shown:
        axes[0].set_axis_off()
        axes[0].text(0.5, 0.5, "no differences", ha="center")
    figure.suptitle(f"{variant} minus {base}, 95 % intervals", fontsize=10)
    return figure


def value_words(metric: str, value: float) -> str:
    """Return a metric's value for reading: seconds with their unit, numbers with four digits."""
    if math.isnan(value):
        return "-"
    if metric.endswith("_s") and math.isfinite(value):
        return f"{value * 1000:.0f} ms" if abs(value) < 1 and value else f"{value:.4g} s"
    return f"{value:.4g}"


def signed_words(metric: str, value: float) -> str:
    """Return a difference with its sign."""
    return ("+" if value > 0 else "") + value_words(metric, value)
