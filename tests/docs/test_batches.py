"""docs/batches.md: every name of a metric is in its table, and every engine in the other."""

from __future__ import annotations

import re
from pathlib import Path

from k8sim.runner.engines import WISHES
from k8sim.runner.names import CAMPAIGNS, NAMES

TEXT = (Path(__file__).parents[2] / "docs" / "batches.md").read_text("utf-8")


def test_every_name_is_in_the_table() -> None:
    """When this fails, tools/refresh_readme.py writes the table."""
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| (\w*) \| (.*) \|$", TEXT, re.MULTILINE)
    only = " (lock-step engine only)"
    assert rows == [(f.of, f.name, f.unit, f.meaning + only * (f in CAMPAIGNS)) for f in NAMES]


def test_every_engine_is_in_the_table() -> None:
    for engine in WISHES:
        assert f"| `{engine}`" in TEXT
