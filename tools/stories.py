#!/usr/bin/env python3
"""Let the search rediscover known stories from plain manifests, and write what that took into docs/testing.md."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from k8sim.scenario import load
from k8sim.scenario.model import Scenario
from k8sim.search import search, timeline_lines

ROOT: Final = Path(__file__).parents[1]
CASES: Final = ROOT / "tests" / "search" / "cases"
PAGE: Final = ROOT / "docs" / "testing.md"
HEADER: Final = (
    "| story | manifests | found as | runs | runs to make it small | CPU | what is left |\n" + "| --- " * 7 + "|"
)


class Story(NamedTuple):
    """What operators of real clusters have run into.

    Parameters
    ----------
    file
        The manifests, in tests/search/cases; the search is told nothing else.
    wanted
        The guarantee that is broken, and why.
    budget
        Runs that are enough.
    steps
        Most steps of the smallest history.
    replicas, nodes
        Most that are left in the smallest scenario.
    """

    title: str
    file: str
    wanted: str
    budget: int
    steps: int
    replicas: int
    nodes: int


STORIES: Final = (
    Story("a budget blocks a drain for ever", "database", "drain-ends:budget", 150, 2, 2, 3),
    Story("a rollback gets stuck", "database", "rollback-rolls-back:order", 300, 2, 1, 1),
    Story(
        "two pods with one identity after a forced delete under a partition", "database",
        "unique-identity:forced deletion on a silent node", 150, 2, 3, 3,
    ),
    Story(
        "a parallel set loses its quorum to updates", "parallel", "majority-stays-ready:a rolling update", 100, 2, 3, 1
    ),
    Story("spread and zonal volumes deadlock", "zonal-spread", "settles:unschedulable", 250, 1, 5, 3),
    Story("a cold start deadlocks", "cold-start", "settles:never ready", 1, 0, 3, 1),
    Story("unflushed writes are lost", "single-writer", "acknowledged-writes-kept:unflushed", 60, 1, 1, 1),
    Story("two leaders while the network is split", "sentinel", "one-leader:split brain", 100, 1, 3, 3),
)  # fmt: skip


def replicas_of(scenario: Scenario) -> int:
    """Return how many pods the scenario's StatefulSets want: the stories have no others."""
    return sum((m.get("spec") or {}).get("replicas", 1) for m in scenario.objects if m["kind"] == "StatefulSet")


def nodes_of(scenario: Scenario) -> int:
    """Return how many nodes the scenario has."""
    return len(scenario.node_manifests())


def row(story: Story) -> str:
    """Search for a story and return its row of the table."""
    began = time.process_time()
    report = search(load(CASES / f"{story.file}.yaml"), story.budget, wanted=[story.wanted])
    took = time.process_time() - began
    if not report.counterexamples:
        raise SystemExit(f"{story.title}: not found in {report.runs} runs")
    scenario = report.counterexamples[0].scenario
    history = "; ".join(f"`{line}`" for line in timeline_lines(scenario)) or "nothing was done"
    left = f"{replicas_of(scenario)} pods, {nodes_of(scenario)} nodes: {history}"
    cells = (story.title, f"`{story.file}`", f"`{story.wanted}`", report.runs, report.shrinking, f"{took:.1f} s", left)
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Rewrite the table."""
    table = "\n".join([HEADER, *(row(story) for story in STORIES)])
    text = PAGE.read_text("utf-8")
    text = re.sub(r"^\| story \|.*?(?=\n\n|\Z)", lambda _: table, text, count=1, flags=re.MULTILINE | re.DOTALL)
    PAGE.write_text(text.rstrip("\n") + "\n", "utf-8")


if __name__ == "__main__":
    main()
