#!/usr/bin/env python3
"""CPU time of whole runs: what one API write costs, and how cost grows with the cluster.

    python benchmarks/bench.py                 # up to 1,000 pods, a minute or so
    python benchmarks/bench.py --pods 10000    # up to 10,000 pods
    python benchmarks/bench.py --json out.json

CPU time of this process (`time.process_time`), the median of several rounds; rounds of all workloads alternate, so that
a busy machine slows all alike. The last column relates a run to SimPy itself on the same machine: the time that SimPy
takes for as many bare timeouts as there were API writes.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import simpy

from k8sim.cluster import Cluster
from k8sim.scenario import Scenario, loads

PODS_PER_NODE = 10
REPEATED_UP_TO = 1_000
"""Larger runs take minutes: they are measured once."""

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: {name}}}
spec:
  duration: {duration}
  nodes: [{{name: node, count: {nodes}}}]
  images:
    "*": {{pull: 2s, start: 300ms, ready: 1s, stop: 1s}}
  timeline: {timeline}
"""
STATEFUL_SET = """
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  serviceName: {name}
  replicas: {replicas}
  podManagementPolicy: {policy}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - name: app
          image: app:v1
          readinessProbe: {{exec: {{command: [check]}}, periodSeconds: 2}}
"""


def parallel_create(pods: int) -> Scenario:
    """One StatefulSet of that many pods, all started at once."""
    head = SCENARIO.format(name="parallel-create", duration="2m", nodes=max(pods // PODS_PER_NODE, 1), timeline="[]")
    return loads(head + STATEFUL_SET.format(name="web", replicas=pods, policy="Parallel"))


def rolling_update(pods: int) -> Scenario:
    """As many StatefulSets of three as give that many pods, all updated at once, each one pod at a time."""
    sets = -(-pods // 3)
    step = "{at: 1m, kubectl: set image statefulset --all app=app:v2}"
    nodes = max(pods // PODS_PER_NODE, 3)
    head = SCENARIO.format(name="rolling-update", duration="3m", nodes=nodes, timeline=f"[{step}]")
    return loads(
        head + "".join(STATEFUL_SET.format(name=f"web-{i}", replicas=3, policy="OrderedReady") for i in range(sets))
    )


WORKLOADS: dict[str, Callable[[int], Scenario]] = {"parallel create": parallel_create, "rolling update": rolling_update}


@dataclass(frozen=True)
class Sample:
    """One run."""

    cpu_s: float
    writes: int
    events: int
    rows: int


def measure(scenario: Scenario) -> Sample:
    """Run a scenario once and say what it cost."""
    gc.collect()
    start = time.process_time()
    cluster = Cluster(scenario, seed=1, keep_history=False)
    before = cluster.server.resource_version
    result = cluster.run()
    cpu_s = time.process_time() - start
    writes = cluster.server.resource_version - before
    return Sample(cpu_s, writes, cluster.sim.clock.events_scheduled, len(result.log))


def timeout_cost(n: int = 200_000) -> float:
    """CPU seconds of one bare SimPy timeout in a process."""

    def loop(env: simpy.Environment) -> Any:
        for _ in range(n):
            yield env.timeout(1)

    env = simpy.Environment()
    env.process(loop(env))
    start = time.process_time()
    env.run()
    return (time.process_time() - start) / n


def sizes(most: int) -> list[int]:
    """Return 3 (one small set), then 100, 1,000, ... up to the most."""
    return [3, *(n for n in (100, 1_000, 10_000) if n <= most)]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=1_000, help="largest number of pods")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    scenarios = {(name, n): make(n) for name, make in WORKLOADS.items() for n in sizes(options.pods)}
    samples: dict[tuple[str, int], list[Sample]] = {key: [] for key in scenarios}
    bare: list[float] = []
    measure(rolling_update(3))  # imports, caches of the interpreter
    for _ in range(options.rounds):
        bare.append(timeout_cost())
        for key, scenario in scenarios.items():
            if key[1] <= REPEATED_UP_TO or not samples[key]:
                samples[key].append(measure(scenario))
                print(f"{key[0]}, {key[1]:,} pods: {samples[key][-1].cpu_s:.2f} s of CPU", file=sys.stderr, flush=True)
    base = statistics.median(bare)
    figures = [_figure(name, n, samples, base) for name, n in scenarios]
    _print(figures, base)
    if options.json is not None:
        options.json.write_text(json.dumps({"simpy_timeout_s": base, "figures": figures}, indent=2) + "\n")


def _figure(name: str, n: int, samples: dict[tuple[str, int], list[Sample]], base: float) -> dict[str, Any]:
    typical = _median(samples[name, n])
    smaller = samples.get((name, n // 10))
    growth = typical.cpu_s / _median(smaller).cpu_s if smaller else None
    return {
        "workload": name, "pods": n, **asdict(typical),
        "writes_per_cpu_s": typical.writes / typical.cpu_s,
        "events_per_write": typical.events / typical.writes,
        "cpu_per_pod_ms": typical.cpu_s / n * 1000,
        "growth": growth,
        "timeouts_per_write": typical.cpu_s / typical.writes / base,
    }  # fmt: skip


def _median(runs: list[Sample]) -> Sample:
    return sorted(runs, key=lambda s: s.cpu_s)[len(runs) // 2]


HEADINGS = (
    "workload", "pods", "CPU s", "ms/pod", "API writes", "writes/CPU s", "SimPy events/write", "SimPy timeouts/write",
    "growth for 10 x pods",
)  # fmt: skip


def _print(figures: list[dict[str, Any]], base: float) -> None:
    print(f"one bare SimPy timeout: {base * 1e9:.0f} ns of CPU\n")
    print("| " + " | ".join(HEADINGS) + " |")
    print("| --- |" + " ---: |" * (len(HEADINGS) - 1))
    for f in figures:
        cells = (
            f["workload"], f"{f['pods']:,}", f"{f['cpu_s']:.3f}", f"{f['cpu_per_pod_ms']:.2f}", f"{f['writes']:,}",
            f"{f['writes_per_cpu_s']:,.0f}", f"{f['events_per_write']:.2f}", f"{f['timeouts_per_write']:.0f}",
            "" if f["growth"] is None else f"{f['growth']:.1f} x CPU",
        )  # fmt: skip
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
