"""Every recorded case against ten seeds of the simulator, by the comparator's rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import load
from tests.conformance.compare import compare, racy_of, steps_of

HERE = Path(__file__).parent
CASES = sorted((HERE / "recorded").glob("*.json"))
SEEDS = range(10)

# The comparator is a copy, kept as it is; it leaves closing its small files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LATER: dict[str, str] = {}
"""Case -> the part that will make it agree; strict: an unexpected pass is an error."""


def _parameters() -> list[object]:
    return [
        pytest.param(
            path,
            id=path.stem,
            marks=[pytest.mark.xfail(strict=True, reason=LATER[path.stem])] if path.stem in LATER else [],
        )
        for path in CASES
    ]


@pytest.mark.parametrize("path", _parameters())
def test_agrees_with_the_recording(path: Path) -> None:
    recording = json.loads(path.read_text())
    scenario = load(HERE / "cases" / f"{path.stem}.yaml")
    runs = [Cluster(scenario, seed=seed, keep_history=False).run().public_trace() for seed in SEEDS]
    candidates = [json.loads(json.dumps(run)) for run in runs]
    differences, _ = compare(recording["runs"], candidates, steps_of(recording["runs"]), racy_of(str(path)))
    assert not differences, "\n".join(differences[:20])
