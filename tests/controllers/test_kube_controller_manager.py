"""A process of kube-controller-manager begins with nothing, and leaves nothing behind."""

from __future__ import annotations

from itertools import count

import pytest

from k8sim.api.core import Node, Pod
from k8sim.apiserver.server import APIServer
from k8sim.cluster import Cluster
from k8sim.controllers.kube_controller_manager import CONTROLLERS
from k8sim.controllers.persistentvolume.controller import PersistentVolumeController
from k8sim.controllers.resourcequota.controller import ResourceQuotaController
from k8sim.scenario import Scenario, loads
from k8sim.sim.units import SECOND

TEXT = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: restarts}
spec:
  duration: 20m
  nodes: [{name: node, count: 3}]
  images: {"*": {ready: 2s, stop: 1s}}
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
  minReadySeconds: 5
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: "app:v1"}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 3
  selector: {matchLabels: {app: api}}
  template: {metadata: {labels: {app: api}}, spec: {containers: [{name: app, image: "app:v1"}]}}
"""


@pytest.fixture
def cluster() -> Cluster:
    scenario: Scenario = loads(TEXT)
    return Cluster(scenario, seed=3)


def run(cluster: Cluster, until_s: float) -> None:
    cluster.sim.clock.run(int(until_s * SECOND))


@pytest.mark.parametrize("when", [0.05, 0.5, 3, 7.5, 60])
def test_after_its_end_no_controller_writes(cluster: Cluster, when: float) -> None:
    """A node dies and pods are deleted: all that controllers would have to answer."""
    run(cluster, when)
    cluster.controller_manager.stop()
    stopped = cluster.sim.clock.now
    cluster.machines["node-1"].crash()
    for pod in cluster.server.list(Pod)[:2]:
        cluster.server.delete(Pod, *pod.key, actor="test")
    run(cluster, 1100)
    history = cluster.server.history
    assert history is not None
    late = {change.actor.partition("/")[0] for t, change in history if t > stopped}
    assert late <= {"test", "kubectl", "kube-scheduler", "kubelet"}
    assert cluster.server.get(Node, "", "node-1").status.conditions[-1].status == "True"  # nobody has noticed


def test_its_successor_takes_over_in_the_middle_of_anything(cluster: Cluster) -> None:
    for _, t in zip(range(40), count(0.05, 0.21), strict=False):
        run(cluster, t)
        cluster.controller_manager.restart()
    run(cluster, 120)
    pods = cluster.server.list(Pod)
    assert sorted(p.name for p in pods if p.name.startswith("web")) == ["web-0", "web-1", "web-2"]
    assert len(pods) == 6
    assert all(c.status == "True" for p in pods for c in p.status.conditions if c.type == "Ready")


def test_processes_that_have_ended_leave_no_watches(cluster: Cluster) -> None:
    def watches() -> int:
        server = cluster.server
        kinds = sum(map(len, server._watchers.values())) + sum(map(len, server._pod_watchers.values()))
        return kinds + len(server.lines) + len(server.leases._watchers) + len(server._kind_listeners)

    run(cluster, 30)
    before = watches()
    for _ in range(3):
        cluster.controller_manager.restart()
    assert watches() == before
    cluster.controller_manager.stop()
    cluster.controller_manager.stop()
    assert watches() < before
    assert not cluster.controller_manager.running


POD = "spec: {containers: [{name: app, image: app:v1}]}"
RESTART = "at: 5s, fault: controller-manager-restart"
OUTAGE = "at: {}s, fault: apiserver-outage, for: 3s"
LATE = f"""
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: late}}
spec:
  duration: 20m
  nodes: [{{name: node, count: 3}}]
  images: {{"*": {{ready: 2s, stop: 1s}}, "job:v1": {{exit: {{after: 5s}}}}}}
  timeline:
    - at: 10s
      apply: {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: api}}, spec: {{replicas: 2,
        selector: {{matchLabels: {{app: api}}}}, template: {{metadata: {{labels: {{app: api}}}}, {POD}}}}}}}
    - at: 20s
      apply: {{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: agent}}, spec: {{
        selector: {{matchLabels: {{app: agent}}}}, template: {{metadata: {{labels: {{app: agent}}}}, {POD}}}}}}}
    - at: 30s
      apply: {{apiVersion: batch/v1, kind: CronJob, metadata: {{name: tick}}, spec: {{schedule: "* * * * *",
        jobTemplate: {{spec: {{ttlSecondsAfterFinished: 9, template: {{spec: {{restartPolicy: Never,
        containers: [{{name: app, image: "job:v1"}}]}}}}}}}}}}}}
    - at: 40s
      apply: {{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{name: fast}},
        provisioner: ebs.csi.aws.com}}
    - at: 50s
      apply: {{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: data}}, spec: {{storageClassName: fast,
        accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}
    - at: 50s
      apply: {{apiVersion: v1, kind: Pod, metadata: {{name: user}}, spec: {{
        containers: [{{name: app, image: "app:v1"}}],
        volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]}}}}
    - {{at: 70s, kubectl: delete pod user --wait=false}}
    - {{at: 90s, kubectl: delete pvc data --wait=false}}
    - at: 2m
      apply: {{apiVersion: v1, kind: ResourceQuota, metadata: {{name: few}}, spec: {{hard: {{pods: "5"}}}}}}
    - {{at: 3m, kubectl: scale deployment api --replicas=5}}
    - {{at: 4m, fault: apiserver-outage, for: 30s}}
    - {{at: 5m, kubectl: delete deployment api --wait=false}}
"""


def phases(cluster: Cluster) -> list[int]:
    """Of the resyncs of the controllers that draw them when they are made."""
    made = {type(controller): controller for controller in cluster.controller_manager.controllers}
    quotas, volumes = made[ResourceQuotaController], made[PersistentVolumeController]
    assert isinstance(quotas, ResourceQuotaController)
    assert isinstance(volumes, PersistentVolumeController)
    return [quotas._phase, volumes.resync.phase_ns]


@pytest.mark.parametrize("before", ["", RESTART, OUTAGE.format(5), OUTAGE.format(49)])
def test_nobody_can_tell_that_controllers_are_made_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    scenario = loads(LATE.replace("timeline:", f"timeline:\n    - {{{before}}}") if before else LATE)
    cluster = Cluster(scenario, seed=3)
    made = [len(cluster.controller_manager.controllers)]
    rows = list(cluster.run().log)
    made.append(len(cluster.controller_manager.controllers))
    monkeypatch.setattr(APIServer, "in_use", lambda self, cls: True)
    eager = Cluster(scenario, seed=3)
    assert len(eager.controller_manager.controllers) == len(CONTROLLERS)
    assert made[0] < made[1] <= len(CONTROLLERS)
    assert list(eager.run().log) == rows
    assert phases(eager) == phases(cluster)
