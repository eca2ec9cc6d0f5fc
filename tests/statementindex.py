"""What a list of the specification's testable statements must keep: it is complete, and the tests it names exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent


class Statement(NamedTuple):
    """What is to be so, the tests that show it, and why there are none."""

    says: str
    tests: tuple[str, ...] = ()
    left_out: str = ""


def assert_complete(statements: Mapping[str, Statement], section: str, count: int) -> None:
    """A section has as many statements as the specification."""
    listed = [number for number in statements if number.rpartition(".")[0] == section]
    assert listed == [f"{section}.{i + 1}" for i in range(count)]


def assert_shown(statement: Statement) -> None:
    """A statement has tests, which exist, or a reason for having none."""
    assert bool(statement.tests) != bool(statement.left_out)
    for test in statement.tests:
        module, _, function = test.partition("::")
        folder, _, name = module.rpartition("/")
        path = TESTS / folder / f"test_{name}.py"
        assert path.exists(), path
        assert re.search(rf"^def {function}\(", path.read_text("utf-8"), re.MULTILINE), test


def assert_listed(statements: Iterable[Statement], module: str) -> None:
    """All tests of a file that is there for statements belong to one."""
    named = {test for statement in statements for test in statement.tests}
    folder, _, name = module.rpartition("/")
    text = (TESTS / folder / f"test_{name}.py").read_text("utf-8")
    for function in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE):
        assert f"{module}::{function}" in named, function
