from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import SCENARIO, Run


def test_guarantees_are_listed(k8sim: Run) -> None:
    done = k8sim("guarantees")
    assert done.exit_code == 0
    assert "unique-identity" in done.stdout


def test_a_run_can_be_checked(k8sim: Run, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    done = k8sim("run", path, "--check")
    assert done.exit_code == 0, done.output
    assert "Guarantees" in done.stdout
