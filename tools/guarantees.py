"""Write the list of guarantees into docs/guarantees.md."""

from pathlib import Path

from k8sim.report.guarantees import guarantees_markdown

PAGE = Path(__file__).parents[1] / "docs" / "guarantees.md"
HEADING = "## The list\n\n"

if __name__ == "__main__":
    head, heading, _ = PAGE.read_text().partition(HEADING)
    PAGE.write_text(head + heading + guarantees_markdown())
