from __future__ import annotations

from pathlib import Path

from k8sim.report.guarantees import guarantees_markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_lists_all_guarantees() -> None:
    assert (DOCS / "guarantees.md").read_text().endswith(guarantees_markdown()), "run python tools/guarantees.py"
