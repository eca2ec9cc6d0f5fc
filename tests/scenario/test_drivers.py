"""Storage drivers in scenario files: what is wrong with them, and which are assumed."""

from __future__ import annotations

import pytest

from k8sim.scenario import ScenarioError
from k8sim.scenario.loader import loads

HEAD = """apiVersion: k8sim.dev/v1alpha1
kind: Scenario
metadata: {name: x}
spec:
  nodes: [{name: node}]
  cluster:
"""
CLASS = """---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: a}
provisioner: PROVISIONER
"""


@pytest.mark.parametrize(
    ("block", "line", "problem"),
    [
        ("storageDrivers:\n      - {name: d,\n         attach: 3}", 9, "storageDrivers[0].attach: expected bool"),
        ("storageDrivers:\n      - like: zonal-disk", 8, "storageDrivers[0]: name: missing"),
        ("storageDrivers:\n      - name: d\n        latencies:\n          volumeAttach: soon", 10, "'soon'"),
        ("storageDrivers:\n      - name: d\n        capacity: much", 9, "storageDrivers[0].capacity"),
        ("snapshotSchedules:\n      - name: s\n        every: often", 9, "snapshotSchedules[0].every"),
        ("snapshotSchedules:\n      - name: s\n        evry: 1h", 9, "snapshotSchedules[0].evry: unknown field"),
        ("snapshotSchedules:\n      - every: 1h", 8, "name: missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(block: str, line: int, problem: str) -> None:
    with pytest.raises(ScenarioError) as told:
        loads(HEAD + "    " + block + "\n", "file.yaml")
    assert (told.value.file, told.value.line) == ("file.yaml", line)
    assert problem in str(told.value)


@pytest.mark.parametrize(
    ("provisioner", "drivers", "assumed"),
    [
        ("disk.example.com", "[]", ["storage driver disk.example.com"]),
        ("disk.example.com", "[{name: disk.example.com, like: shared-files}]", []),
        ("ebs.csi.aws.com", "[]", []),
        ("kubernetes.io/aws-ebs", "[]", []),
        ("kubernetes.io/no-provisioner", "[]", []),
    ],
)
def test_a_driver_that_nobody_describes_is_assumed_and_told(provisioner: str, drivers: str, assumed: list[str]) -> None:
    text = HEAD + f"    storageDrivers: {drivers}\n" + CLASS.replace("PROVISIONER", provisioner)
    notes = loads(text).not_simulated
    assert [n.what for n in notes] == assumed
    assert all(n.source.line == 12 and n.why.startswith("assumed: zonal disk") for n in notes)
