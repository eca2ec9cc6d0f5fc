"""What the controller remembers from sync to sync is what it would decide anew."""

import pytest

from k8sim.cluster import Cluster
from k8sim.controllers.endpointslice.members import Members
from k8sim.scenario import loads
from k8sim.sim.trace import Row

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: remembered}
spec:
  duration: 10m
  nodes: [{name: node, count: 4}]
  timeline:
    - {at: 1m, kubectl: delete pod -l app=web --wait=false}
    - {at: 2m, kubectl: delete endpointslice -l kubernetes.io/service-name=web}
    - {at: 3m, kubectl: scale deployment/web --replicas=5}
    - {at: 4m, kubectl: label pod -l app=web app=other --overwrite}
    - {at: 5m, fault: node-crash, node: node-1, for: 1m}
    - {at: 8m, kubectl: scale deployment/web --replicas=0}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - {name: app, image: "web:v1", readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 5}}
"""


def test_nothing_changes_if_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> list[Row]:
        return list(Cluster(loads(SCENARIO), seed=5, keep_history=False).run().log)

    as_it_is = rows()
    replaced: list[bool | None] = []
    replaced_since = Members.replaced_since

    def forgets(self, slices) -> None:  # type: ignore[no-untyped-def]
        known = replaced_since(self, slices)
        replaced.append(None if known is None else bool(known))

    monkeypatch.setattr(Members, "are_settled", lambda _self, _slices: False)
    monkeypatch.setattr(Members, "replaced_since", forgets)
    assert rows() == as_it_is
    assert {None, False, True} == set(replaced)
    assert sum(row.event == "Removed" for row in as_it_is) > 3
