#!/usr/bin/env python3
"""CPU time of the lock-step engine against its SimPy reference, and of rare events.

    python benchmarks/campaigns.py
    python benchmarks/campaigns.py --replicates 30000 --reference 100

The campaign: a StatefulSet of 3 with zonal disks on 6 nodes in 3 zones for a year, about 800 events a replicate: nodes,
zones and disks fail, containers crash, nodes are drained, the set is rolled. Both engines count the same events of the
same replicates (checked here on those that the reference runs). CPU time of this process, medians of alternating
rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from k8sim.lockstep.campaign import FIGURES, Campaign
from k8sim.lockstep.copies import CopyGroup
from k8sim.lockstep.engine import CHUNK, run_lockstep
from k8sim.lockstep.reference import run_reference
from k8sim.runner.rare import loss_probability
from k8sim.sim.distributions import Exponential, Lognormal, Uniform, Weibull
from k8sim.sim.units import DAY, HOUR, MINUTE, SECOND

YEAR = Campaign(
    node_zone=(0, 1, 2, 0, 1, 2), replicas=3, horizon_ns=365 * DAY,
    start=Lognormal(5 * SECOND, 60 * SECOND), catch_up=Uniform(0, 30 * SECOND), rebuild=Exponential(2 * HOUR),
    stop=Uniform(SECOND, 20 * SECOND), attach=Uniform(SECOND, 10 * SECOND), detach=Uniform(SECOND, 10 * SECOND),
    maintenance=Uniform(5 * MINUTE, 20 * MINUTE), replace=Exponential(HOUR), restore=Exponential(4 * HOUR),
    node_outage=Lognormal(10 * MINUTE, 5 * HOUR), zone_outage=Exponential(2 * HOUR), node_life=Exponential(30 * DAY),
    zone_life=Exponential(365 * DAY), crash=Weibull.from_mean(20 * DAY, 0.8), disk_life=Exponential(500 * DAY),
    rollout_every=Uniform(10 * DAY, 20 * DAY), drain_every=Uniform(20 * DAY, 40 * DAY),
    force_delete=Exponential(2 * HOUR),
)  # fmt: skip


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def check(n: int) -> None:
    """See that both engines count the same."""
    rows = [run_reference(YEAR, 1, replicate) for replicate in range(n)]
    outcome = run_lockstep(YEAR, 1, np.arange(n))
    for name in FIGURES:
        assert outcome.figures[name].tolist() == [getattr(row, name) for row in rows], name


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=CHUNK, help="of the lock-step engine, stepped together")
    parser.add_argument("--reference", type=int, default=40, help="replicates of the reference")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    check(options.reference)
    slow, fast, ratios = [], [], []
    for _ in range(options.rounds):
        slow.append(cpu(lambda: [run_reference(YEAR, 1, r) for r in range(options.reference)]) / options.reference)
        fast.append(cpu(lambda: run_lockstep(YEAR, 1, np.arange(options.replicates))) / options.replicates)
        ratios.append(slow[-1] / fast[-1])
    group = CopyGroup(3, 2, Exponential(30_000 * HOUR), Exponential(10 * HOUR))
    start = time.process_time()
    estimate, _ = loss_probability(group, 8760 * 3600.0)
    rare = time.process_time() - start
    print("| what | replicates | replicate-years per CPU second |")
    print("| --- | ---: | ---: |")
    print(f"| SimPy reference | {options.reference} | {1 / statistics.median(slow):,.0f} |")
    print(f"| lock-step | {options.replicates:,} | {1 / statistics.median(fast):,.0f} |")
    print(f"\nlock-step / reference: {statistics.median(ratios):.1f} x (equal results, replicate by replicate)")
    error = estimate.half_width / estimate.value
    print(f"P(loss in a year) = {estimate.value:.3g} within {error:.0%} (95 %): {rare:.1f} s of CPU")


if __name__ == "__main__":
    main()
