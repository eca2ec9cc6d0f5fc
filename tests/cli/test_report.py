"""`k8sim report`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_page_of_a_scenario(k8sim: Run, scenario: Path) -> None:
    target = scenario.parent / "out" / "report.html"
    result = k8sim("report", scenario, "-o", target)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    html = target.read_text("utf-8")
    assert html.startswith("<!doctype html>")
    assert "web-0 was away for" in html
    assert "ServiceAccount" in html  # not simulated


def test_a_page_of_results_is_that_of_their_scenario_and_seed(k8sim: Run, scenario: Path) -> None:
    results, a, b = (scenario.parent / name for name in ("results", "a.html", "b.html"))
    assert k8sim("run", scenario, "--seed", 3, "-o", results).exit_code == 0
    assert k8sim("report", results / "small", "-o", a).exit_code == 0
    k8sim("report", scenario, "--seed", 3, "-o", b)
    assert a.read_bytes() == b.read_bytes()


def test_results_of_many_runs_are_read_not_run_again(k8sim: Run, scenario: Path) -> None:
    results, target = scenario.parent / "results", scenario.parent / "report.html"
    assert k8sim("run", scenario, "--replicates", 3, "-o", results).exit_code == 0
    before = sorted((p, p.stat().st_mtime_ns) for p in (results / "small").rglob("*.parquet"))
    assert k8sim("report", results / "small", "-o", target).exit_code == 0
    assert before == sorted((p, p.stat().st_mtime_ns) for p in (results / "small").rglob("*.parquet"))
    assert "3 replicates" in target.read_text("utf-8")


def test_markdown_and_perfetto_go_to_stdout(k8sim: Run, scenario: Path) -> None:
    assert k8sim("report", scenario, "--format", "markdown").stdout.startswith("## small\n")
    assert json.loads(k8sim("report", scenario, "-f", "perfetto").stdout)["traceEvents"]


def test_mistakes_are_told(k8sim: Run, scenario: Path, tmp_path: Path) -> None:
    without_a_file = k8sim("report", scenario)
    assert without_a_file.exit_code == 2
    assert "-o report.html" in without_a_file.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert k8sim("report", empty, "-o", tmp_path / "x.html").exit_code == 2
    assert not (tmp_path / "x.html").exists()
