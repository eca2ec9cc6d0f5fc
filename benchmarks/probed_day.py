#!/usr/bin/env python3
"""What probes cost: a simulated day of healthy pods with three probes each, against the same day without probes.

    python benchmarks/probed_day.py                   # 1,000 pods, five rounds of everything
    python benchmarks/probed_day.py --pods 200 --rounds 3

One StatefulSet on a tenth as many nodes. With probes each container has a startup, a readiness and a liveness probe
with a period of 10 s: 17 million attempts a day for 1,000 pods, each answered after 20 ms. Three things are measured:

* the start: the first 5 minutes, in which the pods are made, all at the same time;
* the day: 24 hours of the same pods, which are healthy from its first instant; their cluster is read from a dump of the
  one in which they were started. A pod to which nothing happens is not even looked at;
* the day at work: the same, but at the first instant every kubelet takes over its pods and starts their probes.

CPU time of this process, that of making the cluster apart; rounds alternate, and the median counts.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from k8sim.api.scheme import KINDS, encode, format_time
from k8sim.cluster import Cluster
from k8sim.scenario import Scenario, loads
from k8sim.sim.units import MINUTE

PODS_PER_NODE: Final = 10
SETTLED_AFTER: Final = 5 * MINUTE
PROBE: Final = "{exec: {command: [check]}, periodSeconds: 10}"
PROBES: Final = f", startupProbe: {PROBE}, readinessProbe: {PROBE}, livenessProbe: {PROBE}"
TEXT: Final = """
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
    """What something cost."""

    read_s: float
    cpu_s: float
    events: int
    writes: int


def scenario(pods: int, probed: bool) -> Scenario:
    """Return the scenario in which so many pods are made."""
    return loads(TEXT.format(nodes=max(pods // PODS_PER_NODE, 1), pods=pods, probes=PROBES if probed else ""))


def started(making: Scenario) -> Cluster:
    """Return a cluster whose pods have been made and are healthy."""
    cluster = assembled(making)
    the_start(cluster)
    return cluster


def healthy(making: Scenario) -> Scenario:
    """Return the same cluster as one that has been running: what `kubectl get -o yaml` would say of it."""
    cluster = started(making)
    state: list[dict[str, Any]] = [encode(obj) for kind in KINDS for obj in cluster.server.list(kind)]
    now = format_time(cluster.sim.clock.now)
    for node in (manifest for manifest in state if manifest["kind"] == "Node"):
        node["status"]["conditions"][0]["lastHeartbeatTime"] = now  # says when the dump was made
    return replace(making, nodes=(), objects=(), object_sources=(), state=tuple(state))


def assembled(day: Scenario) -> Cluster:
    """Return a cluster at its first instant: its manifests are read, its pods run."""
    return Cluster(day, seed=1, keep_history=False)


def at_work(day: Scenario) -> Cluster:
    """Return the same with a worker for each pod and each probe."""
    cluster = assembled(day)
    for kubelet in cluster.kubelets.values():
        assert kubelet.process is not None
        kubelet.process.active_pods()
    return cluster


def the_start(cluster: Cluster) -> None:
    """Make the pods, and wait until they are healthy."""
    cluster.sim.clock.run(SETTLED_AFTER)


def the_day(cluster: Cluster) -> None:
    """Let a day pass."""
    cluster.run()


def measure(prepare: Callable[[Scenario], Cluster], what: Callable[[Cluster], None], day: Scenario) -> Sample:
    """Let something happen in a cluster, and say what that cost; ``read_s`` is what the cluster cost before."""
    gc.collect()
    begin = time.process_time()
    cluster = prepare(day)
    read = time.process_time()
    events, version = cluster.sim.clock.events_scheduled, cluster.server.resource_version
    what(cluster)
    cpu = time.process_time() - read
    clock, server = cluster.sim.clock, cluster.server
    return Sample(read - begin, cpu, clock.events_scheduled - events, server.resource_version - version)


def median(samples: list[Sample]) -> Sample:
    """Return the sample with the median CPU time."""
    cpu = statistics.median_low(sample.cpu_s for sample in samples)
    return next(sample for sample in samples if sample.cpu_s == cpu)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts")
    options = parser.parse_args()
    making = [scenario(options.pods, probed) for probed in (False, True)]
    day = [healthy(one) for one in making]
    parts = {
        "the start (5 min)": (assembled, the_start, making),
        "a healthy day": (assembled, the_day, day),
        "a healthy day, all kubelets at work": (at_work, the_day, day),
    }
    samples: dict[tuple[str, bool], list[Sample]] = {(part, probed): [] for part in parts for probed in (False, True)}
    for _ in range(options.rounds):
        for part, (prepare, what, scenarios) in parts.items():
            for probed in (False, True):
                samples[part, probed].append(measure(prepare, what, scenarios[probed]))
        print("round done", file=sys.stderr, flush=True)
    print("| | to begin with, CPU s | with probes | CPU s | with probes | times | writes | with | events | with |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for part in parts:
        plain, asked = median(samples[part, False]), median(samples[part, True])
        cpu = f"{plain.cpu_s:.3f} | {asked.cpu_s:.3f} | {asked.cpu_s / plain.cpu_s:.2f}"
        counts = f"{plain.writes:,} | {asked.writes:,} | {plain.events:,} | {asked.events:,}"
        print(f"| {part} | {plain.read_s:.2f} | {asked.read_s:.2f} | {cpu} | {counts} |")


if __name__ == "__main__":
    main()
