"""What the node lifecycle controller does about a silent node has the fault that silenced it as its first cause."""

from __future__ import annotations

import pytest

from k8sim.cluster import Cluster
from k8sim.scenario import loads

SCENARIO = """
apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {{name: silent}}
spec:
  duration: 3m
  nodes: [{{name: node, count: 3, zones: [a, b, c]}}]
  timeline: [{{at: 30s, fault: {fault}}}]
"""


@pytest.mark.parametrize(
    "fault", ["node-partition, node: node-1", "node-crash, node: node-1", "zone-partition, zone: b"]
)
def test_taints_of_a_silent_node_come_from_the_fault(fault: str) -> None:
    log = Cluster(loads(SCENARIO.format(fault=fault))).run().log
    tainted = [number for number, row in enumerate(log) if row.kind == "Node" and row.event == "Tainted"]
    assert [log[n].detail["effect"] for n in tainted] == ["NoSchedule", "NoExecute"]
    for number in tainted:
        assert log.chain(number)[-1].kind == "Step"
