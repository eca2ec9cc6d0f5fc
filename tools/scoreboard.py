#!/usr/bin/env python3
"""Hold every recorded case against the simulator, and write the scoreboard, docs/validation.md.

    python tools/scoreboard.py --seeds 10 --first-seed 0

The exit code is 1 if a case does not agree.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from k8sim.cluster import Cluster
from k8sim.scenario import load
from tests.conformance.compare import compare, racy_of, steps_of

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "conformance" / "cases"
PAGE = ROOT / "docs" / "validation.md"
HEAD = """# Held against real Kubernetes

Written by `python tools/scoreboard.py`. Each case is a scenario that was played to the real programs of Kubernetes
v1.36.2 (kube-apiserver with etcd, kube-controller-manager, kube-scheduler, kubelets with a scripted runtime), two or
three times; `tests/conformance/PROVENANCE.md` tells how. Here {seeds} seeds from {first} on are held against the
recordings by `tests/conformance/compare.py`, whose header has the rules. `pytest tests/conformance` does the same.

**{agree} of {cases} agree.** *Events*: those that all recordings of a case have in common. *Off by*: how far apart the
recorded and our interval of an event's time are, the median and the worst of these events; allowed are 1.5 s, or 5 % of
the time since the last step. *Left open*: kinds of events that the real system does not decide, either, each with its
reason in a `.racy` file.

What the recordings do not cover: real CSI drivers and attachments, kube-proxy and traffic, node pressure, image garbage
collection. There the rules come from the source alone. The delays that Kubernetes does not fix
(`k8sim/sim/latencies.py`) were set with these recordings in view, so agreement on times below a tenth of a second shows
less than agreement on order and content.

| case | recordings | events | off by (s) | left open | result |
| --- | ---: | ---: | ---: | ---: | --- |
"""


class Row(NamedTuple):
    """One case."""

    case: str
    recordings: int
    events: int
    median_s: float
    worst_s: float
    left_open: int
    problems: list[str]

    def __str__(self) -> str:
        result = "agrees" if not self.problems else f"{len(self.problems)} differences: {self.problems[0]}"
        off = f"{self.median_s:.2f}, {self.worst_s:.2f}"
        return f"| {self.case} | {self.recordings} | {self.events} | {off} | {self.left_open or ''} | {result} |"


def judge(case: str, seeds: range) -> Row:
    """Run one case with all seeds, and compare."""
    path = ROOT / "tests" / "conformance" / "recorded" / f"{case}.json"
    runs = json.loads(path.read_text())["runs"]
    scenario, racy = load(CASES / f"{case}.yaml"), racy_of(str(path))
    traces = [Cluster(scenario, seed=seed, keep_history=False).run().public_trace() for seed in seeds]
    problems, off = compare(runs, json.loads(json.dumps(traces)), steps_of(runs), racy)
    return Row(case, len(runs), len(off), statistics.median(off or [0]), max(off, default=0), len(racy), problems)


def main() -> None:
    """Judge all cases, two at a time, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="runs of each case")
    parser.add_argument("--first-seed", type=int, default=0, help="of the first run")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    cases = sorted(path.stem for path in CASES.glob("*.yaml"))
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(judge, cases, [seeds] * len(cases)))
    agree = sum(not row.problems for row in rows)
    head = HEAD.format(seeds=arguments.seeds, first=arguments.first_seed, agree=agree, cases=len(rows))
    PAGE.write_text(head + "\n".join(map(str, rows)) + "\n")
    print(f"{agree} of {len(rows)} agree")
    sys.exit(agree != len(rows))


if __name__ == "__main__":
    main()
