"""Run the command line in this process."""

from __future__ import annotations

from collections.abc import Callable

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
