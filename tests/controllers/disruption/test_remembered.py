"""What the controller remembers from sync to sync is what it would count anew."""

import pytest

from k8sim.cluster import Cluster
from k8sim.controllers.disruption.control import Seen
from k8sim.scenario import loads
from k8sim.sim.trace import Row

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: remembered}
spec:
  duration: 12m
  nodes: [{name: node, count: 4}]
  timeline:
    - {at: 1m, kubectl: drain node-1 --ignore-daemonsets}
    - {at: 2m, kubectl: scale deployment/web --replicas=6}
    - {at: 3m, kubectl: uncordon node-1}
    - {at: 4m, kubectl: drain node-0 --ignore-daemonsets}
    - {at: 5m, kubectl: label pod -l app=web app=other --overwrite}
    - {at: 6m, kubectl: delete pdb web}
    - {at: 7m, fault: node-crash, node: node-2, for: 2m}
    - {at: 11m, kubectl: scale deployment/web --replicas=1}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 40%, selector: {matchLabels: {app: web}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: tier}
spec: {minAvailable: 1, selector: {matchLabels: {tier: front}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      terminationGracePeriodSeconds: 5
      containers: [{name: app, image: "web:v1"}]
"""


def test_nothing_changes_if_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> list[Row]:
        return list(Cluster(loads(SCENARIO), seed=5, keep_history=False).run().log)

    as_it_is = rows()
    same: list[bool] = []

    def forgets(one: Seen, other: object) -> bool:
        same.append(isinstance(other, Seen) and tuple(one) == tuple(other))
        return False

    monkeypatch.setattr(Seen, "__eq__", forgets)
    assert rows() == as_it_is
    assert any(same)
    assert not all(same)
