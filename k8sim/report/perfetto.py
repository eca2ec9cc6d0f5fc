"""The timeline in Chrome's trace format, which the Perfetto viewer (ui.perfetto.dev) and chrome://tracing open.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU: complete events ("X") on tracks, which
are threads ("tid") of processes ("pid"), instants ("i") and counters ("C"); times are in µs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from k8sim.report.outages import episodes
from k8sim.report.phases import PHASES
from k8sim.report.timeline import timeline_data
from k8sim.sim.units import MICROSECOND

if TYPE_CHECKING:
    from k8sim.result import Result

_US_PER_S: Final = 1_000_000


def perfetto(result: Result) -> str:
    """Return the trace as JSON: a process a group of lanes, a thread a lane."""
    events = [*_lanes(result), *_outages(result)]
    about = {"scenario": result.scenario.name, "seed": result.seed, "replicate": result.replicate}
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}, separators=(",", ":"))


def _lanes(result: Result) -> Iterator[dict[str, Any]]:
    data = timeline_data(result)
    for pid, group in enumerate(data["groups"], start=2):
        yield _named("process_name", group["title"], pid)
        for tid, lane in enumerate(group["lanes"], start=1):
            if group["type"] == "steps":
                for t, value in lane["points"]:
                    name = f"{lane['kind']} {lane['label']}"
                    yield {"ph": "C", "pid": pid, "name": name, "ts": _us(t), "args": {group["title"]: value}}
                continue
            yield _named("thread_name", lane["label"], pid, tid)
            for span in lane["spans"]:
                about = {key: span[short] for key, short in (("incarnation", "n"), ("where", "o")) if short in span}
                yield _span(pid, tid, span["k"], _us(span["s"]), _us(span["e"]) - _us(span["s"]), about)
    for event in data["events"]:
        yield {"ph": "i", "s": "g", "pid": 1, "tid": 0, "name": event["text"], "ts": _us(event["t"])}


def _outages(result: Result) -> Iterator[dict[str, Any]]:
    end_ns = result.scenario.duration_ns
    yield _named("process_name", "Outages and starts, phase by phase", 1)
    threads: dict[tuple[str, str], int] = {}
    for episode in episodes(result):
        key = (episode.namespace, episode.name)
        if key not in threads:
            threads[key] = len(threads) + 1
            yield _named("thread_name", episode.name, 1, threads[key])
        start, length = episode.start_ns // MICROSECOND, episode.length_ns(end_ns) // MICROSECOND
        yield _span(1, threads[key], episode.kind, start, length, {"because": episode.cause})
        for phase in episode.phases:
            begin, took = phase.start_ns // MICROSECOND, phase.length_ns(end_ns) // MICROSECOND
            yield _span(1, threads[key], PHASES[phase.name].label, begin, took, {"what": phase.text})


def _span(pid: int, tid: int, name: str, ts: int, dur: int, args: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "X", "pid": pid, "tid": tid, "name": name, "ts": ts, "dur": dur, "args": args}


def _named(what: str, name: str, pid: int, tid: int = 0) -> dict[str, Any]:
    return {"ph": "M", "pid": pid, "tid": tid, "name": what, "args": {"name": name}}


def _us(seconds: float) -> int:
    return round(seconds * _US_PER_S)
