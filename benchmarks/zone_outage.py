#!/usr/bin/env python3
"""A zone of a large cluster goes dark and comes back: CPU time, memory, and what an affected pod costs.

    python benchmarks/zone_outage.py                            # 500 nodes, 15,000 pods
    python benchmarks/zone_outage.py --nodes 5000               # 5,000 nodes, 150,000 pods
    python benchmarks/zone_outage.py --nodes 500 1000 2000 --json out.json

Three zones; a third of the nodes, and of each workload's pods, is in the zone that loses power for 20 minutes. All pods
belong to StatefulSets and Deployments of 30 pods, each with a Service and a disruption budget. They are put into the
store as they were after they had been started by the simulator itself, in a small cluster; their containers run on the
machines, and the kubelets own them: everything that happens from t = 0 on happens as always. Controllers may send 100
requests a second each, as in Kubernetes' own tests of clusters of this size. Each size runs in a
process of its own. CPU time is that of the whole process; affected are the pods on machines that lose power. *timeouts*
is the total in millions of bare SimPy timeouts, measured in the same process before and after, as in `engine_day.py`.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import multiprocessing
import pstats
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from bench import timeout_cost

from k8sim.api.apps import ControllerRevision, Deployment, ReplicaSet, StatefulSet
from k8sim.api.core import Node, ObjectReference, Pod, PodIP, Service
from k8sim.api.discovery import Endpoint, EndpointSlice
from k8sim.api.meta import Object
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.struct import Time, replace
from k8sim.cluster import Cluster
from k8sim.machines.sandbox import Earlier
from k8sim.scenario import Scenario, loads
from k8sim.sim import collector
from k8sim.sim.units import DAY, SECOND

PODS_PER_WORKLOAD = 30
PODS_PER_NODE = 30
DARK_AT, DARK_FOR, AFTER = 60, 1200, 600
"""In s: when power is lost, for how long, and how long the run goes on."""
AGE = 2 * DAY
ZONE = "topology.kubernetes.io/zone"
KINDS: tuple[type[Object], ...] = (
    Service, PodDisruptionBudget, StatefulSet, ControllerRevision, Deployment, ReplicaSet, EndpointSlice, Pod,
)  # fmt: skip

CLUSTER = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: zone-outage}}
spec:
  duration: {duration}s
  nodes: [{{name: node, count: {nodes}, zones: [a, b, c], capacity: {{cpu: "64", memory: 256Gi, pods: "110"}}}}]
  cluster: {{kubeControllerManager: {{kubeAPIQPS: 100, kubeAPIBurst: 200}}}}
  images: {{"*": {{pull: 2s, start: 300ms, ready: 1s, stop: 1s}}}}
  timeline: [{timeline}]
"""
WORKLOAD = """
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{clusterIP: None, selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: {name}}}
spec: {{maxUnavailable: 10%, selector: {{matchLabels: {{app: {name}}}}}}}
---
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  {own}
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - name: app
          image: app:v1
          resources: {{requests: {{cpu: 100m, memory: 128Mi}}}}
          readinessProbe: {{httpGet: {{path: /, port: 80}}, periodSeconds: 10}}
"""


def cluster_of(nodes: int, duration: int, timeline: str = "", workloads: str = "") -> Scenario:
    """Return a scenario."""
    return loads(CLUSTER.format(nodes=nodes, duration=duration, timeline=timeline) + workloads)


# ---- the pattern --------------------------------------------------------------------------------------------------


