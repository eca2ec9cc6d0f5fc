"""A cluster that is taken apart dies at once, and leaves its result as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from k8sim.cluster import Cluster, simulate
from k8sim.scenario import loads

TEXT = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: short-life}
spec:
  duration: 15m
  nodes: [{name: node, count: 3}]
  images: {"*": {ready: 2s, stop: 1s}}
  timeline:
    - {at: 2m, kubectl: set image statefulset/web app=app:v2}
    - {at: 4m, fault: node-crash, node: node-1, for: 5m}
    - {at: 10m, kubectl: drain node-0 --ignore-daemonsets}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "app:v1", readinessProbe: {tcpSocket: {port: 80}}}]}
"""
AT_WORK = """\
  timeline:
    - {at: 14m, kubectl: wait --for=delete pod/web-2 --timeout=1h}
    - {at: 14m59s, kubectl: delete pod web-0}
"""
CLAIMS = """\
  volumeClaimTemplates:
    - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
"""


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_it_dies_by_reference_counts() -> None:
    """With a kubelet that has crashed, too."""
    scenario = loads(TEXT)
    simulate(scenario, seed=1)  # what is made once for all clusters is there now
    gc.collect()
    simulate(scenario, seed=1)
    assert gc.collect() < 20


@pytest.mark.parametrize("text", [TEXT, TEXT + CLAIMS, TEXT.replace("  timeline:\n", AT_WORK)])
@pytest.mark.filterwarnings("error")  # of what cannot end because it misses something
def test_what_it_has_returned_stays(text: str) -> None:
    scenario = loads(text)
    expected = Cluster(scenario, seed=1).run()
    result = simulate(scenario, seed=1)
    gc.collect()
    assert list(result.log) == list(expected.log)
    assert result.public_trace() == expected.public_trace()
    assert list(result.history) == list(expected.history)
