"""The data of the interactive timeline: groups of lanes with spans, and what was done to the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from k8sim.report.causes import is_outside, row_words
from k8sim.report.palette import STATES
from k8sim.report.spans import attachment_spans, counts_over_time, node_spans, pod_spans, service_spans
from k8sim.sim.units import SECOND

if TYPE_CHECKING:
    import pandas as pd

    from k8sim.result import Result

MEANING: Final = {
    "pending": "waits for a node", "starting": "on a node, not Ready yet", "ready": "Ready",
    "lost": "its containers are gone, still listed as Ready", "unready": "not Ready any more",
    "terminating": "deleted, not gone yet", "attaching": "being attached", "attached": "attached",
    "detaching": "being detached", "away": "not Ready, or its lease has run out", "cordoned": "takes no new pods",
    "available": "can be used", "unavailable": "cannot be used",
}  # fmt: skip


def timeline_data(result: Result) -> dict[str, Any]:
    """Return what the page draws, ready for JSON: times in s, rounded to ms."""
    end = result.scenario.duration_ns / SECOND
    pods, services = pod_spans(result), service_spans(result)
    groups = [
        _group("Pods, by identity", pods, "name", "node", "on {}"),
        _group("Pods, by node", pods[pods["node"] != ""], "node", "name", "{}"),
        _group("Nodes", node_spans(result), "name", "", ""),
        _group("Claims and where they are attached", attachment_spans(result), "claim", "node", "to {}"),
        _group("Applications", services, "name", "what", "{}"),
    ]
    return {
        "end": end,
        "groups": [g for g in groups if g["lanes"]] + _steps(counts_over_time(result), end),
        "events": [
            {"t": round(row.t / SECOND, 3), "text": row_words(result, row)}
            for row in result.log
            if is_outside(row)
        ],
        "colours": dict(STATES),
        "meaning": MEANING,
    }  # fmt: skip


def _group(title: str, spans: pd.DataFrame, lane: str, other: str, words: str) -> dict[str, Any]:
    lanes: dict[str, list[dict[str, Any]]] = {}
    for span in spans.to_dict("records"):
        entry = {"s": round(span["start_s"], 3), "e": round(span["end_s"], 3), "k": span["state"]}
        about = str(span.get(other, "")) if other else ""
        if about:
            entry["o"] = words.format(about)
        if "inc" in span:
            entry["n"] = span["inc"]
        lanes.setdefault(str(span[lane]), []).append(entry)
    return {"title": title, "type": "spans", "lanes": [{"label": name, "spans": lanes[name]} for name in sorted(lanes)]}


def _steps(counts: pd.DataFrame, end: float) -> list[dict[str, Any]]:
    """Return lanes of numbers: ready pods, endpoints, budgets, copies."""
    titles = {
        "ready": "Ready pods", "ready endpoints": "Ready endpoints", "allowed": "Disruptions allowed by budgets",
        "full copies": "Full copies of the data",
    }  # fmt: skip
    groups = []
    for what, title in titles.items():
        lanes = []
        for (kind, name), group in counts[counts["what"] == what].groupby(["kind", "name"], sort=True):
            points = [[round(float(t), 3), int(v)] for t, v in zip(group["time_s"], group["value"], strict=True)]
            lanes.append({"label": f"{name}", "kind": kind, "points": [*points, [end, points[-1][1]]]})
        if lanes:
            groups.append({"title": title, "type": "steps", "lanes": lanes})
    return groups
