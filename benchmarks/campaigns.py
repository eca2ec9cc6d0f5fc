#!/usr/bin/env python3
"""Replicate-years per CPU second of campaigns, on every engine; rare events; memory; two workers.

    python benchmarks/campaigns.py                       # the engines side by side, rare events
    python benchmarks/campaigns.py --growth              # with replicates, members and nodes
    python benchmarks/campaigns.py --memory 1000000      # peak memory of that many replicates of 30 days
    python benchmarks/campaigns.py --workers             # one worker against two

The campaign is `campaign.yaml`. CPU time of this process; engines take turns, and ratios are taken round by round, so
that a busy machine slows all alike. It is checked first that the lock-step engine and its reference count the same.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import Process
from pathlib import Path
from typing import Any

import numpy as np

from k8sim.cluster import Cluster
from k8sim.lockstep.campaign import FIGURES, Campaign
from k8sim.lockstep.copies import CopyGroup
from k8sim.lockstep.engine import Lockstep, run_lockstep
from k8sim.lockstep.reference import run_reference
from k8sim.lockstep.subset import campaign_of
from k8sim.runner.executors import Workers
from k8sim.runner.experiment import experiment
from k8sim.runner.rare import loss_probability
from k8sim.scenario import Scenario, load
from k8sim.sim.distributions import Exponential
from k8sim.sim.units import DAY, HOUR, SECOND

SCENARIO = Path(__file__).with_name("campaign.yaml")
YEAR = 365 * DAY
WORK = 80_000
"""Replicates of 30 days that one and two workers share."""
TURN = 0.1
"""Seconds of CPU that an engine has before it is the turn of the other."""
SPINS = 30_000_000
"""Turns of an empty loop that one and two processes share."""


def campaign(scenario: Scenario) -> Campaign:
    """Return a scenario as a campaign."""
    found = campaign_of(scenario).campaign
    assert found is not None
    return found


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def check(model: Campaign, n: int) -> float:
    """See that lock-step and its reference count the same; return how many events a replicate has."""
    rows = [run_reference(model, 1, replicate) for replicate in range(n)]
    outcome = run_lockstep(model, 1, np.arange(n))
    for name in FIGURES:
        assert outcome.figures[name].tolist() == [getattr(row, name) for row in rows], name
    return sum(row.events for row in rows) / n


def engines(scenario: Scenario, replicates: int, reference: int, full: int, rounds: int) -> None:
    """Measure the three engines on the same campaign."""
    model = campaign(scenario)
    events = check(model, reference)
    years = scenario.duration_ns / YEAR
    costs: dict[str, list[float]] = {"whole cluster (simpy)": [], "campaign on SimPy (reference)": [], "lockstep": []}
    whole, slow, fast = costs.values()
    played: list[int] = []
    run_lockstep(model, 1, np.arange(replicates // 10))  # so that none has to warm up
    for number in range(rounds):
        whole.append(
            cpu(lambda: [Cluster(scenario, replicate=r, keep_history=False).run() for r in range(full)]) / full
        )
        one, other, done = side_by_side(model, replicates)
        slow.append(one)
        fast.append(other)
        played.append(done)
        print(f"round {number + 1}: {slow[-1] / fast[-1]:.1f} x reference, {whole[-1] / fast[-1]:,.0f} x whole cluster")
    print(f"\n{events:.0f} events a replicate\n")
    print("| engine | replicates | replicate-years per CPU s | lockstep is so many times as fast | rounds from | to |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for (name, values), n in zip(costs.items(), (full, min(played), replicates), strict=True):
        ratios = sorted(v / f for v, f in zip(values, fast, strict=True))
        print(
            f"| {name} | {n:,} | {years / statistics.median(values):,.2f} | {statistics.median(ratios):,.1f} "
            f"| {ratios[0]:,.1f} | {ratios[-1]:,.1f} |"
        )


def side_by_side(model: Campaign, replicates: int) -> tuple[float, float, int]:
    """Return CPU seconds a replicate of the reference and of lock-step, which take turns of a tenth of a second or so.

    Third, how many replicates the reference has had in that time. The speed of a shared machine changes from second to
    second; so each has its share of what is fast and slow.
    """
    start = time.process_time()
    lockstep = Lockstep(model, 1, np.arange(replicates))
    lockstep.begin()
    fast, slow, done, left = time.process_time() - start, 0.0, 0, True
    while left:
        turn = 0.0
        while left and turn < TURN:
            start = time.process_time()
            left = lockstep.step()
            turn += time.process_time() - start
        fast += turn
        turn = 0.0
        while turn < TURN:
            turn += cpu(partial(run_reference, model, 1, done))
            done += 1
        slow += turn
    return slow / done, fast / replicates, done


def growth(scenario: Scenario) -> None:
    """Measure how the cost of an event grows."""
    base = replace(campaign(scenario), horizon_ns=60 * DAY)
    print("| replicates | members | nodes | events a replicate | ns of CPU per event |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    shapes = [(r, 3, 6) for r in (100, 1_000, 10_000, 30_000)] + [(10_000, m, 18) for m in (3, 5, 9)]
    for replicates, members, nodes in [*shapes, (10_000, 3, 12), (10_000, 3, 48)]:
        model = replace(base, replicas=members, node_zone=tuple(n % 3 for n in range(nodes)))
        counted = []
        seconds = statistics.median(
            cpu(lambda: counted.append(run_lockstep(model, 1, np.arange(replicates)).figures["events"].sum()))  # noqa: B023
            for _ in range(3)
        )
        events = float(counted[0])
        print(f"| {replicates:,} | {members} | {nodes} | {events / replicates:.0f} | {seconds / events * 1e9:,.0f} |")


def memory(scenario: Scenario, replicates: int) -> None:
    """Measure the peak memory of many replicates, which are reduced as they come."""
    month = replace(scenario, duration_ns=30 * DAY)
    experiment(month, 10_000, engine="lockstep")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = cpu(lambda: experiment(month, replicates, engine="lockstep"))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"peak after 10,000 replicates: {before:.0f} MB; after {replicates:,}: {after:.0f} MB; {seconds:.0f} s of CPU"
    )


class TimedWorkers(Workers):
    """Workers that note how much CPU time their work took."""

    seconds = 0.0

    def in_order_of_completion(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Apply a function to items, as ever."""
        for item, (done, seconds) in super().in_order_of_completion(partial(timed, function), items):
            self.seconds += seconds
            yield item, done


