"""From a scenario file to a campaign: what it becomes, and everything that is not silently dropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from k8sim.lockstep.campaign import NEVER
from k8sim.lockstep.subset import Translation, campaign_of
from k8sim.scenario import load, loads
from k8sim.sim.distributions import Constant, Exponential, Uniform
from k8sim.sim.units import DAY, HOUR, MINUTE, SECOND

SCENARIOS = Path(__file__).parents[2] / "scenarios"
TEXT = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: campaign}
spec:
  duration: 365d
  nodes: [{name: node, count: 5, zones: [a, b, c]}]
  images: {"*": {start: 5s, ready: {uniform: [0s, 30s]}, stop: 40s}}
  failures:
    - {fault: node-crash, every: {exponential: {mean: 30d}}, for: 10m}
    - {fault: zone-outage, every: {exponential: {mean: 300d}}, for: 2h}
    - {fault: container-exit, pod: "db-*", every: {exponential: {mean: 20d}}}
    - {fault: disk-loss, claim: "data-*", every: {exponential: {mean: 500d}}}
  nodeUpgrades: [{at: 1d, every: {uniform: [20d, 40d]}, reboot: 7m}]
  operators: {forceDelete: {after: 2h}}
  applications: [{name: data, statefulSet: db, writes: 1/s, copyTime: 3h, backup: {every: 1d, restore: 4h}}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: zonal}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db}
spec: {minAvailable: 2, selector: {matchLabels: {app: db}}}
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
    spec:
      tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}
      containers:
        - {name: db, image: "db:v1", readinessProbe: {exec: {command: [check]}}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], storageClassName: zonal, resources: {requests: {storage: 1Gi}}}
"""
CLAIM = "spec: {accessModes: [ReadWriteOnce], storageClassName: zonal, resources: {requests: {storage: 1Gi}}}"
EPHEMERAL = f"volumes: [{{name: x, ephemeral: {{volumeClaimTemplate: {{{CLAIM}}}}}}}]"
SPREAD = (
    "topologySpreadConstraints: "
    "[{maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, topologyKey: kubernetes.io/hostname, labelSelector: {}}]"
)
ANOTHER = f"- {{metadata: {{name: x}}, {CLAIM}}}"
ANTI_AFFINITY = """requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: db}}}"""


def translated(*changes: tuple[str, str]) -> Translation:
    text = TEXT
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return campaign_of(loads(text, "campaign.yaml"))


def test_every_setting_comes_from_where_it_belongs() -> None:
    translation = translated()
    campaign = translation.campaign
    assert (translation.namespace, translation.name, translation.outside) == ("default", "db", ())
    assert campaign is not None
    assert campaign.node_zone == (0, 1, 2, 0, 1)
    assert (campaign.replicas, campaign.ordered, campaign.per_node, campaign.pinning) == (3, True, 1, "zone")
    assert (campaign.max_unavailable, campaign.toleration_ns) == (1, 30 * SECOND)
    assert (campaign.node_life, campaign.node_outage) == (Exponential(30 * DAY), Constant(10 * MINUTE))
    assert (campaign.zone_life, campaign.zone_outage) == (Exponential(300 * DAY), Constant(2 * HOUR))
    assert (campaign.crash, campaign.disk_life) == (Exponential(20 * DAY), Exponential(500 * DAY))
    assert (campaign.drain_every, campaign.maintenance) == (Uniform(20 * DAY, 40 * DAY), Constant(7 * MINUTE))
    assert (campaign.start, campaign.catch_up) == (Constant(5 * SECOND), Uniform(0, 30 * SECOND))
    assert campaign.stop == Constant(30 * SECOND)  # SIGKILL after the grace period
    assert (campaign.rebuild, campaign.restore) == (Constant(3 * HOUR), Constant(4 * HOUR))
    assert campaign.force_delete == Constant(2 * HOUR)
    assert campaign.horizon_ns == 365 * DAY


