"""Every mutant of tools/mutants.py can still be planted; one is, and is caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import mutants
from tools.mutants import MUTANTS, ROOT, Mutant, planted

ROOMS = {
    "statefulset", "deployment", "replicaset", "disruption", "eviction", "persistentvolume", "attachdetach", "probes",
    "pod worker", "restarts", "taint eviction", "scheduler", "endpointslice", "quota", "node lifecycle", "leases",
    "quorum", "flush", "loss accounting", "guarantees",
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.room}: {m.bug}")
def test_can_be_planted(mutant: Mutant) -> None:
    text = planted(mutant, (ROOT / mutant.path).read_text("utf-8"))
    compile(text, str(mutant.path), "exec")
    for tests in mutant.tests:
        assert (ROOT / tests).exists()


def test_all_rooms_with_decisions_have_some() -> None:
    assert {m.room for m in MUTANTS} == ROOMS
    assert len(MUTANTS) >= 25


def test_one_is_caught_and_mended(tmp_path: Path) -> None:
    tree = mutants.copy_of_the_tree(tmp_path / "tree")
    victim = next(m for m in MUTANTS if m.bug == "half of the voters are a majority")
    before = (tree / victim.path).read_text("utf-8")
    assert mutants.try_mutant(victim, tree).caught_by.startswith("tests/workload/test_rules.py")
    assert (tree / victim.path).read_text("utf-8") == before
