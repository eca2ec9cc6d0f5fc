"""What a report tells, as plain data: the question, the answer, tables; the same for the page and for Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from k8sim.report.explain import headline, open_words, still_open
from k8sim.report.outages import episodes
from k8sim.report.phases import Episode
from k8sim.report.readiness import Workload, readiness
from k8sim.report.summary import duration, first_line, step_text

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.runner.batch import Batch

ANSWERS_MAX: Final = 8
COMPARED: Final = ("availability", "downtime_s", "outages", "short_s", "ready_s")


@dataclass(frozen=True)
class Sheet:
    """A table with a title; ``note`` says what a reader should know before using it."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """An objective, what was found, and whether that is enough: "pass", "fail", "undecided"."""

    objective: str
    variant: str
    found: str
    verdict: str


@dataclass(frozen=True)
class Story:
    """Everything a report says about a run and about the replicates beside it.

    Attributes
    ----------
    question, answer
        What the scenario asks (its description), and sentences that answer it.
    lasting
        Why what has not ended does not end.
    outages
        The outages, in order.
    """

    name: str
    question: str
    answer: list[str]
    lasting: list[str]
    outages: list[Episode]
    verdicts: list[Verdict]
    sheets: list[Sheet]
    about: list[tuple[str, str]]
    end_ns: int


def story(result: Result, batch: Batch | None = None) -> Story:
    """Gather what there is to say about a run, and about many replicates if there are any."""
    scenario, end_ns = result.scenario, result.scenario.duration_ns
    found = episodes(result)
    outages = [e for e in found if e.kind == "outage" or e.end_ns is None]
    workloads = [w for w in readiness(result.history, end_ns) if w.identities]
    sheets = [_workloads(workloads, end_ns), _outages(outages, end_ns)]
    if scenario.timeline:
        sheets.append(_steps(result))
    if batch is not None:
        sheets += _figures(batch)
    if scenario.not_simulated:
        rows = [(item.what, item.why, str(item.source)) for item in scenario.not_simulated]
        note = "Accepted and without effect, or with an assumed one."
        sheets.append(Sheet("Not simulated", ("what", "why", "where"), rows, note))
    lasting = [open_words(item, end_ns) for item in still_open(result, outages)]
    return Story(
        name=scenario.name,
        question=" ".join(scenario.description.split()),
        answer=list(_answer(workloads, outages, end_ns)),
        lasting=lasting,
        outages=outages,
        verdicts=_verdicts(batch),
        sheets=[s for s in sheets if s.rows],
        about=_about(result, batch),
        end_ns=end_ns,
    )


def _answer(workloads: list[Workload], outages: list[Episode], end_ns: int) -> Iterator[str]:
    longest = sorted(outages, key=lambda e: -e.length_ns(end_ns))[:ANSWERS_MAX]
    for episode in longest:
        yield headline(episode, end_ns)
    if len(outages) > len(longest):
        yield f"{len(outages) - len(longest)} shorter outages are in the table"
    if not outages:
        yield "No pod was away"
    for w in workloads:
        if w.sized and not w.deleted:
            short = f"; fewer than before for {duration(w.short_ns)}, at worst {w.worst}" if w.short_ns else ""
            yield f"{w.kind} {w.name} ends with {w.ready} of {w.desired} pods Ready{short}"


def _workloads(workloads: list[Workload], end_ns: int) -> Sheet:
    rows = []
    for w in workloads:
        for identity in w.identities.values():
            lengths = [a.length_ns(end_ns) for a in identity.absences]
            if w.kind not in ("StatefulSet", "Pod") and not lengths and not identity.restarts:
                continue
            first = identity.first_ready_ns
            rows.append((
                f"{w.kind} {w.name}".strip() if w.kind != "Pod" else "no controller", identity.name,
                str(identity.made), str(identity.restarts), "never" if first is None else duration(first),
                duration(sum(lengths)), duration(max(lengths, default=0)), identity.state,
            ))  # fmt: skip
    note = "Away as the API server saw it: from losing Ready or being deleted until Ready again."
    head = ("workload", "pod", "made", "restarts", "first Ready after", "away", "longest", "at the end")
    return Sheet("Pods", head, rows, note)


def _outages(outages: list[Episode], end_ns: int) -> Sheet:
    rows = [
        (
            e.name, duration(e.start_ns), "not by the end" if e.end_ns is None else duration(e.end_ns),
            duration(e.length_ns(end_ns)), e.cause or (e.phases[0].text if e.phases else ""),
        )
        for e in outages
    ]  # fmt: skip
    note = "From the moment a pod can no longer work until it is Ready again, whether or not anybody knew."
    return Sheet("Outages", ("pod", "from", "to", "length", "because"), rows, note)


def _steps(result: Result) -> Sheet:
    done = {row.detail["step"]: row for row in result.log if row.kind == "Command" and row.event == "Done"}
    rows = []
    for index, step in enumerate(result.scenario.timeline):
        row = done.get(index)
        code = "still running" if row is None else str(row.detail.get("code", 0))
        said = "" if row is None else first_line(str(row.detail.get("out", "")))
        rows.append((duration(step.at_ns), step_text(step), code, said))
    return Sheet("Timeline", ("at", "step", "exit code", "said"), rows)


def _figures(batch: Batch) -> Iterator[Sheet]:
    rows: list[tuple[str, ...]] = []
    for _, row in batch.estimates().iterrows():
        if row["n"]:
            interval = f"{_number(row['low'])} to {_number(row['high'])}"
            rows.append((
                str(row["variant"]) or "-", str(row["metric"]), _number(row["mean"]), interval,
                _number(row["median"]), _number(row["p99"]), str(row["n"]),
            ))  # fmt: skip
    head = ("variant", "metric", "mean", "95 % interval", "median", "99th percentile", "runs")
    yield Sheet(f"{batch.replicates} replicates", head, rows, "The interval is that of the mean.")
    if len(batch.results) > 1 and batch.replicates > 1:
        rows = []
        for metric in batch.metrics():
            if metric.rpartition(".")[2] in COMPARED and metric in batch.results[0].series:
                for label, pair in batch.differences(metric):
                    e = pair.estimate
                    rows.append((metric, label, _number(e.value), f"{_number(e.low)} to {_number(e.high)}"))
        base = batch.results[0].variant.label
        note = f"Each replicate against the same chance under {base}."
        yield Sheet("Differences", ("metric", "variant", "difference of the mean", "95 % interval"), rows, note)


def _verdicts(batch: Batch | None) -> list[Verdict]:
    if batch is None:
        return []
    found = []
    for j in batch.judgements():
        e = j.estimate
        figure = "-" if e is None else f"{_number(e.value)} ({_number(e.low)} to {_number(e.high)})"
        found.append(Verdict(j.objective.text, j.variant, figure, j.verdict))
    return found


def _about(result: Result, batch: Batch | None) -> list[tuple[str, str]]:
    from k8sim import KUBERNETES_VERSION, __version__

    scenario = result.scenario
    facts = [("k8sim", __version__), ("rules of Kubernetes", KUBERNETES_VERSION), ("seed", str(result.seed))]
    if result.replicate:
        facts.append(("replicate shown", str(result.replicate)))
    if batch is not None:
        facts.append(("replicates", str(batch.replicates)))
    facts.append(("simulated", duration(scenario.duration_ns)))
    if scenario.path:
        again = f" --replicate {result.replicate}" if result.replicate else ""
        facts.append(("again", f"k8sim report {shlex.quote(scenario.path)} --seed {result.seed}{again} -o report.html"))
    return facts


def _number(value: float) -> str:
    if value != value:
        return "-"
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.3e}"
