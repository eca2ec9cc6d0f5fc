"""`k8sim validate`: what is wrong, and what has no effect."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run


def test_a_fine_file_and_what_of_it_has_no_effect(k8sim: Run, scenario: Path) -> None:
    result = k8sim("validate", scenario)
    assert result.exit_code == 0
    assert f"{scenario}: fine (2 objects, 2 steps, 1 node, 40s)" in result.stdout
    assert 'ServiceAccount "settings"' in result.stdout
    assert k8sim("validate", "-q", scenario).stdout == ""


def test_every_wrong_file_is_named_with_its_line(k8sim: Run, scenario: Path) -> None:
    text = scenario.read_text()
    (scenario.parent / "a.yaml").write_text(text.replace("replicas: 1", "replica: 1"))
    (scenario.parent / "b.yaml").write_text(text.replace("duration: 40s", "duration: soon"))
    result = k8sim("validate", scenario.parent)
    assert result.exit_code == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    expected = (("a.yaml", "  replicas: 1", "replica"), ("b.yaml", "  duration: 40s", "soon"))
    for line, (name, wrong, word) in zip(errors, expected, strict=True):
        assert f"{name}:{text.splitlines().index(wrong) + 1}:" in line
        assert word in line
    assert "hint: did you mean replicas?" in result.stderr
    assert "small.yaml: fine" in result.stdout
