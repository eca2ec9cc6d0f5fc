"""Which guarantees a run kept, for people; and the list of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from k8sim.guarantees import GUARANTEES, Audit, Finding, Guarantee

STYLES: Final = {"violated": "bold red", "not kept, as Kubernetes says": "yellow", "not promised": "cyan"}
SHOWN: Final = 20


def guarantees_view(audit: Audit) -> RenderableType:
    """Return what came of all guarantees in one run: counts, then every finding."""
    counts: dict[str, int] = {}
    for _, verdict, _ in audit.verdicts().values():
        counts[verdict] = counts.get(verdict, 0) + 1
    title = Text("Guarantees", "bold")
    title.append("  " + ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items())), "not bold")
    lines: list[RenderableType] = [title]
    findings = audit.findings
    lines += [_line(finding) for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(Text(f"  and {len(findings) - SHOWN} more", "dim"))
    return Group(*lines)


def _line(finding: Finding) -> Text:
    text = Text.assemble(
        f"  {finding.t_ns / 1e9:.3f}s ",
        (finding.verdict, STYLES.get(finding.verdict, "")),
        f": {finding.guarantee.name}: {finding.subject}: {finding.problem}",
    )
    if finding.excuse:
        why = finding.guarantee.not_kept_under.get(finding.excuse, "")
        text.append(f"\n      {finding.excuse}: {why}", "dim")
    return text


def guarantees_list(guarantees: Iterable[Guarantee] = tuple(GUARANTEES.values())) -> Table:
    """Return a table of guarantees."""
    table = Table("guarantee", "kind", "promise", box=None, pad_edge=False)
    for guarantee in guarantees:
        table.add_row(guarantee.name, guarantee.kind, guarantee.promise)
    return table


def guarantee_view(guarantee: Guarantee) -> RenderableType:
    """Return all that there is to know about one guarantee."""
    head = Text(f"{guarantee.name}  ", "bold").append(guarantee.kind, "not bold dim")
    lines = [head, Text(guarantee.promise), *(Text(f"  {what}: {text}") for what, text in _particulars(guarantee))]
    lines += [Text(f"  not kept under {word}: {why}") for word, why in guarantee.not_kept_under.items()]
    return Group(*lines)


def _particulars(guarantee: Guarantee) -> tuple[tuple[str, str], ...]:
    return (
        ("checked", guarantee.checks),
        ("not checked", guarantee.does_not_check),
        ("source", guarantee.source),
    )


def guarantees_markdown() -> str:
    """Return the list as Markdown; docs/guarantees.md ends with it (tools/lists.py writes it)."""
    parts = []
    for g in GUARANTEES.values():
        lines = [f"### {g.name}", "", f"{g.promise} ({g.kind})", ""]
        lines += [f"* {what.capitalize()}: {text}." for what, text in _particulars(g)]
        lines += [f"* Not kept under **{word}**: {why}." for word, why in g.not_kept_under.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
