"""The list of statements is complete, and the tests that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kubelet.statements import SECTIONS, STATEMENTS

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize("section", SECTIONS)
def test_every_statement_of_a_section_is_listed(section: str):
    count = SECTIONS[section][2]
    listed = [number for number in STATEMENTS if number.rpartition(".")[0] == section]
    assert listed == [f"{section}.{i + 1}" for i in range(count)]


@pytest.mark.parametrize("number", STATEMENTS)
def test_a_statement_has_a_test_or_a_reason_for_having_none(number: str):
    statement = STATEMENTS[number]
    assert bool(statement.tests) != bool(statement.left_out)
    for test in statement.tests:
        module, _, function = test.partition("::")
        folder, _, name = module.rpartition("/")
        path = TESTS / folder / f"test_{name}.py"
        assert path.exists(), path
        assert re.search(rf"^def {function}\(", path.read_text("utf-8"), re.MULTILINE), test


def test_tests_of_this_list_are_in_it():
    """A test that is named after a statement is that statement's."""
    named = {test for statement in STATEMENTS.values() for test in statement.tests}
    for module in ("statements", "timelines"):
        text = (TESTS / "kubelet" / f"test_{module}.py").read_text("utf-8")
        for function in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE):
            assert f"kubelet/{module}::{function}" in named, function
