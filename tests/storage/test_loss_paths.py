"""Every path of loss in whole clusters: each provoked, and each with a near miss that loses nothing.

The pairs are in `tests.storage.losspaths`, in the order of section 9.2 of the storage specification.
"""

from __future__ import annotations

import pytest

from k8sim.machines.losses import LOSS_PATHS
from tests.storage.losspaths import capacity, ephemeral, fencing, node_bound, process, reclaim, snapshots
from tests.storage.losspaths.page import PAGE, page
from tests.storage.losspaths.pair import Pair, expected, told

PAIRS = tuple(
    pair
    for room in (process, ephemeral, node_bound, reclaim, fencing, snapshots, capacity)
    for pair in room.PAIRS
)  # fmt: skip
LOSSES = ("lost", "divergent", "unacknowledged", "writes")
NAMES = [pair.name for pair in PAIRS]


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_path(pair: Pair) -> None:
    """Exactly what the path says is in the tables of losses and of inaccessibility."""
    assert told(pair.loss()) == expected(pair.told), pair.says


@pytest.mark.parametrize("pair", PAIRS, ids=NAMES)
def test_near_miss(pair: Pair) -> None:
    """Nothing is lost or divergent."""
    seen = told(pair.near())
    assert seen == expected(pair.harmless), pair.spared
    assert not any(amount for key, amount in seen.items() if key.startswith(LOSSES))


def test_every_path_has_its_pair() -> None:
    assert list(dict.fromkeys(pair.path for pair in PAIRS)) == list(LOSS_PATHS)
    assert len(set(NAMES)) == len(NAMES)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(PAIRS), "run python tools/loss_paths.py"
