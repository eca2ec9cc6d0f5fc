#!/usr/bin/env python3
"""Draw the README's picture from a run: the pods of a rolling update over time.

python tools/draw_rolling_update.py        # writes docs/rolling-update.svg
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

import k8sim

ROOT = Path(__file__).parent.parent
SCENARIO = ROOT / "scenarios" / "web-rolling-update.yaml"
TARGET = ROOT / "docs" / "rolling-update.svg"
STATES = {"Pending": "#d9d9d9", "Running, not Ready": "#fdbf6f", "Ready": "#33a02c", "Terminating": "#e31a1c"}
PALE = 0.45
"""Opacity of Ready pods of the old revision."""


def spans(pods: pd.DataFrame, end_s: float) -> list[tuple[str, float, float, str, int]]:
    """Return (pod, from, to, state, revision) of all pods."""
    found = []
    for (name, _), events in pods.groupby(["name", "inc"], sort=False):
        since, state, revision = 0.0, "", 1
        for time_s, event, detail in zip(events["time_s"], events["event"], events["detail"], strict=True):
            revision = detail.get("revision", revision)
            new = {
                "Created": "Pending", "Started": "Running, not Ready", "Ready": "Ready", "Terminating": "Terminating",
                "Deleted": "",
            }.get(event)  # fmt: skip
            if new is None or (state == "Terminating" and new):
                continue
            if state:
                found.append((str(name), since, float(time_s), state, revision))
            since, state = float(time_s), new
        if state:
            found.append((str(name), since, end_s, state, revision))
    return found


def draw(axes: Axes, result: Any) -> None:
    """Draw one lane for each pod name."""
    pods = result.trace[result.trace["kind"] == "Pod"]
    pods = pods.assign(inc=[d["inc"] for d in pods["detail"]])
    end_s = 90.0
    lanes = sorted(set(pods["name"]), reverse=True)
    for name, start, stop, state, revision in spans(pods, end_s):
        bar = (start, min(stop, end_s) - start)
        lane = (lanes.index(name) - 0.35, 0.7)
        alpha = PALE if state == "Ready" and revision == 1 else 1.0
        axes.broken_barh([bar], lane, facecolor=STATES[state], alpha=alpha, linewidth=0)
    axes.axvline(60, color="black", linewidth=0.8, linestyle=":")
    axes.text(59.5, len(lanes) - 0.45, "kubectl set image", ha="right", va="bottom", fontsize=8, family="monospace")
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_xlim(0, end_s)
    axes.set_ylim(-0.5, len(lanes) - 0.1)
    axes.set_xlabel("simulated seconds")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    legend = [Patch(facecolor=colour, label=state) for state, colour in STATES.items() if state != "Ready"]
    legend.insert(2, Patch(facecolor=STATES["Ready"], alpha=PALE, label="Ready, old image"))
    legend.insert(3, Patch(facecolor=STATES["Ready"], label="Ready, new image"))
    axes.legend(handles=legend, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.3), frameon=False, fontsize=8)


def main() -> None:
    """Run the scenario and write the picture; the same bytes every time."""
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "k8sim", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8.2, 2.2))
    draw(axes, k8sim.run(SCENARIO))
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
