"""How findings are told: to people, to programs, and to what annotates code (SARIF, GitHub)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from k8sim import __version__
from k8sim.lint.evidence import several
from k8sim.lint.linter import Finding, Report
from k8sim.lint.rule import Rule
from k8sim.lint.rules import RULES

Paint = Callable[[str, str], str]
_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}
_GITHUB: Final = {"error": "error", "warning": "warning", "note": "notice"}
SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_text(reports: Iterable[Report], paint: Paint = lambda text, style: text) -> str:
    """Return findings for people, and a closing line that counts them."""
    blocks, findings, workloads, experiments = [], 0, 0, 0
    for report in reports:
        blocks += [_block(finding, paint) for finding in report.findings]
        blocks += [f"{u.source}: {paint('not tried', 'dim')}: {u.subject}: {u.why}" for u in report.untried]
        findings += len(report.findings)
        workloads += report.workloads
        experiments += report.experiments
    found = several(findings, "finding") if findings else "nothing found"
    tried = f"{several(workloads, 'workload')}, {several(experiments, 'experiment')}"
    return "\n\n".join([*blocks, f"{found} ({tried})"]) + "\n"


def _block(finding: Finding, paint: Paint) -> str:
    level = paint(finding.level, _COLOURS[finding.level])
    lines = [f"{finding.source}: {level}: {finding.subject}: {finding.problem} [{finding.rule}]"]
    told = [("tried", finding.tried), ("as is", finding.as_is.text), *(("fix", line) for line in finding.fix)]
    for label, text in (*told, ("fixed", finding.fixed.text)):
        lines.append(f"    {paint(f'{label}:'.ljust(7), 'dim')} {text}")
    return "\n".join(lines)


def as_json(reports: Iterable[Report]) -> str:
    """Return everything as one JSON document."""
    reports = list(reports)
    return _dump(
        {
            "findings": [_finding(f) for report in reports for f in report.findings],
            "untried": [
                {"file": u.source.file, "line": u.source.line, "object": u.subject, "why": u.why}
                for report in reports
                for u in report.untried
            ],
            "workloads": sum(report.workloads for report in reports),
            "experiments": sum(report.experiments for report in reports),
        }
    )


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "level": finding.level,
        "file": finding.source.file,
        "line": finding.source.line,
        "object": finding.subject,
        "problem": finding.problem,
        "tried": finding.tried,
        "asIs": {"amount": finding.as_is.amount, "text": finding.as_is.text},
        "fix": list(finding.fix),
        "fixed": {"amount": finding.fixed.amount, "text": finding.fixed.text},
    }


def as_sarif(reports: Iterable[Report]) -> str:
    """Return SARIF 2.1.0, which code hosts and editors read."""
    findings = [finding for report in reports for finding in report.findings]
    tool = {
        "name": "k8sim lint",
        "version": __version__,
        "rules": [
            {
                "id": rule.name,
                "shortDescription": {"text": sentence(rule.looks_for)},
                "helpUri": rule.source,
                "defaultConfiguration": {"level": rule.level},
            }
            for rule in RULES
        ],
    }
    results = [
        {
            "ruleId": finding.rule,
            "level": finding.level,
            "message": {"text": _message(finding)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": finding.source.file},
                        "region": {"startLine": finding.source.line or 1},
                    }
                }
            ],
        }
        for finding in findings
    ]
    return _dump(
        {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": tool}, "results": results}]}
    )


def as_github(reports: Iterable[Report]) -> str:
    """Return workflow commands of GitHub Actions, a line for each finding, which annotate a pull request.

    Source: docs.github.com, "Workflow commands for GitHub Actions"; %, CR and LF are escaped, in properties : and , too
    """
    lines = []
    for finding in (f for report in reports for f in report.findings):
        place = f"file={_property(finding.source.file)},line={finding.source.line or 1},title={_property(finding.rule)}"
        lines.append(f"::{_GITHUB[finding.level]} {place}::{_data(_message(finding))}\n")
    return "".join(lines)


def _message(finding: Finding) -> str:
    fix = "; ".join(finding.fix)
    return (
        f"{finding.subject}: {finding.problem}.\nTried: {finding.tried}.\nAs is: {finding.as_is.text}.\n"
        f"Fix: {fix}.\nFixed: {finding.fixed.text}."
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


FORMATS: Final[Mapping[str, Callable[[Iterable[Report]], str]]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_github,
}


def sentence(clause: str) -> str:
    """Return a clause with a capital letter and a full stop."""
    return f"{clause[0].upper()}{clause[1:]}."


def rules_text(rules: Iterable[Rule] = RULES) -> str:
    """Return the list of rules for people."""
    return "\n".join(f"{rule.name} ({rule.level})\n    {rule.looks_for}\n    tried: {rule.tries}\n" for rule in rules)


def rules_markdown(rules: Iterable[Rule] = RULES) -> str:
    """Return the table of rules; docs/lint.md ends with it (tools/lists.py writes it)."""
    head = ("| rule | level | looks for | how it is tried | |", "| --- | --- | --- | --- | --- |")
    lines = (f"| `{r.name}` | {r.level} | {r.looks_for} | {r.tries} | [source]({r.source}) |" for r in rules)
    return "\n".join((*head, *lines)) + "\n"
