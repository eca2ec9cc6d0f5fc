"""Verdicts for CI systems: JUnit XML and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree as ET

from k8sim.runner.batch import Batch
from k8sim.runner.objectives import Judgement


def as_junit(batches: Iterable[Batch]) -> bytes:
    """Return JUnit XML: a suite for each scenario, a case for each objective of each variant; undecided is skipped."""
    root = ET.Element("testsuites", name="k8sim")
    for batch in batches:
        judgements = batch.judgements()
        failed = [j for j in judgements if j.verdict in ("fail", "not measured")]
        undecided = [j for j in judgements if j.verdict == "undecided"]
        suite = ET.SubElement(
            root, "testsuite", name=batch.name, tests=str(len(judgements)), failures=str(len(failed)),
            skipped=str(len(undecided)), errors="0",
        )  # fmt: skip
        for j in judgements:
            variant = f" [{j.variant}]" if j.variant else ""
            case = ET.SubElement(suite, "testcase", classname=batch.name, name=f"{j.objective.text}{variant}")
            if j in failed:
                ET.SubElement(case, "failure", message=_said(j)).text = _said(j)
            elif j in undecided:
                ET.SubElement(case, "skipped", message=f"undecided: {_said(j)}")
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def as_markdown(batches: Iterable[Batch]) -> str:
    """Return a summary in Markdown: verdicts, then figures."""
    parts = []
    for batch in batches:
        parts.append(f"## {batch.name}\n\nSeed {batch.seed}, {batch.replicates} replicates.\n")
        judgements = batch.judgements()
        if judgements:
            rows = [
                [_cell(j.objective.text), _cell(j.variant or "-"), _said(j), f"**{j.verdict}**"] for j in judgements
            ]
            parts.append(_table(["objective", "variant", "figure", "verdict"], rows))
        parts.append(_table(["metric", "variant", "mean", "95 % interval", "p99"], list(_figures(batch))))
    return "\n".join(parts)


def _figures(batch: Batch) -> Iterator[list[str]]:
    for result in batch.results:
        for name, series in result.series.items():
            mean, p99 = series.mean(), series.quantile(0.99).value
            interval = f"{mean.low:.6g} to {mean.high:.6g}"
            yield [name, _cell(result.variant.label or "-"), f"{mean.value:.6g}", interval, f"{p99:.6g}"]


def _said(judgement: Judgement) -> str:
    estimate = judgement.estimate
    if estimate is None:
        return f"{judgement.objective.metric} was not measured"
    return (
        f"{estimate.value:.6g}, {estimate.confidence:.0%} interval {estimate.low:.6g} to {estimate.high:.6g} "
        f"from {estimate.n} runs"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