def test_other_choices_of_the_set() -> None:
    by_room = translated(
        (ANTI_AFFINITY, "{}"),
        ("count: 5,", 'count: 5, capacity: {cpu: "4", memory: 16Gi, pods: "2"},'),
    )
    assert by_room.campaign is not None
    assert by_room.campaign.per_node == 2
    parallel = translated(
        ("replicas: 3", "replicas: 3\n  podManagementPolicy: Parallel"), (", tolerationSeconds: 30", "")
    )
    assert parallel.campaign is not None
    assert not parallel.campaign.ordered
    assert parallel.campaign.toleration_ns == NEVER
    local = translated(("ebs.csi.aws.com", "rancher.io/local-path"))
    assert local.campaign is not None
    assert (local.campaign.pinning, local.campaign.attach) == ("node", Constant(0))
    file_system = translated(("ebs.csi.aws.com", "efs.csi.aws.com"))
    assert file_system.campaign is not None
    assert file_system.campaign.pinning == "none"
    for budget in (("matchLabels: {app: db}", "matchLabels: {app: other}"), ("{name: db}", "{name: x, namespace: x}")):
        no_budget = translated(budget)
        assert no_budget.campaign is not None
        assert no_budget.campaign.max_unavailable == 3
    host_port = translated((ANTI_AFFINITY, "{}"), ('"db:v1"', '"db:v1", ports: [{containerPort: 1, hostPort: 1}]'))
    assert host_port.campaign is not None
    assert host_port.campaign.per_node == 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  operators:", "  timeline: [{at: 1d, evict: x}]\n  operators:", "timeline: 1 steps, the first at campaign"),
        ("{fault: node-crash, ", "{fault: node-crash, node: node-1, ", "node-crash of some only"),
        ("{fault: node-crash, ", "{fault: node-crash, shock: {probability: 0.1}, ", "a cause in common"),
        ("{fault: node-crash, ", "{fault: node-crash, start: 1d, ", "node-crash with start or stop"),
        (", for: 10m}", "}", "node-crash for ever"),
        ("{fault: container-exit, pod: \"db-*\"", "{fault: hang, pod: \"db-*\", for: 1m", "failures: hang"),
        ("zones: [a, b, c]", "labels: {disk: ssd}", "the nodes have no zones"),
        ("{at: 1d, every: {uniform: [20d, 40d]}", "{at: 1d", "nodeUpgrades: upgrade without every"),
        ("reboot: 7m", "settle: 1m", "with settle"),
        ("{at: 1d, every: {uniform: [20d, 40d]}, reboot: 7m}", "{at: 1d, every: 9d, strategy: surge}", "surge"),
        ("forceDelete: {after: 2h}", "deleteNode: {after: 2h}", "operators: delete_node"),
        ("forceDelete: {after: 2h}", "forceDelete: {after: 2h, pods: db-1}", "forceDelete of some pods only"),
        ("statefulSet: db", "statefulSet: other, members: 3", "not on all pods of the set"),
        ("statefulSet: db", "statefulSet: db, members: 2", "not on all pods of the set"),
        ("statefulSet: db", "statefulSet: db, ready: leader", "readiness of data hangs on other members (leader)"),
        ("  replicas: 3", "  replicas: 3\n  minReadySeconds: 9", "minReadySeconds"),
        ("start: 5s", "start: 5s, exit: {after: 1h}", "hangs or exits by itself"),
        ("start: 5s", "start: 5s, answer: 2s", "takes its time to answer"),
        ("start: 5s", "start: 5s, moves: {1d: other}", "whose tag moves"),
        ("volumeBindingMode: WaitForFirstConsumer", "volumeBindingMode: Immediate", "volumeBindingMode: Immediate"),
        ("storageClassName: zonal", "storageClassName: other", "without a storage class"),
        ("kubernetes.io/hostname", "topology.kubernetes.io/zone", "anti-affinity other than"),
        ("      containers:", "      nodeSelector: {a: b}\n      containers:", "a node selector"),
        ("duration: 365d", "duration: 365d\n  featureGates: MaxUnavailableStatefulSet=true", "feature gate"),
        ("duration: 365d", "duration: 365d\n  cluster: {kubeControllerManager: {nodeMonitorGracePeriod: 20s}}",
         "than the defaults (kube_controller_manager)"),
        ("minAvailable: 2,", "minAvailable: 2, unhealthyPodEvictionPolicy: AlwaysAllow,", "Policy: AlwaysAllow"),
        ("zones: [a, b, c]}", "zones: [a, b, c]}, {name: more, count: 1}", "some of the nodes have no zones"),
        ("[{key: node.kubernetes.io/unreachable, ", "[{operator: Exists}, {key: any, ", "unschedulable:NoSchedule"),
        (", labelSelector: {matchLabels: {app: db}}", "", "anti-affinity other than"),
        ("reboot: 7m", "drain: {podSelector: app=db}", "a drain of some pods only"),
        ("reboot: 7m", "drain: {gracePeriod: 5}", "a grace period of its own"),
        ("      containers:", f"      {EPHEMERAL}\n      containers:", "volumes of claims that are not the set's own"),
        ("  volumeClaimTemplates:", f"  volumeClaimTemplates:\n    {ANOTHER}", "several claims"),
        ("replicas: 3", "replicas: 17", "1 to 16 pods"),
        ("count: 5,", "count: 2,", "no room"),
    ],
)  # fmt: skip
def test_nothing_is_dropped_silently(old: str, new: str, reason: str) -> None:
    translation = translated((old, new))
    assert translation.campaign is None
    assert any(reason in found for found in translation.outside), translation.outside


