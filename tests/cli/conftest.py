"""Run the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from k8sim.cli.app import app

Run = Callable[..., Result]


@pytest.fixture
def k8sim(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command and returns exit code, stdout and stderr."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments])

    return run


SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: small}
spec:
  description: One pod is deleted and comes back.
  duration: 40s
  nodes: [{name: node}]
  images: {"*": {start: 1s, ready: 1s, stop: 2s}}
  timeline:
    - {at: 20s, kubectl: delete pod web-0}
    - {at: 30s, kubectl: delete pod web-9}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: settings}
---
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
def scenario(tmp_path: Path) -> Path:
    """Return a small scenario file in a folder of its own."""
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    return path
