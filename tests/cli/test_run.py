"""`k8sim run`: a summary that says what matters, and results in a folder when asked for."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_the_summary_says_what_matters(k8sim: Run, scenario: Path) -> None:
    result = k8sim("run", scenario)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for part in (
        "One pod is deleted and comes back.", "1 of 1 pods Ready at the end", "deleted with kubectl",
        "kubectl delete pod web-9", 'pods "web-9" not found', 'ServiceAccount "settings"',
    ):  # fmt: skip
        assert part in text, part
    assert list(scenario.parent.iterdir()) == [scenario]


def test_results_are_kept_where_asked(k8sim: Run, scenario: Path) -> None:
    out = scenario.parent / "results"
    result = k8sim("run", scenario, "--seed", 5, "-o", out)
    assert sorted(p.name for p in (out / "small").iterdir()) == ["run.json", "summary.txt", "trace.json"]
    assert json.loads((out / "small" / "run.json").read_text())["seed"] == 5
    assert "web-0" in (out / "small" / "summary.txt").read_text()
    assert f"{out / 'small'}" in result.stdout.replace("\n", "")
    k8sim("trace", scenario, "--seed", 5, "-o", scenario.parent / "trace.json")
    assert (out / "small" / "trace.json").read_bytes() == (scenario.parent / "trace.json").read_bytes()


def test_replicates_are_a_table_and_a_trace_each(k8sim: Run, scenario: Path) -> None:
    out = scenario.parent / "results"
    result = k8sim("run", scenario, "--replicates", 3, "-o", out)
    assert result.stdout.count("StatefulSet web") == 3
    traces = sorted(p.name for p in (out / "small").glob("trace*"))
    assert traces == ["trace.0.json", "trace.1.json", "trace.2.json"]


def test_a_folder_means_its_scenarios(k8sim: Run, scenario: Path) -> None:
    (scenario.parent / "other.yaml").write_text(scenario.read_text().replace("name: small", "name: other"))
    (scenario.parent / "manifest.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    result = k8sim("run", scenario.parent)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines() if " simulated, seed " in line] == ["other", "small"]


def test_one_wrong_file_and_nothing_runs(k8sim: Run, scenario: Path) -> None:
    (scenario.parent / "wrong.yaml").write_text("kind: Scenario")
    result = k8sim("run", scenario.parent)
    assert (result.exit_code, result.stdout) == (2, "")
