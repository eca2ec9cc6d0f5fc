"""Figures for papers, slides and notebooks: each takes a tidy frame and an Axes, draws, and returns the Axes.

>>> import matplotlib.pyplot as plt  # doctest: +SKIP
>>> gantt(pod_spans(result), plt.gca(), lane="name")  # doctest: +SKIP

The frames are those of `k8sim.report.spans`. Nothing here knows a simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from k8sim.report.palette import BLACK, BLUE, FAMILIES, GREY, HATCHES, PALE, SERIES, STATES, VERMILION
from k8sim.report.phases import FAMILIES as FAMILY_WORDS
from k8sim.report.phases import PHASES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from k8sim.runner.statistics import Estimate

_BAR: Final = 0.62
_MINUTES_FROM_S: Final = 180
_HOURS_FROM_S: Final = 3 * 3600
_LABEL_SHARE: Final = 0.5
_WORDS_MAX: Final = 70


def gantt(spans: pd.DataFrame, ax: Axes, lane: str = "name", *, legend: bool = True) -> Axes:
    """Draw states over time, one lane an object; spans that overlap within a lane get rows of their own.

    Parameters
    ----------
    spans
        With columns ``state``, ``start_s``, ``end_s`` and the lane's.
    lane
        The column whose values are the lanes: "name" gives the life of each identity, "node" what ran on each node.
    """
    shown = spans[spans[lane].astype(str) != ""]
    rows = _stacked(shown, lane)
    for number in rows.values():
        ax.axhspan(number - 0.5, number + 0.5, color="#f4f4f4" if number % 2 else "white", zorder=0, linewidth=0)
    for row, (_, span) in zip(_rows_of(shown, lane, rows), shown.iterrows(), strict=True):
        state = str(span["state"])
        ax.barh(
            row, span["end_s"] - span["start_s"], left=span["start_s"], height=_BAR, color=STATES.get(state, GREY),
            hatch=HATCHES.get(state), edgecolor="white", linewidth=0.4, zorder=2,
        )  # fmt: skip
    labels: dict[str, list[int]] = {}
    for (label, _), number in rows.items():
        labels.setdefault(label, []).append(number)
    ax.set_yticks([float(np.mean(numbers)) for numbers in labels.values()], list(labels))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    _time_axis(ax, float(spans["end_s"].max()) if len(spans) else 1.0)
    _clean(ax)
    if legend:
        present = [state for state in STATES if state in set(shown["state"])]
        handles = [Patch(facecolor=STATES[s], hatch=HATCHES.get(s), edgecolor="white", label=s) for s in present]
        _legend_below(ax, handles)
    return ax


def _stacked(spans: pd.DataFrame, lane: str) -> dict[tuple[str, int], int]:
    """Return lane and depth -> row; the depth is how many spans of a lane lie over each other."""
    depth: dict[str, int] = {}
    for label, level in _levels(spans, lane):
        depth[label] = max(depth.get(label, 0), level)
    pairs = [(label, level) for label in sorted(depth) for level in range(depth[label] + 1)]
    return {pair: number for number, pair in enumerate(pairs)}


def _levels(spans: pd.DataFrame, lane: str) -> list[tuple[str, int]]:
    """Give each span, in order, the first row of its lane that its object may have."""
    owner = "name" if "name" in spans else "claim" if "claim" in spans else lane
    busy: dict[str, list[tuple[str, float]]] = {}
    out = []
    for _, span in spans.iterrows():
        label, who = str(span[lane]), str(span[owner])
        levels = busy.setdefault(label, [])
        free = (
            level
            for level, (occupant, until) in enumerate(levels)
            if until <= span["start_s"] + 1e-9 and (occupant == who or lane == owner or until < span["start_s"])
        )
        level = next(free, len(levels))
        if level == len(levels):
            levels.append(("", 0.0))
        levels[level] = (who, float(span["end_s"]))
        out.append((label, level))
    return out


def _rows_of(spans: pd.DataFrame, lane: str, rows: Mapping[tuple[str, int], int]) -> list[int]:
    return [rows[pair] for pair in _levels(spans, lane)]


def timeline(spans: pd.DataFrame, ax: Axes, events: Sequence[tuple[float, str]] = (), lane: str = "name") -> Axes:
    """Draw `gantt` with vertical lines for what was done to the cluster.

    Parameters
    ----------
    events
        (time in s, words), e.g. the timeline's steps.
    """
    gantt(spans, ax, lane)
    low = ax.get_ylim()[1]
    for number, (t, _) in enumerate(events, start=1):
        ax.axvline(t, color=BLACK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=3)
        ax.annotate(
            str(number), (t, low), xytext=(0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=8,
            annotation_clip=False,
        )  # fmt: skip
    if events:
        told = "    ".join(f"{n}: {_short(words)}" for n, (_, words) in enumerate(events, start=1))
        ax.set_title(told, fontsize=8, loc="left", pad=16, wrap=True)
    return ax


def ready_over_time(
    counts: pd.DataFrame, ax: Axes, what: Sequence[str] = ("ready", "full copies"), end_s: float | None = None
) -> Axes:
    """Draw numbers over time as steps: how many pods were ready, how many copies of the data complete.

    Parameters
    ----------
    counts
        As `k8sim.report.spans.counts_over_time` gives it.
    what
        Which of its numbers.
    end_s
        When the run ended (absent: with the last change).
    """
    shown = counts[counts["what"].isin(what)]
    end = end_s if end_s is not None else float(counts["time_s"].max()) if len(counts) else 1.0
    for number, ((kind, name, item), group) in enumerate(shown.groupby(["kind", "name", "what"], sort=False)):
        times = np.append(group["time_s"].to_numpy(dtype=float), end)
        values = np.append(group["value"].to_numpy(dtype=float), group["value"].iloc[-1])
        ax.step(
            times, values, where="post", color=SERIES[number % len(SERIES)], linewidth=1.8,
            linestyle=("-", "--", ":", "-.")[number % 4], label=f"{kind} {name}: {item}",
        )  # fmt: skip
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    _time_axis(ax, end)
    _clean(ax)
    if len(shown):
        _legend_below(ax, None)
    return ax


def waterfall(phases: pd.DataFrame, ax: Axes) -> Axes:
    """Draw one episode, phase under phase, each from where the one before it ended.

    Parameters
    ----------
    phases
        The rows of one episode of `k8sim.report.spans.phase_frame`.
    """
    start = float(phases["start_s"].min())
    total = float(phases["end_s"].max()) - start
    for row, (_, phase) in enumerate(phases.iterrows()):
        left, length = float(phase["start_s"]) - start, float(phase["duration_s"])
        ax.barh(row, max(length, total * 0.004), left=left, height=_BAR, color=FAMILIES[phase["family"]], zorder=2)
        on_right = left + length < total * (1 - _LABEL_SHARE / 2)
        at, align = (left + length + total * 0.01, "left") if on_right else (left - total * 0.01, "right")
        ax.text(at, row, seconds(length), va="center", ha=align, fontsize=8, color=BLACK)
    ax.set_yticks(range(len(phases)), [PHASES[name].label for name in phases["phase"]])
    ax.set_ylim(len(phases) - 0.4, -0.6)
    ax.set_xlim(0, total * 1.02)
    _time_axis(ax, total)
    _clean(ax)
    ax.grid(axis="x", color=PALE, linewidth=0.6, zorder=0)
    present = [family for family in FAMILY_WORDS if family in set(phases["family"])]
    _legend_below(ax, [Patch(facecolor=FAMILIES[f], label=FAMILY_WORDS[f]) for f in present], columns=2)
    return ax


def distribution(values: npt.ArrayLike, ax: Axes, label: str = "", unit: str = "s") -> Axes:
    """Draw the distribution of one number over replicates: every value, the curve below which they lie, the median.

    Values that are not defined (NaN) are left out, and counted in the title.
    """
    x = np.asarray(values, dtype=np.float64)
    missing = int(np.isnan(x).sum())
    x = np.sort(x[~np.isnan(x)])
    if len(x):
        share = np.arange(1, len(x) + 1) / len(x)
        ax.step(np.concatenate([x[:1], x]), np.concatenate([[0.0], share]), where="post", color=BLUE, linewidth=1.8)
        ax.plot(x, np.full(len(x), -0.045), "|", color=BLACK, markersize=7, alpha=0.5, clip_on=False)
        middle = float(np.median(x))
        ax.axvline(middle, color=VERMILION, linewidth=1.2, linestyle="--")
        ax.annotate(
            f"median {_number(middle)} {unit}".rstrip(), (middle, 1.0), xytext=(4, 3), textcoords="offset points",
            color=VERMILION, fontsize=8, annotation_clip=False, ha="left",
        )  # fmt: skip
    ax.set_ylim(-0.08, 1.02)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
    ax.set_ylabel("share of runs at or below")
    ax.set_xlabel(f"{label} [{unit}]" if unit else label)
    if missing:
        ax.set_title(f"not defined in {missing} runs", fontsize=8, loc="right")
    _clean(ax)
    return ax


def comparison(names: Sequence[str], differences: Sequence[Estimate], ax: Axes, xlabel: str = "difference") -> Axes:
    """Draw differences with their intervals, one under the other; those whose interval leaves out 0 are full."""
    for row, estimate in enumerate(differences):
        sure = estimate.low > 0 or estimate.high < 0
        colour = BLUE if sure else GREY
        ax.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
        ax.plot(
            estimate.value, row, "o", markersize=7, markeredgecolor=colour, markerfacecolor=colour if sure else "white"
        )
    ax.axvline(0, color=BLACK, linewidth=0.9)
    ax.set_yticks(range(len(names)), list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.margins(x=0.08)
    ax.set_xlabel(xlabel)
    _clean(ax)
    ax.grid(axis="x", color=PALE, linewidth=0.6)
    return ax


def convergence(steps: Sequence[tuple[int, Estimate]], ax: Axes, label: str = "") -> Axes:
    """Draw how an estimate settles with the number of runs: its value and its interval; the last value is a line.

    Parameters
    ----------
    steps
        As `k8sim.runner.batch.Batch.convergence` gives them; intervals that are open on a side are left out.
    """
    runs = np.array([n for n, _ in steps], dtype=np.float64)
    value, low, high = (np.array([getattr(e, word) for _, e in steps]) for word in ("value", "low", "high"))
    known = np.isfinite(low) & np.isfinite(high)
    ax.fill_between(runs[known], low[known], high[known], color=BLUE, alpha=0.2, linewidth=0)
    ax.plot(runs, value, "o-", color=BLUE, linewidth=1.8, markersize=4)
    ax.axhline(value[-1], color=VERMILION, linewidth=1.0, linestyle="--")
    ax.set_xscale("log")
    ax.set_xlabel("runs")
    ax.set_ylabel(label)
    _clean(ax)
    return ax


def sweep_heatmap(table: pd.DataFrame, ax: Axes, label: str = "") -> Axes:
    """Draw one number over a grid of two settings: rows and columns of the table are the settings' values."""
    data = table.to_numpy(dtype=float)
    image = ax.imshow(data, cmap="cividis", aspect="auto")
    ax.set_xticks(range(table.shape[1]), [str(c) for c in table.columns])
    ax.set_yticks(range(table.shape[0]), [str(r) for r in table.index])
    ax.set_xlabel(str(table.columns.name or ""))
    ax.set_ylabel(str(table.index.name or ""))
    middle = (np.nanmin(data) + np.nanmax(data)) / 2 if np.isfinite(data).any() else 0.0
    for (row, column), value in np.ndenumerate(data):
        text = "-" if np.isnan(value) else _number(value)
        ax.text(column, row, text, ha="center", va="center", color="white" if value <= middle else BLACK, fontsize=9)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03)
    bar.set_label(label)
    bar.outline.set_visible(False)
    return ax


