"""Can the API server decode it at all."""

# ruff: noqa: E501  (a row of a table stays one line)

from typing import Any

import pytest

from k8sim.api.schema import NotServedError, built_in_kind, check


def problems(manifest: dict[str, Any]) -> list[str]:
    kind = built_in_kind(manifest["apiVersion"], manifest["kind"])
    assert kind is not None
    return [error.message for error in check(manifest, kind)]


@pytest.mark.parametrize(
    ("api_version", "kind", "successor"),
    [
        ("apps/v1beta1", "StatefulSet", "apps/v1"),
        ("apps/v1beta2", "Deployment", "apps/v1"),
        ("extensions/v1beta1", "Deployment", "apps/v1"),
        ("extensions/v1beta1", "Ingress", "networking.k8s.io/v1"),
        ("networking.k8s.io/v1beta1", "Ingress", "networking.k8s.io/v1"),
        ("policy/v1beta1", "PodDisruptionBudget", "policy/v1"),
        ("batch/v1beta1", "CronJob", "batch/v1"),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", "autoscaling/v2"),
        ("storage.k8s.io/v1beta1", "StorageClass", "storage.k8s.io/v1"),
        ("rbac.authorization.k8s.io/v1beta1", "ClusterRole", "rbac.authorization.k8s.io/v1"),
        ("scheduling.k8s.io/v1beta1", "PriorityClass", "scheduling.k8s.io/v1"),
        ("v1", "StatefulSet", "apps/v1"),
        ("app/v1", "StatefulSet", "apps/v1"),
    ],
)
def test_what_is_no_longer_served_names_its_successor(api_version: str, kind: str, successor: str) -> None:
    with pytest.raises(NotServedError) as caught:
        built_in_kind(api_version, kind)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(f"apiVersion: {successor}")


@pytest.mark.parametrize(
    "api_version", ["acid.zalan.do/v1", "snapshot.storage.k8s.io/v1", "gateway.networking.k8s.io/v1"]
)
def test_other_groups_are_custom_resources(api_version: str) -> None:
    assert built_in_kind(api_version, "Anything") is None


def test_scope_and_resource_name() -> None:
    node, statefulset = built_in_kind("v1", "Node"), built_in_kind("apps/v1", "StatefulSet")
    assert node is not None
    assert statefulset is not None
    assert (node.namespaced, node.resource, node.plural) == (False, "Node", "nodes")
    assert (statefulset.namespaced, statefulset.resource) == (True, "StatefulSet.apps")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"clusterIP": 3}, ["spec.clusterIP: expected a string, got an integer (3)"]),
        ({"ports": {"port": 80}}, ["spec.ports: expected a list, got a mapping"]),
        ({"ports": [{"port": "80"}]}, ['spec.ports[0].port: expected an integer, got a string ("80")']),
        ({"ports": [{"port": True}]}, ["spec.ports[0].port: expected an integer, got a boolean (true)"]),
        ({"ports": [{"port": 80, "targetPort": 1.5}]}, [
            "spec.ports[0].targetPort: expected an integer or a string, got a number (1.5)"]),
        ({"ports": [{}]}, ["spec.ports[0].port: Required value"]),
        ({"selector": {"a": None}}, []),
        ({"selector": {"a": 1}}, ["spec.selector.a: expected a string, got an integer (1)"]),
        ({"selectors": {}}, ['unknown field "spec.selectors"']),
        ({"publishNotReadyAddresses": "true"}, ['spec.publishNotReadyAddresses: expected true or false, got a string ("true")']),
        ({"healthCheckNodePort": 2**70}, [f"spec.healthCheckNodePort: Invalid value: {2**70}: must fit in 64 bits"]),
        (None, []),
        ([], ["spec: expected a mapping, got a list"]),
    ],
)  # fmt: skip
def test_types_of_a_service(spec: Any, expected: list[str]) -> None:
    assert problems({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}) == expected


@pytest.mark.parametrize(
    ("amount", "fine"),
    [
        ("1Gi", True),
        (1, True),
        (0.5, True),
        ("1e3", True),
        ("-1", True),
        ("1 Gi", False),
        ("1GB", False),
        (True, False),
        (None, False),
    ],
)
def test_quantities(amount: Any, fine: bool) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": amount}}}
    assert (problems(quota) == []) is fine


def test_a_status_may_be_incomplete() -> None:
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}, "status": {}}
    assert problems(budget) == []
