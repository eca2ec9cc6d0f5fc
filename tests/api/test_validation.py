"""What the API server refuses, in its words."""

# ruff: noqa: E501  (a row of a table stays one line)

import copy
from typing import Any

import pytest

from k8sim.api.fielderror import invalid_message
from k8sim.api.validation import pods_refused, resize_refusal, validate_create, validate_update
from k8sim.api.validation.updates import CLAIM_FORBIDDEN, POD_FORBIDDEN, STATEFUL_SET_FORBIDDEN

Manifest = dict[str, Any]


def meta(name: str = "web", **more: Any) -> Manifest:
    return {"name": name, "namespace": "default", **more}


def template(**spec: Any) -> Manifest:
    containers = [{"name": "app", "image": "app:v1"}]
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers, **spec}}


SELECTOR = {"matchLabels": {"app": "web"}}
SET = {
    "kind": "StatefulSet",
    "metadata": meta(),
    "spec": {"selector": SELECTOR, "serviceName": "web", "template": template()},
}
DEPLOYMENT = {"kind": "Deployment", "metadata": meta(), "spec": {"selector": SELECTOR, "template": template()}}
POD = {"kind": "Pod", "metadata": meta(), "spec": template()["spec"]}
CLAIM = {
    "kind": "PersistentVolumeClaim",
    "metadata": meta("data"),
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
VOLUME = {
    "kind": "PersistentVolume",
    "metadata": {"name": "vol"},
    "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"}},
}
CLASS = {
    "kind": "StorageClass",
    "metadata": {"name": "fast"},
    "provisioner": "example.com/disk",
    "parameters": {"a": "b"},
}
SERVICE = {"kind": "Service", "metadata": meta(), "spec": {"ports": [{"port": 80}]}}
BUDGET = {"kind": "PodDisruptionBudget", "metadata": meta(), "spec": {"minAvailable": 1}}


def changed(manifest: Manifest, path: str, value: Any) -> Manifest:
    """A copy with one value changed; None removes it."""
    result = copy.deepcopy(manifest)
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    part: Any = result
    for step in parents:
        part = part[step] if isinstance(step, int) else part.setdefault(step, {})
    if value is None:
        del part[last]
    else:
        part[last] = value
    return result


@pytest.mark.parametrize(
    "manifest", [SET, DEPLOYMENT, POD, CLAIM, VOLUME, CLASS, SERVICE, BUDGET], ids=lambda m: m["kind"]
)
def test_the_examples_are_accepted_and_may_stay_as_they_are(manifest: Manifest) -> None:
    assert validate_create(manifest) == []
    assert validate_update(manifest, manifest) == []
    assert list(pods_refused(manifest)) == []


HANDLER = {"exec": {"command": ["true"]}}
TERM = {"weight": 0, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}


