"""docs/simulated.md and docs/validation.md keep up with the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from k8sim.api.scheme import KINDS
from k8sim.api.simulated import is_simulated

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulated", ROOT / "tools" / "simulated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_field_with_an_effect_is_listed(tool: ModuleType) -> None:
    """When this fails, run tools/simulated.py."""
    text = (ROOT / "docs" / "simulated.md").read_text()
    sections = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    for kind in KINDS:
        if is_simulated(kind.kind, kind.api_version):
            paths = [f.path for f in tool.fields(kind) if tool.has_effect(kind.kind, f.path)]
            missing = [path for path in paths if f"| `{path}` |" not in sections.get(kind.kind, "")]
            assert not missing, f"{kind.kind}: {missing}"


def test_every_recorded_case_is_on_the_scoreboard_and_agrees() -> None:
    """When this fails, run tools/scoreboard.py."""
    text = (ROOT / "docs" / "validation.md").read_text()
    for path in (ROOT / "tests" / "conformance" / "recorded").glob("*.json"):
        [row] = [line for line in text.splitlines() if line.startswith(f"| {path.stem} |")]
        assert row.endswith("| agrees |"), row
