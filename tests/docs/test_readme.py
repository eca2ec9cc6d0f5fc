"""Every command and every piece of Python in the README runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from k8sim.api.scheme import KINDS
from k8sim.api.simulated import is_simulated
from k8sim.faults.catalogue import FAULTS
from k8sim.kubectl.grammar import VERBS
from k8sim.scenario.spec import SPEC_KEYS
from tests.docs.readme import README, ROOT, Block, blocks, commands

BLOCKS = blocks()
COMMANDS = [(b.line, c) for b in BLOCKS if b.language == "console" for c in commands(b)]
PYTHON = [b for b in BLOCKS if b.language == "python"]


@pytest.fixture(scope="session")
def path_with_k8sim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PATH with a program k8sim that is this tree, installed or not."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "k8sim"
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m k8sim \"$@\"\n")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(("line", "command"), COMMANDS, ids=[f"line-{line}-{c[:30]}" for line, c in COMMANDS])
def test_commands_run(line: int, command: str, path_with_k8sim: str) -> None:
    environment = {**os.environ, "PATH": path_with_k8sim}
    shell = ["bash", "-o", "pipefail", "-c", command]
    done = subprocess.run(shell, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"README.md:{line}: {done.stderr}"
    assert done.stdout


@pytest.mark.parametrize("block", PYTHON, ids=lambda b: f"line-{b.line}")
def test_python_runs(block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block.text, f"README.md:{block.line}", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out


def test_the_set_up_is_two_commands_and_the_second_is_what_ci_runs() -> None:
    lines = [line for b in BLOCKS if b.language == "bash" for line in b.text.splitlines()]
    assert len(lines) == 2
    assert "k8sim run scenarios/web-rolling-update.yaml" in lines[0]
    ci = (ROOT / ".ci" / "run").read_text()
    assert "pip install -q '.[test]'" in lines[1]
    assert "'.[test]'" in ci
    assert "pytest" in ci


def test_yaml_is_yaml() -> None:
    for block in BLOCKS:
        if block.language == "yaml":
            assert yaml.safe_load(block.text)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_files_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:k8sim|scenarios|tests|benchmarks|tools|docs)/[\w./-]+)`", README.read_text()):
        assert (ROOT / name).exists(), name


def test_nothing_is_left_out() -> None:
    """When this fails, describe what is new; tools/refresh_readme.py writes the tables of faults and kinds."""
    text = README.read_text()
    assert not [name for name in FAULTS if f"| `{name}` |" not in text]
    acting = re.search(r"^Kinds that act:.*?(?=\n\n)", text, re.MULTILINE | re.DOTALL)
    assert acting
    assert set(re.findall(r"[A-Z]\w+", acting[0])) - {"Kinds"} == {
        k.kind for k in KINDS if is_simulated(k.kind, k.api_version)
    }
    scenarios = {p.name for p in Path(ROOT / "scenarios").glob("*.yaml")}
    assert not [name for name in scenarios if f"(scenarios/{name})" not in text]
    later = {"cluster", "failures", "applications", "traffic", "objectives", "sweep"}
    table = set(re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE))
    named = {word for cell in table for word in re.findall(r"`(\w+)`", cell)}
    assert not set(SPEC_KEYS) - later - named
    kubectl = text[text.index("kubectl knows") : text.index("with kubectl's own flags")]
    assert not [verb for verb in VERBS if verb.split()[-1] not in kubectl]
