"""What the controllers of Deployments and ReplicaSets remember from sync to sync is what they would find anew."""

import pytest

from k8sim.cluster import Cluster
from k8sim.controllers.deployment.controller import DeploymentController
from k8sim.controllers.deployment.replica_sets import Settled
from k8sim.controllers.replicaset.tally import Counted, Tally
from k8sim.scenario import loads
from k8sim.sim.trace import Row

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: settled}
spec:
  duration: 40m
  nodes: [{name: node, count: 4}]
  timeline:
    - {at: 1m, kubectl: set image deployment/web app=web:v2}
    - {at: 2m, kubectl: scale deployment/web --replicas=5}
    - {at: 3m, kubectl: rollout undo deployment/web}
    - {at: 3m5s, kubectl: rollout pause deployment/web}
    - {at: 4m, kubectl: set image deployment/web app=web:v3}
    - {at: 5m, kubectl: rollout resume deployment/web}
    - {at: 7m, fault: node-crash, node: node-1, for: 8m}
    - {at: 20m, kubectl: set image deployment/web app=web:v4}
    - {at: 20m10s, kubectl: scale deployment/web --replicas=3}
    - {at: 39m, kubectl: delete deployment web}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  minReadySeconds: 5
  revisionHistoryLimit: 1
  strategy: {type: STRATEGY}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 5
      containers: [{name: app, image: "web:v1"}]
"""


def rows(strategy: str) -> list[Row]:
    return list(Cluster(loads(SCENARIO.replace("STRATEGY", strategy)), seed=5, keep_history=False).run().log)


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_nothing_changes_if_nothing_is_remembered(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    as_it_is = rows(strategy)
    asked: list[bool] = []
    found_again = Settled.found_again

    def forgets(self, *now) -> None:  # type: ignore[no-untyped-def]
        asked.append(found_again(self, *now) is not None)

    monkeypatch.setattr(Settled, "found_again", forgets)
    echoes: list[bool] = []
    is_echo = DeploymentController._is_echo

    def sees_no_echo(self, *now) -> bool:  # type: ignore[no-untyped-def]
        echoes.append(is_echo(self, *now))
        return False

    monkeypatch.setattr(DeploymentController, "_is_echo", sees_no_echo)
    monkeypatch.setattr(Tally, "settled", property(lambda tally: None, lambda tally, version: None), raising=False)
    monkeypatch.setattr(Counted, "counts_like", lambda counted, other: False)
    assert rows(strategy) == as_it_is
    assert asked.count(True) > 20
    assert any(echoes)
