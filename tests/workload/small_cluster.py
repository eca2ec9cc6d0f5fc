"""One application in a small cluster: a StatefulSet ``db`` behind a headless Service, and what a test adds."""

from __future__ import annotations

from typing import Any

from k8sim.cluster import Cluster
from k8sim.metrics import Metrics
from k8sim.scenario import loads
from k8sim.sim.trace import Row

CLASS = """\
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disk, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: PROVISIONER
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
"""
SET = """\
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  podManagementPolicy: Parallel
  replicas: REPLICAS
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
        - name: db
          image: "db:1"
          readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
          HOOK
          volumeMounts: [{name: data, mountPath: /data}]
"""
CLAIM = """\
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
THREE = "[{name: node, count: 3}]"
HOME_FIRST = "[{name: home, count: 1}, {name: other, count: 1, taints: [{key: later, effect: NoSchedule}]}]"
"""The first pod goes to home-0; the other node opens when `later` is taken away."""
EMPTY_DIR = "      volumes: [{name: data, emptyDir: {}}]\n"


def run(
    spec: str,
    replicas: int = 1,
    volume: str = CLAIM,
    provisioner: str = "ebs.csi.aws.com",
    hook: str = "",
    nodes: str = THREE,
    more: str = "",
    images: str = '  images: {"db:*": {ready: 1s, stop: 1s}}\n',
) -> tuple[list[Row], Metrics]:
    text = (
        "apiVersion: k8sim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: t}\nspec:\n"
        f"  duration: 20m\n  nodes: {nodes}\n"
        + images
        + spec
        + CLASS.replace("PROVISIONER", provisioner)
        + SET.replace("REPLICAS", str(replicas)).replace("HOOK", hook or "env: []")
        + volume
        + more
    )
    result = Cluster(loads(text), keep_history=False).run()
    return list(result.log), Metrics.of(result)


def losses(metrics: Metrics) -> list[tuple[float, str, str]]:
    return [(r.writes, r.cause, r.path) for r in metrics.losses.itertuples()]


def of(rows: list[Row], kind: str, *events: str) -> list[tuple[float, str, str, dict[str, Any]]]:
    return [(r.t / 1e9, r.name, r.event, dict(r.detail)) for r in rows if r.kind == kind and r.event in events]


SINGLE = "  applications: [{name: db, statefulSet: db, preset: single, writes: 100/s, start: 60s}]\n"
