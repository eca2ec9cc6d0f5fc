"""Bugs that tools/soak.py has found, each as the smallest scenario that showed it."""

from __future__ import annotations

import pytest

from k8sim.cluster import Cluster
from k8sim.guarantees import check
from k8sim.result import Result
from k8sim.scenario import loads

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: found}}
spec:
  duration: 20m
  nodes: [{{name: node, count: 2}}]
  images: {{"*": {{start: 1s}}}}
  timeline:
  - {timeline}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: disk}}
provisioner: ebs.csi.aws.com
volumeBindingMode: {binding}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: web
  replicas: 2
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: app, image: "app:v1", volumeMounts: [{{name: data, mountPath: /data}}]}}]
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{accessModes: [ReadWriteOnce], storageClassName: disk, resources: {{requests: {{storage: 1Gi}}}}}}
"""


def run(timeline: str, binding: str = "WaitForFirstConsumer", tie_salt: int = 0) -> Result:
    return Cluster(loads(SCENARIO.format(timeline=timeline, binding=binding)), tie_salt=tie_salt).run()


def ready(result: Result) -> set[str]:
    return {row.name for row in result.log if row.kind == "Pod" and row.event == "Ready"}


@pytest.mark.parametrize("salt", range(4))
def test_a_storage_call_has_its_result_whoever_wakes_first(salt: int) -> None:
    """The caller of CreateVolume woke before the call ended, at the same instant, and made a volume of nothing."""
    result = run("{at: 15m, kubectl: cordon node-0}", "Immediate", salt)
    assert ready(result) == {"web-0", "web-1"}


@pytest.mark.parametrize("at_s", [3, 4, 5, 6])
def test_a_node_that_is_cut_off_while_its_disk_is_attached_mounts_it_later(at_s: int) -> None:
    """Its kubelet could not read the Node when that changed, and then waited for another change, for ever."""
    result = run(f"{{at: {at_s}s, fault: node-partition, node: node-0, for: 20s}}")
    assert ready(result) == {"web-0", "web-1"}
    assert not check(result).violations


@pytest.mark.parametrize("at_s", [3, 4, 5, 6, 7])
def test_an_attachment_is_reported_after_an_outage_of_the_api_server(at_s: int) -> None:
    """The attach/detach controller failed for good when it could not write status.volumesAttached."""
    result = run(f"{{at: {at_s}s, fault: apiserver-outage, for: 2m}}")
    assert ready(result) == {"web-0", "web-1"}
