from __future__ import annotations

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import loads

CLUSTER = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: restart}
spec:
  duration: 3m
  timeline: [{at: 2m, fault: controller-manager-restart, for: 10s}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: ebs.csi.aws.com
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
    spec: {containers: [{name: db, image: db}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_new_process_knows_all_claims_and_volumes_before_it_judges_any(seed: int) -> None:
    """initializeCaches: a bound claim that is looked at first must not be taken for one whose volume is gone."""
    rows = Cluster(loads(CLUSTER), seed=seed).run().public_trace()
    assert {name for t, kind, name, event, _ in rows if event == "Bound" and kind == "PersistentVolumeClaim"} == {
        "data-db-0", "data-db-1", "data-db-2",
    }  # fmt: skip
    assert not [row for row in rows if row[0] > 120 and row[1].startswith("PersistentVolume")]
