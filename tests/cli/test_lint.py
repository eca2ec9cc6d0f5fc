"""`k8sim lint`: formats, exit codes, and what is said about bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from k8sim.lint import RULES
from tests.cli.conftest import Run
from tests.lint.world import budget, deployment, stateful_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workload whose budget allows no eviction, and something that is no manifest."""
    for name, manifest in (("db", stateful_set()), ("budget", budget(minAvailable=3)), ("values", {"replicas": 3})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    return tmp_path


ONE = ("--rule", "budget-allows-no-eviction")


def test_a_finding_says_where_what_and_what_helps(k8sim: Run, folder: Path) -> None:
    done = k8sim("lint", folder, *ONE)
    assert done.exit_code == 1
    line = (folder / "budget.yaml").read_text().splitlines().index("  minAvailable: 3") + 1
    first, *rest = done.stdout.splitlines()
    assert first == (
        f"{folder}/budget.yaml:{line}: error: PodDisruptionBudget db: minAvailable 3 of 3 pods of StatefulSet db "
        "allows no eviction, ever [budget-allows-no-eviction]"
    )
    assert [text.split(":")[0].strip() for text in rest[:5]] == ["tried", "as is", "fix", "fix", "fixed"]
    assert rest[-1] == "1 finding (1 workload, 2 experiments)"


def test_nothing_found_is_fine(k8sim: Run, folder: Path) -> None:
    done = k8sim("lint", folder / "db.yaml", *ONE)
    assert done.exit_code == 0
    assert done.stdout == "nothing found (1 workload, 0 experiments)\n"


def test_json(k8sim: Run, folder: Path) -> None:
    found = json.loads(k8sim("lint", folder, *ONE, "--format", "json").stdout)
    [finding] = found["findings"]
    assert finding["rule"] == "budget-allows-no-eviction"
    assert finding["file"].endswith("budget.yaml")
    assert finding["asIs"]["amount"] > 600
    assert finding["fixed"]["amount"] == 0
    assert finding["fix"] == [
        "PodDisruptionBudget/db spec.minAvailable: (remove)",
        "PodDisruptionBudget/db spec.maxUnavailable: 1",
    ]


def test_sarif(k8sim: Run, folder: Path) -> None:
    log = json.loads(k8sim("lint", folder, *ONE, "--format", "sarif").stdout)
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [rule.name for rule in RULES]
    [result] = run["results"]
    assert (result["ruleId"], result["level"]) == ("budget-allows-no-eviction", "error")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("budget.yaml")
    assert place["region"]["startLine"] > 1
    assert "Fixed: " in result["message"]["text"]


def test_github(k8sim: Run, folder: Path) -> None:
    done = k8sim("lint", folder, *ONE, "--format", "github")
    [line] = done.stdout.splitlines()
    assert line.startswith(f"::error file={folder}/budget.yaml,line=")
    assert ",title=budget-allows-no-eviction::PodDisruptionBudget db: " in line
    assert "%0AAs is: " in line


def test_durations_are_those_of_the_command_line(k8sim: Run, folder: Path) -> None:
    again = ("--rule", "grace-too-short")
    assert k8sim("lint", folder / "db.yaml", *again).exit_code == 0
    done = k8sim("lint", folder / "db.yaml", *again, "--shutdown", "45s")
    assert done.exit_code == 1
    assert "its shutdown takes 45s (--shutdown)" in done.stdout


def test_rules_are_listed(k8sim: Run) -> None:
    done = k8sim("lint", "--list")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines() if line and line[0] != " "] == [r.name for r in RULES]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no file"),
        (["{folder}", "--rule", "no-budgets"], "did you mean no-budget?"),
        (["{folder}", "--format", "xml"], "known formats: text, json, sarif, github"),
        (["{folder}", "--startup", "soon"], "soon"),
        (["{folder}/none.yaml"], "no such file"),
        (["{folder}/values.yaml"], "apiVersion is missing"),
        (["{folder}/bad.yaml"], "bad.yaml:6"),
    ],
)
def test_bad_input(k8sim: Run, folder: Path, arguments: list[str], said: str) -> None:
    (folder / "bad.yaml").write_text(yaml.safe_dump({**deployment(), "spec": {"replica": 3}}, sort_keys=False))
    done = k8sim("lint", *(argument.format(folder=folder) for argument in arguments))
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_a_folder_without_manifests(k8sim: Run, tmp_path: Path) -> None:
    done = k8sim("lint", tmp_path)
    assert done.exit_code == 2
    assert "no manifest there" in done.stderr


def test_a_scenario_stands_by_itself(k8sim: Run, folder: Path, scenario: Path) -> None:
    done = k8sim("lint", folder / "db.yaml", scenario, folder / "budget.yaml", *ONE, "--format", "json")
    assert json.loads(done.stdout)["workloads"] == 2


def test_a_wrong_duration_names_its_option(k8sim: Run, tmp_path: Path) -> None:
    result = k8sim("lint", tmp_path, "--startup", "soon")
    assert result.exit_code == 2
    assert "--startup" in result.stderr
