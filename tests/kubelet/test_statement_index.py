"""The list of statements about a pod's life is complete, and the tests that it names exist."""

from __future__ import annotations

import pytest

from tests.kubelet.statements import SECTIONS, STATEMENTS
from tests.statementindex import assert_complete, assert_listed, assert_shown


@pytest.mark.parametrize("section", SECTIONS)
def test_every_statement_of_a_section_is_listed(section: str):
    assert_complete(STATEMENTS, section, SECTIONS[section][2])


@pytest.mark.parametrize("number", STATEMENTS)
def test_a_statement_has_a_test_or_a_reason_for_having_none(number: str):
    assert_shown(STATEMENTS[number])


@pytest.mark.parametrize("module", ["kubelet/statements", "kubelet/timelines"])
def test_tests_of_this_list_are_in_it(module: str):
    assert_listed(STATEMENTS.values(), module)
