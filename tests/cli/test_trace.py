"""`k8sim trace`: the public form for programs, a log for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_the_file_holds_the_public_form(k8sim: Run, scenario: Path) -> None:
    target = scenario.parent / "out" / "trace.json"
    result = k8sim("trace", scenario, "--seed", 3, "-o", target)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    events = json.loads(target.read_text())
    assert events
    for t, kind, name, event, detail in events:
        assert isinstance(t, float | int)
        assert all(isinstance(word, str) for word in (kind, name, event))
        assert not any(isinstance(value, dict | list) for value in detail.values())
    assert [e[0] for e in events] == sorted(e[0] for e in events)
    assert [e[4]["code"] for e in events if e[1] == "Command"] == [0, 1]


def test_the_same_seed_gives_the_same_bytes(k8sim: Run, scenario: Path) -> None:
    for name in ("a.json", "b.json"):
        k8sim("trace", scenario, "--seed", 3, "-o", scenario.parent / name)
    assert (scenario.parent / "a.json").read_bytes() == (scenario.parent / "b.json").read_bytes()


def test_seeds_are_files_in_a_folder(k8sim: Run, scenario: Path) -> None:
    folder = scenario.parent / "traces"
    assert k8sim("trace", scenario, "--seeds", 3, "-o", folder).exit_code == 0
    assert sorted(p.name for p in folder.iterdir()) == ["small.0.json", "small.1.json", "small.2.json"]
    k8sim("trace", scenario, "--seed", 2, "-o", scenario.parent / "two.json")
    assert (folder / "small.2.json").read_bytes() == (scenario.parent / "two.json").read_bytes()
    assert (folder / "small.0.json").read_bytes() != (folder / "small.1.json").read_bytes()


def test_one_seed_is_a_folder_too_when_it_is_asked_for_as_one(k8sim: Run, scenario: Path) -> None:
    folder = scenario.parent / "traces"
    k8sim("trace", scenario, "--seeds", 1, "-o", folder)
    assert [p.name for p in folder.iterdir()] == ["small.0.json"]


def test_several_files_go_to_a_folder_by_name_and_seed(k8sim: Run, scenario: Path) -> None:
    other = scenario.parent / "other.yaml"
    other.write_text(scenario.read_text())
    folder = scenario.parent / "traces"
    assert k8sim("trace", scenario, other, "--seed", 4, "-o", folder).exit_code == 0
    assert sorted(p.name for p in folder.iterdir()) == ["other.4.json", "small.4.json"]


def test_files_of_one_name_would_overwrite_each_other(k8sim: Run, scenario: Path) -> None:
    twin = scenario.parent / "deeper" / "small.yaml"
    twin.parent.mkdir()
    twin.write_text(scenario.read_text())
    result = k8sim("trace", scenario, twin, "-o", scenario.parent / "traces")
    assert result.exit_code == 2
    assert "would both become small.SEED.json" in result.stderr


def test_one_wrong_file_and_nothing_is_written(k8sim: Run, scenario: Path) -> None:
    wrong = scenario.parent / "wrong.yaml"
    wrong.write_text("kind: Scenario")
    folder = scenario.parent / "traces"
    assert k8sim("trace", scenario, wrong, "-o", folder).exit_code == 2
    assert not folder.exists()


def test_json_on_stdout(k8sim: Run, scenario: Path) -> None:
    assert json.loads(k8sim("trace", scenario, "-o", "-").stdout)
    assert k8sim("trace", scenario, "--seeds", 2, "-o", "-").exit_code == 2


def test_without_output_a_log_and_a_title_for_each_of_several(k8sim: Run, scenario: Path) -> None:
    one = k8sim("trace", scenario, "--seed", 1).stdout
    assert "StatefulSet" in one
    assert "\x1b" not in one
    several = k8sim("trace", scenario, "--seeds", 2).stdout.splitlines()
    assert [line for line in several if line.startswith("#")] == ["# small, seed 0", "# small, seed 1"]


def test_colour_follows_the_environment(k8sim: Run, scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in k8sim("trace", scenario).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in k8sim("trace", scenario).stdout


def test_seed_and_seeds_exclude_each_other(k8sim: Run, scenario: Path) -> None:
    assert k8sim("trace", scenario, "--seed", 1, "--seeds", 2).exit_code == 2


def test_a_closed_pipe_is_not_an_error(scenario: Path) -> None:
    command = f"'{sys.executable}' -m k8sim trace '{scenario}' --seeds 30 | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("#")


def test_pandas_is_not_needed(scenario: Path) -> None:
    code = (
        "import sys\nfrom k8sim.cli import main\n"
        f"sys.argv = ['k8sim', 'trace', {str(scenario)!r}, '-o', {str(scenario.parent / 't.json')!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pandas', 'matplotlib', 'rich.progress'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
