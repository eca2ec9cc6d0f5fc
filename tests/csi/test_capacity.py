"""Free space as the scheduler sees it: storage.md 2.2 and 2.9."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from k8sim.api.core import Node, PersistentVolumeClaim
from k8sim.api.storage import CSIDriver, CSIStorageCapacity
from tests.csi.scenes import Scene, scene

TOPO = "topolvm.io"


def local_disks(capacity: str = "25Gi", replicas: int = 2, extra: str = "", **more: object) -> Scene:
    fields = ", ".join(f"{key}: {value}" for key, value in more.items())
    driver = f"{{name: {TOPO}, capacity: {capacity}, {fields}}}"
    cluster = f"cluster: {{storageDrivers: [{driver}]}}"
    return scene(provisioner=TOPO, replicas=replicas, cluster=cluster, extra=extra)


def reported(told: Scene, field: str = "capacity") -> Mapping[str, str]:
    """What is said of each node."""
    return {
        r.node_topology.match_labels["kubernetes.io/hostname"]: getattr(r, field)
        for r in told.server.list(CSIStorageCapacity)
        if r.node_topology is not None
    }


def test_a_driver_says_what_is_free_on_each_segment_and_corrects_itself_within_a_minute() -> None:
    told = local_disks().run(1)
    assert told.server.get(CSIDriver, "", TOPO).spec.storage_capacity
    assert reported(told) == {"node-0": "25Gi", "node-1": "25Gi"}
    told.run(90)
    assert sorted(reported(told).values()) == ["15Gi", "15Gi"]


@pytest.mark.parametrize(("enforced", "free"), [("false", "21Gi"), ("true", "15Gi")])
def test_what_is_written_takes_space_from_others_where_sizes_are_not_enforced(enforced: str, free: str) -> None:
    told = local_disks(replicas=1, sizeEnforced=enforced).run(200)
    told.storage.write(told.volume().spec.csi.volume_handle, 4 * 2**30, told.node_of("web-0"))  # type: ignore[union-attr]
    told.run(261)
    assert sorted(reported(told).values()) == sorted([free, "25Gi"])


def test_2_9_12_a_pod_whose_claim_fits_nowhere_waits_until_space_is_reported() -> None:
    told = local_disks(capacity="9Gi", replicas=1).run(60)
    assert told.pod().status.phase == "Pending"
    messages = [r.detail["message"] for r in told.rows("Event", "web-0", "FailedScheduling")]
    assert any("did not have enough free storage" in str(message) for message in messages)


@pytest.mark.parametrize(("largest", "phase"), [("12Gi", "Running"), ("9Gi", "Pending")])
def test_the_largest_volume_counts_before_the_free_space(largest: str, phase: str) -> None:
    told = local_disks(replicas=1, maxVolumeSize=largest).run(60)
    assert set(reported(told, "maximum_volume_size").values()) == {largest}
    assert told.pod().status.phase == phase


def test_2_9_11_between_two_reports_the_scheduler_believes_the_older_one() -> None:
    told = local_disks(capacity="15Gi", replicas=4, extra="podManagementPolicy: Parallel").run(20)
    claims = told.server.list(PersistentVolumeClaim)
    assert sum(c.status.phase == "Bound" for c in claims) == 2  # one for each node; two more were sent there in vain
    exhausted = [r for r in told.rows("Event", event="ProvisioningFailed") if "free storage" in str(r.detail)]
    assert exhausted


def test_nothing_ticks_while_nothing_changes() -> None:
    told = local_disks().run(300)
    before = told.cluster.sim.clock.events_scheduled
    told.run(900)
    assert told.cluster.sim.clock.events_scheduled - before < 300  # pods' regular syncs and the like


def test_reports_come_and_go_with_nodes() -> None:
    told = local_disks(replicas=1).run(60)
    told.server.delete(Node, "", "node-1")
    told.run(62)
    assert set(reported(told)) == {"node-0"}