class Pattern:
    """All objects of one workload after its start, and the strings in them that are its own."""

    def __init__(self, kind: str) -> None:
        self.name = f"pattern-{kind.lower()}"
        own = (
            "serviceName: x\n  podManagementPolicy: Parallel" if kind == "StatefulSet" else "strategy: {type: Recreate}"
        )
        manifests = WORKLOAD.format(name=self.name, kind=kind, own=own, replicas=PODS_PER_WORKLOAD)
        cluster = Cluster(cluster_of(3, 600, workloads=manifests), seed=1)
        cluster.run()
        self.objects = [obj for cls in KINDS for obj in cluster.server.list(cls) if obj.name != "kubernetes"]
        self.pods = [obj for obj in self.objects if isinstance(obj, Pod)]
        strings: set[str] = set()
        for obj in self.objects:
            _collect(obj, strings)
        self.uids = [s for s in strings if len(s) == 36 and s.count("-") == 4]
        self.names = [s for s in strings if self.name in s and s not in self.uids]
        self.shared: dict[int, Any] = {}
        for obj in self.objects:
            _share(obj, {*self.uids, *self.names}, self.shared)

    def copy(self, number: int, cluster: Cluster, first_slot: int) -> None:
        """Put a copy into a cluster, with its pods on successive nodes."""
        name = f"{self.name}-{number}"
        words = {s: s.replace(self.name, name) for s in self.names}
        words |= {uid: f"{uid[:-8]}{number:08x}" for uid in self.uids}
        nodes = list(cluster.machines)
        since = Time(cluster.sim.clock.truncated(-AGE))
        for slot, pod in enumerate(self.pods):
            machine = cluster.machines[nodes[(first_slot + slot) % len(nodes)]]
            uid, key = words[pod.uid], (pod.namespace, words[pod.name])
            earlier = [Earlier(c.name, c.image, since) for c in pod.spec.containers]
            sandbox = machine.has_run(uid, key, earlier)
            address = sandbox.sandboxes[0].ip
            words[pod.status.pod_ip] = address
            words[pod.status.container_statuses[0].container_id] = sandbox.containers[0].record.id
            words[f"{pod.name} node"] = machine.name
            words[f"{pod.name} host"] = machine.host_ip
        known = dict(self.shared)
        placed = {words[pod.name]: self._pod(pod, words, known, since) for pod in self.pods}
        for obj in self.objects:
            if isinstance(obj, Pod):
                cluster.server.preload(placed[words[obj.name]])
                continue
            if isinstance(obj, EndpointSlice):
                ends = tuple(
                    _at(e, ref, placed[words[ref.name]], cluster) for e in obj.endpoints if (ref := e.target_ref)
                )
                new = replace(_renamed(replace(obj, endpoints=()), words, known), endpoints=ends)
            else:
                new = _renamed(obj, words, known)
            cluster.server.preload(replace(new, metadata=replace(new.metadata, creation_timestamp=since)))

    def _pod(self, pod: Pod, words: dict[str, str], known: dict[int, Any], since: Time) -> Pod:
        """Return a copy of a pod that has been running on its node since a time; all that is alike is shared."""
        meta, spec, status = pod.metadata, self.pods[0].spec, pod.status
        address = words[status.pod_ip]
        spec = replace(
            _renamed(spec, words, known), node_name=words[f"{pod.name} node"], hostname=words.get(pod.spec.hostname, "")
        )
        meta = replace(
            meta,
            name=words[meta.name],
            uid=words[meta.uid],
            labels={key: words.get(value, value) for key, value in meta.labels.items()},
            owner_references=_renamed(self.pods[0].metadata.owner_references, words, known),
            creation_timestamp=since,
        )
        first = status.container_statuses[0]
        assert first.state.running is not None
        running = replace(first.state, running=replace(first.state.running, started_at=since))
        status = replace(
            status,
            host_ip=words[f"{pod.name} host"],
            pod_ip=address,
            pod_ips=(PodIP(ip=address),),
            start_time=since,
            container_statuses=(replace(first, container_id=words[first.container_id], state=running),),
            conditions=tuple(replace(c, last_transition_time=since) for c in status.conditions),
        )
        return replace(pod, metadata=meta, spec=spec, status=status)


def _collect(value: Any, into: set[str]) -> None:
    if isinstance(value, str):
        into.add(value)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            _collect(getattr(value, field), into)
    elif isinstance(value, dict):
        for key, item in value.items():
            into.add(key)
            _collect(item, into)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, into)


def _share(value: Any, own: set[str], shared: dict[int, Any]) -> bool:
    """Note the parts of a value, by identity, that have no string of the pattern in them; tell whether all is so."""
    if isinstance(value, str):
        return value not in own
    if isinstance(value, msgspec.Struct):
        parts = [getattr(value, field) for field in value.__struct_fields__]
    elif isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    else:
        parts = list(value) if isinstance(value, list | tuple) else []
    is_shared = sum(_share(part, own, shared) for part in parts) == len(parts)  # every part is looked at
    if is_shared and parts:
        shared[id(value)] = value
    return is_shared


def _renamed(value: Any, words: dict[str, str], known: dict[int, Any]) -> Any:
    """Return a value with strings replaced; what nothing changes in is shared."""
    if isinstance(value, str):
        return words.get(value, value)
    if not isinstance(value, msgspec.Struct | dict | list | tuple) or not value:
        return value
    if id(value) in known:
        return known[id(value)]
    new: Any = value
    if isinstance(value, msgspec.Struct):
        changes = {}
        for field in value.__struct_fields__:
            old = getattr(value, field)
            item = _renamed(old, words, known)
            if item is not old:
                changes[field] = item
        new = replace(value, **changes) if changes else value
    elif isinstance(value, dict):
        items = {words.get(k, k): _renamed(v, words, known) for k, v in value.items()}
        new = value if items == value else items
    else:
        renamed = type(value)(_renamed(item, words, known) for item in value)
        new = value if renamed == value else renamed
    known[id(value)] = new
    return new


def _at(endpoint: Endpoint, ref: ObjectReference, pod: Pod, cluster: Cluster) -> Endpoint:
    """Return the endpoint of a copy of the pod that the endpoint is of."""
    node = cluster.server.get(Node, "", pod.spec.node_name)
    return replace(
        endpoint,
        addresses=(pod.status.pod_ip,),
        hostname=pod.spec.hostname if endpoint.hostname else "",
        target_ref=replace(ref, name=pod.name, uid=pod.uid),
        node_name=node.name,
        zone=node.metadata.labels[ZONE],
    )


