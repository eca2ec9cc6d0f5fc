"""The EndpointSlice controller in a small world."""

from __future__ import annotations

from k8sim.api.core import Node, Pod, Service, ServicePort, ServiceSpec
from k8sim.api.discovery import EndpointSlice
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.struct import replace
from k8sim.apiserver.settings import WatchSettings
from k8sim.controllers.endpointslice.controller import EndpointSliceController
from k8sim.sim.units import MILLISECOND
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager

WEB = {"app": "web"}


def world() -> Manager:
    m = Manager(EndpointSliceController)
    m.add_node("node-0")
    m.server.create(service())
    return m


def service(name: str = "web", **spec: object) -> Service:
    ports = (ServicePort(port=80),)
    return Service(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=ServiceSpec(selector=WEB, ports=ports, **spec),  # type: ignore[arg-type]
    )


def web(n: int) -> Pod:
    return make_pod(f"web-{n}", node="node-0", labels=WEB)


def endpoints(m: Manager, name: str = "web") -> dict[str, tuple[bool, bool, bool]]:
    return {
        e.target_ref.name: (e.conditions.ready, e.conditions.serving, e.conditions.terminating)
        for s in m.server.list(EndpointSlice)
        if s.metadata.labels["kubernetes.io/service-name"] == name
        for e in s.endpoints
        if e.target_ref is not None
    }


def test_endpoints_follow_pods_from_address_to_terminal_phase() -> None:
    m = world()
    m.at(1, m.add_pod, web(0), ready=False, ip="")
    m.run(2)
    assert endpoints(m) == {}
    m.at(2, m.set_pod, web(0), ip="10.0.0.9")
    m.run(3)
    assert endpoints(m) == {"web-0": (False, False, False)}
    m.at(3, m.set_pod, web(0), ready=True)
    m.run(5)
    assert endpoints(m) == {"web-0": (True, True, False)}
    m.at(5, m.server.delete, Pod, "default", "web-0")
    m.run(7)
    assert endpoints(m) == {"web-0": (False, True, True)}
    m.at(7, m.set_pod, web(0), phase="Failed")
    m.run(10)
    assert endpoints(m) == {}


def second_endpoint_after(seed: int, apart: float, watches: WatchSettings | None = None) -> float:
    """Make a pod and soon another one; tell how long after the second its endpoint is there."""
    m = Manager(EndpointSliceController, seed=seed, watches=watches)
    m.add_node("node-0")
    m.server.create(service())
    m.at(5, m.add_pod, web(0))
    m.at(5 + apart, m.add_pod, web(1))
    m.run(12)
    assert len(endpoints(m)) == 2
    return m.events("EndpointSlice", "web", "Endpoint")[-1][0] - 5 - apart


def test_a_change_right_after_another_one_finds_the_cache_up_to_date() -> None:
    delays = [second_endpoint_after(seed, 0.001 + seed * 0.001) for seed in range(20)]
    assert max(delays) < 0.02


def test_a_change_while_a_late_watch_does_not_show_the_last_write_waits_a_second() -> None:
    late = WatchSettings(late_share=1.0, late_by_ns=600 * MILLISECOND)
    delays = [second_endpoint_after(seed, 0.4, late) for seed in range(20)]
    assert any(1 < delay < 1.8 for delay in delays)


def failures_after_three_changes(seed: int) -> int:
    """Let each sync of a service fail, as a pod's node is gone; tell how many have failed after two changes more."""
    m = Manager(EndpointSliceController, seed=seed)
    m.add_node("node-0")
    m.server.create(service())
    m.at(5, m.add_pod, make_pod("web-9", node="gone", labels=WEB))
    m.at(5.4, m.add_pod, web(0))
    m.at(5.401 + seed * 0.001, m.add_pod, web(1))
    m.run(5.8)
    assert len(endpoints(m)) == 2
    return m.controllers[0].queue.failures(("default", "web"))


def test_a_sync_that_waits_to_see_the_last_write_is_no_success_that_would_end_a_back_off() -> None:
    assert min(failures_after_three_changes(seed) for seed in range(20)) == 3


def test_a_relabelled_pod_leaves_and_a_new_selector_finds_pods_that_are_there() -> None:
    m = world()
    m.at(1, m.add_pod, web(0))
    m.at(3, m.server.patch, Pod, "default", "web-0", lambda p: with_meta(p, labels={"app": "api"}))
    m.run(6)
    assert endpoints(m) == {}
    m.at(
        6,
        m.server.patch,
        Service,
        "default",
        "web",
        lambda s: replace(s, spec=replace(s.spec, selector={"app": "api"})),
    )
    m.run(9)
    assert set(endpoints(m)) == {"web-0"}


def test_a_pod_whose_node_is_gone_stays_until_the_service_is_synced_and_is_then_left_out() -> None:
    m = world()
    m.add_node("node-1")
    m.at(1, m.add_pod, web(0))
    m.at(4, m.server.delete, Node, "", "node-0")
    m.run(6)
    assert set(endpoints(m)) == {"web-0"}
    m.at(6, m.add_pod, make_pod("web-1", node="node-1", labels=WEB))
    m.run(9)
    assert set(endpoints(m)) == {"web-1"}


def test_a_slice_deleted_by_somebody_comes_back() -> None:
    m = world()
    m.at(1, m.add_pod, web(0))
    m.run(3)
    (only,) = m.server.list(EndpointSlice)
    m.at(3, m.server.delete, EndpointSlice, "default", only.name)
    m.run(8)
    assert set(endpoints(m)) == {"web-0"}


def test_more_than_a_hundred_endpoints_need_a_second_slice() -> None:
    m = world()
    for n in range(130):
        m.at(1, m.add_pod, web(n), ip=f"10.0.1.{n}")
    m.run(20)
    assert sorted(len(s.endpoints) for s in m.server.list(EndpointSlice)) == [30, 100]
    assert len(endpoints(m)) == 130


def test_services_without_selector_and_of_type_external_name_get_no_slice() -> None:
    m = Manager(EndpointSliceController)
    m.server.create(Service(metadata=ObjectMeta(name="bare", namespace="default")))
    m.server.create(service("far", type="ExternalName"))
    m.run(3)
    assert m.server.list(EndpointSlice) == []
