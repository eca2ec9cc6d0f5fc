"""The list of statements about disruption is complete, and the tests that it names exist."""

from __future__ import annotations

import pytest

from tests.controllers.statements import SECTIONS, STATEMENTS
from tests.statementindex import assert_complete, assert_listed, assert_shown


@pytest.mark.parametrize("section", SECTIONS)
def test_every_statement_of_a_section_is_listed(section: str) -> None:
    assert_complete(STATEMENTS, section, SECTIONS[section][2])


@pytest.mark.parametrize("number", STATEMENTS)
def test_a_statement_has_a_test(number: str) -> None:
    assert_shown(STATEMENTS[number])


def test_tests_of_this_list_are_in_it() -> None:
    assert_listed(STATEMENTS.values(), "controllers/statements")
