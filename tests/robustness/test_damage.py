"""Damaged files are taken or refused, never a traceback; what is accepted also runs for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.robustness.damage import damaged
from tools import fuzz


def check(numbers: range) -> fuzz.Outcome:
    outcome = fuzz.try_block(numbers, run=True)
    assert not outcome.failures, "\n".join(outcome.failures)
    return outcome


def test_a_damaged_file_is_run_or_refused() -> None:
    outcome = check(range(160))
    assert outcome.files == 160
    assert outcome.codes[fuzz.FINE] > 8
    assert outcome.codes[fuzz.BAD_INPUT] > 60


def test_a_number_always_gives_the_same_file() -> None:
    assert [damaged(n) for n in range(20)] == [damaged(n) for n in range(20)]


def test_a_bug_is_told_with_what_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path, run: bool) -> tuple[int, str]:
        raise KeyError(path.name)

    monkeypatch.setattr(fuzz, "problem_of", fails)
    [failure] = fuzz.try_block(range(5, 6), run=False).failures
    assert failure.startswith("replay: python tools/fuzz.py --seed 5 --count 1\n")
    assert "KeyError: 'damaged-5.yaml'" in failure
