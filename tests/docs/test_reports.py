"""What docs/reports.md names exists."""

from __future__ import annotations

import re

import yaml
from typer.main import get_command

from k8sim.cli.app import app
from tests.docs.readme import ROOT, blocks

PAGE = ROOT / "docs" / "reports.md"


def test_every_command_and_every_option_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    lines = re.findall(r"k8sim ([a-z]+)((?: [^`|\n]*)?)", PAGE.read_text())
    assert lines
    for name, rest in lines:
        assert name in commands, name
        options = {o for p in commands[name].params for o in p.opts}
        assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest)) <= options, (name, rest)


def test_the_workflow_is_yaml() -> None:
    (block,) = (b for b in blocks(PAGE) if b.language == "yaml")
    assert yaml.safe_load(block.text)["jobs"]


def test_files_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:k8sim|notebooks)/[\w./-]*)`", PAGE.read_text()):
        assert (ROOT / name).exists(), name
