"""How the figures of a batch settled with the number of runs, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Final

from k8sim.report.figures import convergence
from k8sim.runner.batch import Batch

_WIDTH: Final = 7.0
_HEIGHT: Final = 2.4


def convergence_svg(batch: Batch, metrics: Sequence[str]) -> bytes:
    """Return an SVG with one row for each metric of each variant that has values of it."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = [
        (metric, number)
        for metric in dict.fromkeys(metrics)
        for number, result in enumerate(batch.results)
        if metric in result.series and result.series[metric].mean().n > 1
    ]
    with rc_context({"svg.hashsalt": "k8sim", "svg.fonttype": "none"}):
        figure = Figure(figsize=(_WIDTH, _HEIGHT * max(len(rows), 1)), layout="constrained")
        for place, (metric, number) in enumerate(rows, 1):
            axes = figure.add_subplot(len(rows), 1, place)
            convergence(batch.convergence(metric, number), axes, metric)
            axes.set_title(batch.results[number].variant.label, fontsize=8, loc="left")
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue().encode()
