"""Random histories on random cases, all guarantees on, ties shuffled; random damage to the text of scenario files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.guarantees import check
from k8sim.scenario import ScenarioError, load, loads
from k8sim.scenario.model import Scenario
from k8sim.search import Space, timeline_lines
from k8sim.search.space import BROKEN_IMAGES, Chooser, moved
from k8sim.sim.units import MINUTE, SECOND

CASES = sorted((Path(__file__).parents[1] / "conformance" / "cases").glob("*.yaml"))
QUICK, LONG = range(12), range(12, 120)


def disturbed(seed: int) -> tuple[Scenario, int]:
    """Return a case with a random history, and how to shuffle its ties."""
    choose = Chooser(seed, "soak")
    scenario = load(choose.of(CASES))
    space = Space(scenario)
    times = sorted(choose.below(120) * SECOND for _ in range(1 + choose.below(6)))
    steps = tuple(moved(space.action(choose), at) for at in times)
    duration = 120 * SECOND + choose.of((MINUTE, 10 * MINUTE, 40 * MINUTE))
    images = (*BROKEN_IMAGES, *scenario.images)
    changed = replace(scenario, timeline=steps, duration_ns=duration, images=images, seed=seed)
    return changed, choose.below(3)


def soak(seed: int) -> None:
    scenario, salt = disturbed(seed)
    audit = check(Cluster(scenario, tie_salt=salt).run())
    replay = f"tests/robustness/test_soak.py::disturbed({seed}): {scenario.name}, ties {salt}"
    assert not audit.violations, "\n".join([replay, *timeline_lines(scenario), *map(str, audit.violations)])


@pytest.mark.parametrize("seed", QUICK)
def test_no_guarantee_is_violated(seed: int) -> None:
    soak(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", LONG)
def test_no_guarantee_is_violated_for_long(seed: int) -> None:
    soak(seed)


DAMAGE = ("", "null", "[]", "{}", "-1", "1e99", '"\\0"', "yes", "9" * 40, "*", "{a: b}", "0x7", "~", "!!python/none")


def damaged(seed: int) -> str:
    """Return the text of a case with some of its values or lines replaced, doubled or cut off."""
    choose = Chooser(seed, "damage")
    lines = choose.of(CASES).read_text().splitlines()
    for _ in range(1 + choose.below(3)):
        i = choose.below(len(lines))
        how = choose.below(4)
        if how == 0 and ":" in lines[i]:
            lines[i] = lines[i].partition(":")[0] + ": " + choose.of(DAMAGE)
        elif how == 1:
            lines[i] = lines[choose.below(len(lines))]
        elif how == 2:
            lines[i] = lines[i][: choose.below(len(lines[i]) + 1)]
        else:
            lines.insert(i, " " * choose.below(8) + lines[choose.below(len(lines))].lstrip())
    return "\n".join(lines)


@pytest.mark.parametrize("block", range(10))
def test_a_damaged_file_is_run_or_refused(block: int) -> None:
    """Never a traceback; what is accepted also runs for a while."""
    for seed in range(block * 20, block * 20 + 20):
        try:
            scenario = loads(damaged(seed), "damaged.yaml")
        except ScenarioError:
            continue
        Cluster(replace(scenario, duration_ns=min(scenario.duration_ns, 20 * SECOND))).run()
