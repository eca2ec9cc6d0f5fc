#!/usr/bin/env python3
"""Give damaged scenario files to ``k8sim validate`` and see that each is taken or refused with a clear message.

    python tools/fuzz.py --count 1000 --seed 0 --jobs 2

No traceback, no hang, bounded memory, exit code 0 or 2, and with 2 a message that names the file. What is accepted runs
for a few seconds of simulated time with --run.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import typer.main
from click.testing import CliRunner

from k8sim.cli.app import app
from k8sim.cluster import Cluster
from k8sim.scenario import load
from k8sim.sim.units import SECOND
from tests.robustness.damage import damaged
from tools.numbered import blocks, cpu_limit, in_blocks

CPU_LIMIT_S = 10.0
MEMORY_LIMIT = 2 * 2**30
BLOCK = 100
FINE, BAD_INPUT = 0, 2
COMMANDS: Any = typer.main.get_command(app)
"""Made once, which takes longer than a validation. Newer versions of typer have a click of their own."""


@dataclass
class Outcome:
    """What became of some files."""

    files: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    memory_kb: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Take in another outcome."""
        self.files += other.files
        self.codes += other.codes
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.memory_kb = max(self.memory_kb, other.memory_kb)
        self.failures += other.failures


def problem_of(path: Path, run: bool) -> tuple[int, str]:
    """Return the exit code for a file, and what is wrong with how it was received ("": nothing)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(COMMANDS, ["validate", "--quiet", str(path)])
        if result.exit_code == FINE and run:
            scenario = load(path)
            Cluster(replace(scenario, duration_ns=min(scenario.duration_ns, 20 * SECOND))).run()
    said = result.output
    if result.exit_code not in (FINE, BAD_INPUT) or "Traceback" in said:
        return result.exit_code, said
    if result.exit_code == BAD_INPUT and path.name not in said:
        return result.exit_code, f"the message does not name the file: {said!r}"
    return result.exit_code, ""


def try_one(number: int, folder: Path, run: bool, outcome: Outcome) -> None:
    """Validate one damaged file."""
    path = folder / f"damaged-{number}.yaml"
    path.write_text(damaged(number), "utf-8")
    began = time.process_time()
    try:
        with cpu_limit(CPU_LIMIT_S):
            code, problem = problem_of(path, run)
    except Exception:
        code, problem = -1, traceback.format_exc()
    finally:
        path.unlink()
    outcome.files += 1
    outcome.codes[code] += 1
    outcome.slowest_s = max(outcome.slowest_s, time.process_time() - began)
    outcome.memory_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if problem:
        replay = f"python tools/fuzz.py --seed {number} --count 1{' --run' if run else ''}"
        outcome.failures.append(f"replay: {replay}\n{problem}")


def try_block(numbers: range, run: bool) -> Outcome:
    """Validate files one after the other."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            try_one(number, Path(folder), run, outcome)
    return outcome


def main() -> int:
    """Fuzz, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="how many files")
    parser.add_argument("--seed", type=int, default=0, help="number of the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--run", action="store_true", help="also run what is accepted")
    options = parser.parse_args()
    total, began = Outcome(), time.perf_counter()
    numbers = blocks(options.seed, options.count, BLOCK)
    for outcome in in_blocks(partial(try_block, run=options.run), numbers, options.jobs, MEMORY_LIMIT):
        for failure in outcome.failures:
            print(failure, flush=True)
        total.add(outcome)
    elapsed = time.perf_counter() - began
    print(
        f"{total.files} files: {total.codes[FINE]} fine, {total.codes[BAD_INPUT]} refused, "
        f"{len(total.failures)} failed; {total.files / elapsed:.0f}/s, slowest {total.slowest_s:.2f} s CPU, "
        f"at most {total.memory_kb // 1024} MiB"
    )
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
