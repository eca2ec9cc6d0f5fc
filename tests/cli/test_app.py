"""The command line as a whole: help, version, errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import k8sim as package
from k8sim.cluster import Cluster
from tests.cli.conftest import Run


@pytest.mark.parametrize("command", [(), ("run",), ("trace",), ("get",), ("validate",)])
def test_every_help_has_an_example(k8sim: Run, command: tuple[str, ...]) -> None:
    result = k8sim(*command, "--help")
    assert result.exit_code == 0
    assert "k8sim " in result.stdout.split("╯")[-1]
    assert k8sim(*command, "-h").stdout == result.stdout


def test_version_names_the_release_that_is_simulated(k8sim: Run) -> None:
    result = k8sim("version")
    assert package.__version__ in result.stdout
    assert "v1.36.2" in result.stdout
    assert k8sim("--version").stdout == result.stdout


@pytest.mark.parametrize("command", ["--help", "version"])
def test_start_up_imports_nothing_slow(command: str) -> None:
    code = (
        "import sys\nfrom k8sim.cli import main\n"
        f"sys.argv = ['k8sim', {command!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('SLOW', sorted({'numpy', 'pandas', 'simpy', 'yaml', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "SLOW []"


@pytest.mark.parametrize(
    "command", [("run",), ("trace",), ("trace", "-o", "{out}"), ("validate",), ("get", "{file}", "pods")]
)
@pytest.mark.parametrize("content", ["a: [", "kind: Scenario", None])
def test_bad_input_is_one_message_and_exit_code_2(
    k8sim: Run, tmp_path: Path, command: tuple[str, ...], content: str | None
) -> None:
    path = tmp_path / "bad.yaml"
    if content is not None:
        path.write_text(content)
    words = [w.format(file=path, out=tmp_path / "out" / "trace.json") for w in command]
    result = k8sim(*words) if str(path) in words else k8sim(*words, path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {path}")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_option_is_exit_code_2(k8sim: Run) -> None:
    assert k8sim("trace", "--sed", "1", "x.yaml").exit_code == 2


def test_a_bug_of_ours_says_how_to_see_it_again(k8sim: Run, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Cluster) -> None:
        self.sim.trace.append(7, "Pod", "web-0", "Created", {"inc": 1})
        raise RuntimeError("the sky is falling")

    monkeypatch.setattr(Cluster, "run", broken)
    result = k8sim("trace", scenario, "--seed", "11", "-o", scenario.parent / "trace.json")
    assert result.exit_code == 3
    assert f"k8sim trace {scenario} --seed 11" in result.stderr
    assert "Created inc=1" in result.stderr
    assert "the sky is falling" in result.stderr
    assert sorted(p.name for p in scenario.parent.iterdir()) == ["small.yaml"]


def test_a_bug_outside_the_run_is_a_bug_too(k8sim: Run, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise RuntimeError("cannot read at all")

    monkeypatch.setattr("k8sim.scenario.load", broken)
    result = k8sim("validate", scenario)
    assert result.exit_code == 3
    assert "this is a bug in k8sim (RuntimeError: cannot read at all)" in result.stderr


def test_an_interrupt_is_not_an_error(k8sim: Run, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Cluster) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Cluster, "run", interrupted)
    result = k8sim("run", scenario)
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_names_of_the_package_are_found_when_asked_for() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_import_of_the_package_imports_nothing_else() -> None:
    code = "import sys, k8sim; print([m for m in sys.modules if m.startswith('k8sim.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
