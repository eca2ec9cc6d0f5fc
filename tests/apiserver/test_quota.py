"""Quotas and limit ranges at admission (workloads 6.1, 6.2, 6.5)."""

from __future__ import annotations

import pytest

from k8sim.api.core import (
    Container,
    LimitRange,
    LimitRangeItem,
    LimitRangeSpec,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    Pod,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceQuotaStatus,
    ResourceRequirements,
    ScopedResourceSelectorRequirement,
    ScopeSelector,
)
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.struct import Time, replace
from k8sim.apiserver.admission import default_admission
from k8sim.apiserver.errors import Forbidden
from k8sim.apiserver.quota import counts_against_quota, matches_scopes, usage
from k8sim.apiserver.server import APIServer
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod, make_server
from tests.controllers.manager import pod_status


def server_with(quota: ResourceQuota | None = None, *limits: LimitRangeItem) -> APIServer:
    server = make_server(admission=default_admission())
    if limits:
        meta = ObjectMeta(name="limits", namespace="default")
        server.create(LimitRange(metadata=meta, spec=LimitRangeSpec(limits=limits)))
    if quota is not None:
        stored = server.create(quota)
        used = dict.fromkeys(quota.spec.hard, "0")
        server.update_status(replace(stored, status=ResourceQuotaStatus(hard=quota.spec.hard, used=used)))
    return server


def quota(**hard: str) -> ResourceQuota:
    names = {name.replace("_", "."): amount for name, amount in hard.items()}
    return ResourceQuota(metadata=ObjectMeta(name="q", namespace="default"), spec=ResourceQuotaSpec(hard=names))


def pod(name: str = "web-0", requests: dict[str, str] | None = None, limits: dict[str, str] | None = None) -> Pod:
    resources = ResourceRequirements(requests=requests or {}, limits=limits or {})
    p = make_pod(name)
    container = Container(name="app", image="app:v1", resources=resources)
    return replace(p, spec=replace(p.spec, containers=(container,)))


def used(server: APIServer) -> dict[str, str]:
    return dict(server.get(ResourceQuota, "default", "q").status.used)


# ---- quota ------------------------------------------------------------------------------------------------------


def test_a_pod_beyond_the_quota_is_refused_and_not_charged() -> None:  # 6.5 (1)
    server = server_with(quota(pods="3"))
    for n in range(3):
        server.create(make_pod(f"web-{n}"))
    with pytest.raises(Forbidden) as refused:
        server.create(make_pod("web-3"))
    assert refused.value.message == (
        'pods "web-3" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3'
    )
    assert used(server) == {"pods": "3"}


def test_a_container_must_say_what_the_quota_limits() -> None:  # 6.5 (2)
    server = server_with(quota(requests_cpu="1", limits_memory="1Gi"))
    with pytest.raises(Forbidden, match=r"must specify limits\.memory for: app; requests\.cpu for: app"):
        server.create(pod())


def test_a_limit_ranges_default_is_charged() -> None:  # 6.5 (3)
    item = LimitRangeItem(type="Container", default_request={"cpu": "250m"})
    server = server_with(quota(requests_cpu="1"), item)
    server.create(pod())
    assert used(server) == {"requests.cpu": "250m"}


def test_of_two_creates_with_room_for_one_one_succeeds() -> None:  # 6.5 (8)
    server = server_with(quota(requests_memory="1Gi"))
    server.create(pod("a", {"memory": "600Mi"}))
    with pytest.raises(Forbidden, match="exceeded quota"):
        server.create(pod("b", {"memory": "600Mi"}))
    assert used(server) == {"requests.memory": "600Mi"}


def test_a_failed_create_stays_charged() -> None:
    server = server_with(quota(pods="3"))
    server.create(make_pod())
    with pytest.raises(Exception, match="already exists"):
        server.create(make_pod())
    assert used(server) == {"pods": "2"}


def test_a_stuck_pod_counts_for_twice_its_grace_period() -> None:  # 6.5 (4)
    stuck = with_meta(make_pod(), deletion_timestamp=Time(130 * SECOND), deletion_grace_period_seconds=30)
    assert counts_against_quota(stuck, 160 * SECOND)
    assert not counts_against_quota(stuck, 160 * SECOND + 1)
    assert usage(stuck, 161 * SECOND) == {"count/pods": 1000}


def test_an_ended_pod_does_not_count() -> None:  # 6.5 (5)
    assert "pods" not in usage(replace(make_pod(), status=pod_status(phase="Failed")), 0)


