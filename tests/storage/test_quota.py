"""What claims are charged, and who learns that there is no room: storage.md 8.1."""

from __future__ import annotations

import pytest
import yaml

from k8sim.api.core import PersistentVolume, PersistentVolumeClaim, ResourceQuota
from k8sim.api.scheme import decode
from k8sim.apiserver.errors import ApiError, Forbidden
from tests.controllers.storage import claim as new_claim
from tests.controllers.storage import storage_class as new_class
from tests.csi.scenes import Scene
from tests.csi.test_growth import ask_for
from tests.storage.losspaths.scenes import claim, pod, storage_class, world

RECOUNT_S = 300
"""A quota is counted anew at least so often."""


def quota(**hard: str) -> str:
    limits = ", ".join(f"{name}: {amount!r}" for name, amount in hard.items())
    return f"""
apiVersion: v1
kind: ResourceQuota
metadata: {{name: q}}
spec: {{hard: {{{limits}}}}}
"""


def bytes_quota(amount: str, name: str = "requests.storage") -> str:
    return quota(**{name: amount})


def charged(told: Scene) -> dict[str, str]:
    return dict(told.server.get(ResourceQuota, "default", "q").status.used)


def static(size: str) -> str:
    return f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: vol}}
spec: {{capacity: {{storage: {size}}}, accessModes: [ReadWriteOnce], storageClassName: fast, hostPath: {{path: /d}}}}
"""


@pytest.mark.parametrize(("size", "fits"), [("3Gi", False), ("2Gi", True)])
def test_1_a_claim_beyond_the_quota_is_refused(size: str, fits: bool) -> None:
    told = world(storage_class(), bytes_quota("10Gi"), claim(size="8Gi")).run(20)
    more = new_claim("more", size, storageClassName="fast")
    if fits:
        told.server.create(more, actor="kubectl")
        assert charged(told) == {"requests.storage": "10Gi"}
    else:
        with pytest.raises(Forbidden, match=r"exceeded quota: q, requested: requests\.storage=3Gi, used: requests"):
            told.server.create(more, actor="kubectl")


def test_2_the_request_is_charged_and_not_the_volume() -> None:
    told = world(
        storage_class("kubernetes.io/no-provisioner"), bytes_quota("10Gi"), static("100Gi"), claim(size="1Gi"), pod()
    ).run(60)
    assert told.claim("data").status.capacity == {"storage": "100Gi"}
    assert charged(told) == {"requests.storage": "1Gi"}


def test_3_7_a_terminating_claim_is_charged_and_a_released_volume_is_not() -> None:
    told = world(
        storage_class(more="reclaimPolicy: Retain"), bytes_quota("20Gi"), claim(), pod(),
        steps=("at: 60s, kubectl: delete pvc data --wait=false", "at: 90s, kubectl: delete pod app"),
    ).run(80)  # fmt: skip
    assert told.claim("data").deleting
    assert charged(told) == {"requests.storage": "10Gi"}
    told.run(150)
    (volume,) = told.server.list(PersistentVolume)
    assert volume.status.phase == "Released"
    assert charged(told) == {"requests.storage": "0"}


@pytest.mark.parametrize("named", [True, False])
def test_4_a_class_without_quota_is_closed_to_those_who_name_it_and_to_those_who_get_it(named: bool) -> None:
    told = world(bytes_quota("0", "gold.storageclass.storage.k8s.io/requests.storage")).run(5)
    told.server.create(new_class("gold", "ebs.csi.aws.com", default=True))
    wanted = new_claim("data", **({"storageClassName": "gold"} if named else {}))
    with pytest.raises(Forbidden, match=r"limited: gold\.storageclass\.storage\.k8s\.io/requests\.storage=0"):
        told.server.create(wanted, actor="kubectl")


def test_5_the_default_class_is_not_given_late_where_the_quota_has_no_room_for_it() -> None:
    told = world(bytes_quota("0", "gold.storageclass.storage.k8s.io/requests.storage")).run(5)
    told.server.create(new_claim("data"))
    told.run(20)
    told.server.create(new_class("gold", "ebs.csi.aws.com", default=True))
    told.run(200)
    assert told.claim("data").spec.storage_class_name is None
    assert told.claim("data").status.phase == "Pending"


def test_6_growth_beyond_the_quota_is_refused() -> None:
    told = world(storage_class(), bytes_quota("50Gi"), claim(), claim("other", size="30Gi"), pod()).run(60)
    with pytest.raises(Forbidden, match="exceeded quota"):
        ask_for(told, "25Gi", "data")
    assert told.claim("data").spec.resources.requests == {"storage": "10Gi"}
    ask_for(told, "20Gi", "data")


def test_8_what_a_failed_growth_has_allocated_stays_charged_until_less_is_tried() -> None:
    told = world(storage_class(), bytes_quota("200Gi"), claim(), pod()).run(60)
    told.storage.fail_calls(frozenset({"volumeExpand"}), "DeadlineExceeded", until_ns=150 * 10**9)
    ask_for(told, "100Gi", "data")
    told.run(70)
    ask_for(told, "30Gi", "data")
    told.run(75)
    assert told.claim("data").status.allocated_resources == {"storage": "100Gi"}
    assert charged(told) == {"requests.storage": "100Gi"}


def test_9_a_limit_range_bounds_requests_and_growth() -> None:
    limits = (
        "{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: PersistentVolumeClaim, "
        "max: {storage: 15Gi}, min: {storage: 1Gi}}]}}"
    )
    told = world(storage_class(), limits, claim(), pod()).run(60)
    for size, said in (("16Gi", "maximum storage usage"), ("500Mi", "minimum storage usage")):
        with pytest.raises(Forbidden, match=said):
            told.server.create(new_claim("more", size, storageClassName="fast"), actor="kubectl")
    with pytest.raises(Forbidden, match="maximum storage usage"):
        ask_for(told, "16Gi", "data")


def test_11_claims_made_before_the_quota_is_counted_pass_and_are_charged_afterwards() -> None:
    told = world(storage_class()).run(5)
    told.server.create(decode(yaml.safe_load(bytes_quota("1Gi").replace("name: q", "name: q, namespace: default"))))
    told.server.create(new_claim("data", "8Gi", storageClassName="fast"), actor="kubectl")
    told.run(5 + RECOUNT_S + 5)
    assert charged(told) == {"requests.storage": "8Gi"}
    with pytest.raises(ApiError, match="exceeded quota"):
        told.server.create(new_claim("more", "1Gi", storageClassName="fast"), actor="kubectl")
    assert len(told.server.list(PersistentVolumeClaim)) == 1
