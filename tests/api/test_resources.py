"""node.md 8: effective requests and quality of service."""

import pytest

from k8sim.api.core import Container, Pod, PodSpec, ResourceRequirements
from k8sim.api.resources import pod_non_zero_requests, pod_requests, qos_class


def container(requests=None, limits=None, sidecar=False):
    return Container(
        name="c",
        resources=ResourceRequirements(requests=requests or {}, limits=limits or {}),
        restart_policy="Always" if sidecar else None,
    )


def pod(*containers, init=(), overhead=None):
    return Pod(spec=PodSpec(containers=containers, init_containers=init, overhead=overhead or {}))


@pytest.mark.parametrize(
    ("containers", "init", "milli"),
    [
        ([container({"cpu": "1"})], [container({"cpu": "2"})], 2000),
        ([container({"cpu": "1"})], [container({"cpu": "500m"}, sidecar=True), container({"cpu": "1200m"})], 1700),
        ([container({"cpu": "1"})], [container({"cpu": "1200m"}), container({"cpu": "500m"}, sidecar=True)], 1500),
        ([container({"cpu": "1"}), container({"cpu": "250m"})], [], 1250),
        ([container()], [], 0),
    ],
)
def test_effective_request(containers, init, milli):
    assert pod_requests(pod(*containers, init=tuple(init))).get("cpu", 0) == milli


def test_overhead_is_added():
    assert pod_requests(pod(container({"memory": "1Gi"}), overhead={"memory": "1Mi"})) == {"memory": 1025 << 20}


def test_containers_that_request_nothing_count_in_scores():
    assert pod_requests(pod(container(), container({"cpu": "1"}))) == {"cpu": 1000}
    assert pod_non_zero_requests(pod(container(), container({"cpu": "1"}))) == {"cpu": 1100, "memory": 400 << 20}


FULL = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("containers", "init", "qos"),
    [
        ([container(FULL, FULL)], [], "Guaranteed"),
        ([container(FULL, FULL)], [container()], "Burstable"),
        ([container(FULL, FULL)], [container(FULL, FULL)], "Guaranteed"),
        ([container({"cpu": "1"})], [], "Burstable"),
        ([container({}, {"memory": "1Gi"})], [], "Burstable"),
        ([container()], [container()], "BestEffort"),
        ([container({"cpu": "0"})], [], "BestEffort"),
        ([container({"ephemeral-storage": "1Gi"})], [], "BestEffort"),
        ([container({"cpu": "1000m", "memory": "1024Mi"}, FULL)], [], "Guaranteed"),
    ],
)
def test_qos_class(containers, init, qos):
    assert qos_class(pod(*containers, init=tuple(init))) == qos
