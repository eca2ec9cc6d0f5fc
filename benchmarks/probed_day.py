#!/usr/bin/env python3
"""What probes cost: a simulated day of healthy pods with three probes each, against the same day without probes.

    python benchmarks/probed_day.py                   # 1,000 pods, five rounds of both
    python benchmarks/probed_day.py --pods 200 --rounds 3

One StatefulSet on a tenth as many nodes, made in parallel at the beginning of the day. With probes each container has a
startup, a readiness and a liveness probe with a period of 10 s: 17 million attempts a day for 1,000 pods, each answered
after 20 ms. The day is measured in two parts: its first 5 minutes, in which the pods start, and the rest, in which they
are healthy. CPU time of this process; rounds alternate, and the median counts.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from dataclasses import dataclass

from k8sim.cluster import Cluster
from k8sim.scenario import Scenario, loads
from k8sim.sim.units import MINUTE

PODS_PER_NODE = 10
SETTLED_AFTER = 5 * MINUTE
PROBE = "{exec: {command: [check]}, periodSeconds: 10}"
PROBES = f", startupProbe: {PROBE}, readinessProbe: {PROBE}, livenessProbe: {PROBE}"
TEXT = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: probed-day}}
spec:
  duration: 1d
  nodes: [{{name: node, count: {nodes}}}]
  images: {{"*": {{pull: 2s, start: 300ms, answer: 20ms, stop: 1s}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: web
  replicas: {pods}
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - {{name: app, image: "app:v1"{probes}}}
"""


@dataclass(frozen=True)
class Sample:
    """CPU time (s) and scheduled events of both parts of a day."""

    start_s: float
    start_events: int
    start_writes: int
    rest_s: float
    rest_events: int

    @property
    def day_s(self) -> float:
        """CPU time of the whole day."""
        return self.start_s + self.rest_s


def scenario(pods: int, probed: bool) -> Scenario:
    """Return the day of so many pods."""
    return loads(TEXT.format(nodes=max(pods // PODS_PER_NODE, 1), pods=pods, probes=PROBES if probed else ""))


def measure(day: Scenario) -> Sample:
    """Run a day and say what it cost."""
    gc.collect()
    begin = time.process_time()
    cluster = Cluster(day, seed=1, keep_history=False)
    clock = cluster.sim.clock
    clock.run(SETTLED_AFTER)
    settled, events, writes = time.process_time(), clock.events_scheduled, cluster.server.resource_version
    cluster.run()
    return Sample(settled - begin, events, writes, time.process_time() - settled, clock.events_scheduled - events)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts")
    options = parser.parse_args()
    days = {"without probes": scenario(options.pods, False), "three probes each": scenario(options.pods, True)}
    samples: dict[str, list[Sample]] = {name: [] for name in days}
    measure(scenario(10, True))  # imports, caches of the interpreter
    for _ in range(options.rounds):
        for name, day in days.items():
            samples[name].append(measure(day))
            print(f"{name}: {samples[name][-1].day_s:.2f} s of CPU", file=sys.stderr, flush=True)
    print("| pods | CPU s at the start | API writes | events | CPU s in the rest of the day | events |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, runs in samples.items():
        s = sorted(runs, key=lambda run: run.day_s)[len(runs) // 2]
        start = f"{s.start_s:.2f} | {s.start_writes:,} | {s.start_events:,}"
        print(f"| {name} | {start} | {s.rest_s:.4f} | {s.rest_events:,} |")
    plain, probed = (statistics.median(s.day_s for s in runs) for runs in samples.values())
    print(f"\nthe whole day with probes: {probed / plain:.2f} times the CPU time")


if __name__ == "__main__":
    main()
