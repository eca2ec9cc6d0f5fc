"""The same scenario, seed and replicate give the same trace, whatever Python's hashes and the order of ties."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import Scenario, loads

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: determinism}
spec:
  duration: 90s
  nodes: [{name: node, count: 4, zones: [a, b]}]
  images:
    "*": {pull: {uniform: [1s, 2s]}, start: 200ms, ready: {uniform: [500ms, 2s]}, stop: 1s}
  timeline:
    - {at: 20s, kubectl: set image statefulset/web app=app:v2}
    - {at: 25s, kubectl: delete pod -l app=api}
    - {at: 30s, fault: container-exit, pod: web-0, container: app, code: 1}
    - {at: 40s, kubectl: drain node-0 --ignore-daemonsets}
    - {at: 60s, kubectl: scale deployment/api --replicas=1}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disk}
provisioner: kubernetes.io/host-path
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: app, image: "app:v1", readinessProbe: {exec: {command: [check]}, periodSeconds: 1}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: disk, resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 3
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: app, image: "app:v1"}]}
"""
RUNS_PER_PROCESS = 5
HASH_SEEDS = (0, 1, 2, 3)


def digest(scenario: Scenario) -> str:
    """Of the public trace and of all rows inside, causes included."""
    result = Cluster(scenario, seed=3, replicate=1, keep_history=False).run()
    rows = [[*row] for row in result.log]
    return hashlib.sha256(json.dumps([result.public_trace(), rows], sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    model = loads(SCENARIO)
    for _ in range(RUNS_PER_PROCESS):
        print(digest(model))


def test_twenty_runs_in_four_processes_are_the_same_byte_for_byte() -> None:
    here = Path(__file__)
    digests = []
    for hash_seed in HASH_SEEDS:
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(here.parent.parent)}
        done = subprocess.run([sys.executable, here], capture_output=True, text=True, check=True, env=environment)
        digests += done.stdout.split()
    assert len(digests) == RUNS_PER_PROCESS * len(HASH_SEEDS)
    assert len(set(digests)) == 1


def test_another_seed_or_replicate_is_another_run() -> None:
    model = loads(SCENARIO)
    traces = [
        json.dumps(Cluster(model, seed=seed, replicate=replicate, keep_history=False).run().public_trace())
        for seed, replicate in ((0, 0), (0, 1), (1, 0))
    ]
    assert len(set(traces)) == 3


def test_history_does_not_disturb_the_run() -> None:
    model = loads(SCENARIO)
    with_history, without = (Cluster(model, keep_history=keep).run().public_trace() for keep in (True, False))
    assert with_history == without


#: Every delay a constant, so that many things happen at the same instant.
TIES = """
  latencies:
    {apiWrite: 5ms, watch: 5ms, schedulingCycle: 5ms, runtimeSandboxStart: 5ms, runtimeSandboxStop: 5ms,
     runtimeContainerStart: 5ms, imageCheck: 5ms, kubectl: 50ms, kubectlRequest: 5ms}
"""


def story(salt: int) -> dict[tuple[str, str], list[str]]:
    """What happened to each pod of the StatefulSet and each claim, in order."""
    text = SCENARIO.replace("  timeline:", f"{TIES.strip(chr(10))}\n  timeline:")
    result = Cluster(loads(text), tie_salt=salt, keep_history=False).run()
    events = defaultdict(list)
    for _, kind, name, event, _ in result.public_trace():
        if kind == "PersistentVolumeClaim" or (kind == "Pod" and name.startswith("web-")):
            events[kind, name].append(event)
    return dict(sorted(events.items()))


@pytest.mark.parametrize("salt", [1, 2, 3])
def test_the_order_of_ties_changes_no_pods_story(salt: int) -> None:
    assert story(salt) == story(0)
