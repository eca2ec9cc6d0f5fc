"""Frames of states over time, and the figures that are drawn from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import k8sim
from k8sim.report import figures
from k8sim.report.outages import episodes
from k8sim.report.palette import STATES
from k8sim.report.spans import POD_STATES, attachment_spans, counts_over_time, node_spans, phase_frame, pod_spans
from k8sim.result import Result
from k8sim.runner.statistics import Estimate

mpl.use("Agg")
SCENARIO = Path(__file__).parents[2] / "scenarios" / "db-node-loss.yaml"


@pytest.fixture(scope="module")
def result() -> Result:
    return k8sim.run(SCENARIO)


@pytest.fixture
def ax() -> Iterator[Axes]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(layout="constrained")
    yield axes
    figure.canvas.draw()  # what cannot be laid out fails here
    plt.close(figure)


def test_states_of_a_pod_follow_each_other(result: Result) -> None:
    spans = pod_spans(result)
    db1 = spans[spans["name"] == "db-1"]
    assert list(db1["state"]) == [
        "pending", "starting", "ready", "lost", "unready", "terminating", "pending", "starting", "ready"
    ]  # fmt: skip
    assert (db1["end_s"] > db1["start_s"]).all()
    assert (db1["start_s"].to_numpy()[1:] >= db1["end_s"].to_numpy()[:-1]).all()
    assert set(spans["state"]) <= set(POD_STATES) <= set(STATES)


def test_a_lost_pod_is_still_listed_as_ready(result: Result) -> None:
    spans = pod_spans(result)
    lost = spans[spans["state"] == "lost"].iloc[0]
    ready = [p.name for p in result.objects(at_s=lost["end_s"] - 1, kind="pods") if p.status.conditions]  # type: ignore[attr-defined]
    assert lost["start_s"] == 60
    assert lost["name"] in ready


def test_a_volume_is_attached_to_one_node_at_a_time(result: Result) -> None:
    spans = attachment_spans(result)
    held = spans[(spans["claim"] == "data-db-1") & (spans["state"] == "attached")].sort_values("start_s")
    assert list(held["node"]) == ["silver-0", "bronze-1"] or list(held["node"]) == ["silver-0", "bronze-0"]
    assert held["end_s"].iloc[0] < held["start_s"].iloc[1]


def test_nodes_and_counts(result: Result) -> None:
    nodes = node_spans(result)
    assert list(nodes[nodes["name"] == "silver-0"]["state"]) == ["ready", "away"]
    counts = counts_over_time(result)
    ready = counts[(counts["kind"] == "StatefulSet") & (counts["what"] == "ready")]
    assert list(ready["value"]) == [0, 1, 2, 3, 2, 3]
    endpoints = counts[counts["what"] == "ready endpoints"]
    assert list(endpoints["value"]) == [0, 1, 2, 3, 2, 3]


def test_lanes_are_identities_or_nodes(result: Result, ax: Axes) -> None:
    figures.gantt(pod_spans(result), ax, lane="node")
    assert {t.get_text() for t in ax.get_yticklabels()} == {"bronze-0", "bronze-1", "gold-0", "silver-0"}


def test_pods_that_share_a_node_do_not_hide_each_other(ax: Axes) -> None:
    spans = pd.DataFrame(
        {"name": ["a", "b"], "node": ["n", "n"], "state": ["ready", "ready"], "start_s": [0, 5], "end_s": [9, 9]}
    )
    figures.gantt(spans, ax, lane="node")
    bars = [p.get_y() for c in ax.containers for p in c.patches]  # type: ignore[attr-defined]
    assert len(set(bars)) == 2


def test_the_timeline_numbers_what_was_done(result: Result, ax: Axes) -> None:
    figures.timeline(pod_spans(result), ax, [(60, "power"), (480, "kubectl delete")])
    assert "1: power    2: kubectl delete" in ax.get_title(loc="left")


def test_the_waterfall_has_a_bar_a_phase(result: Result, ax: Axes) -> None:
    found = [e for e in episodes(result) if e.kind == "outage"]
    phases = phase_frame(found, result.scenario.duration_ns)
    figures.waterfall(phases, ax)
    assert len(ax.containers) == len(phases) == len(found[0].phases)
    assert phases["duration_s"].sum() == pytest.approx(phases["end_s"].max() - phases["start_s"].min())


def test_ready_over_time_ends_with_the_run(result: Result, ax: Axes) -> None:
    figures.ready_over_time(counts_over_time(result), ax, end_s=1200)
    assert ax.get_xlim() == (0, 1200)
    assert max(ax.get_lines()[0].get_ydata()) == 3  # type: ignore[arg-type]


def test_a_distribution_says_what_it_leaves_out(ax: Axes) -> None:
    figures.distribution([1.0, 2.0, np.nan, 4.0], ax, "away")
    assert "median 2 s" in [t.get_text() for t in ax.texts]
    assert ax.get_title(loc="right") == "not defined in 1 runs"


def test_a_distribution_of_nothing_is_empty(ax: Axes) -> None:
    figures.distribution([], ax)
    assert not ax.get_lines()


def test_sure_differences_are_full(ax: Axes) -> None:
    sure, open_ = Estimate(-2, -3, -1, 0.95, 9, ""), Estimate(1, -1, 3, 0.95, 9, "")
    figures.comparison(["a", "b"], [sure, open_], ax)
    faces = [line.get_markerfacecolor() for line in ax.get_lines() if line.get_marker() == "o"]
    assert faces[0] != "white"
    assert faces[1] == "white"


def test_a_heat_map_writes_its_numbers(ax: Axes) -> None:
    table = pd.DataFrame([[1.0, np.nan], [1234.5, 2.0]], index=["1", "3"], columns=["a", "b"])
    figures.sweep_heatmap(table, ax, "downtime")
    assert [t.get_text() for t in ax.texts] == ["1", "-", "1,234", "2"]


@pytest.mark.parametrize(("value", "words"), [(0.5, "500 ms"), (12.34, "12.3 s"), (360, "6.0 min")])
def test_times_are_readable(value: float, words: str) -> None:
    assert figures.seconds(value) == words


def test_an_estimate_settles(ax: Axes) -> None:
    steps = [(n, Estimate(5 + 1 / n, 5 - 9 / n, 5 + 9 / n, 0.95, n, "test")) for n in (10, 100, 1000)]
    steps.insert(0, (1, Estimate(7.0, -np.inf, np.inf, 0.95, 1, "none")))
    figures.convergence(steps, ax, "db.short_s")
    line, last = ax.lines
    assert line.get_xdata().tolist() == [1, 10, 100, 1000]
    assert set(last.get_ydata()) == {5.001}
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert np.isfinite(heights).all()
    assert (heights.min(), heights.max()) == pytest.approx((4.1, 5.9))
