"""What an experiment gives: every metric of every variant, with intervals, comparisons, verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from k8sim.runner.engines import Choice
from k8sim.runner.objectives import Judgement, estimate, events_of, judge
from k8sim.runner.series import EXACT, LogHistogram, Series
from k8sim.runner.shards import Columns
from k8sim.runner.statistics import Difference, Estimate, paired_difference
from k8sim.scenario.objectives import Objective
from k8sim.scenario.sweep import Variant

if TYPE_CHECKING:
    import pandas as pd

HISTOGRAM_WIDTH: Final = 0.25
"""Relative width of the bins of the histograms that people read."""


@dataclass
class VariantResults:
    """Metrics of one variant.

    Attributes
    ----------
    replicates
        How many were run.
    series, histograms
        Numbers, and lengths of lists such as outages, by name.
    """

    variant: Variant
    objectives: tuple[Objective, ...]
    replicates: int = 0
    series: dict[str, Series] = field(default_factory=dict)
    histograms: dict[str, LogHistogram] = field(default_factory=dict)

    def add(self, columns: Columns) -> None:
        """Add a shard; shards come in order."""
        count = columns.shard.count
        for name, values in columns.numbers.items():
            if name not in self.series:
                self.series[name] = Series(name, events_of(self.objectives, name))
                if self.replicates:  # what earlier replicates did not have is not defined there
                    self.series[name].add([math.nan] * self.replicates)
            self.series[name].add(values)
        for name in self.series.keys() - columns.numbers.keys():
            self.series[name].add([math.nan] * count)
        for name, lists in columns.lists.items():
            histogram = self.histograms.setdefault(name, LogHistogram(HISTOGRAM_WIDTH))
            histogram.add([value for values in lists for value in values])
        self.replicates += count


@dataclass
class Batch:
    """Results of an experiment.

    Attributes
    ----------
    name, seed
        What was run.
    results
        One entry a variant, in the sweep's order.
    choice
        Which engine ran it, and why.
    folder
        Where the shards are, when they are kept.
    complete
        False: it was interrupted, and holds what was done by then.
    """

    name: str
    seed: int
    results: list[VariantResults]
    choice: Choice
    folder: Path | None = None
    complete: bool = True

    @property
    def replicates(self) -> int:
        """How many replicates every variant has."""
        return min((r.replicates for r in self.results), default=0)

    def metrics(self) -> list[str]:
        """Return the names of all metrics."""
        return list({name: None for r in self.results for name in r.series})

    def values(self, metric: str, variant: int = 0) -> pd.Series[float]:
        """Return one value a replicate."""
        import pandas as pd

        return pd.Series(self.results[variant].series[metric].values, name=metric)

    @property
    def frame(self) -> pd.DataFrame:
        """All numbers: a row for each variant and replicate, a column for each swept field and each metric."""
        import pandas as pd

        parts = []
        for number, result in enumerate(self.results):
            settings = {key: [value] * result.replicates for key, value in result.variant.settings.items()}
            numbers = {name: series.values for name, series in result.series.items()}
            index = {"variant": [number] * result.replicates, "replicate": range(result.replicates)}
            parts.append(pd.DataFrame({**index, **settings, **numbers}))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def estimates(self, confidence: float = 0.95) -> pd.DataFrame:
        """Mean with interval, median and 99th percentile of each metric of each variant."""
        import pandas as pd

        rows = []
        for result in self.results:
            for name, series in result.series.items():
                mean = series.mean(confidence)
                rows.append({
                    "variant": result.variant.label, "metric": name, "mean": mean.value, "low": mean.low,
                    "high": mean.high, "median": series.quantile(0.5).value, "p99": series.quantile(0.99).value,
                    "n": mean.n, "method": mean.method,
                })  # fmt: skip
        return pd.DataFrame(rows)

    def differences(self, metric: str, base: int = 0, confidence: float = 0.95) -> list[tuple[str, Difference]]:
        """Compare each other variant with one of them, replicate by replicate under the same chance."""
        first = self.results[base].series[metric].values
        found = []
        for number, result in enumerate(self.results):
            if number != base and metric in result.series:
                values = result.series[metric].values
                n = min(len(first), len(values))
                pair = paired_difference(first[:n], values[:n], f"{metric} difference", confidence)
                found.append((result.variant.label, pair))
        return found

    def convergence(self, metric: str, variant: int = 0) -> list[tuple[int, Estimate]]:
        """Return the estimate of a mean after 10, 20, 50, 100, ... replicates, and after all."""
        series = self.results[variant].series[metric]
        steps = [n for n in _one_two_five() if n < min(series.n, EXACT)]
        table = []
        for n in [*steps, series.n]:
            part = Series(metric)
            if n < series.n:
                part.add(series.values[:n])
            table.append((n, (part if n < series.n else series).mean()))
        return table

    def judgements(self) -> list[Judgement]:
        """Return a verdict for each objective of each variant."""
        return [_judged(result, objective) for result in self.results for objective in result.objectives]

    def _repr_html_(self) -> str:
        """Show in Jupyter: what was run, its verdicts, its numbers."""
        import pandas as pd

        head = f"<p><b>{escape(self.name)}</b>: {self.replicates} replicates of {len(self.results)} variants"
        head += f", seed {self.seed}{'' if self.complete else ', interrupted'}</p>"
        verdicts = [
            {"variant": j.variant, "objective": j.objective.text, "verdict": j.verdict} for j in self.judgements()
        ]
        tables = [pd.DataFrame(verdicts)] if verdicts else []
        return head + "".join(t.to_html(index=False, float_format="{:.4g}".format) for t in [*tables, self.estimates()])


def _judged(result: VariantResults, objective: Objective) -> Judgement:
    series = result.series.get(objective.metric)
    if series is None:
        return Judgement(result.variant.label, objective, None, "not measured")
    figure = estimate(objective, series)
    return Judgement(result.variant.label, objective, figure, judge(objective, figure))


def _one_two_five() -> Iterable[int]:
    n = 10
    while n < EXACT:
        yield from (n, 2 * n, 5 * n)
        n *= 10


class InOrder:
    """Gives shards to their variants in the plan's order, whatever order they arrive in: so sums have one rounding."""

    def __init__(self, results: Sequence[VariantResults]) -> None:
        self._results = results
        self._early: list[dict[int, Columns]] = [{} for _ in results]

    def add(self, columns: Columns) -> None:
        """Take a shard; it counts as soon as all before it are there."""
        result, early = self._results[columns.shard.variant], self._early[columns.shard.variant]
        early[columns.shard.first] = columns
        while result.replicates in early:
            result.add(early.pop(result.replicates))
