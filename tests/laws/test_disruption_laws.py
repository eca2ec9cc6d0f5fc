"""Laws of clusters under disruption: budgets, identities, rates of eviction, settling; and of the engine itself."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.api.core import Node, Pod
from k8sim.api.meta import Object
from k8sim.api.scheme import KINDS
from k8sim.cluster import Cluster
from k8sim.scenario import loads
from k8sim.sim.units import SECOND

SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=12, deadline=None)


def text(
    spec: str, *, nodes: int = 4, replicas: int = 3, policy: str = "OrderedReady", budget: str = "", more: str = ""
) -> str:
    """A scenario of one StatefulSet over zones a and b."""
    pdb = f"""
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: db}}
spec: {{{budget}, selector: {{matchLabels: {{app: db}}}}}}
"""
    return f"""
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: law}}
spec:
  nodes: [{{name: node, count: {nodes}, zones: [a, b]}}]
  images: {{"*": {{start: 200ms, ready: {{uniform: [500ms, 3s]}}, stop: {{uniform: [0s, 2s]}}}}}}
{spec}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  replicas: {replicas}
  podManagementPolicy: {policy}
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      containers: [{{name: app, image: "app:v1", readinessProbe: {{exec: {{command: [check]}}, periodSeconds: 1}}}}]
{pdb if budget else ""}{more}"""


def ready_counts(trace: list[Any], since: float) -> list[int]:
    """How many pods of the set are Ready after each change from a time on."""
    ready: set[str] = set()
    counts = []
    for t, kind, name, event, _ in trace:
        if kind == "Pod" and event in ("Ready", "NotReady", "Deleted"):
            (ready.add if event == "Ready" else ready.discard)(name)
            if t >= since:
                counts.append(len(ready))
    return counts


def all_ready(cluster: Cluster) -> bool:
    objects: list[Any] = [*cluster.server.list(Node), *cluster.server.list(Pod)]
    return all(any(c.type == "Ready" and c.status == "True" for c in o.status.conditions) for o in objects)


@given(
    seed=SEEDS,
    replicas=st.integers(2, 5),
    away=st.integers(1, 2),
    drains=st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
)
@FEW
def test_eviction_alone_takes_no_budget_below_its_minimum(
    seed: int, replicas: int, away: int, drains: list[int]
) -> None:
    steps = "".join(f"\n    - {{at: 60s, kubectl: drain node-{n} --timeout=60s}}" for n in drains)
    spec = f"  duration: 4m\n  timeline:{steps}"
    minimum = replicas - away
    trace = (
        Cluster(loads(text(spec, replicas=replicas, budget=f"minAvailable: {minimum}")), seed=seed).run().public_trace()
    )
    assert all(n >= minimum for n in ready_counts(trace, 60))


FAULTS = st.sampled_from([
    "fault: node-crash, node: node-0, for: 90s", "fault: node-crash, node: node-1, for: 400s",
    "fault: kubelet-restart, node: node-2", "fault: zone-outage, zone: a, for: 100s",
    "fault: controller-manager-restart, for: 20s", "fault: apiserver-outage, for: 40s",
    "fault: container-exit, pod: db-0, code: 3", "kubectl: delete pod db-1 --wait=false",
    "kubectl: drain node-3 --timeout=60s", "kubectl: uncordon node-3",
])  # fmt: skip
HISTORIES = st.lists(st.tuples(st.integers(30, 200), FAULTS), min_size=1, max_size=5)


def timeline(history: list[tuple[int, str]]) -> str:
    return "  timeline:" + "".join(f"\n    - {{at: {t}s, {what}}}" for t, what in history)


@given(seed=SEEDS, salt=st.integers(0, 5), policy=st.sampled_from(["OrderedReady", "Parallel"]), history=HISTORIES)
@FEW
def test_no_identity_runs_twice_and_all_settles_once_faults_stop(
    seed: int, salt: int, policy: str, history: list[tuple[int, str]]
) -> None:
    """Whatever the order of ties: nobody forces a deletion, and nobody is cut off."""
    spec = f"  duration: 40m\n{timeline([*history, (700, 'kubectl: uncordon node-3')])}"
    cluster = Cluster(loads(text(spec, policy=policy)), seed=seed, tie_salt=salt)
    cluster.sim.clock.run(1800 * SECOND)
    assert not [row for row in cluster.sim.trace if row.kind == "Identity"]
    assert sorted(p.name for p in cluster.server.list(Pod)) == ["db-0", "db-1", "db-2"]
    assert all_ready(cluster)
    version = cluster.server.resource_version
    cluster.sim.clock.run(2400 * SECOND)
    assert cluster.server.resource_version == version, "a settled world writes nothing more"


@given(seed=SEEDS, wait=st.integers(60, 300))
@FEW
def test_an_identity_that_is_forced_while_cut_off_runs_twice_and_that_is_counted(seed: int, wait: int) -> None:
    spec = f"""  duration: 15m
  operators: {{forceDelete: {{after: {wait}s}}}}
  timeline: [{{at: 60s, fault: node-partition, node: node-0, for: 12m}}]"""
    cluster = Cluster(loads(text(spec, nodes=2, replicas=4)), seed=seed)
    cluster.run()
    rows = [row for row in cluster.sim.trace if row.kind == "Identity"]
    once = [row for row in rows if row.event == "Once"]
    assert len(once) * 2 == len(rows)
    assert cluster.identities.twice_ns == sum(row.detail["duration"] for row in once)
    forced = [row for row in cluster.sim.trace if (row.kind, row.event) == ("Operator", "Acts")]
    assert bool(rows) == bool(forced)


@given(seed=SEEDS, lost=st.integers(1, 8), rate=st.sampled_from([0.05, 0.1, 0.5]))
@FEW
def test_a_zone_outage_taints_no_more_nodes_than_the_rate_allows(seed: int, lost: int, rate: float) -> None:
    crashes = "".join(f"\n    - {{at: 60s, fault: node-crash, node: node-{2 * i}}}" for i in range(lost))
    spec = f"""  duration: 10m
  cluster: {{kubeControllerManager: {{nodeEvictionRate: {rate}}}}}
  timeline:{crashes}"""
    trace = Cluster(loads(text(spec, nodes=20)), seed=seed).run().public_trace()
    tainted = [t for t, k, _, e, d in trace if (k, e, d.get("effect")) == ("Node", "Tainted", "NoExecute")]
    for i, first in enumerate(tainted):
        for j, later in enumerate(tainted[i:]):
            assert j <= 1 + (later - first + 0.2) * rate


@given(seed=SEEDS, history=HISTORIES)
@FEW
def test_replaying_the_history_gives_the_store(seed: int, history: list[tuple[int, str]]) -> None:
    cluster = Cluster(loads(text(f"  duration: 10m\n{timeline(history)}")), seed=seed)
    cluster.run()
    replayed: dict[tuple[str, tuple[str, str]], Object] = {}
    for _, change in cluster.server.history or ():
        key = (change.new.kind, change.new.key)
        if change.type == "DELETED":
            del replayed[key]
        else:
            assert (key in replayed) == (change.type == "MODIFIED")
            replayed[key] = change.new
    assert replayed == {(o.kind, o.key): o for cls in KINDS for o in cluster.server.list(cls)}


@given(seed=SEEDS)
@FEW
def test_an_unrelated_object_changes_no_fault_of_the_others(seed: int) -> None:
    spec = """  duration: 30m
  failures:
    - {fault: node-crash, every: {exponential: {mean: 10m}}, for: {exponential: {mean: 1m}}}
    - {fault: container-exit, pod: "db-*", every: {exponential: {mean: 5m}}}"""
    other = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
spec:
  selector: {matchLabels: {app: other}}
  template: {metadata: {labels: {app: other}}, spec: {containers: [{name: app, image: "app:v1"}]}}
"""

    def faults(more: str) -> list[tuple[int, str, Any]]:
        rows = Cluster(loads(text(spec, more=more)), seed=seed).run().log
        return [(r.t, r.name, r.detail["target"]) for r in rows if r.kind == "Fault" and r.name == "node-crash"]

    assert faults("") == faults(other)
