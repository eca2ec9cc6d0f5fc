"""The report as Markdown, for pull requests: the same facts, without pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from k8sim.report.explain import folded, label_of, what_words
from k8sim.report.phases import Episode
from k8sim.report.story import Sheet, story
from k8sim.report.summary import duration

if TYPE_CHECKING:
    from k8sim.result import Result
    from k8sim.runner.batch import Batch

BAR: Final = 24
WATERFALLS_MAX: Final = 5
_MARK: Final = {"pass": "✅ pass", "fail": "❌ fail", "undecided": "❔ undecided"}


def markdown(result: Result, batch: Batch | None = None) -> str:
    """Return the report; long parts are folded."""
    told = story(result, batch)
    lines = [f"## {_cell(told.name)}", ""]
    if told.question:
        lines += [f"> {_cell(told.question)}", ""]
    lines += [f"* {_cell(answer)}" for answer in told.answer]
    lines += [f"* **Still:** {_cell(text)}" for text in told.lasting]
    lines.append("")
    if told.verdicts:
        rows = [(v.objective, v.variant, v.found, _MARK.get(v.verdict, v.verdict)) for v in told.verdicts]
        lines += _table(Sheet("", ("objective", "variant", "found", "verdict"), rows))
    longest = sorted(told.outages, key=lambda e: -e.length_ns(told.end_ns))[:WATERFALLS_MAX]
    for episode in longest:
        lines += [f"### {_cell(episode.name)}, phase by phase", "", *_waterfall(episode, told.end_ns)]
    for sheet in told.sheets:
        lines += [f"<details><summary>{_cell(sheet.title)} ({len(sheet.rows)})</summary>", "", *_table(sheet)]
        lines += ["</details>", ""]
    lines.append(" · ".join(f"{key}: {f'`{value}`' if key == 'again' else value}" for key, value in told.about))
    return "\n".join(lines) + "\n"


def _waterfall(episode: Episode, end_ns: int) -> list[str]:
    total = max(episode.length_ns(end_ns), 1)
    rows = []
    for p in folded(episode, end_ns):
        length = max(1, round(BAR * p.length_ns(end_ns) / total))
        left = min(BAR * (p.start_ns - episode.start_ns) // total, BAR - 1)
        bar = "·" * left + "█" * min(length, BAR - left)
        rows.append(
            (
                duration(p.start_ns),
                duration(p.length_ns(end_ns)),
                f"`{bar:·<{BAR}}`",
                label_of(p),
                what_words(p),
            )
        )
    return _table(Sheet("", ("at", "for", "", "phase", "what"), rows))


def _table(sheet: Sheet) -> list[str]:
    head = f"| {' | '.join(sheet.head)} |"
    rule = f"|{' --- |' * len(sheet.head)}"
    return [head, rule, *(f"| {' | '.join(map(_cell, row))} |" for row in sheet.rows), ""]


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
