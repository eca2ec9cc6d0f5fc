from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint.world import Lint


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    return Lint(tmp_path)
