"""Random scenarios with all guarantees on; a failure says how to replay it."""

from __future__ import annotations

import pytest

from tests.robustness import random_scenarios
from tests.robustness.random_scenarios import draw
from tools import soak
from tools.numbered import blocks

BLOCK = 20


def check(numbers: range) -> None:
    outcome = soak.run_block(numbers)
    assert outcome.scenarios == len(numbers)
    assert not outcome.failures, "\n".join(outcome.failures)


@pytest.mark.parametrize("numbers", blocks(0, 40, BLOCK), ids=str)
def test_no_guarantee_is_violated(numbers: range) -> None:
    check(numbers)


@pytest.mark.slow
@pytest.mark.parametrize("numbers", blocks(40, 100, BLOCK), ids=str)
def test_no_guarantee_is_violated_for_long(numbers: range) -> None:
    check(numbers)


def test_a_number_always_gives_the_same_scenario() -> None:
    assert [draw(n) for n in range(6)] == [draw(n) for n in range(6)]


def test_scenarios_differ_in_workloads_watches_and_ties() -> None:
    drawn = [draw(n) for n in range(60)]
    assert {d.scenario.cluster.watches for d in drawn} == set(random_scenarios.WATCHES)
    assert {d.tie_salt for d in drawn} == {0, 1, 2, 3}
    kinds = {m["kind"] for d in drawn for m in d.scenario.objects}
    assert kinds >= {"StatefulSet", "Deployment", "PodDisruptionBudget", "Service", "StorageClass"}


def test_a_failure_says_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(number: int) -> None:
        raise ValueError(f"number {number} is bad")

    monkeypatch.setattr(soak, "draw", fails)
    [failure] = soak.run_block(range(7, 8)).failures
    assert failure.startswith("replay: python tools/soak.py --seed 7 --count 1")
    assert "ValueError: number 7 is bad" in failure


def test_a_scenario_that_hangs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(number: int) -> None:
        while True:
            pass

    monkeypatch.setattr(soak, "CPU_LIMIT_S", 0.1)
    monkeypatch.setattr(soak, "draw", hangs)
    [failure] = soak.run_block(range(7, 8)).failures
    assert "Hangs: more than 0.1 s of CPU" in failure
