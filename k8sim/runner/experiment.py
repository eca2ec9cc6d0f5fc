"""Experiments: a scenario's variants x replicates, on any number of workers, kept on disk if asked.

All variants use the same seed, and a draw's address does not depend on the variant: replicate 7 sees the same chance in
each of them wherever they are alike (common random numbers), so differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from k8sim.result import PublicEvent
from k8sim.runner.batch import Batch, InOrder, VariantResults
from k8sim.runner.campaigns import campaign_shard_size
from k8sim.runner.engines import choose_engine
from k8sim.runner.executors import Workers, workers
from k8sim.runner.names import check_metric, check_objectives
from k8sim.runner.shards import Columns, Shard, Work, run_shard, shard_size, shards_of
from k8sim.runner.store import Store, fingerprint
from k8sim.scenario.loader import load_variants
from k8sim.scenario.model import Scenario
from k8sim.scenario.sweep import Variant

FIRST_ROUND: Final = 50
ROUND_GROWTH: Final = 1.5


@dataclass(frozen=True)
class Until:
    """A stopping rule: enough when the half-width of a metric's 95 % interval is below a target in every variant.

    It is asked after 50 replicates, then each time there are half as many more. Asking often and stopping at the first
    yes makes intervals a little too narrow; asking seldom keeps that negligible.
    """

    metric: str
    half_width: float

    def met(self, results: Sequence[VariantResults]) -> bool:
        """Whether there are enough replicates."""
        known = [r.series[self.metric].mean().half_width for r in results if self.metric in r.series]
        return len(known) == len(results) and all(width < self.half_width for width in known)


@dataclass(frozen=True)
class Progress:
    """How far an experiment is: runs done (of them read from disk), and runs planned."""

    done: int
    resumed: int
    total: int


def experiment(
    scenario: Scenario | str | Path | Sequence[Variant] | Mapping[str, Scenario],
    replicates: int | None = None,
    *,
    seed: int | None = None,
    jobs: int = 1,
    executor: Executor | Workers | str | None = None,
    until: Until | None = None,
    folder: Path | str | None = None,
    resume: bool = False,
    traces: int = 0,
    engine: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
    on_trace: Callable[[int, int, list[PublicEvent]], None] | None = None,
) -> Batch:
    """Run many replicates of a scenario and of all variants of its sweep.

    Parameters
    ----------
    scenario
        A scenario, the path of a scenario file, or variants: named scenarios, or what `load_variants` gives.
    replicates
        Of each variant, at most; by default what the scenario says.
    jobs, executor
        How many processes on this machine; or an executor of one's own, or ``dask://HOST:PORT``.
    until
        When fewer replicates are enough.
    folder, resume
        Where each finished shard is kept as a Parquet file; whether shards found there count.
    traces, on_trace
        Of how many replicates of each variant the public trace is wanted, and what takes (variant, replicate, trace).
        Campaigns have none.
    engine
        "simpy" (the whole cluster), "lockstep", "reference" or "auto": see `k8sim.runner.engines`.

    Raises
    ------
    ScenarioError, UnknownMetric
        An objective, or the stopping rule, is about a metric that there is not.
    OutsideSubset
        The engine that was asked for cannot run the scenario.

    Notes
    -----
    Ctrl-C ends it: the batch then holds what was done, and `complete` is False. A script that uses more than one job
    must guard its start with ``if __name__ == "__main__":``, as `multiprocessing` wants it.
    """
    variants = _variants(scenario)
    _check_metrics(variants, until)
    first = variants[0].scenario
    seed = first.seed if seed is None else seed
    wanted = first.replicates if replicates is None else replicates
    choice = choose_engine([v.scenario for v in variants], engine, [] if until is None else [until.metric])
    size = shard_size(wanted) if choice.engine == "simpy" else campaign_shard_size(wanted)
    store = None
    if folder is not None:
        store = _store(Path(folder), resume, variants, seed, choice.engine, size)
        size = store.shard_size
    results = [VariantResults(variant, variant.scenario.objectives) for variant in variants]
    batch = Batch(first.name, seed, results, choice, None if store is None else store.folder)
    run = _Experiment(batch, seed, size, store, traces, on_progress or (lambda _: None), on_trace)
    try:
        if isinstance(executor, Workers):
            run.rounds(executor, wanted, until)
        else:
            with workers(jobs, executor) as made:
                run.rounds(made, wanted, until)
    except KeyboardInterrupt:
        batch.complete = False
    return batch


def _variants(scenario: Scenario | str | Path | Sequence[Variant] | Mapping[str, Scenario]) -> list[Variant]:
    if isinstance(scenario, Scenario):
        return [Variant({}, scenario)]
    if isinstance(scenario, str | Path):
        return load_variants(scenario)
    if isinstance(scenario, Mapping):
        return [Variant({"variant": name}, one) for name, one in scenario.items()]
    return list(scenario)


def _check_metrics(variants: list[Variant], until: Until | None) -> None:
    """Refuse objectives and a stopping rule that are about a metric that there is not."""
    if not variants:
        raise ValueError("no variants")
    for variant in variants:
        check_objectives(variant.scenario)
        if until is not None:
            check_metric(until.metric, variant.scenario)


def _store(folder: Path, resume: bool, variants: list[Variant], seed: int, engine: str, size: int) -> Store:
    """Return the folder of an experiment; what is in it decides on the size of shards."""
    first = variants[0].scenario
    about = {
        "fingerprint": fingerprint(variants, seed, engine),
        "engine": engine,
        "shard_size": size,
        "scenario": first.path or first.name,
        "seed": seed,
        "variants": [variant.label for variant in variants],
    }
    return Store(folder, about, resume)


@dataclass
class _Experiment:
    batch: Batch
    seed: int
    size: int
    store: Store | None
    traces: int
    on_progress: Callable[[Progress], None]
    on_trace: Callable[[int, int, list[PublicEvent]], None] | None

    def __post_init__(self) -> None:
        self._in_order = InOrder(self.batch.results)
        self._done = self._resumed = 0
        self._found = list(self.store.shards()) if self.store is not None else []

    def rounds(self, workers: Workers, wanted: int, until: Until | None) -> None:
        """Run everything, or as much as the stopping rule asks for."""
        total = wanted * len(self.batch.results)
        done = 0
        while done < wanted:
            upto = wanted if until is None else min(wanted, max(FIRST_ROUND, int(done * ROUND_GROWTH)))
            kept, missing = self._plan(done, upto)
            if self.store is not None:
                for columns in self.store.read(kept):
                    self._resumed += columns.shard.count
                    self._take(columns, total)
            work = (self._work(shard) for shard in missing)
            for _, columns in workers.in_order_of_completion(run_shard, work):
                if self.store is not None:
                    self.store.write(columns)
                self._take(columns, total)
            done = upto
            if until is not None and until.met(self.batch.results):
                return

    def _work(self, shard: Shard) -> Work:
        scenario, choice = self.batch.results[shard.variant].variant.scenario, self.batch.choice
        campaign = choice.translations[shard.variant] if choice.translations else None
        return Work(shard, scenario, self.seed, self.traces, choice.engine, campaign)

    def _plan(self, first: int, end: int) -> tuple[list[Shard], list[Shard]]:
        """Return what is on disk of a range of replicates, and what is not; variants take turns."""
        kept: list[Shard] = []
        missing: list[Shard] = []
        for number in range(len(self.batch.results)):
            at = first
            for shard in self._found:
                if shard.variant == number and at <= shard.first and shard.first + shard.count <= end:
                    missing += shards_of(number, at, shard.first, self.size)
                    kept.append(shard)
                    at = shard.first + shard.count
            missing += shards_of(number, at, end, self.size)
        return kept, sorted(missing, key=lambda shard: (shard.first, shard.variant))

    def _take(self, columns: Columns, total: int) -> None:
        self._in_order.add(columns)
        if self.on_trace is not None:
            for replicate, trace in columns.traces.items():
                self.on_trace(columns.shard.variant, replicate, trace)
        self._done += columns.shard.count
        self.on_progress(Progress(self._done, self._resumed, total))
