"""The search rediscovers, from plain manifests and without hints, what operators of real clusters have run into."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.faults.catalogue import FAULTS
from k8sim.guarantees import check
from k8sim.scenario import load, loads
from k8sim.search import Space, scenario_file, search, timeline_lines, why
from tools.stories import CASES, PAGE, STORIES, Story, nodes_of, replicas_of

QUICK = {"cold-start", "single-writer", "sentinel"}


@pytest.mark.parametrize(
    "story", [pytest.param(s, id=s.title, marks=[] if s.file in QUICK else [pytest.mark.slow]) for s in STORIES]
)
def test_rediscovers(story: Story) -> None:
    path = CASES / f"{story.file}.yaml"
    report = search(load(path), story.budget, wanted=[story.wanted])
    assert [c.signature.names[1] for c in report.counterexamples] == [story.wanted], f"{report.runs} runs"
    example = report.counterexamples[0]
    assert len(example.scenario.timeline) <= story.steps, timeline_lines(example.scenario)
    assert (replicas_of(example.scenario), nodes_of(example.scenario)) <= (story.replicas, story.nodes)
    assert any(example.finding.subject in line for line in why(example))
    text = scenario_file(example, path.read_text())
    replayed = loads(text, folder=CASES)
    assert (replicas_of(replayed), nodes_of(replayed)) <= (story.replicas, story.nodes)
    findings = check(Cluster(replayed).run()).findings
    assert story.wanted in {f"{f.guarantee.name}:{f.excuse}" for f in findings}, text


def test_the_page_has_a_row_for_each_story() -> None:
    """Run tools/stories.py when the search has become another one."""
    table = PAGE.read_text().partition("| story |")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert [(r[0].removeprefix("| "), r[1], r[2]) for r in rows] == [
        (s.title, f"`{s.file}`", f"`{s.wanted}`") for s in STORIES
    ]
    assert all(int(r[3]) <= s.budget for r, s in zip(rows, STORIES, strict=True))


def test_says_how_much_it_tried_when_it_finds_nothing() -> None:
    report = search(load(CASES / "database.yaml"), 3, wanted=["single-attach"])
    assert report.counterexamples == []
    assert (report.runs, report.histories, report.shrinking) == (3, 3, 0)
    assert report.kinds == len(Space(load(CASES / "database.yaml")).kinds)


def test_members_and_clients_can_be_cut_off_where_there_are_some() -> None:
    assert {"node-isolation", "zone-isolation"} <= set(Space(load(CASES / "sentinel.yaml")).kinds)
    assert not {"node-isolation", "zone-isolation"} & set(Space(load(CASES / "database.yaml")).kinds)
    traffic = "duration: 10m\n  traffic: [{name: users, to: db, rate: 5/s}]"
    clients = loads((CASES / "database.yaml").read_text().replace("duration: 10m", traffic))
    assert "node-isolation" in Space(clients).kinds


def test_all_faults_are_tried_but_those_of_what_is_not_there() -> None:
    static_pods = {"static-pod-change"}
    assert set(FAULTS) - set(Space(load(CASES / "sentinel.yaml")).kinds) == static_pods


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
