from __future__ import annotations

from pathlib import Path

import pytest

from k8sim.faults.catalogue import FAULTS, target_of
from k8sim.guarantees import CIRCUMSTANCES, GUARANTEES
from k8sim.guarantees.circumstances import CUTS, ENDS_BY_ITSELF, NODE_FAULTS
from k8sim.report.guarantees import guarantees_markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_lists_all_guarantees() -> None:
    assert (DOCS / "guarantees.md").read_text().endswith(guarantees_markdown()), "run python tools/lists.py"


@pytest.mark.parametrize("name", GUARANTEES)
def test_circumstances_are_faults_or_have_their_meaning_told(name: str) -> None:
    guarantee = GUARANTEES[name]
    if guarantee.kind != "wish":  # of a wish they say what brought it about
        assert set(guarantee.not_kept_under) <= set(FAULTS) | set(CIRCUMSTANCES)


def test_every_circumstance_excuses_something() -> None:
    assert {word for g in GUARANTEES.values() for word in g.not_kept_under} >= set(CIRCUMSTANCES)


def test_what_is_known_of_faults_is_what_their_catalogue_says() -> None:
    at_nodes = {name for name, shape in FAULTS.items() if target_of(shape.fault) in ("node", "zone")}
    assert at_nodes == NODE_FAULTS
    at_once = {name for name, shape in FAULTS.items() if shape.fault.transient or "for" not in shape.arguments}
    assert at_once - {"disk-loss", "spot-reclaim"} == set(ENDS_BY_ITSELF), "these two are for ever"
    assert set(FAULTS) >= CUTS
