"""The index of statements is complete, and what it names is there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.storage.statements import COUNTS, TESTED

TESTS = Path(__file__).parents[1]


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("section", COUNTS)
def test_every_statement_is_tested(section: str) -> None:
    numbered = {f"{section}.{n}" for n in range(1, COUNTS[section] + 1)}
    indexed = {name for name in TESTED if name.rpartition(".")[0] == section and " " not in name}
    assert indexed == numbered


def test_what_the_index_names_is_there() -> None:
    named = {place for places in TESTED.values() for place in places}
    for place in sorted(named):
        file, _, beginning = place.partition("::")
        assert (TESTS / file).exists(), place
        if beginning:
            assert any(name.startswith(beginning) for name in functions(file)), place