def test_claims_are_charged_in_total_and_by_class_and_when_they_grow() -> None:
    by_class = {"fast.storageclass.storage.k8s.io/requests.storage": "6Gi"}
    q = replace(quota(), spec=ResourceQuotaSpec(hard={"persistentvolumeclaims": "5", **by_class}))
    server = server_with(q)
    claim = PersistentVolumeClaim(
        metadata=ObjectMeta(name="data", namespace="default"),
        spec=PersistentVolumeClaimSpec(
            access_modes=("ReadWriteOnce",),
            storage_class_name="fast",
            resources=ResourceRequirements(requests={"storage": "4Gi"}),
        ),
    )
    server.create(claim)
    assert used(server) == {"persistentvolumeclaims": "1", next(iter(by_class)): "4Gi"}

    def grow(c: PersistentVolumeClaim) -> PersistentVolumeClaim:
        return replace(c, spec=replace(c.spec, resources=ResourceRequirements(requests={"storage": "8Gi"})))

    with pytest.raises(Forbidden, match="exceeded quota"):
        server.patch(PersistentVolumeClaim, "default", "data", grow)


def test_a_quota_that_has_not_been_computed_does_not_limit_yet() -> None:
    server = make_server(admission=default_admission())
    server.create(quota(pods="0"))
    server.create(make_pod())


def test_a_resource_without_a_used_value_is_refused() -> None:
    server = server_with(quota(pods="3"))
    q = server.get(ResourceQuota, "default", "q")
    server.update_status(replace(q, status=ResourceQuotaStatus(hard={"pods": "3"}, used={})))
    with pytest.raises(Forbidden, match="status unknown for quota: q, resources: pods"):
        server.create(make_pod())


@pytest.mark.parametrize(
    ("scope", "matches"),
    [
        (ScopedResourceSelectorRequirement(scope_name="BestEffort"), True),
        (ScopedResourceSelectorRequirement(scope_name="NotBestEffort"), False),
        (ScopedResourceSelectorRequirement(scope_name="Terminating"), False),
        (ScopedResourceSelectorRequirement(scope_name="NotTerminating"), True),
        (ScopedResourceSelectorRequirement(scope_name="PriorityClass", operator="In", values=("high",)), True),
        (ScopedResourceSelectorRequirement(scope_name="PriorityClass", operator="NotIn", values=("high",)), False),
        (ScopedResourceSelectorRequirement(scope_name="CrossNamespacePodAffinity"), False),
    ],
)
def test_scopes(scope: ScopedResourceSelectorRequirement, matches: bool) -> None:
    q = quota(pods="1")
    q = replace(q, spec=replace(q.spec, scope_selector=ScopeSelector(match_expressions=(scope,))))
    p = make_pod()
    assert matches_scopes(q, replace(p, spec=replace(p.spec, priority_class_name="high"))) == matches


# ---- limit ranges -----------------------------------------------------------------------------------------------


def resources(server: APIServer, p: Pod) -> tuple[dict[str, str], dict[str, str]]:
    r = server.create(p).spec.containers[0].resources
    return dict(r.requests), dict(r.limits)


def test_the_default_limit_comes_from_the_maximum() -> None:  # 6.5 (9)
    server = server_with(None, LimitRangeItem(type="Container", max={"memory": "1Gi"}))
    assert resources(server, pod()) == ({"memory": "1Gi"}, {"memory": "1Gi"})


@pytest.mark.parametrize(
    ("item", "requests", "limits", "error"),
    [
        ({"min": {"cpu": "200m"}}, {"cpu": "100m"}, {}, "minimum cpu usage per Container is 200m, but request is 100m"),
        ({"max": {"cpu": "1"}}, {}, {"cpu": "2"}, "maximum cpu usage per Container is 1, but limit is 2"),
        (
            {"max_limit_request_ratio": {"cpu": "2"}},
            {"cpu": "100m"},
            {"cpu": "300m"},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"max_limit_request_ratio": {"cpu": "2"}},
            {},
            {},
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        ),
    ],
)
def test_bounds(item: dict[str, dict[str, str]], requests: dict[str, str], limits: dict[str, str], error: str) -> None:
    server = server_with(None, LimitRangeItem(type="Container", **item))  # type: ignore[arg-type]
    with pytest.raises(Forbidden) as refused:
        server.create(pod(requests=requests, limits=limits))
    assert refused.value.message == f'pods "web-0" is forbidden: {error}'


def test_a_pods_sum_is_bounded() -> None:
    server = server_with(None, LimitRangeItem(type="Pod", max={"memory": "1Gi"}))
    with pytest.raises(Forbidden, match="maximum memory usage per Pod is 1Gi, but limit is 2147483648"):
        server.create(pod(limits={"memory": "2Gi"}))
    with pytest.raises(Forbidden, match="No limit is specified"):
        server.create(pod())


def test_pods_that_are_there_are_left_alone() -> None:  # 6.5 (10)
    server = server_with(None)
    server.create(pod(limits={"memory": "2Gi"}))
    item = LimitRangeItem(type="Container", max={"memory": "1Gi"})
    server.create(
        LimitRange(metadata=ObjectMeta(name="limits", namespace="default"), spec=LimitRangeSpec(limits=(item,)))
    )
    server.patch(Pod, "default", "web-0", lambda p: with_meta(p, labels={"a": "b"}))
    with pytest.raises(Forbidden):
        server.create(pod("web-1", limits={"memory": "2Gi"}))
