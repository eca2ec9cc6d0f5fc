#!/usr/bin/env python3
"""Compare decisions with slow re-implementations on many random states.

    python tools/oracles.py --count 100000 --seed 0 --jobs 2

A disagreement is printed with the command that replays it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from k8sim.search.space import Chooser
from tests.oracles.test_oracles import CHECKS

BLOCK = 1000


def compare(decision: str, seed: int, states: int) -> tuple[str, int, str]:
    """Return the decision's name, on how many states it agreed, and the first disagreement."""
    choose = Chooser(seed, decision)
    for number in range(states):
        try:
            CHECKS[decision](choose)
        except AssertionError:
            replay = f"python tools/oracles.py --decision {decision} --seed {seed} --count {number + 1}"
            return decision, number, f"replay: {replay}\n{traceback.format_exc()}"
    return decision, states, ""


def main() -> int:
    """Compare, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decision", action="append", choices=CHECKS, help="may be given again; by default all")
    parser.add_argument("--count", type=int, default=100_000, help="states of each decision")
    parser.add_argument("--seed", type=int, default=1, help=f"of the first {BLOCK} states")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    names = options.decision or list(CHECKS)
    blocks = [(options.seed + i, min(BLOCK, options.count - i * BLOCK)) for i in range(-(-options.count // BLOCK))]
    tasks = [(name, seed, states) for name in names for seed, states in blocks]
    agreed: Counter[str] = Counter()
    failures, began = 0, time.perf_counter()
    with ProcessPoolExecutor(options.jobs) as pool:
        for decision, states, disagreement in pool.map(compare, *zip(*tasks, strict=True)):
            agreed[decision] += states
            if disagreement:
                failures += 1
                print(disagreement, flush=True)
    print(f"agreed on {', '.join(f'{agreed[n]} states of {n}' for n in names)} in {time.perf_counter() - began:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
