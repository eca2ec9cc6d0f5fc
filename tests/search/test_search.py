"""The search rediscovers, from plain manifests and without hints, what operators of real clusters have run into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.faults.catalogue import FAULTS
from k8sim.guarantees import check
from k8sim.scenario import Step, load, loads
from k8sim.search import Space, scenario_file, search, timeline_lines, why
from k8sim.search.search import without_unused
from k8sim.search.space import BROKEN_IMAGES, Chooser
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
    assert set(FAULTS) & static_pods <= set(Space(loads(STATIC)).kinds)


STATIC = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  duration: 10m
  nodes:
    - {name: node, count: 2, staticPods: [{apiVersion: v1, kind: Pod, metadata: {name: etcd}, spec: SPEC}]}
    - {name: other}
""".replace("SPEC", "{containers: [{name: etcd, image: 'registry:5000/etcd:3@sha256:0'}]}")


def test_manifests_on_the_machines_are_changed_where_there_are_some() -> None:
    scenario = loads(STATIC)
    make = Space(scenario).kinds["static-pod-change"]
    drawn = [make(Chooser(seed, "test")).arguments for seed in range(40)]
    assert {(a["node"], a["manifest"]) for a in drawn} == {("node-0", "etcd"), ("node-1", "etcd")}
    tags = ("k8sim-other", "k8sim-missing", "k8sim-unready")
    assert {a.get("image") for a in drawn} == {None, *(f"registry:5000/etcd:{tag}" for tag in tags)}
    missing = next(a for a in drawn if "missing" in a.get("image", ""))
    broken = replace(
        scenario, images=BROKEN_IMAGES, timeline=(Step(0, "fault", name="static-pod-change", arguments=missing),)
    )
    assert [b.pattern for b in without_unused(broken).images] == ["*:k8sim-missing"]
    report = search(scenario, 60)
    assert report.runs == 60
    assert [c.finding for c in report.counterexamples if c.finding.verdict == "violated"] == []


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
