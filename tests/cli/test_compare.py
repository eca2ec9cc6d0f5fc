"""`k8sim compare`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def slower(scenario: Path) -> Path:
    target = scenario.parent / "slower.yaml"
    target.write_text(scenario.read_text().replace("start: 1s", "start: 4s"))
    return target


def test_a_difference_in_words_and_as_a_figure(k8sim: Run, scenario: Path, slower: Path) -> None:
    picture = scenario.parent / "difference.svg"
    result = k8sim("compare", scenario, slower, "--replicates", 4, "-o", picture)
    assert result.exit_code == 0, result.stderr
    assert "slower against small: 4 pairs of runs under the same chance" in result.stdout
    assert "web.ready_s: slower has" in result.stdout.replace("\n", " ")
    assert "worse" in result.stdout
    assert picture.read_text("utf-8").lstrip().startswith("<?xml")


def test_two_folders_of_results(k8sim: Run, scenario: Path, slower: Path) -> None:
    results = scenario.parent / "results"
    for path in (scenario, slower):
        assert k8sim("run", path, "--replicates", 3, "-o", results).exit_code == 0
    result = k8sim("compare", results / "small", results / "slower")
    assert result.exit_code == 0, result.stderr
    assert "3 pairs of runs" in result.stdout


def test_results_of_different_seeds_are_no_pairs(k8sim: Run, scenario: Path, slower: Path) -> None:
    results = scenario.parent / "results"
    k8sim("run", scenario, "--replicates", 2, "--seed", 1, "-o", results)
    k8sim("run", slower, "--replicates", 2, "--seed", 2, "-o", results)
    result = k8sim("compare", results / "small", results / "slower")
    assert result.exit_code == 2
    assert "no pairs" in result.stderr


def test_an_unknown_kind_of_figure(k8sim: Run, scenario: Path) -> None:
    assert k8sim("compare", scenario, scenario, "-o", scenario.parent / "x.docx").exit_code == 2
