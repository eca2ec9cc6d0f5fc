"""Shards of campaigns: the figures of thousands of replicates, under the names of `k8sim.runner.names`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.campaign import FIGURES, NEVER, Campaign
from k8sim.lockstep.columns import Outcome
from k8sim.lockstep.engine import CHUNK, run_lockstep
from k8sim.lockstep.reference import Reference
from k8sim.lockstep.subset import Translation
from k8sim.runner.names import label_of
from k8sim.scenario.model import Scenario
from k8sim.sim.units import SECOND

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SHARDS_WANTED: Final = 8
FEWEST: Final = 1000
"""Of fewer replicates stepping in lock-step gains little."""

_FIGURES: Final[Mapping[str, Callable[[Campaign, Mapping[str, Ints]], Floats | Ints]]] = {
    "availability": lambda c, f: 1 - f["down_ns"] / c.horizon_ns,
    "outages": lambda c, f: f["outages"],
    "downtime_s": lambda c, f: f["down_ns"] / SECOND,
    "longest_outage_s": lambda c, f: f["longest_ns"] / SECOND,
    "short_s": lambda c, f: f["short_ns"] / SECOND,
    "pods": lambda c, f: c.replicas + f["replaced"],
    "restarts": lambda c, f: f["crashes"] + f["resumed"],
    "evictions": lambda c, f: f["evicted"],
    "forced_deletions": lambda c, f: f["forced"],
    "drains": lambda c, f: f["drained"],
    "updates": lambda c, f: f["updated"],
    "data_losses": lambda c, f: f["losses"],
    "first_loss_s": lambda c, f: np.where(f["first_loss_ns"] == NEVER, np.nan, f["first_loss_ns"] / SECOND),
}


def campaign_figures(scenario: Scenario, translation: Translation) -> list[str]:
    """Return the names of all figures of a campaign."""
    label = label_of(translation.name, translation.namespace, scenario.namespace)
    return [f"{label}.{name}" for name in _FIGURES]


def campaign_shard_size(replicates: int) -> int:
    """Return how many replicates are stepped together."""
    return min(max(-(-replicates // SHARDS_WANTED), min(FEWEST, replicates)), CHUNK)


def run_campaign(
    campaign: Campaign, label: str, seed: int, replicates: Ints, *, one_by_one: bool = False
) -> tuple[dict[str, list[float]], dict[str, list[tuple[float, ...]]]]:
    """Run replicates; return their numbers and their lists of outages.

    Parameters
    ----------
    one_by_one
        On SimPy rather than in lock-step.
    """
    outcome = _by_reference(campaign, seed, replicates) if one_by_one else run_lockstep(campaign, seed, replicates)
    numbers = {f"{label}.{name}": of(campaign, outcome.figures).astype(float).tolist() for name, of in _FIGURES.items()}
    return numbers, {f"{label}.outage_s": _lists(outcome, len(replicates))}


def _by_reference(campaign: Campaign, seed: int, replicates: Ints) -> Outcome:
    figures = {name: np.empty(len(replicates), dtype=np.int64) for name in FIGURES}
    lengths, places = list[int](), list[int]()
    for place, replicate in enumerate(replicates.tolist()):
        run = Reference(campaign, seed, replicate)
        counted = run.run()
        for name, values in figures.items():
            values[place] = getattr(counted, name)
        lengths += run.outages_ns
        places += [place] * len(run.outages_ns)
    return Outcome(figures, np.array(lengths, dtype=np.int64), np.array(places, dtype=np.int64))


def _lists(outcome: Outcome, n: int) -> list[tuple[float, ...]]:
    """Return the outages of each replicate, in the order in which they ended."""
    order = np.argsort(outcome.outage_of, kind="stable")
    lengths = outcome.outages_ns[order] / SECOND
    ends = np.cumsum(np.bincount(outcome.outage_of, minlength=n))
    return [tuple(part.tolist()) for part in np.split(lengths, ends[:-1])]
