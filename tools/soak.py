#!/usr/bin/env python3
"""Run random scenarios with all guarantees checked, and say how to replay what fails.

    python tools/soak.py --count 1000 --seed 0 --jobs 2

Scenario number n is the same in every run; a failure is replayed by its number.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from k8sim.cluster import Cluster
from k8sim.guarantees import check
from k8sim.search import timeline_lines
from tests.robustness.random_scenarios import draw
from tools.numbered import blocks, cpu_limit, in_blocks

CPU_LIMIT_S = 60
"""Of one scenario: it hangs if it takes more."""
MEMORY_LIMIT = 4 * 2**30
BLOCK = 50


@dataclass
class Outcome:
    """What became of some scenarios."""

    scenarios: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0
    failures: list[str] = field(default_factory=list)
    tested: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Outcome) -> None:
        """Take in another outcome."""
        self.scenarios += other.scenarios
        self.cpu_s += other.cpu_s
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.failures += other.failures
        self.tested += other.tested
        self.excused += other.excused


def run_one(number: int, outcome: Outcome) -> None:
    """Run one scenario and check it."""
    began = time.process_time()
    timeline: list[str] = []
    try:
        with cpu_limit(CPU_LIMIT_S):
            drawn = draw(number)
            timeline = timeline_lines(drawn.scenario)
            audit = check(Cluster(drawn.scenario, tie_salt=drawn.tie_salt).run())
        problems = [str(finding) for finding in audit.violations]
        for name, (_, _, exercised) in audit.verdicts().items():
            outcome.tested[name] += exercised > 0
        for name in {f"{f.guarantee.name}: {f.excuse}" for f in audit.findings if f.excuse}:
            outcome.excused[name] += 1
    except Exception:
        problems = [traceback.format_exc()]
    took = time.process_time() - began
    outcome.scenarios += 1
    outcome.cpu_s += took
    outcome.slowest_s = max(outcome.slowest_s, took)
    if problems:
        replay = f"python tools/soak.py --seed {number} --count 1"
        outcome.failures.append("\n".join([f"replay: {replay}", *timeline, *problems]))


def run_block(numbers: range) -> Outcome:
    """Run scenarios one after the other."""
    outcome = Outcome()
    for number in numbers:
        run_one(number, outcome)
    return outcome


def main() -> int:
    """Run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="how many scenarios")
    parser.add_argument("--seed", type=int, default=0, help="number of the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    total, began = Outcome(), time.perf_counter()
    numbers = blocks(options.seed, options.count, BLOCK)
    for outcome in in_blocks(run_block, numbers, options.jobs, MEMORY_LIMIT):
        for failure in outcome.failures:
            print(failure, flush=True)
        total.add(outcome)
        elapsed = time.perf_counter() - began
        print(
            f"{total.scenarios} scenarios from {options.seed}, {len(total.failures)} failed, {elapsed:.0f} s, "
            f"{total.scenarios / elapsed:.1f}/s, {total.cpu_s / total.scenarios * 1000:.0f} ms CPU each, "
            f"slowest {total.slowest_s:.1f} s",
            file=sys.stderr,
            flush=True,
        )
    print(f"{total.scenarios} scenarios, {len(total.failures)} failed. Guarantees, and how many tested them:")
    for name, number in sorted(total.tested.items()):
        print(f"  {number:7d} {name}")
    print("Not kept, as Kubernetes says, or not promised:")
    for name, number in sorted(total.excused.items()):
        print(f"  {number:7d} {name}")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
