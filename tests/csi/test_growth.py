"""Expansion of volumes: storage.md 4.6."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import condition_of
from k8sim.api.resizing import capacity, resize_status
from k8sim.api.struct import replace
from k8sim.apiserver.errors import ApiError
from k8sim.csi.drivers import WELL_KNOWN
from tests.csi.scenes import Scene, scene

GIB = 2**30


def ask_for(scene: Scene, size: str, claim: str = "data-web-0") -> None:
    def change(c: PersistentVolumeClaim) -> PersistentVolumeClaim:
        return replace(c, spec=replace(c.spec, resources=replace(c.spec.resources, requests={"storage": size})))

    scene.server.patch(PersistentVolumeClaim, "default", claim, change, actor="kubectl")


def conditions(scene: Scene) -> set[str]:
    return {c.type for c in scene.claim().status.conditions}


def with_driver(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    driver = dataclasses.replace(WELL_KNOWN["ebs.csi.aws.com"], **changes)
    monkeypatch.setitem(WELL_KNOWN, "ebs.csi.aws.com", driver)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_3_online_growth_takes_up_to_a_pod_sync_and_restarts_nothing(seed: int) -> None:
    growing = scene(seed=seed).run(100)
    ask_for(growing, "20Gi")
    growing.run(120)
    assert growing.volume().spec.capacity == {"storage": "20Gi"}
    if capacity(growing.claim()) != 20 * GIB:
        assert resize_status(growing.claim()) == "NodeResizePending"
        assert conditions(growing) == {"Resizing", "FileSystemResizePending"}
    growing.run(100 + 20 + 90 + 10)
    assert growing.claim().status.capacity == {"storage": "20Gi"}
    assert conditions(growing) == set()
    assert len(growing.rows("Pod", "web-0", "Started")) == 1
    reasons = [r.event for r in growing.rows("Event", "data-web-0") if "esiz" in r.event or "xpand" in r.event]
    assert list(dict.fromkeys(reasons)) == ["ExternalExpanding", "Resizing", "FileSystemResizeRequired"]
    assert "volume.alpha.kubernetes.io/pre-resize-capacity" not in growing.volume().metadata.annotations


def test_4_without_a_pod_it_stops_half_way_and_a_mount_completes_it() -> None:
    growing = scene(
        "at: 50s, kubectl: scale statefulset/web --replicas=0", "at: 300s, kubectl: scale statefulset/web --replicas=1"
    )
    growing.run(100)
    ask_for(growing, "20Gi")
    growing.run(299)
    assert growing.claim().status.capacity == {"storage": "10Gi"}
    assert "FileSystemResizePending" in conditions(growing)
    growing.run(400)
    assert growing.claim().status.capacity == {"storage": "20Gi"}
    grown = growing.when("Event", "web-0", "FileSystemResizeSuccessful")
    assert grown < growing.when("Pod", "web-0", "Started", 300)


def test_5_a_driver_that_needs_no_node_completes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, node_expansion=False)
    growing = scene("at: 50s, kubectl: scale statefulset/web --replicas=0").run(100)
    ask_for(growing, "20Gi")
    growing.run(120)
    assert growing.claim().status.capacity == {"storage": "20Gi"}
    assert conditions(growing) == set()


def test_6_an_infeasible_size_can_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, max_volume_bytes=50 * GIB)
    growing = scene().run(100)
    ask_for(growing, "100Gi")
    growing.run(200)
    assert resize_status(growing.claim()) == "ControllerResizeInfeasible"
    assert condition_of(growing.claim().status.conditions, "ControllerResizeError") is not None
    assert len(growing.rows("Event", "data-web-0", "VolumeResizeFailed")) <= 3
    ask_for(growing, "30Gi")
    growing.run(400)
    assert growing.claim().status.capacity == {"storage": "30Gi"}
    assert growing.claim().status.allocated_resources == {"storage": "30Gi"}


def test_7_an_undecided_attempt_goes_on_although_the_request_was_lowered() -> None:
    growing = scene().run(100)
    growing.storage.fail_calls(frozenset({"volumeExpand"}), "DeadlineExceeded", until_ns=200 * 10**9)
    ask_for(growing, "100Gi")
    growing.run(150)
    ask_for(growing, "30Gi")
    growing.run(199)
    assert growing.claim().status.allocated_resources == {"storage": "100Gi"}
    growing.run(700)
    assert growing.volume().spec.capacity == {"storage": "100Gi"}


def test_8_and_9_what_the_server_refuses() -> None:
    growing = scene().run(100)
    with pytest.raises(ApiError, match=r"field can not be less than status\.capacity"):
        ask_for(growing, "5Gi")
    ask_for(growing, "20Gi")
    with pytest.raises(ApiError, match=r"field can not be less than status\.capacity"):
        ask_for(growing, "10Gi")


def test_10_and_11_a_set_keeps_its_template_and_new_ordinals_get_the_old_size() -> None:
    growing = scene("at: 300s, kubectl: scale statefulset/web --replicas=2").run(100)
    ask_for(growing, "20Gi")
    growing.run(400)
    assert growing.claim("data-web-1").status.capacity == {"storage": "10Gi"}


def test_14_an_offline_driver_waits_for_the_pod_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with_driver(monkeypatch, expansion="offline")
    growing = scene("at: 500s, kubectl: scale statefulset/web --replicas=0").run(100)
    ask_for(growing, "20Gi")
    growing.run(499)
    assert growing.volume().spec.capacity == {"storage": "10Gi"}
    assert "ControllerResizeError" in conditions(growing)
    growing.run(600)
    assert growing.volume().spec.capacity == {"storage": "20Gi"}


def test_15_what_no_driver_can_grow_is_accepted_and_never_grows() -> None:
    growing = scene(provisioner="kubernetes.io/host-path").run(100)
    ask_for(growing, "20Gi")
    growing.run(1000)
    assert growing.claim().status.capacity == {"storage": "10Gi"}
    assert conditions(growing) == set()
    assert growing.happened("Event", "data-web-0", "ExternalExpanding")


def test_raw_block_volumes_go_through_the_node_too() -> None:
    growing = scene(block=True).run(100)
    ask_for(growing, "20Gi")
    growing.run(220)
    assert growing.claim().status.capacity == {"storage": "20Gi"}


def test_a_failing_node_half_is_retried() -> None:
    growing = scene().run(100)
    growing.storage.fail_calls(frozenset({"volumeNodeExpand"}), "Internal", until_ns=300 * 10**9)
    ask_for(growing, "20Gi")
    growing.run(299)
    assert growing.claim().status.capacity == {"storage": "10Gi"}
    assert condition_of(growing.claim().status.conditions, "NodeResizeError") is not None
    growing.run(700)
    assert growing.claim().status.capacity == {"storage": "20Gi"}
    assert conditions(growing) == set()
    assert growing.server.get(Pod, "default", "web-0").status.phase == "Running"
