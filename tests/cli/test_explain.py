"""`k8sim explain`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run


def test_it_says_who_was_away_and_why(k8sim: Run, scenario: Path) -> None:
    result = k8sim("explain", scenario)
    assert result.exit_code == 0, result.stderr
    assert "web-0 was away for" in result.stdout
    assert "kubectl delete pod web-0" in result.stdout
    assert "\x1b" not in result.stdout


def test_one_object_at_a_moment(k8sim: Run, scenario: Path) -> None:
    result = k8sim("explain", scenario, "web-0", "--at", "21s")
    assert result.exit_code == 0, result.stderr
    assert "web-0 has been away since 20" in result.stdout
    assert "Why nothing happens now" in result.stdout


def test_colour_only_when_wanted(k8sim: Run, scenario: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    assert "\x1b[" not in k8sim("explain", scenario).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in k8sim("explain", scenario).stdout


def test_an_unknown_object_and_a_wrong_time_are_mistakes_of_the_input(k8sim: Run, scenario: Path) -> None:
    result = k8sim("explain", scenario, "nobody")
    assert result.exit_code == 2
    assert "no object nobody" in result.stderr
    assert "pod/web-0" in result.stderr
    assert k8sim("explain", scenario, "--at", "soon").exit_code == 2


def test_after_the_end_there_is_nothing_to_explain(k8sim: Run, scenario: Path) -> None:
    done = k8sim("explain", scenario, "--at", "10h")
    assert done.exit_code == 2
    assert "--at 10h is after the end of the scenario" in done.stderr
