"""Statements of workloads.md and node.md that only a whole cluster shows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from k8sim.cluster import Cluster
from k8sim.result import Result
from k8sim.scenario import loads

HEAD = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: statement}
spec:
  duration: %s
  nodes: [{name: node, count: 3}]
  images: {"*": {ready: 1s, stop: 1s}}
  timeline: [%s]
"""
SET = """
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
      containers: [{name: db, image: "db:1", readinessProbe: {exec: {command: [check]}, periodSeconds: 1}}]
"""
CLAIMS = """  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 10Gi}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
"""
QUOTA = """
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec: {hard: {%s}}
"""
Rows = list[tuple[float, str, str, str, dict[str, Any]]]


def play(duration: str, timeline: str, manifests: str) -> Result:
    return Cluster(loads(HEAD % (duration, timeline) + manifests), seed=1).run()


def times(rows: Rows, kind: str, name: str, event: str) -> list[float]:
    return [t for t, k, n, e, _ in rows if (k, n, e) == (kind, name, event)]


def test_3_5_15_a_rolling_update_asks_no_budget() -> None:
    budget = """
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db}
spec: {minAvailable: 3, selector: {matchLabels: {app: db}}}
"""
    rows = play("3m", "{at: 60s, kubectl: set image sts/db db=db:2}", SET + budget).public_trace()
    allowed = [d["allowed"] for t, k, _, _, d in rows if k == "PodDisruptionBudget" and t > 30]
    assert set(allowed) <= {0}
    assert all(len(times(rows, "Pod", f"db-{i}", "Deleted")) == 1 for i in range(3))


def test_5_5_6_a_pod_is_seen_to_have_ended_before_it_is_gone() -> None:
    rows = play("2m", "{at: 60s, kubectl: delete pod db-1}", SET).public_trace()
    [gone] = times(rows, "Pod", "db-1", "Deleted")
    ended = [t for t, k, n, e, d in rows if (k, n, e) == ("Pod", "db-1", "Phase") and d["phase"] == "Succeeded"]
    assert len(ended) == 1
    assert ended[0] < gone


def test_6_5_6_and_7_a_set_without_quota_has_a_claim_and_tries_again_ever_more_seldom() -> None:
    patch = "apiVersion: v1, kind: ResourceQuota, metadata: {name: quota}, spec: {hard: {pods: '3'}}"
    more = f"{{at: 100s, apply: {{{patch}}}}}"
    result = play("10m", more, SET + CLAIMS + QUOTA % 'pods: "2"')
    rows = result.public_trace()
    assert len(times(rows, "PersistentVolumeClaim", "data-db-2", "Created")) == 1
    tries = [row.t / 1e9 for row in result.log if row.event == "FailedCreate" and "db-2" in row.detail["message"]]
    gaps = [b - a for a, b in pairwise(tries)]
    assert len(gaps) > 5
    assert gaps[-1] > 100 * gaps[0]
    [made] = times(rows, "Pod", "db-2", "Created")
    assert made > 105, "raising the quota wakes nobody"
    assert made - tries[-1] > gaps[-1], "it is the next try that finds it"


def test_6_5_11_without_quota_for_its_claim_a_set_makes_no_pod() -> None:
    result = play("2m", "", SET + CLAIMS + QUOTA % "requests.storage: 25Gi")
    rows = result.public_trace()
    assert not times(rows, "PersistentVolumeClaim", "data-db-2", "Created")
    assert not times(rows, "Pod", "db-2", "Created")
    told = [row.detail["message"] for row in result.log if row.event == "FailedCreate"]
    assert [message for message in told if "create Claim" in message or "claim" in message.lower()]


def test_7_10_10_a_pod_waits_for_the_node_that_has_its_local_volume() -> None:
    local = """
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 10Gi}
  storageClassName: local
  local: {path: /mnt/disk}
  nodeAffinity:
    required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node-1]}]}]}
"""
    manifests = (SET + CLAIMS.partition("---")[0]).replace("replicas: 3", "replicas: 1").replace(
        "fast", "local"
    ) + local
    steps = "{at: 60s, fault: node-crash, node: node-1}, {at: 7m, kubectl: delete pod db-0 --force --grace-period=0}"
    result = play("60m", steps, manifests)
    rows = result.public_trace()
    assert len(times(rows, "Pod", "db-0", "Created")) == 2
    assert len(times(rows, "Pod", "db-0", "Scheduled")) == 1
    [pod] = [obj for obj in result.objects(kind="pods") if obj.name == "db-0"]
    [why] = [c.message for c in pod.status.conditions if c.type == "PodScheduled"]
    assert "volume node affinity" in why or "untolerated taint" in why
