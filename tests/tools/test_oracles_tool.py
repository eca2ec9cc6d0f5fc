"""A disagreement with an oracle is told with the command that replays it, and that command finds it again."""

from __future__ import annotations

import pytest

from k8sim.search.space import Chooser
from tools import oracles


def test_a_disagreement_says_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def disagrees(choose: Chooser) -> None:
        number = choose.below(10)
        assert number != 7, "seven"

    monkeypatch.setattr(oracles, "CHECKS", {"budget": disagrees})
    decision, agreed, said = oracles.compare("budget", 5, 1000)
    assert decision == "budget"
    assert said.startswith(f"replay: python tools/oracles.py --decision budget --seed 5 --count {agreed + 1}\n")
    assert "seven" in said
    assert oracles.compare("budget", 5, agreed)[2] == ""
    assert "seven" in oracles.compare("budget", 5, agreed + 1)[2]
