"""The example of docs/testing.md runs as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_example_passes() -> None:
    code = PAGE.read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    names["test_no_guarantee_is_violated"]()
    names["TestRestarts"]("runTest").runTest()
