from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import SCENARIO, Run


def test_guarantees_are_listed(k8sim: Run) -> None:
    done = k8sim("guarantees")
    assert done.exit_code == 0
    assert "unique-identity" in done.stdout


def test_all_about_a_guarantee_is_shown(k8sim: Run) -> None:
    done = k8sim("guarantees", "one-writer")
    assert done.exit_code == 0, done.output
    assert "forced detach" in done.stdout
    assert "kubernetes.io/docs/concepts/storage/persistent-volumes#access-modes" in done.stdout
    assert k8sim("guarantees", "one-reader").exit_code == 2


def test_a_run_can_be_checked(k8sim: Run, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    done = k8sim("run", path, "--check")
    assert done.exit_code == 0, done.output
    assert "Guarantees" in done.stdout


def test_a_counterexample_is_written_and_replays(k8sim: Run, tmp_path: Path) -> None:
    case = Path(__file__).parents[1] / "search" / "cases" / "cold-start.yaml"
    done = k8sim("search", case, "--budget", 1, "-g", "settles", "--why", "-o", tmp_path)
    assert done.exit_code == 1, done.output
    assert "what led to it" in done.stdout
    assert "1 kind of counterexample found in 1 runs" in done.stdout
    (written,) = tmp_path.glob("*.yaml")
    assert "never ready" in k8sim("run", written, "--check").stdout


def test_a_search_knows_the_guarantees(k8sim: Run, tmp_path: Path) -> None:
    case = Path(__file__).parents[1] / "search" / "cases" / "cold-start.yaml"
    done = k8sim("search", case, "-g", "no-such")
    assert done.exit_code == 2
    assert "no-such" in done.stderr


def test_a_search_that_finds_nothing_says_how_much_it_tried(k8sim: Run) -> None:
    case = Path(__file__).parents[1] / "search" / "cases" / "database.yaml"
    done = k8sim("search", case, "--budget", 2, "-g", "single-attach")
    assert done.exit_code == 0, done.output
    assert re.search(r"nothing found in 2 runs of 2 histories, made of \d\d kinds of actions", done.stdout)


@pytest.mark.parametrize("command", ["search", "rare"])
def test_of_a_folder_with_several_scenarios_one_has_to_be_named(k8sim: Run, tmp_path: Path, command: str) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("kind: Scenario\n")
    done = k8sim(command, tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path}: 2 scenario files" in done.stderr.replace("\n", "")
