from __future__ import annotations

from pathlib import Path

from k8sim.lint import RULES
from k8sim.lint.formats import rules_markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_lists_all_rules() -> None:
    assert (DOCS / "lint.md").read_text().endswith(rules_markdown()), "run python tools/lint_rules.py"


def test_names_are_different_and_say_everything() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.source.startswith("https://")
        assert "|" not in rule.looks_for + rule.tries
