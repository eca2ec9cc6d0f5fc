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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from bench import timeout_cost

from k8sim.api.apps import ControllerRevision, Deployment, ReplicaSet, StatefulSet
from k8sim.api.core import Node, ObjectReference, Pod, PodIP, PodSpec, Service
from k8sim.api.discovery import Endpoint, EndpointSlice
from k8sim.api.meta import Object, OwnerReference, with_meta
from k8sim.api.policy import PodDisruptionBudget
from k8sim.api.struct import Time, replace
from k8sim.apiserver.server import APIServer
from k8sim.cluster import Cluster
from k8sim.machines.machine import Machine
from k8sim.machines.sandbox import Earlier
from k8sim.scenario import Scenario, loads
from k8sim.sim import collector
from k8sim.sim.units import DAY, SECOND

T = TypeVar("T", bound=Object)

PODS_PER_WORKLOAD = 30
PODS_PER_NODE = 30
DARK_AT, DARK_FOR, AFTER = 60, 1200, 600
"""In s: when power is lost, for how long, and how long the run goes on."""
AGE = 2 * DAY
ZONE = "topology.kubernetes.io/zone"
UID_LENGTH = 36
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


@dataclass(frozen=True)
class Copy:
    """What tells a copy of a workload from all others: its name, and how its UIDs end."""

    name: str
    uid_end: str


Template = Callable[[Copy], Any]
"""Makes a value anew for a copy of the workload that it is of."""


class Pattern:
    """All objects of one workload after its start, as templates of workloads that have been running since a time."""

    def __init__(self, kind: str, since: Time) -> None:
        self.name = f"pattern-{kind.lower()}"
        own = (
            "serviceName: x\n  podManagementPolicy: Parallel" if kind == "StatefulSet" else "strategy: {type: Recreate}"
        )
        manifests = WORKLOAD.format(name=self.name, kind=kind, own=own, replicas=PODS_PER_WORKLOAD)
        cluster = Cluster(cluster_of(3, 600, workloads=manifests), seed=1)
        cluster.run()
        stored = [obj for cls in KINDS for obj in cluster.server.list(cls) if obj.name != "kubernetes"]
        pods = [obj for obj in stored if isinstance(obj, Pod)]
        self._pods = {pod.name: PodTemplate(pod, self.name, since) for pod in pods}
        self._pod_spec = template(pods[0].spec, self.name)
        self._owners = template(pods[0].metadata.owner_references, self.name)
        self._containers = [Earlier(c.name, c.image, since) for c in pods[0].spec.containers]
        self._objects = [
            (obj, template(_without_endpoints(_made_at(since, obj)), self.name))
            for obj in stored
            if not isinstance(obj, Pod)
        ]

    def copy(self, number: int, server: APIServer, machines: list[Machine], first_slot: int) -> None:
        """Put a copy into a cluster, with its pods on successive nodes."""
        copy = Copy(f"{self.name}-{number}", f"{number:08x}")
        spec, owners = self._pod_spec(copy), self._owners(copy)
        pods = {}
        for slot, (name, pod) in enumerate(self._pods.items()):
            machine = machines[(first_slot + slot) % len(machines)]
            pods[name] = pod.placed(machine, copy, spec, owners, self._containers)
        for obj, made in self._objects:
            new = made(copy)
            if isinstance(obj, EndpointSlice):
                ends = tuple([_at(e, ref, pods[ref.name], server) for e in obj.endpoints if (ref := e.target_ref)])
                new = replace(new, endpoints=ends)
            server.preload(new)
        for placed in pods.values():
            server.preload(placed)


class PodTemplate:
    """A pod that has been running on its node since a time; all that is alike is shared by its copies."""

    def __init__(self, pod: Pod, pattern: str, since: Time) -> None:
        status = pod.status
        first = status.container_statuses[0]
        assert first.state.running is not None
        self._container = replace(
            first, state=replace(first.state, running=replace(first.state.running, started_at=since))
        )
        conditions = tuple(replace(c, last_transition_time=since) for c in status.conditions)
        self._pod = _made_at(since, replace(pod, status=replace(status, start_time=since, conditions=conditions)))
        self._name = template(pod.name, pattern)
        self._uid = template(pod.uid, pattern)
        self._hostname = template(pod.spec.hostname, pattern)
        self._labels = template(pod.metadata.labels, pattern)

    def placed(
        self, machine: Machine, copy: Copy, spec: PodSpec, owners: tuple[OwnerReference, ...], containers: list[Earlier]
    ) -> Pod:
        """Return a copy that has been running on a machine."""
        name, uid = self._name(copy), self._uid(copy)
        sandbox = machine.has_run(uid, (self._pod.namespace, name), containers)
        address = sandbox.sandboxes[0].ip
        container = replace(self._container, container_id=sandbox.containers[0].record.id)
        return replace(
            self._pod,
            metadata=replace(
                self._pod.metadata, name=name, uid=uid, labels=self._labels(copy), owner_references=owners
            ),
            spec=replace(spec, node_name=machine.name, hostname=self._hostname(copy)),
            status=replace(
                self._pod.status,
                host_ip=machine.host_ip,
                pod_ip=address,
                pod_ips=(PodIP(ip=address),),
                container_statuses=(container,),
            ),
        )


def template(value: Any, pattern: str) -> Template:
    """Return what makes a value for a copy. What has neither the pattern's name nor a UID in it is shared."""
    return _changing(value, pattern) or (lambda _: value)


def _changing(value: Any, pattern: str) -> Template | None:
    if isinstance(value, str):
        return _changing_string(value, pattern)
    if isinstance(value, msgspec.Struct):
        fields = _changing_parts({f: getattr(value, f) for f in value.__struct_fields__}, pattern)
        return (lambda copy: replace(value, **{f: of(copy) for f, of in fields.items()})) if fields else None
    if isinstance(value, dict):
        items = _changing_parts(value, pattern)
        return (lambda copy: value | {k: of(copy) for k, of in items.items()}) if items else None
    if isinstance(value, list | tuple):
        places = _changing_parts(dict(enumerate(value)), pattern)
        sequence = type(value)
        return (
            (lambda copy: sequence([places[i](copy) if i in places else item for i, item in enumerate(value)]))
            if places
            else None
        )
    return None


def _changing_parts(parts: dict[Any, Any], pattern: str) -> dict[Any, Template]:
    changing = {key: _changing(part, pattern) for key, part in parts.items()}
    return {key: of for key, of in changing.items() if of is not None}


def _changing_string(value: str, pattern: str) -> Template | None:
    if len(value) == UID_LENGTH and value.count("-") == 4:
        begin = value[:-8]
        return lambda copy: begin + copy.uid_end
    around = value.split(pattern)
    return (lambda copy: copy.name.join(around)) if len(around) > 1 else None


def _made_at(since: Time, obj: T) -> T:
    return with_meta(obj, creation_timestamp=since)


def _without_endpoints(obj: Object) -> Object:
    return replace(obj, endpoints=()) if isinstance(obj, EndpointSlice) else obj


def _at(endpoint: Endpoint, ref: ObjectReference, pod: Pod, server: APIServer) -> Endpoint:
    """Return the endpoint of a copy of the pod that the endpoint is of."""
    node = server.get(Node, "", pod.spec.node_name)
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
        since = Time(self.sim.clock.truncated(-AGE))
        patterns = [Pattern("StatefulSet", since), Pattern("Deployment", since)]
        machines = list(self.machines.values())
        for number in range(len(machines) * PODS_PER_NODE // PODS_PER_WORKLOAD):
            patterns[number % 2].copy(number, self.server, machines, number * PODS_PER_WORKLOAD)


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
