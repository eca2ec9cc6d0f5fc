"""No guarantee is violated in scenarios that real clusters have run."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.guarantees import GUARANTEES, check, follow
from k8sim.scenario import load

CASES = sorted((Path(__file__).parents[1] / "conformance" / "cases").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_nothing_is_violated(path: Path) -> None:
    audit = check(Cluster(load(path), tie_salt=len(path.stem)).run())
    assert not audit.violations, f"{audit}\nk8sim run {path} --check"


def test_watching_live_finds_the_same_as_looking_back() -> None:
    path = next(p for p in CASES if p.stem == "sts-force-delete-live-node")
    scenario = load(path)
    live, afterwards = follow(Cluster(scenario)), check(Cluster(scenario).run())
    assert [str(f) for f in live.findings] == [str(f) for f in afterwards.findings] != []


def test_each_guarantee_says_what_it_is_worth() -> None:
    assert len(GUARANTEES) >= 50
    for guarantee in GUARANTEES.values():
        assert guarantee.promise.endswith(".")
        assert guarantee.checks
        assert guarantee.does_not_check
        assert guarantee.source