def timed(function: Callable[[Any], Any], item: Any) -> tuple[Any, float]:
    """Return what a function gives, and its CPU seconds."""
    start = time.process_time()
    done = function(item)
    return done, time.process_time() - start


def spin(turns: int) -> None:
    """Keep a processor busy."""
    for _ in range(turns):
        pass


def bare(jobs: int) -> float:
    """Return how long some processes are busy with the same empty loops: what the machine gives, here and now."""
    processes = [Process(target=spin, args=(SPINS // jobs,)) for _ in range(jobs)]
    start = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return time.perf_counter() - start


def workers(scenario: Scenario, rounds: int) -> None:
    """Compare one worker process with two: by the wall clock, beside bare loops, and by CPU, as on two free cores."""
    month = replace(scenario, duration_ns=30 * DAY)
    walls, ideals, loops = [], [], []
    for _ in range(rounds):
        wall, ideal = [], []
        theirs = own = 0.0
        for jobs in (1, 2):
            with ProcessPoolExecutor(jobs) as executor:
                pool = TimedWorkers(jobs, executor)
                start, begun = time.perf_counter(), time.process_time()
                experiment(month, WORK, executor=pool, engine="lockstep")
                wall.append(time.perf_counter() - start)
                theirs, own = pool.seconds, time.process_time() - begun
            ideal.append(max(theirs / jobs, (theirs + own) / 2))
        walls.append(wall[0] / wall[1])
        ideals.append(ideal[0] / ideal[1])
        loops.append(bare(1) / bare(2))
        print(f"round: {walls[-1]:.2f} x by the wall clock, {loops[-1]:.2f} x bare; CPU {theirs:.1f} + {own:.1f} s")
    print(f"two workers: {statistics.median(walls):.2f} x the throughput of one by the wall clock, here and now, where")
    print(f"two bare loops have {statistics.median(loops):.2f} x that of one;")
    print(f"{statistics.median(ideals):.2f} x by CPU time, as on two free cores that the coordinator shares")


def rare() -> None:
    """Measure a probability of 1e-7."""
    group = CopyGroup(3, 2, Exponential(30_000 * HOUR), Exponential(10 * HOUR))
    found = []
    seconds = cpu(lambda: found.append(loss_probability(group, YEAR / SECOND)))
    estimate, gate = found[0]
    error = estimate.half_width / estimate.value
    print(f"\nP(loss in a year) = {estimate.value:.3g} within {error:.0%} (95 %): {seconds:.1f} s of CPU, ", end="")
    print(f"mean likelihood ratio {gate.mean_ratio:.3f} ± {gate.ratio_error:.3f}")


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=10_000, help="of the lock-step engine, stepped together")
    parser.add_argument("--reference", type=int, default=40, help="replicates that are checked first")
    parser.add_argument("--full", type=int, default=1, help="replicates of the whole cluster")
    parser.add_argument("--rounds", type=int, help="15, but 3 of workers")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--memory", type=int, metavar="N")
    parser.add_argument("--workers", action="store_true")
    options = parser.parse_args()
    scenario = load(SCENARIO)
    if options.growth:
        growth(scenario)
    elif options.memory:
        memory(scenario, options.memory)
    elif options.workers:
        workers(scenario, options.rounds or 3)
    else:
        engines(scenario, options.replicates, options.reference, options.full, options.rounds or 15)
        rare()


if __name__ == "__main__":
    main()