# ---- the run ------------------------------------------------------------------------------------------------------


class FullCluster(Cluster):
    """A cluster whose workloads have been running for two days."""

    def populate(self) -> None:
        """Put copies of the patterns on all nodes."""
        patterns = [Pattern("StatefulSet"), Pattern("Deployment")]
        pods = len(self.machines) * PODS_PER_NODE
        for number in range(pods // PODS_PER_WORKLOAD):
            patterns[number % 2].copy(number, self, number * PODS_PER_WORKLOAD)


@dataclass
class Figures:
    """What a run took. Seconds are of CPU."""

    nodes: int
    pods: int
    affected: int
    build_s: float
    quiet_s: float
    dark_s: float
    back_s: float
    total_s: float
    timeout_s: float
    peak_gib: float
    writes: int
    quiet_writes: int
    ready: int

    @property
    def timeouts(self) -> float:
        """The total in bare SimPy timeouts."""
        return self.total_s / self.timeout_s

    @property
    def ms_per_affected(self) -> float:
        """CPU time of the outage for each pod that it hit."""
        return 1000 * (self.dark_s + self.back_s) / self.affected


def measure(nodes: int, dark_for: int = DARK_FOR, profile: str = "") -> Figures:
    """Run once in this process; as in every run, Python's collector sleeps meanwhile."""
    with collector.asleep():
        return _measure(nodes, dark_for, profile)


def _measure(nodes: int, dark_for: int, profile: str) -> Figures:
    timeout_s = timeout_cost()
    begun = time.process_time()
    dark = f"{{at: {DARK_AT}s, fault: zone-outage, zone: a, for: {dark_for}s}}"
    ends = DARK_AT + dark_for + AFTER
    cluster = FullCluster(cluster_of(nodes, ends, dark), seed=7, keep_history=False)
    marks, version = [time.process_time()], [cluster.server.resource_version]
    pods = len(cluster.server.list(Pod))
    dark_nodes = _nodes_of(cluster, "a")
    affected = sum(p.spec.node_name in dark_nodes for p in cluster.server.list(Pod))
    profiler = cProfile.Profile() if profile else None
    for until in (DARK_AT, DARK_AT + dark_for, ends):
        if profiler is not None:
            profiler.enable()
        cluster.sim.clock.run(until * SECOND)
        if profiler is not None:
            profiler.disable()
        marks.append(time.process_time())
        version.append(cluster.server.resource_version)
    if profiler is not None:
        stats = pstats.Stats(profiler)
        stats.dump_stats(profile)
        stats.sort_stats("tottime").print_stats(45)
    ready = sum(c.status == "True" for p in cluster.server.list(Pod) for c in p.status.conditions if c.type == "Ready")
    build, quiet, dark_s, back = (b - a for a, b in zip([begun, *marks], marks, strict=False))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    timeout_s = (timeout_s + timeout_cost()) / 2
    return Figures(
        nodes, pods, affected, build, quiet, dark_s, back, marks[-1] - begun, timeout_s, peak,
        version[-1] - version[0], version[1] - version[0], ready,
    )  # fmt: skip


def _nodes_of(cluster: Cluster, zone: str) -> frozenset[str]:
    return frozenset(n.name for n in cluster.server.list(Node) if n.metadata.labels.get(ZONE) == zone)


def main() -> None:
    """Measure the sizes that are asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[500])
    parser.add_argument("--dark", type=int, default=DARK_FOR, help="how long the zone is without power, in s")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", default="", help="profile in this process, and write the statistics to a file")
    arguments = parser.parse_args()
    results: list[Figures] = []
    print(f"{'nodes':>6} {'pods':>7} {'hit':>6} {'build':>7} {'quiet':>6} {'dark':>7} {'back':>7} {'total':>7}"
          f" {'timeouts':>9} {'ms/hit':>7} {'GiB':>5} {'writes':>8} {'idle':>5} {'ready':>7}")  # fmt: skip
    for nodes in arguments.nodes:
        if arguments.profile:
            figures = measure(nodes, arguments.dark, arguments.profile)
        else:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                figures = pool.apply(measure, (nodes, arguments.dark))
        results.append(figures)
        f = figures
        print(f"{f.nodes:6} {f.pods:7} {f.affected:6} {f.build_s:7.1f} {f.quiet_s:6.1f} {f.dark_s:7.1f} {f.back_s:7.1f}"
              f" {f.total_s:7.1f} {f.timeouts / 1e6:8.1f}M {f.ms_per_affected:7.2f} {f.peak_gib:5.2f} {f.writes:8}"
              f" {f.quiet_writes:5} {f.ready:7}", flush=True)  # fmt: skip
    if arguments.json:
        rows = [{**asdict(f), "ms_per_affected": f.ms_per_affected} for f in results]
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
