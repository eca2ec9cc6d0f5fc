"""A set that goes while its own sync is waiting for the API server."""

from __future__ import annotations

from k8sim.cluster import Cluster
from k8sim.scenario import loads

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: set-gone-during-sync}
spec:
  duration: 30s
  nodes: [{name: node, count: 1}]
  latencies: {apiWrite: 2s, watch: 10ms}
  timeline:
    - {at: 9500ms, kubectl: 'set image statefulset/web app=app:v2'}
    - {at: 11s, kubectl: delete statefulset web --wait=false}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 1
  serviceName: web
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "app:v1"}]}
"""


def test_nothing_of_a_gone_set_is_missed_by_a_sync_under_way() -> None:
    for tenths in range(-12, 8, 4):
        text = SCENARIO.replace("at: 11s", f"at: {11000 + tenths * 100}ms")
        result = Cluster(loads(text, "gone"), seed=1).run()
        assert [o.name for o in result.objects(kind="sts")] == []