def test_a_liveness_probe_counts_only_where_it_cannot_fail() -> None:
    probe = ("readinessProbe:", "livenessProbe: {exec: {command: [alive]}}, readinessProbe:")
    assert translated(probe).campaign is not None
    slow = translated(probe, ("start: 5s", "start: 5s, alive: 10m"))
    assert slow.outside == ("a liveness probe of an image that is not alive at once",)


NODE = """
---
apiVersion: v1
kind: Node
metadata: {name: old, uid: "1"}
status: {conditions: [{type: Ready, status: "STATUS"}]}
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: lone, namespace: default, uid: "2"}
spec: {nodeName: old, containers: [{name: a, image: a}]}
"""


def test_what_runs_in_a_cluster_already_is_outside() -> None:
    ready = NODE.replace("STATUS", "True")
    assert any("1 objects of a running cluster, the first Pod/lone" in o for o in _outside(TEXT + ready + POD))
    assert not any("running cluster" in o or "not Ready" in o for o in _outside(TEXT + ready))
    assert "node old is not Ready" in _outside(TEXT + NODE.replace("STATUS", "Unknown"))


def _outside(text: str) -> tuple[str, ...]:
    return campaign_of(loads(text, "campaign.yaml")).outside


def test_other_objects_are_named_with_their_lines() -> None:
    deployment = "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: lone}\nspec: {containers: [{name: a, image: a}]}\n"
    found = campaign_of(loads(TEXT + deployment, "campaign.yaml"))
    assert found.campaign is None
    assert any("Pod/lone (campaign.yaml:" in reason for reason in found.outside)


def test_a_cluster_that_has_a_past_is_none() -> None:
    started = replace(loads(TEXT), state=({"kind": "Pod", "metadata": {"name": "db-0"}},))
    assert any("state" in reason for reason in campaign_of(started).outside)


def test_what_is_coarser_is_named() -> None:
    simplified = " ".join(translated(("start: 5s", "start: 5s, pull: 10s")).simplified)
    for word in ("pull", "disk-loss", "readinessProbe", "applications", "nodeUpgrades", "forceDelete"):
        assert word in simplified


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("{command: [check]}}", "{command: [check]}, initialDelaySeconds: 60, successThreshold: 3}", "not up to 90s"),
        ("copyTime: 3h", "copyTime: 3h, parallelCopies: 1", "all copies that are missing are made at a time"),
        ("  containers:", f"  {SPREAD}\n      containers:", "topologySpreadConstraints"),
    ],
)
def test_how_much_coarser_is_named_too(old: str, new: str, note: str) -> None:
    assert any(note in found for found in translated((old, new)).simplified)


def test_the_sweepable_scenarios_are_in_the_subset() -> None:
    for name in ("toleration-seconds", "replicas-and-zones"):
        assert campaign_of(load(SCENARIOS / f"{name}.yaml")).campaign is not None