@pytest.mark.parametrize(
    ("manifest", "path", "value", "message"),
    [
        (POD, "metadata.name", "a" * 254, "must be no more than 253 characters"),
        (POD, "metadata.labels", {"a": "b" * 64}, "must be no more than 63 characters"),
        (POD, "metadata.labels", {"-a": "b"}, "name part must consist of alphanumeric"),
        (POD, "metadata.labels", {"A_b/c": "b"}, "prefix part a lowercase RFC 1123 subdomain"),
        (POD, "metadata.annotations", {"a": "b" * 300_000}, "may not be more than 262144 bytes"),
        (POD, "metadata.finalizers", ["no spaces please"], "metadata.finalizers: Invalid value"),
        (SERVICE, "metadata.name", "1web", "a DNS-1035 label must consist of"),
        (SET, "metadata.name", "we.b", "a lowercase RFC 1123 label must consist of"),
        (POD, "spec.containers", [], "spec.containers: Required value"),
        (DEPLOYMENT, "spec.template.spec.ephemeralContainers", [{"name": "debug"}], "ephemeral containers not allowed in pod template"),
        (POD, "spec.containers.0.image", " app", "must not have leading or trailing whitespace"),
        (POD, "spec.containers.0.imagePullPolicy", "Sometimes", 'Unsupported value: "Sometimes": supported values: "Always"'),
        (POD, "spec.containers.0.ports", [{"containerPort": 0}], "must be between 1 and 65535, inclusive"),
        (POD, "spec.containers.0.ports", [{"containerPort": 1, "name": "123"}], "must contain at least one letter"),
        (POD, "spec.containers.0.livenessProbe", {**HANDLER, "successThreshold": 2}, "successThreshold: Invalid value: 2: must be 1"),
        (POD, "spec.containers.0.readinessProbe", {**HANDLER, "terminationGracePeriodSeconds": 2}, "must not be set for readinessProbes"),
        (POD, "spec.containers.0.readinessProbe", {**HANDLER, "tcpSocket": {"port": 1}}, "may not specify more than 1 handler type"),
        (POD, "spec.containers.0.readinessProbe", {**HANDLER, "periodSeconds": -1}, "must be greater than or equal to 0"),
        (POD, "spec.containers.0.lifecycle", {"preStop": {"sleep": {"seconds": 31}}}, "less than terminationGracePeriodSeconds (30)"),
        (POD, "spec.containers.0.resources", {"requests": {"storage": "1Gi"}}, "must be a standard resource for containers"),
        (POD, "spec.containers.0.env", [{"name": "A", "value": "b", "valueFrom": {}}], "may not be specified when `value` is not empty"),
        (POD, "spec.initContainers", [{"name": "app", "image": "a"}], 'spec.initContainers[0].name: Duplicate value: "app"'),
        (POD, "spec.initContainers", [{"name": "i", "image": "a", "livenessProbe": HANDLER}], "may not be set for init containers"),
        (POD, "spec.volumes", [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}], "may not specify more than 1 volume type"),
        (POD, "spec.volumes", [{"name": "a"}, {"name": "a"}], 'spec.volumes[1].name: Duplicate value: "a"'),
        (POD, "spec.tolerations", [{"operator": "Equal"}], "operator must be Exists when `key` is empty"),
        (POD, "spec.tolerations", [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}], "effect must be 'NoExecute'"),
        (POD, "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", {}, "must have at least one node selector term"),
        (POD, "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution", [TERM], "must be in the range 1-100"),
        (POD, "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution", [{}], "topologyKey: Required value"),
        (POD, "spec.topologySpreadConstraints", [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}],
         "maxSkew: Invalid value: 0: must be greater than zero"),
        (POD, "spec.terminationGracePeriodSeconds", -1, "must be greater than or equal to 0"),
        (SET, "spec.updateStrategy", {"type": "OnDelete", "rollingUpdate": {}}, "only allowed for updateStrategy 'RollingUpdate'"),
        (SET, "spec.updateStrategy", {"rollingUpdate": {"partition": -1}}, "must be greater than or equal to 0"),
        (SET, "spec.updateStrategy", {"rollingUpdate": {"maxUnavailable": 0}}, "cannot be 0"),
        (SET, "spec.podManagementPolicy", "Sometimes", 'supported values: "OrderedReady", "Parallel"'),
        (SET, "spec.ordinals", {"start": -1}, "spec.ordinals.start: Invalid value: -1"),
        (SET, "spec.template.spec.activeDeadlineSeconds", 5, "activeDeadlineSeconds in StatefulSet is not Supported"),
        (DEPLOYMENT, "spec.selector", None, "spec.selector: Required value"),
        (DEPLOYMENT, "spec.strategy", {"type": "Recreate", "rollingUpdate": {}}, "may not be specified when strategy `type` is 'Recreate'"),
        (DEPLOYMENT, "spec.strategy", {"rollingUpdate": {"maxUnavailable": "101%"}}, "must not be greater than 100%"),
        (DEPLOYMENT, "spec.progressDeadlineSeconds", 0, "must be greater than minReadySeconds"),
        (DEPLOYMENT, "spec.template.spec.restartPolicy", "OnFailure", 'supported values: "Always"'),
        (CLAIM, "spec.accessModes", ["ReadWriteOncePod", "ReadWriteOnce"], "may not use ReadWriteOncePod with other access modes"),
        (CLAIM, "spec.resources.requests.storage", "0", "must be greater than zero"),
        (VOLUME, "spec.nfs", {"server": "a", "path": "/"}, "may not specify more than 1 volume type"),
        (VOLUME, "spec.capacity", None, "spec.capacity: Required value"),
        (SERVICE, "spec.ports", [{"port": 1}, {"port": 2}], "spec.ports[0].name: Required value"),
        (SERVICE, "spec.ports", [{"port": 70000}], "must be between 1 and 65535, inclusive"),
        (SERVICE, "spec.type", "Headless", 'Unsupported value: "Headless"'),
        (BUDGET, "spec.unhealthyPodEvictionPolicy", "Never", 'supported values: "AlwaysAllow", "IfHealthyBudget"'),
        (BUDGET, "spec.minAvailable", -1, "must be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_refused_on_create(manifest: Manifest, path: str, value: Any, message: str) -> None:
    messages = [error.message for error in validate_create(changed(manifest, path, value))]
    assert any(message in text for text in messages), messages


def test_a_stateful_sets_pods_may_be_refused_though_the_set_is_not() -> None:
    broken = changed(SET, "spec.template.spec.containers.0.volumeMounts", [{"name": "data", "mountPath": "/data"}])
    assert validate_create(broken) == []
    assert [error.field for error in pods_refused(broken)] == ["spec.template.spec.containers[0].volumeMounts[0].name"]
    whole = changed(broken, "spec.volumeClaimTemplates", [{"metadata": {"name": "data"}, "spec": CLAIM["spec"]}])
    assert list(pods_refused(whole)) == []


BOUND = {**CLAIM, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
MORE = {"key": "a", "operator": "Exists"}


@pytest.mark.parametrize(
    ("old", "path", "value", "message"),
    [
        (SET, "spec.replicas", 5, None),
        (SET, "spec.minReadySeconds", 5, None),
        (SET, "spec.template.spec.containers.0.image", "app:v2", None),
        (SET, "spec.serviceName", "other", f"spec: Forbidden: {STATEFUL_SET_FORBIDDEN}"),
        (SET, "spec.podManagementPolicy", "Parallel", f"spec: Forbidden: {STATEFUL_SET_FORBIDDEN}"),
        (SET, "spec.volumeClaimTemplates", [{"metadata": {"name": "a"}}], f"spec: Forbidden: {STATEFUL_SET_FORBIDDEN}"),
        (DEPLOYMENT, "spec.selector.matchLabels.x", "y", "spec.selector: Invalid value"),
        (POD, "spec.containers.0.image", "app:v2", None),
        (POD, "spec.tolerations", [MORE], None),
        (changed(POD, "spec.tolerations", [MORE]), "spec.tolerations", [], "existing toleration can not be modified"),
        (changed(POD, "spec.tolerations", [MORE]), "spec.tolerations", [{**MORE, "tolerationSeconds": 5}], None),
        (POD, "spec.containers.0.command", ["sleep"], f"spec: Forbidden: {POD_FORBIDDEN}"),
        (POD, "spec.nodeName", "node-1", f"spec: Forbidden: {POD_FORBIDDEN}"),
        (POD, "spec.containers", [], "pod updates may not add or remove containers"),
        (POD, "spec.activeDeadlineSeconds", 5, None),
        (changed(POD, "spec.activeDeadlineSeconds", 5), "spec.activeDeadlineSeconds", 6, "less than or equal to previous value"),
        (CLAIM, "spec.volumeName", "vol", None),
        (changed(CLAIM, "spec.volumeName", "vol"), "spec.volumeName", "other", f"spec: Forbidden: {CLAIM_FORBIDDEN}"),
        (CLAIM, "spec.storageClassName", "fast", None),
        (changed(CLAIM, "spec.storageClassName", ""), "spec.storageClassName", "fast", f"spec: Forbidden: {CLAIM_FORBIDDEN}"),
        (CLAIM, "spec.resources.requests.storage", "2Gi", f"spec: Forbidden: {CLAIM_FORBIDDEN}"),
        (BOUND, "spec.resources.requests.storage", "2Gi", None),
        (BOUND, "spec.resources.requests.storage", "512Mi", "field can not be less than status.capacity"),
        (BOUND, "spec.accessModes", ["ReadWriteMany"], f"spec: Forbidden: {CLAIM_FORBIDDEN}"),
        (VOLUME, "spec.persistentVolumeReclaimPolicy", "Delete", None),
        (VOLUME, "spec.claimRef", {"name": "data"}, None),
        (VOLUME, "spec.hostPath.path", "/other", "spec.persistentvolumesource is immutable after creation"),
        (VOLUME, "spec.volumeMode", "Block", 'volumeMode: Invalid value: "Block": field is immutable'),
        (VOLUME, "spec.nodeAffinity", {"required": {"nodeSelectorTerms": [{}]}}, None),
        (CLASS, "allowVolumeExpansion", True, None),
        (CLASS, "reclaimPolicy", "Retain", "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden."),
        (CLASS, "parameters.a", "c", "parameters: Forbidden: updates to parameters are forbidden."),
        (CLASS, "volumeBindingMode", "WaitForFirstConsumer", "volumeBindingMode: Invalid value"),
        (BUDGET, "spec.minAvailable", 2, None),
        (POD, "metadata.name", "other", 'metadata.name: Invalid value: "other": field is immutable'),
    ],
)  # fmt: skip
def test_updates(old: Manifest, path: str, value: Any, message: str | None) -> None:
    messages = [error.message for error in validate_update(changed(old, path, value), old)]
    if message is None:
        assert messages == []
    else:
        assert any(message in text for text in messages), messages


def test_no_new_finalizers_on_an_object_that_is_being_deleted() -> None:
    old = changed(POD, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")
    (error,) = validate_update(changed(old, "metadata.finalizers", ["example.com/a"]), old)
    assert error.field == "metadata.finalizers"
    assert 'found new finalizers []string{"example.com/a"}' in error.message


def test_growing_a_claim_needs_a_class_that_allows_it() -> None:
    larger = changed(BOUND, "spec.resources.requests.storage", "2Gi")
    assert resize_refusal(larger, BOUND, {"allowVolumeExpansion": True}) is None
    assert resize_refusal(larger, BOUND, CLASS) is not None
    assert resize_refusal(larger, BOUND, None) is not None
    assert resize_refusal(BOUND, larger, None) is None  # smaller: not admission's business


def test_several_errors_are_listed_as_the_server_lists_them() -> None:
    broken = changed(changed(SET, "spec.selector.matchLabels.app", "x"), "spec.serviceName", "other")
    text = invalid_message("StatefulSet.apps", "web", validate_update(broken, SET))
    assert text == (
        'StatefulSet.apps "web" is invalid: [spec.template.metadata.labels: Invalid value: {"app":"web"}: '
        f"`selector` does not match template `labels`, spec: Forbidden: {STATEFUL_SET_FORBIDDEN}]"
    )
