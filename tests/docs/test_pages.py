"""What the pages of docs/ show is accepted as it stands: commands, options, files, scenarios."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest
import yaml
from typer.main import get_command

from k8sim.cli.app import app
from k8sim.scenario import loads
from k8sim.scenario.spec import SPEC_KEYS
from tests.docs.readme import README, ROOT, blocks

PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
HEAD = "apiVersion: k8sim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: documented}\n"
AROUND = "  nodes: [{name: node, count: 3}, {name: db, count: 3}, {name: spot}]\n  duration: 30d\n"
YAML = [
    pytest.param(block.text, id=f"{page.stem}-{block.line}")
    for page in PAGES
    for block in blocks(page)
    if block.language == "yaml" and "jobs:" not in block.text
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_every_option_exists(page: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name, rest in re.findall(
        r"(?:`|^\$ |run: |then )k8sim ([a-z]+)((?: [^`|\n]*)?)", page.read_text(), re.MULTILINE
    ):
        assert name in commands, name
        options = {option for parameter in commands[name].params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest)) <= options, (name, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`((?:k8sim|scenarios|notebooks|tests|tools|benchmarks)/[\w./-]*)`", page.read_text()):
        assert (ROOT / name).exists(), name
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("text", YAML)
def test_scenarios_and_parts_of_them_are_accepted(text: str, tmp_path: Path) -> None:
    top = yaml.safe_load(text)
    (tmp_path / "cluster.yaml").write_text("")
    if "kind" not in top:
        assert set(top) in ({"spec"}, set(top) & set(SPEC_KEYS))
        text = HEAD + (text if "spec" in top else f"spec:\n{indent(text, '  ')}")
        text += AROUND if not {"nodes", "duration"} & set(top.get("spec", top)) else ""
    loads(text, folder=tmp_path)


def test_the_workflow_is_yaml() -> None:
    (block,) = (b for b in blocks(ROOT / "docs" / "reports.md") if b.language == "yaml")
    assert yaml.safe_load(block.text)["jobs"]
