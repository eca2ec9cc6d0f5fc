"""Every command that README and docs/ show runs, with small files in the place of the reader's."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from k8sim.cli.app import app
from tests.docs.readme import README, ROOT

PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = sorted({
    command.split(">>")[0].strip()
    for page in PAGES
    for command in re.findall(r"(?:`|^\$ |run: |then )(k8sim [a-z]+ [^`|\n]*)", page.read_text(), re.MULTILINE)
})  # fmt: skip
STANDS_FOR = {
    "FILE": "small.yaml", "POD": "web-0", "BEFORE": "small.yaml", "A.yaml": "small.yaml", "AFTER": "other.yaml",
    "B.yaml": "other.yaml", "EVENTS.json": "events.json", "NAME": "unique-identity", "1000": "2",
    "200": "2",
}  # fmt: skip
SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: small}
spec:
  duration: 2m
  nodes: [{name: node}]
  images: {"*": {start: %s, ready: 1s, stop: 1s}}
  timeline: [{at: 20s, kubectl: delete pod web-0}]
  objectives: [web.availability >= 0.1]
---
"""
SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "app:v1"}]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the commands name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    for name, start in (("small.yaml", "1s"), ("other.yaml", "2s"), ("rehearsals/upgrade.yaml", "1s")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(SCENARIO % start + SET)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "web.yaml").write_text(SET)
    message = 'Successfully pulled image "app:v1" in 2s (2s including waiting)'
    pulls = [{"kind": "Event", "reason": "Pulled", "message": message}] * 5
    (tmp_path / "events.json").write_text(json.dumps({"items": pulls}))
    return tmp_path


@pytest.mark.parametrize("command", SHOWN)
def test_it_runs(command: str, folder: Path) -> None:
    words = [STANDS_FOR.get(word, word) for word in shlex.split(command)[1:] if word != "..."]
    if words[0] == "rare":
        words[1] = "scenarios/rare-data-loss.yaml"
    if words[0] == "search" and "--help" not in words:
        words += ["--budget", "3"]
    if words == ["run", "scenarios/"]:
        pytest.skip("all scenarios run in tests/scenarios")
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