# ---- what all have in common ------------------------------------------------------------------------------------


def seconds(value: float) -> str:
    """Return a time in s for reading: ms below a second, minutes above three."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < _MINUTES_FROM_S:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _time_axis(ax: Axes, end_s: float) -> None:
    unit, size = ("s", 1)
    if end_s > _HOURS_FROM_S:
        unit, size = "h", 3600
    elif end_s > _MINUTES_FROM_S:
        unit, size = "min", 60
    ax.set_xlim(0, end_s)
    step = _nice(end_s / size / 8) * size
    ax.set_xticks(np.arange(0, end_s + step / 100, step))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{t / size:g}"))
    ax.set_xlabel(f"time [{unit}]")


def _short(words: str) -> str:
    return words if len(words) < _WORDS_MAX else words[: _WORDS_MAX - 1] + "…"


def _nice(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, 50 ... that is no less."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= value * 0.999))


def _clean(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _legend_below(ax: Axes, handles: list[Patch] | None, columns: int = 6) -> None:
    entries = {} if handles is None else {"handles": handles}
    ax.legend(
        loc="upper left", bbox_to_anchor=(0, -0.16), ncols=columns, frameon=False, fontsize=8, handlelength=1.4,
        columnspacing=1.2, borderaxespad=0.4, **entries,
    )  # fmt: skip
