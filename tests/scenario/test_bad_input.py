"""Broken input gives one message with file, line, problem and hint: quickly, in little memory, writing nothing.

Each file in bad/ says in its first line what is expected: ``# line N: phrase|another phrase of the message``.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from k8sim.scenario import ScenarioError, load

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.yaml"))
REPRESENTATIVE = ["nodes-a-billion", "yaml-bomb", "yaml-object-tag", "yaml-not-yaml", "include-cycle-a"]
CPU_LIMIT_S, MEMORY_LIMIT_KB = 1.0, 200 * 1024
#: What importing the simulator's libraries takes before a file is read.
IMPORTS_CPU_S = 2.0


def expectation(path: Path) -> tuple[int, list[str]]:
    first = path.read_text().splitlines()[0]
    match = re.fullmatch(r"# line (\d+): (.*)", first)
    assert match, f"{path.name}: the first line must say what is expected"
    return int(match[1]), match[2].split("|")


def test_there_are_many_files() -> None:
    assert len(FILES) >= 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_message_names_file_line_and_problem(path: Path) -> None:
    line, phrases = expectation(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < CPU_LIMIT_S
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: "), message
    for phrase in phrases:
        assert phrase in message


def other_input(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    """Input that is not a text file with a first line."""
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "comment.yaml").write_text("# nothing\n---\n# here\n")
    (tmp_path / "binary.yaml").write_bytes(b"kind: Scenario\n" + bytes(range(256)) * 10)
    (tmp_path / "nul.yaml").write_text("kind: Scenario\nspec: a\0b\n")
    (tmp_path / "latin.yaml").write_bytes("description: caf\xe9\n".encode("latin-1"))
    (tmp_path / "control.yaml").write_text("kind: Scenario\nspec: a\x07b\n")
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(17 * 2**20)
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "many.yaml").write_text("- " * 200_000)
    (tmp_path / "brackets.yaml").write_text("[" * 1_000_000)
    return {
        "missing": (tmp_path / "missing.yaml", "no such file"),
        "directory": (tmp_path, "is a directory"),
        "empty": (tmp_path / "empty.yaml", "the file is empty"),
        "comment": (tmp_path / "comment.yaml", "the file is empty"),
        "binary": (tmp_path / "binary.yaml", "is not UTF-8 text"),
        "nul": (tmp_path / "nul.yaml", "nul.yaml:2: is a binary file"),
        "latin": (tmp_path / "latin.yaml", "latin.yaml:1: is not UTF-8 text"),
        "control": (tmp_path / "control.yaml", "control.yaml:2: is not valid YAML"),
        "large": (tmp_path / "large.yaml", "is larger than 16 MiB"),
        "fifo": (tmp_path / "fifo.yaml", "is not a regular file"),
        "many": (tmp_path / "many.yaml", "nested deeper than 100 levels"),
        "brackets": (tmp_path / "brackets.yaml", "nested deeper than 100 levels"),
        "null in name": (Path("a\0b"), "cannot be read"),
    }


def test_input_that_is_no_text(tmp_path: Path) -> None:
    for name, (path, phrase) in other_input(tmp_path).items():
        with pytest.raises(ScenarioError) as caught:
            load(path)
        assert phrase in str(caught.value), name


LAUNCHER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run_cli(command: str, path: Path, folder: Path) -> tuple[subprocess.CompletedProcess[str], float, int]:
    """Run a command; return its outcome, CPU seconds and peak memory in kB.

    A small process starts it: Linux counts the memory of whoever forked to the child's peak, and a test runner is big.
    """
    pytest.importorskip("k8sim.cli")
    with tempfile.TemporaryDirectory() as elsewhere:
        figures = Path(elsewhere, "usage.json")
        arguments = [sys.executable, "-c", LAUNCHER, str(figures), sys.executable, "-m", "k8sim", command, str(path)]
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=folder, check=False)
        cpu_s, memory_kb = json.loads(figures.read_text())
    return done, cpu_s, memory_kb


def check_cli(command: str, path: Path, folder: Path) -> None:
    done, cpu_s, memory_kb = run_cli(command, path, folder)
    line, phrases = expectation(path)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count(f"{path}:{line}: ") == 1, done.stderr
    assert all(phrase in done.stderr for phrase in phrases)
    assert list(folder.iterdir()) == []
    assert cpu_s < CPU_LIMIT_S + IMPORTS_CPU_S
    assert memory_kb < MEMORY_LIMIT_KB


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_command_exits_2_with_one_message(command: str, name: str, tmp_path: Path) -> None:
    check_cli(command, BAD / f"{name}.yaml", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_refused_by_the_command(path: Path, tmp_path: Path) -> None:
    check_cli("validate", path, tmp_path)
