"""What docs/extending.md shows runs, and the places it names exist."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize(("block", "shows"), [(BLOCKS[0], "never-on-one-node"), (BLOCKS[1], "clock-jump")])
def test_the_examples_run(
    block: str, shows: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)
    exec(compile(block, str(PAGE), "exec"), module.__dict__)
    assert shows in capsys.readouterr().out


def test_what_it_names_is_there() -> None:
    for name in re.findall(r"`((?:k8sim|tests|tools)/[\w./]+)`", PAGE.read_text()):
        assert (ROOT / name).exists(), name
