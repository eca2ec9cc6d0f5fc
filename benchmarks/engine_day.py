#!/usr/bin/env python3
"""The SimPy engine at its common work: a day of a StatefulSet of three, many replicates; and 1,067 pods on 100 nodes.

    python benchmarks/engine_day.py                     # both
    python benchmarks/engine_day.py --replicates 200    # more replicates of the day

*the set alone*: a set of three on ten nodes for 24 hours, with one rolling update, one drain (and the node's return)
and one node that crashes and comes back an hour later; each of the three strikes a pod. *with all that goes with it*:
it has a Service, a disruption budget, anti-affinity and a readiness probe, too. *and with claims*: of a zonal disk for
each pod. Each replicate is assembled, run and taken apart, as the runner does it. CPU time of this process, the median
over replicates; *assemble* and *run* are two parts of it, and what is left of *total* is that the cluster is taken
apart. *years per CPU s* is how many replicate-years such days come to in a second of CPU. *timeouts* is the total in
bare SimPy timeouts on the same machine in the same minute, which depends less on the machine, and on what else it
does, than milliseconds do.

*1,067 pods*: the size on which cluster simulators have been compared in public: 100 nodes, 1,067 pods, from manifests
to all of them placed, started and Ready. In a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise

from bench import timeout_cost

from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_ready
from k8sim.cluster import Cluster
from k8sim.scenario import Scenario, loads
from k8sim.sim import collector

DAYS_PER_YEAR = 365.25
COMPARED_NODES, COMPARED_PODS = 100, 1067

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: engine-day}
spec:
  duration: 24h
  nodes:    # by their sizes, db-0, db-1 and db-2 begin on a-0, b-0 and c-0
    - {name: a, zones: [z], capacity: {cpu: "16", memory: 64Gi, pods: "110"}}
    - {name: b, zones: [z], capacity: {cpu: "12", memory: 48Gi, pods: "110"}}
    - {name: c, zones: [z], capacity: {cpu: "8", memory: 32Gi, pods: "110"}}
    - {name: node, count: 7, zones: [z], capacity: {cpu: "4", memory: 16Gi, pods: "110"}}
  images: {"*": {pull: 5s, start: 500ms, ready: 2s, stop: 1s}}
  timeline:
    - {at: 4h, kubectl: set image statefulset/db app=db:v2}
    - {at: 8h, kubectl: drain a-0 --ignore-daemonsets}
    - {at: 9h, kubectl: uncordon a-0}
    - {at: 14h, fault: node-crash, node: b-0, for: 1h}
"""
THE_SET = """\
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
        - name: app
          image: db:v1
          resources: {requests: {cpu: "1", memory: 2Gi}}
"""
PROBED_AND_SPREAD = """\
          readinessProbe: {tcpSocket: {port: 5432}, periodSeconds: 5}
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}
"""
BESIDE = """\
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: db}}}
"""
ALONE = SCENARIO + THE_SET
DAY = SCENARIO + BESIDE + THE_SET + PROBED_AND_SPREAD
CLAIMS = """\
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
"""

COMPARED = f"""
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: compared-in-public}}
spec:
  duration: 10m
  nodes: [{{name: node, count: {COMPARED_NODES}, capacity: {{cpu: "32", memory: 128Gi, pods: "110"}}}}]
  images: {{"*": {{pull: 2s, start: 300ms, stop: 1s}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {COMPARED_PODS}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: app, image: "app:v1", resources: {{requests: {{cpu: 100m, memory: 128Mi}}}}}}]
"""


@dataclass(frozen=True)
class Sample:
    """One replicate."""

    assemble_s: float
    run_s: float
    writes: int
    events: int
    rows: int


def replicate(scenario: Scenario, number: int) -> Sample:
    """Assemble, run and take apart one replicate."""
    with collector.asleep():
        begun = time.process_time()
        cluster = Cluster(scenario, seed=1, replicate=number, keep_history=False)
        assembled, version = time.process_time(), cluster.server.resource_version
        rows = len(cluster.run().log)
        ended = time.process_time()
        writes, events = cluster.server.resource_version - version, cluster.sim.clock.events_scheduled
        cluster.take_apart()
    return Sample(assembled - begun, ended - assembled, writes, events, rows)


def days(name: str, manifests: str, replicates: int) -> None:
    """Measure many replicates of a day, and a bare timeout before and after."""
    scenario = loads(manifests)
    replicate(scenario, 0)  # imports, caches of the interpreter
    before = timeout_cost()
    samples, marks = [], [time.process_time()]
    with collector.blind_to_the_past():
        for number in range(1, replicates + 1):
            samples.append(replicate(scenario, number))
            marks.append(time.process_time())
    spent = time.process_time() - marks[0]
    total_s = statistics.median(end - begin for begin, end in pairwise(marks))
    timeout_s = (before + timeout_cost()) / 2

    def median(figure: str) -> float:
        return statistics.median(float(getattr(s, figure)) for s in samples)

    cells = (
        name, f"{replicates}", f"{1000 * median('assemble_s'):.1f}", f"{1000 * median('run_s'):.1f}",
        f"{1000 * total_s:.1f}", f"{median('writes'):.0f}", f"{median('events'):.0f}",
        f"{median('rows'):.0f}", f"{1000 * median('run_s') / median('writes'):.2f}",
        f"{replicates / DAYS_PER_YEAR / spent:.3f}", f"{total_s / timeout_s:,.0f}",
    )  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)


def compared() -> tuple[float, float, int]:
    """Run the comparison; return CPU seconds from the manifests on, peak memory in MiB, pods that are Ready."""
    begun = time.process_time()
    with collector.asleep():
        cluster = Cluster(loads(COMPARED), seed=1, keep_history=False)
        cluster.run()
    spent = time.process_time() - begun
    ready = sum(is_pod_ready(pod) for pod in cluster.server.list(Pod))
    return spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, ready


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=100, help="replicates of each day")
    options = parser.parse_args()
    print("| engine day | replicates | assemble ms | run ms | total ms | API writes | SimPy events | trace rows |"
          " ms/write | years per CPU s | timeouts |\n| --- |" + " ---: |" * 10)  # fmt: skip
    days("the set alone", ALONE, options.replicates)
    days("with all that goes with it", DAY, options.replicates)
    days("and with claims", DAY + CLAIMS, options.replicates)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        spent, peak, ready = pool.apply(compared)
    print(f"\n{COMPARED_PODS:,} pods on {COMPARED_NODES} nodes: {spent:.2f} s of CPU, {peak:.0f} MiB, {ready:,} Ready")


if __name__ == "__main__":
    main()
