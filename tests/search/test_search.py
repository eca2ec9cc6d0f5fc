"""The search rediscovers, from plain manifests and without hints, what operators of real clusters have run into."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.guarantees import check
from k8sim.scenario import load, loads
from k8sim.search import Space, scenario_file, search, timeline_lines, why

CASES = Path(__file__).parent / "cases"
# (file, guarantee and reason, runs that are enough, most steps of the smallest history)
KNOWN = [
    ("database", "drain-ends:budget", 150, 2),
    ("database", "rollback-rolls-back:order", 300, 2),
    ("database", "unique-identity:forced deletion on a silent node", 100, 2),
    ("parallel", "majority-stays-ready:a rolling update", 100, 2),
    ("zonal-spread", "settles:unschedulable", 150, 1),
    ("cold-start", "settles:never ready", 1, 0),
    ("single-writer", "acknowledged-writes-kept:unflushed", 60, 1),
]
QUICK = {"cold-start", "single-writer"}


@pytest.mark.parametrize(
    ("name", "wanted", "budget", "steps"),
    [pytest.param(*k, id=f"{k[0]}, {k[1]}", marks=[] if k[0] in QUICK else [pytest.mark.slow]) for k in KNOWN],
)
def test_rediscovers(name: str, wanted: str, budget: int, steps: int) -> None:
    path = CASES / f"{name}.yaml"
    report = search(load(path), budget, wanted=[wanted])
    assert [c.signature.names[1] for c in report.counterexamples] == [wanted], f"{report.runs} runs"
    example = report.counterexamples[0]
    assert len(example.scenario.timeline) <= steps, timeline_lines(example.scenario)
    assert any(example.finding.subject in line for line in why(example))
    text = scenario_file(example, path.read_text())
    findings = check(Cluster(loads(text, folder=CASES)).run()).findings
    assert wanted in {f"{f.guarantee.name}:{f.excuse}" for f in findings}, text


def test_says_how_much_it_tried_when_it_finds_nothing() -> None:
    report = search(load(CASES / "database.yaml"), 3, wanted=["single-attach"])
    assert report.counterexamples == []
    assert (report.runs, report.histories, report.shrinking) == (3, 3, 0)
    assert report.kinds == len(Space(load(CASES / "database.yaml")).kinds)


def test_a_search_is_the_same_each_time() -> None:
    scenario = load(CASES / "database.yaml")
    once, again = (search(scenario, 12, seed=3) for _ in range(2))
    assert [timeline_lines(c.scenario) for c in once.counterexamples] == [
        timeline_lines(c.scenario) for c in again.counterexamples
    ]


def test_objectives_are_looked_for_too(tmp_path: Path) -> None:
    text = (CASES / "database.yaml").read_text().replace("duration: 10m", "duration: 10m\n  objectives: [db.pods < 4]")
    report = search(loads(text), 30, wanted=["db.pods < 4"])
    assert report.counterexamples[0].finding.guarantee.name == "db.pods < 4"
