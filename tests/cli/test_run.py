"""`k8sim run`: a summary that says what matters, and results in a folder when asked for."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

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


def test_replicates_are_figures_with_intervals_and_a_trace_each(k8sim: Run, scenario: Path) -> None:
    out = scenario.parent / "results"
    result = k8sim("run", scenario, "--replicates", 12, "-o", out)
    assert result.exit_code == 0
    assert "12 replicates" in result.stdout
    assert "web.short_s" in result.stdout
    traces = {p.name for p in (out / "small").glob("trace*")}
    assert traces == {f"trace.{r}.json" for r in range(10)}
    k8sim("trace", scenario, "--replicate", 7, "-o", scenario.parent / "trace.json")
    assert (out / "small" / "trace.7.json").read_bytes() == (scenario.parent / "trace.json").read_bytes()


def test_a_batch_goes_on_only_when_told_and_only_with_the_same(k8sim: Run, scenario: Path) -> None:
    out = scenario.parent / "results"
    first = k8sim("run", scenario, "--replicates", 3, "-o", out)
    assert k8sim("run", scenario, "--replicates", 3, "-o", out).exit_code == 2
    again = k8sim("run", scenario, "--replicates", 3, "-o", out, "--resume")
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    other = k8sim("run", scenario, "--replicates", 3, "-o", out, "--resume", "--seed", 9)
    assert other.exit_code == 2
    assert "something else" in other.stderr


GATED = "spec:\n  objectives: ['web.short_s < {bound}']\n"


@pytest.mark.parametrize(("bound", "code", "verdict"), [("1h", 0, "pass"), ("1s", 1, "fail"), ("3.4s", 0, "undecided")])
def test_objectives_are_a_gate(k8sim: Run, scenario: Path, bound: str, code: int, verdict: str) -> None:
    scenario.write_text(scenario.read_text().replace("spec:\n", GATED.format(bound=bound), 1))
    junit, markdown = scenario.parent / "junit.xml", scenario.parent / "summary.md"
    result = k8sim("run", scenario, "--replicates", 8, "--junit", junit, "--markdown", markdown)
    assert result.exit_code == code, result.output
    assert verdict in result.stdout
    suite = ET.fromstring(junit.read_text())[0]
    assert suite.get("tests") == "1"
    assert suite.get("failures") == str(int(verdict == "fail"))
    assert suite.get("skipped") == str(int(verdict == "undecided"))
    assert f"**{verdict}**" in markdown.read_text()


def test_an_objective_on_a_metric_that_is_not_there(k8sim: Run, scenario: Path) -> None:
    text = GATED.format(bound="1h").replace("web.", "wed.")
    scenario.write_text(scenario.read_text().replace("spec:\n", text, 1))
    result = k8sim("run", scenario)
    assert result.exit_code == 2
    line = next(n for n, row in enumerate(scenario.read_text().splitlines(), 1) if "wed." in row)
    assert f"{scenario}:{line}: " in result.stderr.replace("\n", "")
    assert "short_s is known of: web" in result.stderr
    checked = k8sim("validate", scenario)
    assert checked.exit_code == 2
    assert "short_s is known of: web" in checked.stderr
    rule = k8sim("run", scenario, "--until", "web.shorts=1s")
    assert rule.exit_code == 2


def test_labels_of_variants_are_shown_whole(k8sim: Run, scenario: Path) -> None:
    sweep = "spec:\n  sweep: {'StatefulSet/web spec.template.spec.containers[app].image': ['app:v1', 'app:v2']}\n"
    scenario.write_text(scenario.read_text().replace("spec:\n", sweep, 1))
    assert "containers[app].image=app:v2" in k8sim("run", scenario, "--replicates", 2).stdout.replace("\n", "")


def test_a_stopping_rule_ends_a_batch_early(k8sim: Run, scenario: Path) -> None:
    assert "50 replicates" in k8sim("run", scenario, "--replicates", 500, "--until", "web.short_s=10s").stdout
    assert k8sim("run", scenario, "--until", "web.short_s").exit_code == 2


def test_profile_says_where_time_goes(k8sim: Run, scenario: Path) -> None:
    result = k8sim("run", scenario, "--profile", "-o", scenario.parent)
    assert "k8sim/apiserver" in result.stdout
    assert (scenario.parent / "small" / "profile.pstats").exists()


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


def test_an_engine_that_cannot_run_a_scenario_says_why(k8sim: Run, scenario: Path) -> None:
    refused = k8sim("run", scenario, "--engine", "lockstep")
    assert refused.exit_code == 2
    assert "timeline: 2 steps" in refused.stderr
    assert "--engine simpy runs it in full" in refused.stderr
    chosen = k8sim("run", scenario, "--replicates", 2)
    assert "engine: simpy (outside the subset of lockstep: timeline" in chosen.stdout
    assert k8sim("run", scenario, "--engine", "fast").exit_code == 2


def test_how_figures_settled_is_drawn(k8sim: Run, scenario: Path, tmp_path: Path) -> None:
    k8sim("run", scenario, "--replicates", 12, "--until", "web.short_s=1ns", "-o", tmp_path)
    drawn = (tmp_path / "small" / "convergence.svg").read_text()
    assert "web.short_s" in drawn
    assert drawn.startswith("<?xml")


def test_two_files_of_one_name_would_be_kept_in_one_folder(k8sim: Run, scenario: Path) -> None:
    other = scenario.parent / "other" / scenario.name
    other.parent.mkdir()
    other.write_text(scenario.read_text())
    done = k8sim("run", scenario, other, "-o", scenario.parent / "results")
    assert done.exit_code == 2
    assert f"would both become {scenario.stem}/" in done.stderr
    assert not (scenario.parent / "results").exists()


def test_verdicts_are_written_even_if_there_are_none(k8sim: Run, scenario: Path) -> None:
    junit, markdown = scenario.parent / "junit.xml", scenario.parent / "verdicts.md"
    assert k8sim("run", scenario, "--junit", junit, "--markdown", markdown).exit_code == 0
    suites = ET.parse(junit).getroot()
    assert [suite.get("tests") for suite in suites] == ["0"]
    assert "web.availability" in markdown.read_text()


@pytest.mark.parametrize(
    ("mode", "option"),
    [
        ("--check", ("-o", "results")),
        ("--check", ("--jobs", 2)),
        ("--profile", ("--replicates", 2)),
        ("--profile", ("--check",)),
    ],
)
def test_options_that_would_have_no_effect_are_refused(
    k8sim: Run, scenario: Path, mode: str, option: tuple[object, ...]
) -> None:
    done = k8sim("run", scenario, mode, *option)
    assert done.exit_code == 2
    assert f"would have no effect with {mode}" in done.stderr
