"""What the controller remembers from sync to sync is what it would find or decide anew."""

import pytest

from k8sim.cluster import Cluster
from k8sim.controllers.statefulset import controller, replicas
from k8sim.controllers.statefulset.revisions import History
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
    - {at: 1m, kubectl: set image statefulset/db app=db:v2}
    - {at: 2m, kubectl: scale statefulset/db --replicas=5}
    - {at: 3m, kubectl: delete pod db-1 --grace-period=0 --force}
    - {at: 4m, kubectl: rollout undo statefulset/db}
    - {at: 5m, kubectl: scale statefulset/db --replicas=1}
    - {at: 6m, kubectl: scale statefulset/db --replicas=3}
    - {at: 7m, fault: node-crash, node: node-1, for: 1m}
    - {at: 9m, kubectl: delete statefulset db}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  minReadySeconds: 5
  podManagementPolicy: POLICY
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete, whenDeleted: Delete}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 5
      containers: [{name: app, image: "db:v1"}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_nothing_changes_if_nothing_is_remembered(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> list[Row]:
        return list(Cluster(loads(SCENARIO.replace("POLICY", policy)), seed=5, keep_history=False).run().log)

    as_it_is = rows()
    asked: list[bool] = []
    for remembered, question in ((controller.Views, "is_settled"), (History, "still_holds")):
        knows = getattr(remembered, question)

        def forgets(self, *now, knows=knows) -> bool:  # type: ignore[no-untyped-def]
            asked.append(knows(self, *now))
            return False

        monkeypatch.setattr(remembered, question, forgets)
    for module in (controller, replicas):
        monkeypatch.setattr(module, "same_identity", lambda pod, known: False)
    assert rows() == as_it_is
    assert any(asked)
