#!/usr/bin/env python3
"""Write the lists with which pages end: of guarantees into docs/guarantees.md, of lint's rules into docs/lint.md."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from k8sim.lint.formats import rules_markdown
from k8sim.report.guarantees import guarantees_markdown

DOCS: Final = Path(__file__).parents[1] / "docs"
LISTS: Final = (
    ("guarantees.md", "## The list\n\n", guarantees_markdown),
    ("lint.md", "## The rules\n\n", rules_markdown),
)


def main() -> None:
    """Write what comes after a heading anew."""
    for name, heading, markdown in LISTS:
        page = DOCS / name
        text = page.read_text("utf-8")
        page.write_text(text[: text.index(heading)] + heading + markdown(), "utf-8")


if __name__ == "__main__":
    main()
