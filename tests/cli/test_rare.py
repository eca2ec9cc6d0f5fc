"""k8sim rare: an estimate with its gates, the verdict, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run

SCENARIO = Path(__file__).parents[2] / "scenarios" / "rare-data-loss.yaml"


def test_an_estimate_comes_with_what_it_rests_on(k8sim: Run) -> None:
    result = k8sim("rare", SCENARIO, "--mttdl")
    assert result.exit_code == 0
    assert "P(all copies lost within 365d) = 1.0" in result.stdout
    assert "mean likelihood ratio 1.00" in result.stdout
    assert "effective sample size" in result.stdout
    assert "mean time to data loss in years = " in result.stdout
    assert "P(db.data_losses > 0) < 1e-6: pass" in result.stdout


@pytest.mark.parametrize(("bound", "code", "verdict"), [("1e-8", 1, "fail"), ("1.04e-7", 0, "undecided")])
def test_objectives_are_judged_by_it(k8sim: Run, tmp_path: Path, bound: str, code: int, verdict: str) -> None:
    path = tmp_path / "rare.yaml"
    path.write_text(SCENARIO.read_text().replace("1e-6", bound))
    result = k8sim("rare", path)
    assert result.exit_code == code
    assert f"{bound}: {verdict}" in result.stdout


def test_what_cannot_be_trusted_is_refused(k8sim: Run) -> None:
    result = k8sim("rare", SCENARIO, "--replicates", 1000)
    assert result.exit_code == 2
    assert "no estimate: only" in result.stderr
    assert "P(all copies lost" not in result.stdout


def test_a_scenario_without_copies_is_refused_with_reasons(k8sim: Run, scenario: Path) -> None:
    result = k8sim("rare", scenario)
    assert result.exit_code == 2
    assert "0 applications" in result.stderr


def test_a_folder_with_several_scenarios_is_refused(k8sim: Run) -> None:
    result = k8sim("rare", SCENARIO.parent)
    assert result.exit_code == 2
    assert "name one of them" in result.stderr


def test_no_part_of_a_scenario_is_passed_over_in_silence(k8sim: Run, tmp_path: Path) -> None:
    path, text = tmp_path / "rare.yaml", SCENARIO.read_text()
    path.write_text(text.replace("duration: 365d", "duration: 365d\n  sweep: {StatefulSet/db spec.replicas: [3, 5]}"))
    assert k8sim("rare", path).stderr.startswith(f"error: {path}: a sweep of 2 variants")
    path.write_text(text.replace("db.data_losses", "db.data_lossen"))
    result = k8sim("rare", path)
    assert (result.exit_code, "there is no metric 'db.data_lossen'" in result.stderr) == (2, True)
    path.write_text(text.replace("    - P(db", "    - db.outages < 1\n    - P(db"))
    result = k8sim("rare", path)
    assert "db.outages < 1: not judged by this estimate" in result.stdout
    assert "P(db.data_losses > 0) < 1e-6: pass" in result.stdout
