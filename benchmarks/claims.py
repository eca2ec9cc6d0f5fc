#!/usr/bin/env python3
"""CPU time of storage: claims bound against as many static volumes, and pods with and without claims of their own.

    python benchmarks/claims.py                  # 1,000 and 10,000 claims; sets of 100 and 1,000 pods
    python benchmarks/claims.py --claims 1000 --pods 100

CPU time of this process (`time.process_time`), the median of several rounds up to 1,000, single runs above. A run ends
when all claims are bound (or all pods run): how long that takes in simulated time is kube-controller-manager's client
rate limit's business (20 requests a second), which is not what is measured.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from k8sim.api.scheme import decode
from k8sim.cluster import Cluster
from k8sim.scenario import loads
from k8sim.sim.units import MINUTE

REPEATED_UP_TO = 1_000
PODS_PER_NODE = 10
STEP_NS = MINUTE // 6

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: claims}}
spec:
  duration: 2h
  nodes: [{{name: node, count: {nodes}, zones: [a]}}]
  images:
    "*": {{pull: 2s, start: 300ms, ready: 1s, stop: 1s}}
"""
STATEFUL_SET = """
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: fast}}
provisioner: disk.example.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: web
  replicas: {replicas}
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - {{name: app, image: "app:v1"{mounts}}}
{templates}
"""
MOUNTS = ", volumeMounts: [{name: data, mountPath: /data}]"
TEMPLATES = """
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}
"""


def manifests(number: int) -> tuple[dict[str, object], dict[str, object]]:
    """Return a volume and a claim; sizes differ, so that the best fit has to be searched for."""
    size = f"{1 + number % 97}Gi"
    spec: dict[str, object] = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"vol-{number}"},
        "spec": {**spec, "capacity": {"storage": size}, "hostPath": {"path": f"/data/{number}"}},
    }
    claim: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"data-{number}", "namespace": "default"},
        "spec": {**spec, "resources": {"requests": {"storage": size}}},
    }
    return volume, claim


def bind(claims: int) -> float:
    """Return the CPU seconds that it takes until as many claims have bound as many static volumes."""
    cluster = Cluster(loads(SCENARIO.format(nodes=1)), seed=1, keep_history=False)
    objects = [decode(manifest) for i in range(claims) for manifest in manifests(i)]
    gc.collect()
    start = time.process_time()
    for obj in objects:
        cluster.server.create(obj)
    pending = [obj.key for obj in reversed(objects) if isinstance(obj, PersistentVolumeClaim)]
    while pending:
        cluster.sim.clock.run(cluster.sim.clock.now + STEP_NS)
        # They bind in about their order: what has been seen bound is not looked at again.
        while pending and cluster.server.get(PersistentVolumeClaim, *pending[-1]).status.phase == "Bound":
            pending.pop()
    cpu_s = time.process_time() - start
    bound = {v.spec.claim_ref.uid for v in cluster.server.list(PersistentVolume) if v.spec.claim_ref is not None}
    assert len(bound) == claims
    return cpu_s


def parallel_set(pods: int, with_claims: bool) -> float:
    """Return the CPU seconds that it takes until all pods of a set run."""
    head = SCENARIO.format(nodes=max(pods // PODS_PER_NODE, 1))
    mounts, templates = (MOUNTS, TEMPLATES) if with_claims else ("", "")
    cluster = Cluster(
        loads(head + STATEFUL_SET.format(replicas=pods, mounts=mounts, templates=templates)),
        seed=1,
        keep_history=False,
    )
    gc.collect()
    start = time.process_time()
    running = 0
    while running < pods:
        cluster.sim.clock.run(cluster.sim.clock.now + STEP_NS)
        running = sum(pod.status.phase == "Running" for pod in cluster.server.list(Pod))
    return time.process_time() - start


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=int, default=10_000, help="largest number of claims")
    parser.add_argument("--pods", type=int, default=1_000, help="largest number of pods")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts")
    options = parser.parse_args()
    bind(10)  # imports, caches of the interpreter

    def measured(what: str, n: int, *samples: float) -> float:
        print(f"{what}, {n:,}: {', '.join(f'{s:.2f}' for s in samples)} s of CPU", file=sys.stderr, flush=True)
        return statistics.median(samples)

    def rounds(n: int) -> range:
        return range(options.rounds if n <= REPEATED_UP_TO else 1)

    print("| claims and static volumes | CPU s | ms/claim | time per claim, x 1,000 |")
    print("| ---: | ---: | ---: | ---: |")
    base = 0.0
    for n in (1_000, 10_000):
        if n <= options.claims:
            cpu_s = measured("claims", n, *(bind(n) for _ in rounds(n)))
            base = base or cpu_s / n
            print(f"| {n:,} | {cpu_s:.2f} | {cpu_s / n * 1000:.3f} | {cpu_s / n / base:.2f} |")
    print("\n| pods of a parallel set | without claims, CPU s | with claims, CPU s | ms/pod | times as much |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for n in (100, 1_000):
        if n <= options.pods:
            bare = measured("pods without claims", n, *(parallel_set(n, False) for _ in rounds(n)))
            full = measured("pods with claims", n, *(parallel_set(n, True) for _ in rounds(n)))
            print(f"| {n:,} | {bare:.2f} | {full:.2f} | {full / n * 1000:.2f} | {full / bare:.1f} |")


if __name__ == "__main__":
    main()
