from __future__ import annotations

import pytest

from k8sim.lint import RULES
from k8sim.lint.formats import rules_markdown
from tests.docs.readme import ROOT, blocks

DOCS = ROOT / "docs"


def test_the_page_lists_all_rules() -> None:
    assert (DOCS / "lint.md").read_text().endswith(rules_markdown()), "run python tools/lists.py"


def test_names_are_different_and_say_everything() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.source.startswith("https://")
        assert "|" not in rule.looks_for + rule.tries


def test_its_python_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    [block] = [block for block in blocks(DOCS / "lint.md") if block.language == "python"]
    exec(compile(block.text, f"docs/lint.md:{block.line}", "exec"), {"__name__": "docs"})
    assert "grace-too-short.yaml:32 grace-too-short SIGTERM" in capsys.readouterr().out
