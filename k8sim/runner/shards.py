"""Shards: runs of one variant that one worker does in one go, and what they give.

Which runs a shard holds depends on the plan alone, never on the workers; so results are the same for any number of
them, and a shard that was lost is simply run again.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from k8sim.lockstep.campaign import Campaign
from k8sim.lockstep.subset import Translation
from k8sim.metrics.figures import Figures
from k8sim.result import PublicEvent
from k8sim.runner.campaigns import run_campaign
from k8sim.runner.measures import measure
from k8sim.runner.names import label_of
from k8sim.scenario.model import Scenario
from k8sim.sim import collector

MAX_SHARD = 100
SHARDS_WANTED = 50
"""So many a variant keep workers evenly busy, and a lost one is cheap."""


@dataclass(frozen=True, order=True)
class Shard:
    """Replicates ``first`` to ``first + count - 1`` of a variant (its number)."""

    variant: int
    first: int
    count: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"v{self.variant:05d}-r{self.first:08d}-n{self.count}"


@dataclass(frozen=True)
class Work:
    """A shard and all that a worker needs for it.

    Parameters
    ----------
    traces
        Of replicates below this number the public trace is kept.
    engine, campaign
        The engine, and what it runs if that is not the scenario's whole cluster.
    """

    shard: Shard
    scenario: Scenario
    seed: int
    traces: int = 0
    engine: str = "simpy"
    campaign: Translation | None = None


@dataclass(frozen=True)
class Columns:
    """Results of a shard, one value a replicate in each column."""

    shard: Shard
    numbers: Mapping[str, list[float]]
    lists: Mapping[str, list[tuple[float, ...]]]
    traces: Mapping[int, list[PublicEvent]] = field(default_factory=dict)


class RunFailed(Exception):
    """A replicate that failed by our fault; pickles, and says which it was."""

    def __init__(self, variant: int, replicate: int, seed: int, text: str) -> None:
        super().__init__(variant, replicate, seed, text)
        self.variant, self.replicate, self.seed, self.text = variant, replicate, seed, text

    def __str__(self) -> str:
        return f"variant {self.variant}, seed {self.seed}, replicate {self.replicate} failed:\n{self.text}"


def shard_size(replicates: int) -> int:
    """Return how many replicates a shard holds."""
    return min(max(-(-replicates // SHARDS_WANTED), 1), MAX_SHARD)


def shards_of(variant: int, first: int, end: int, size: int) -> Iterator[Shard]:
    """Cut replicates first to end - 1 into shards; borders lie on multiples of the size."""
    while first < end:
        upto = min((first // size + 1) * size, end)
        yield Shard(variant, first, upto - first)
        first = upto


def run_shard(work: Work) -> Columns:
    """Run a shard, in whichever process this is."""
    if work.campaign is not None and work.campaign.campaign is not None:
        return _run_campaign(work, work.campaign, work.campaign.campaign)
    from k8sim.cluster import simulate  # half a second to import, and only workers need it

    rows: list[Figures] = []
    traces: dict[int, list[PublicEvent]] = {}
    shard = work.shard
    with collector.blind_to_the_past():
        for replicate in range(shard.first, shard.first + shard.count):
            try:
                with collector.asleep():
                    result = simulate(work.scenario, work.seed, replicate)
                rows.append(measure(result))
            except Exception:
                raise RunFailed(shard.variant, replicate, work.seed, traceback.format_exc()) from None
            if replicate < work.traces:
                traces[replicate] = result.public_trace()
    return columns(shard, rows, traces)


def _run_campaign(work: Work, translation: Translation, campaign: Campaign) -> Columns:
    shard = work.shard
    label = label_of(translation.name, translation.namespace, work.scenario.namespace)
    replicates = np.arange(shard.first, shard.first + shard.count)
    try:
        numbers, lists = run_campaign(campaign, label, work.seed, replicates, one_by_one=work.engine == "reference")
    except Exception:
        raise RunFailed(shard.variant, shard.first, work.seed, traceback.format_exc()) from None
    return Columns(shard, numbers, lists)


def columns(shard: Shard, rows: list[Figures], traces: Mapping[int, list[PublicEvent]]) -> Columns:
    """Turn the figures of each replicate into columns; what a replicate lacks is NaN or an empty list."""
    numbers = {name: [float("nan")] * len(rows) for row in rows for name in row.numbers}
    lists: dict[str, list[tuple[float, ...]]] = {name: [()] * len(rows) for row in rows for name in row.lists}
    for index, row in enumerate(rows):
        for name, number in row.numbers.items():
            numbers[name][index] = number
        for name, values in row.lists.items():
            lists[name][index] = values
    return Columns(shard, numbers, lists, traces)
