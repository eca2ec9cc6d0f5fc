"""What tools/soak.py has found, each as a small scenario: bugs of k8sim, and what Kubernetes does not keep either."""

from __future__ import annotations

import pytest

from k8sim.api.core import Pod
from k8sim.api.pods import is_pod_ready
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
  images: {{"*": {{start: 1s, stop: 5s}}}}
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
  podManagementPolicy: {policy}
  persistentVolumeClaimRetentionPolicy: {{whenScaled: {when_scaled}}}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: app, image: "app:v1", volumeMounts: [{{name: data, mountPath: /data}}]}}]
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{accessModes: [ReadWriteOnce], storageClassName: disk, resources: {{requests: {{storage: 1Gi}}}}}}
"""


def run(timeline: str, tie_salt: int = 0, **words: str) -> Result:
    usual = {"binding": "WaitForFirstConsumer", "policy": "Parallel", "when_scaled": "Retain"}
    text = SCENARIO.format(timeline=timeline, **{**usual, **words})
    return Cluster(loads(text), tie_salt=tie_salt).run()


def ready(result: Result) -> set[str]:
    return {row.name for row in result.log if row.kind == "Pod" and row.event == "Ready"}


@pytest.mark.parametrize("salt", range(4))
def test_a_storage_call_has_its_result_whoever_wakes_first(salt: int) -> None:
    """The caller of CreateVolume woke before the call ended, at the same instant, and made a volume of nothing."""
    result = run("{at: 15m, kubectl: cordon node-0}", salt, binding="Immediate")
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


def test_a_node_that_is_made_again_learns_what_is_attached_to_it() -> None:
    """The attach/detach controller did not tell a Node of the same name, and its kubelet mounted nothing any more."""
    result = run(
        "{at: 40s, kubectl: delete node node-0 --wait=false}\n  - {at: 45s, fault: node-crash, node: node-0, for: 10s}"
    )
    pods = {pod.name: is_pod_ready(pod) for pod in result.objects(kind="Pod") if isinstance(pod, Pod)}
    assert pods == {"web-0": True, "web-1": True}


# ---- what Kubernetes does not keep either ---------------------------------------------------------------------------

SCALED = (
    "{at: 30s, kubectl: scale statefulset/web --replicas=1}\n  - {at: 32s, kubectl: scale statefulset/web --replicas=2}"
)


def excuses(result: Result, guarantee: str) -> set[str]:
    audit = check(result)
    assert not audit.violations, audit
    return {f.excuse for f in audit.findings if f.guarantee.name == guarantee}


def test_a_set_that_was_scaled_down_and_up_again_waits_for_ever_for_a_claim_that_is_gone() -> None:
    """The claim belongs to the former pod when the controller looks; its removal wakes nobody."""
    assert excuses(run(SCALED, policy="OrderedReady", when_scaled="Delete"), "settles") == {"stale claim"}


def test_anything_else_wakes_the_controller() -> None:
    seen = f"{SCALED}\n  - {{at: 2m, kubectl: annotate statefulset/web seen=yes}}"
    assert excuses(run(seen, policy="OrderedReady", when_scaled="Delete"), "settles") == set()


PROBED = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: found}
spec:
  duration: 2m
  nodes: [{name: node, count: 1}]
  images: {"*": {stop: 20s}}
  timeline:
  - {at: 10s, fault: FAULT, node: node-0}
  - {at: 20s, kubectl: delete pod app --wait=false}
  - {at: 22s, fault: hang, pod: app}
---
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 12
  containers:
  - name: app
    image: app:v1
    livenessProbe: {exec: {command: [live]}, periodSeconds: 1, terminationGracePeriodSeconds: 2}
"""


@pytest.mark.parametrize("fault", ["node-partition", "node-isolation"])
def test_a_node_that_is_cut_off_stops_a_deleted_pod_as_its_probe_says(fault: str) -> None:
    result = Cluster(loads(PROBED.replace("FAULT", fault))).run()
    assert excuses(result, "grace-honoured") == {"deletion not heard"}


def test_a_node_that_hears_of_the_deletion_gives_the_whole_grace() -> None:
    result = Cluster(loads(PROBED.replace("FAULT", "node-slow"))).run()
    assert excuses(result, "grace-honoured") == set()
