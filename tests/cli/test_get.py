"""`k8sim get`: the state at a moment, in kubectl's form."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Run


def test_the_state_is_that_of_the_moment(k8sim: Run, scenario: Path) -> None:
    before = k8sim("get", scenario, "--at", "19s", "pods").stdout.splitlines()
    during = k8sim("get", scenario, "--at", "21s", "pods").stdout.splitlines()
    assert before[1].split()[:3] == ["web-0", "1/1", "Running"]
    assert during[1].split()[:3] == ["web-0", "1/1", "Terminating"]


def test_a_run_cut_short_shows_what_the_whole_run_shows(k8sim: Run, scenario: Path) -> None:
    short = k8sim("get", scenario, "--at", "25s", "all", "-o", "yaml").stdout
    scenario.write_text(scenario.read_text().replace("duration: 40s", "duration: 30s"))
    assert k8sim("get", scenario, "--at", "25s", "all", "-o", "yaml").stdout == short


def test_forms_of_output(k8sim: Run, scenario: Path) -> None:
    assert yaml.safe_load(k8sim("get", scenario, "sts", "web", "-o", "yaml").stdout)["kind"] == "StatefulSet"
    assert k8sim("get", scenario, "sts/web", "-o", "name").stdout == "statefulset.apps/web\n"
    assert "NODE" in k8sim("get", scenario, "pods", "-o", "wide").stdout
    assert "NAMESPACE" in k8sim("get", scenario, "pods", "-A").stdout
    assert "NAME" not in k8sim("get", scenario, "pods", "--no-headers").stdout
    assert "web-0" not in k8sim("get", scenario, "pods", "-l", "app=other").stdout
    assert "LAST SEEN" in k8sim("get", scenario, "events").stdout


def test_nothing_there_is_said_on_stderr(k8sim: Run, scenario: Path) -> None:
    result = k8sim("get", scenario, "pvc")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No resources found in default namespace." in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["podz"], "podz"),
        (["pod", "web-7"], "web-7"),
        (["pods", "--at", "2h"], "after the end"),
        (["pods", "--at", "soon"], "soon"),
        (["pods", "-o", "xml"], "xml"),
    ],
)
def test_mistakes(k8sim: Run, scenario: Path, words: list[str], message: str) -> None:
    result = k8sim("get", scenario, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_events_are_those_of_a_namespace(k8sim: Run, scenario: Path) -> None:
    ours, all_of_them = (k8sim("get", scenario, "events", *more).stdout for more in ((), ("-A",)))
    assert "pod/web-0" in ours
    assert len(all_of_them.splitlines()) >= len(ours.splitlines())
    assert k8sim("get", scenario, "events", "--no-headers").stdout == ours.partition("\n")[2]
    other = k8sim("get", scenario, "events", "-n", "other")
    assert (other.stdout, other.stderr) == ("", "No resources found in other namespace.\n")


@pytest.mark.parametrize("more", [("web-0",), ("-o", "json"), ("-l", "app=web"), ("--show-labels",)])
def test_what_has_no_effect_on_events_is_refused(k8sim: Run, scenario: Path, more: tuple[str, ...]) -> None:
    done = k8sim("get", scenario, "events", *more)
    assert done.exit_code == 2
    assert "events are listed as they are" in done.stderr
