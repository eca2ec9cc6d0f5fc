"""Write the table of lint's rules into docs/lint.md."""

from pathlib import Path

from k8sim.lint.formats import rules_markdown

PAGE = Path(__file__).parents[1] / "docs" / "lint.md"
HEADING = "## The rules\n\n"

if __name__ == "__main__":
    head, heading, _ = PAGE.read_text().partition(HEADING)
    PAGE.write_text(head + heading + rules_markdown())
