from __future__ import annotations

from typing import Any

import pytest

from k8sim.api import decode
from k8sim.api.apps import Deployment, StatefulSet
from k8sim.api.core import LimitRange, Pod
from k8sim.api.defaults import default_object, image_pull_policy


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"), ("registry:5000/nginx:1.27", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"), ("nginx:latest@sha256:abc", "IfNotPresent"),
    ],
)  # fmt: skip
def test_pull_policy(image: str, policy: str) -> None:
    assert image_pull_policy(image) == policy


def stateful_set(**spec: Any) -> StatefulSet:
    made = default_object(decode({"kind": "StatefulSet", "metadata": {"name": "web"}, "spec": spec}))
    assert isinstance(made, StatefulSet)
    return made


def test_a_rolling_update_object_exists_only_if_the_strategy_was_left_out() -> None:
    without = stateful_set().spec.update_strategy
    assert without.type == "RollingUpdate"
    assert without.rolling_update is not None
    assert without.rolling_update.partition == 0
    bare = stateful_set(updateStrategy={"type": "RollingUpdate"}).spec.update_strategy
    assert bare.rolling_update is None
    empty = stateful_set(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {}}).spec.update_strategy
    assert empty.rolling_update is not None
    assert empty.rolling_update.partition == 0


def test_the_other_defaults_of_a_stateful_set() -> None:
    spec = stateful_set().spec
    assert (spec.replicas, spec.pod_management_policy, spec.revision_history_limit) == (1, "OrderedReady", 10)
    policy = spec.persistent_volume_claim_retention_policy
    assert (policy.when_deleted, policy.when_scaled) == ("Retain", "Retain")


def test_a_request_is_taken_from_a_limit() -> None:
    container = {
        "name": "c",
        "image": "i",
        "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}},
    }
    pod = default_object(decode({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}))
    assert isinstance(pod, Pod)
    assert pod.spec.containers[0].resources.requests == {"cpu": "1", "memory": "1Gi"}


def test_a_deployment_surges_by_a_quarter() -> None:
    made = default_object(decode({"kind": "Deployment", "metadata": {"name": "d"}, "spec": {}}))
    assert isinstance(made, Deployment)
    rolling = made.spec.strategy.rolling_update
    assert rolling is not None
    assert (rolling.max_unavailable, rolling.max_surge) == ("25%", "25%")


def test_limit_ranges_complete_themselves() -> None:
    """Workloads 6.1: default from max, defaultRequest from default, then from min."""
    item = {"type": "Container", "max": {"memory": "1Gi"}, "min": {"cpu": "100m"}}
    made = default_object(decode({"kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [item]}}))
    assert isinstance(made, LimitRange)
    limits = made.spec.limits[0]
    assert limits.default == {"memory": "1Gi"}
    assert limits.default_request == {"memory": "1Gi", "cpu": "100m"}


def test_defaults_are_a_fixed_point() -> None:
    once = stateful_set(template={"spec": {"containers": [{"name": "c", "image": "i"}]}})
    assert default_object(once) == once


def test_ports_of_the_host_network_are_the_nodes() -> None:
    """SetDefaults_Pod, defaultHostNetworkPorts: so that the scheduler keeps apart who wants the same one."""
    ports = ({"containerPort": 80}, {"containerPort": 81, "hostPort": 81})
    container = {"name": "c", "image": "i:1", "ports": ports}
    spec = {"hostNetwork": True, "containers": [container], "initContainers": [{**container, "name": "init"}]}
    pod = default_object(decode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}))
    assert isinstance(pod, Pod)
    for made in (*pod.spec.containers, *pod.spec.init_containers):
        assert [port.host_port for port in made.ports] == [80, 81]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    manifest = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    workload = default_object(decode({"kind": "Deployment", "metadata": {"name": "d"}, "spec": manifest}))
    assert isinstance(workload, Deployment)
    assert [port.host_port for port in workload.spec.template.spec.containers[0].ports] == [0, 81]
