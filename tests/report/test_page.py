"""The report as a page, as Markdown and for Perfetto."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import k8sim
from k8sim.report.markdown import markdown
from k8sim.report.outages import episodes
from k8sim.report.page import page
from k8sim.report.perfetto import perfetto
from k8sim.result import Result
from k8sim.runner.experiment import experiment
from k8sim.sim.units import SECOND

SCENARIO = k8sim.load(Path(__file__).parents[2] / "scenarios" / "db-node-loss.yaml")


@pytest.fixture(scope="module")
def result() -> Result:
    return k8sim.run(SCENARIO)


def embedded(html: str) -> dict:  # type: ignore[type-arg]
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert match is not None
    return json.loads(match[1])  # type: ignore[no-any-return]


def test_the_answer_comes_before_everything_else(result: Result) -> None:
    html = page(result)
    question, answer = html.index("How long is a database pod away"), html.index("<li>db-1 was away for 13m")
    assert question < answer < html.index('id="timeline"') < html.index('id="tables"')
    assert "silver-0 lost power" in html


def test_it_needs_nothing_from_elsewhere(result: Result) -> None:
    html = page(result)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', html)
    assert "url(http" not in html
    assert "@import" not in html


def test_the_same_run_gives_the_same_bytes(result: Result) -> None:
    batch = experiment(replace(SCENARIO, duration_ns=70 * SECOND), 3)
    assert page(result, batch) == page(k8sim.run(SCENARIO), batch)


def test_what_users_write_is_text_and_no_markup() -> None:
    evil = "</script><script>alert(1)</script>"
    step = k8sim.Step.kubectl(5 * SECOND, f"annotate pod db-0 'a={evil}'")
    result = k8sim.run(replace(SCENARIO, description=evil, timeline=(step,), duration_ns=20 * SECOND))
    html = page(result)
    assert evil not in html
    assert html.count("<script") == 2
    assert any(evil in event["text"] for event in embedded(html)["events"])
    assert "<script" not in markdown(result)


def test_the_timeline_has_all_that_changes_over_time(result: Result) -> None:
    groups = {g["title"]: g for g in embedded(page(result))["groups"]}
    assert list(groups) == [
        "Pods, by identity", "Pods, by node", "Nodes", "Claims and where they are attached", "Ready pods",
        "Ready endpoints", "Disruptions allowed by budgets",
    ]  # fmt: skip
    lanes = {lane["label"]: lane["spans"] for lane in groups["Pods, by identity"]["lanes"]}
    assert [s["k"] for s in lanes["db-1"]].count("ready") == 2
    assert groups["Ready pods"]["lanes"][0]["points"][-1] == [1200.0, 3]


def test_a_quiet_run_has_a_page_too() -> None:
    html = page(k8sim.run(replace(SCENARIO, timeline=(), duration_ns=100 * SECOND)))
    assert "No pod was away" in html
    assert 'id="waterfalls"' not in html


def test_what_has_not_ended_says_why() -> None:
    html = page(k8sim.run(replace(SCENARIO, duration_ns=600 * SECOND)))
    assert "Why nothing happens at the end" in html
    assert "is still attached to silver-0" in html


def test_replicates_bring_distributions(result: Result) -> None:
    html = page(result, experiment(replace(SCENARIO, duration_ns=100 * SECOND), 4))
    assert html.count("<figure>") >= 1
    assert "4 replicates" in html


def test_markdown_has_the_same_facts(result: Result) -> None:
    text = markdown(result)
    assert "* db-1 was away for 13m" in text
    assert "| volume held |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_perfetto_gets_a_valid_trace(result: Result) -> None:
    trace = json.loads(perfetto(result))
    events = trace["traceEvents"]
    assert {e["ph"] for e in events} == {"M", "X", "C", "i"}
    for e in events:
        if e["ph"] == "X":
            assert e["dur"] >= 0
            assert isinstance(e["ts"], int)
    (outage,) = (e for e in events if e["ph"] == "X" and e["name"] == "outage")
    (expected,) = (e for e in episodes(result) if e.kind == "outage")
    assert outage["ts"] == expected.start_ns // 1000
    held = [e for e in events if e["ph"] == "X" and e["name"] == "volume held"]
    assert outage["ts"] <= held[0]["ts"]
    assert held[0]["ts"] + held[0]["dur"] <= outage["ts"] + outage["dur"]
    named = {(e["pid"], e["tid"]) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"} <= named
