"""Nodes that take fewer volumes than they say (storage.md 3.6; MutableCSINodeAllocatableCount is on in 1.36)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from k8sim.api.storage import CSIDriver, CSINode, VolumeAttachment
from k8sim.sim.units import SECOND
from tests.csi.scenes import Scene, scene

PATIENCE = 123
"""A kubelet's patience with a pod's volumes, in seconds."""


def _crowded(**driver: int) -> Scene:
    """Two pods whose volumes the scheduler puts on one node, which takes only one of them."""
    fields = ", ".join(f"{k}: {v}" for k, v in {"volumesPerNode": 2, "slotsTaken": 1, **driver}.items())
    return scene(
        nodes=2,
        replicas=2,
        cluster=f"cluster: {{storageDrivers: [{{name: ebs.csi.aws.com, {fields}}}]}}",
        security="nodeSelector: {kubernetes.io/hostname: node-0}",
        extra="podManagementPolicy: Parallel",
    )


def _count(told: Scene, node: str = "node-0") -> int | None:
    (entry,) = told.server.get(CSINode, "", node).spec.drivers
    return entry.allocatable.count if entry.allocatable else None


def test_3_6_without_an_update_period_the_pod_waits_for_ever() -> None:
    told = _crowded().run(600)
    assert sorted(told.pod(f"web-{i}").status.phase for i in (0, 1)) == ["Pending", "Running"]
    failed = [a for a in told.server.list(VolumeAttachment) if not a.status.attached]
    assert [a.status.attach_error.error_code for a in failed if a.status.attach_error] == [8]
    assert _count(told) == 2


def test_attempts_to_attach_are_half_a_second_apart_and_then_twice_that() -> None:
    """storage.md 0.2: the back-off of operations on a volume, 0.5 s to 122 s."""
    told = _crowded().run(1000)
    times = [r.t / SECOND for r in told.rows("Event", event="FailedAttachVolume")]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[:8] == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 64], abs=0.3)
    assert gaps[8:] == pytest.approx([122] * len(gaps[8:]), abs=1)
    assert len(gaps) > 12


def test_3_6_with_an_update_period_the_pod_is_rejected_and_the_limit_corrected() -> None:
    told = _crowded(nodeAllocatableUpdatePeriodSeconds=3600).run(300)
    driver = told.server.get(CSIDriver, "", "ebs.csi.aws.com")
    assert driver.spec.node_allocatable_update_period_seconds == 3600
    (rejection, *_) = told.rows("Event", event="VolumeAttachmentLimitExceeded")
    pod = rejection.name
    waited = told.when("Pod", pod, "Phase", phase="Failed") - told.when("Pod", pod, "Scheduled")
    assert waited == pytest.approx(PATIENCE, abs=2)
    assert told.happened("Pod", pod, "Deleted")  # its set makes another one
    assert _count(told) == 1


def test_3_6_nodes_report_their_limit_anew_after_the_period() -> None:
    told = scene(cluster="cluster: {storageDrivers: [{name: ebs.csi.aws.com, volumesPerNode: 9, slotsTaken: 2, "
                 "nodeAllocatableUpdatePeriodSeconds: 60}]}")  # fmt: skip
    assert _count(told.run(59)) == 9
    assert [_count(told.run(61), n) for n in ("node-0", "node-1")] == [7, 7]
