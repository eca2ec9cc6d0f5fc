"""docs/loss-paths.md: the table of paths, with the tests that provoke each. `tools/loss_paths.py` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from k8sim.machines.losses import LOSS_PATHS, LossPath
from tests.storage.losspaths.pair import Pair

PAGE: Final = Path(__file__).parents[3] / "docs" / "loss-paths.md"
TEST: Final = "tests/storage/test_loss_paths.py"
HEAD: Final = """\
# Where data is lost

Forty-two ways to lose data or to lose sight of it, as the simulator knows them. A row of a trace that says `path` names
one of them; `k8sim.metrics.losspaths.loss_paths` counts them all for a run, `k8sim.metrics.volumes.losses` and
`inaccessibility` list what happened one by one, `k8sim.metrics.storagecost` what storage cost and what of it leaked.

A byte is counted for the first cause that took its last copy, snapshots and restored volumes included: a volume that is
deleted when a snapshot has all of it loses nothing. Content that is out of reach is not lost; and what a volume lacks
that is restored after a loss was counted when the disk went (`rpo_s` says how much time's writes that is).

Each path is provoked through a whole cluster by `test_path[NAME]` in [the tests](../{test}), which finds exactly what
is told here in these tables, and each has a near miss, `test_near_miss[NAME]`, in which nothing is lost. "lost L2 10"
is ten bytes, "writes L1 ~430" an application's writes; "away" is content that is out of reach at the end, "back"
content that was, "turned" content that is so for another reason now, or worse.
"""


def page(pairs: Sequence[Pair]) -> str:
    """Return the page."""
    parts = [HEAD.format(test=TEST)]
    parts += ["| path | what happens | what becomes of content | rows | decided in | tests |", "| --- |" + " --- |" * 5]
    parts += [_row(path, [p for p in pairs if p.path == path.number]) for path in LOSS_PATHS.values()]
    parts += ["", "## The tests", ""]
    for pair in pairs:
        parts += [
            f"* `{pair.name}`: {pair.says}. Told: {pair.told.replace(';', ',')}. Near miss: {pair.spared}"
            + (f" (told: {pair.harmless.replace(';', ',')})." if pair.harmless else "."),
        ]
    parts += ["", "## What is simulated in part", ""]
    parts += [f"* {path.number}: {path.gap}." for path in LOSS_PATHS.values() if path.gap]
    return "\n".join(parts) + "\n"


def _row(path: LossPath, pairs: Sequence[Pair]) -> str:
    names = ", ".join(f"`{pair.name}`" for pair in pairs)
    rooms = ", ".join(f"`{room}`" for room in path.decided.split(", "))
    return f"| {path.number} | {path.act} | {path.fate} | {path.events} | {rooms} | {names} |"
