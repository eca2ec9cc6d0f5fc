"""The report as one HTML page that works offline: data, style, script and figures are all inside."""

from __future__ import annotations

import io
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from k8sim.report.explain import sentence, what_words
from k8sim.report.palette import FAMILIES
from k8sim.report.phases import FAMILIES as FAMILY_WORDS
from k8sim.report.phases import PHASES, Episode
from k8sim.report.story import story
from k8sim.report.summary import duration
from k8sim.report.timeline import timeline_data

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.runner.batch import Batch

WATERFALLS_MAX: Final = 30
DISTRIBUTIONS_MAX: Final = 8
_FIRST: Final = ("downtime_s", "short_s", "longest_outage_s", "availability", "ready_s", "restarts")


def page(result: Result, batch: Batch | None = None) -> str:
    """Return the whole page.

    Parameters
    ----------
    result
        The run whose timeline is shown.
    batch
        Replicates of the same scenario, for distributions, intervals and verdicts.
    """
    told = story(result, batch)
    folder = files("k8sim.report").joinpath("templates")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(folder.joinpath("report.html.j2").read_text("utf-8"))
    longest = sorted(told.outages, key=lambda e: -e.length_ns(told.end_ns))[:WATERFALLS_MAX]
    return template.render(
        story=told,
        style=Markup(folder.joinpath("report.css").read_text("utf-8")),
        script=Markup(folder.joinpath("report.js").read_text("utf-8")),
        data=Markup(_embedded(timeline_data(result))),
        waterfalls=[_waterfall(e, told.end_ns) for e in longest],
        families=[(FAMILIES[family], words) for family, words in FAMILY_WORDS.items()],
        figures=[Markup(svg) for svg in _distributions(batch)],
    )


def _embedded(data: object) -> str:
    """Return JSON that may stand inside a script element."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _waterfall(episode: Episode, end_ns: int) -> dict[str, Any]:
    total = max(episode.length_ns(end_ns), 1)
    return {
        "name": episode.name,
        "sentence": sentence(episode, end_ns),
        "phases": [
            {
                "at": duration(p.start_ns), "took": duration(p.length_ns(end_ns)), "label": PHASES[p.name].label,
                "text": what_words(p), "colour": FAMILIES[PHASES[p.name].family],
                "left": round(100 * (p.start_ns - episode.start_ns) / total, 2),
                "width": round(100 * p.length_ns(end_ns) / total, 2),
            }
            for p in episode.phases
        ],
    }  # fmt: skip


def _distributions(batch: Batch | None) -> list[str]:
    if batch is None or batch.replicates < 2:
        return []
    import numpy as np

    found = []
    for metric, series in batch.results[0].series.items():
        values = series.values[~np.isnan(series.values)]
        if len(np.unique(values)) > 1:
            last = metric.rpartition(".")[2]
            found.append((_FIRST.index(last) if last in _FIRST else len(_FIRST), metric))
    return [_drawn(batch, metric) for _, metric in sorted(found)[:DISTRIBUTIONS_MAX]]


def _drawn(batch: Batch, metric: str) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from k8sim.report.figures import distribution

    name, unit = (metric.removesuffix("_s"), "s") if metric.endswith("_s") else (metric, "")
    with rc_context({"svg.hashsalt": metric, "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 3), layout="constrained")
        distribution(batch.results[0].series[metric].values, figure.add_subplot(), name.replace("_", " "), unit)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    svg = target.getvalue()
    return svg[svg.index("<svg") :]
