"""What a pair of tests is: a path of loss provoked through a whole cluster, and nearly the same that loses nothing.

What has happened is read from the tables of the metrics: "lost L2 10" is ten bytes in the table of losses,
"writes L1 ~400" about as many of an application's writes. Of the table of inaccessibility "away L19" is content that is
out of reach at the end, "back L8" content that was, "turned L8" content that is so for another reason now, or worse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from k8sim.metrics.applications import applications
from k8sim.metrics.volumes import absences, content_losses
from tests.csi.scenes import Scene

CLOSE = 0.05
"""How exactly an amount is known that is written with "~": phases of loops and delays of runtimes are drawn."""

ENDS = {"": "away", "Accessible": "back"}


@dataclass(frozen=True)
class Pair:
    """One path.

    Parameters
    ----------
    says
        What section 9.2 of the storage specification says of it, in its words.
    loss, told
        What is done, and all that the tables tell of it.
    near, spared
        Nearly the same, and why nothing is lost then.
    harmless
        What the tables tell of the near miss: content that is out of reach is not lost.
    variant
        Which of several forms of the path.
    """

    path: str
    says: str
    loss: Callable[[], Scene]
    told: str
    near: Callable[[], Scene]
    spared: str
    harmless: str = ""
    variant: str = ""

    @property
    def name(self) -> str:
        """As it stands in the names of tests."""
        return f"{self.path} {self.variant}".strip().replace(" ", "-")


def told(scene: Scene) -> dict[str, float]:
    """Return what the tables tell, by fate and path: how many bytes or writes."""
    log, found = scene.cluster.sim.trace, dict[str, float]()
    for loss in content_losses(log):
        key = f"{loss.fate} {loss.path}"
        found[key] = found.get(key, 0) + loss.amount
    for absence in absences(log):
        found[f"{ENDS.get(absence.ended_by, 'turned')} {absence.path}"] = 0
    for shard in applications(log).shards.values():
        for lost in shard.losses:
            found[f"writes {lost.path}"] = found.get(f"writes {lost.path}", 0) + lost.writes
    return found


def expected(text: str) -> Mapping[str, Any]:
    """Return what is written "lost L10 10; away L19" in the form of `told`."""
    wanted: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        fate, path, *amount = part.split()
        number = amount[0] if amount else "0"
        about = number.startswith("~")
        wanted[f"{fate} {path}"] = pytest.approx(float(number[1:]), rel=CLOSE) if about else float(number)
    return wanted
