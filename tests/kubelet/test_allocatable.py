"""What of a node is for pods: node.md 8.4."""

from __future__ import annotations

from typing import Any

import pytest

from k8sim.api.core import Node, Pod
from k8sim.cluster import Cluster
from k8sim.kubelet.allocatable import node_allocatable
from k8sim.scenario import ScenarioError, loads
from k8sim.sim.units import SECOND

MIB = 2**20
SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: t}
spec:
  nodes: [{name: node, capacity: {memory: 4Gi}RESERVED}]
  cluster: {kubelet: {evictionHard: {memory.available: HARD}}}
---
apiVersion: v1
kind: Pod
metadata: {name: app}
spec: {containers: [{name: c, image: a, resources: {requests: {memory: ASKED}}}]}
"""


@pytest.mark.parametrize(
    ("capacity", "reserved", "left"),
    [
        ({"memory": "4Gi"}, {}, {"memory": "3996Mi"}),
        ({"memory": "4Gi"}, {"memory": "1Gi"}, {"memory": "2972Mi"}),
        ({"memory": "50Mi"}, {}, {"memory": "0"}),
        ({"cpu": "4", "pods": "110"}, {}, {"cpu": "4", "pods": "110"}),
        ({"cpu": "4"}, {"cpu": "70m"}, {"cpu": "3930m"}),
        ({"ephemeral-storage": "83873772Ki"}, {"ephemeral-storage": "1Gi"}, {"ephemeral-storage": "76224326324"}),
        ({"nvidia.com/gpu": "8"}, {}, {"nvidia.com/gpu": "8"}),
    ],
)
def test_a_node_gives_what_reservations_and_thresholds_leave(
    capacity: dict[str, str], reserved: dict[str, str], left: dict[str, str]
) -> None:
    assert node_allocatable(capacity, reserved, 100 * MIB) == left


@pytest.mark.parametrize(
    ("reserved", "hard", "asked", "fits"),
    [
        ("", "100Mi", "4Gi", True),  # the scenario's word: all of it is for pods
        (", reserved: {}", "100Mi", "3996Mi", True),
        (", reserved: {}", "100Mi", "3997Mi", False),
        (", reserved: {}", "200Mi", "3996Mi", False),
        (", reserved: {memory: 500Mi}", "100Mi", "3496Mi", True),
        (", reserved: {memory: 500Mi}", "100Mi", "3497Mi", False),
    ],
)
def test_pods_get_no_more(reserved: str, hard: str, asked: str, fits: bool) -> None:
    text = SCENARIO.replace("RESERVED", reserved).replace("HARD", hard).replace("ASKED", asked)
    cluster = Cluster(loads(text), keep_history=False)
    cluster.sim.clock.run(20 * SECOND)
    pod: Any = cluster.server.get(Pod, "default", "app")
    assert bool(pod.spec.node_name) is fits
    assert cluster.server.get(Node, "", "node-0").status.capacity["memory"] == "4Gi"


def test_only_what_a_kubelet_can_reserve_is_taken() -> None:
    with pytest.raises(ScenarioError, match="unknown key 'pods'"):
        loads(SCENARIO.replace("RESERVED", ", reserved: {pods: 3}").replace("HARD", "1Mi").replace("ASKED", "1Mi"))
