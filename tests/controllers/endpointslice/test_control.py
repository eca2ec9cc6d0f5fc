"""Which endpoints a service has and how they are spread over slices (workloads 7.1, 7.6)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import Pod, PodSpec, Service, ServicePort, ServiceSpec
from k8sim.api.discovery import Endpoint, EndpointSlice
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.struct import Time, replace
from k8sim.controllers.endpointslice.control import (
    Changes,
    Desired,
    endpoint_ports,
    pod_endpoints_changed,
    pod_to_endpoint,
    reconcile,
    replace_in_place,
    should_pod_be_in_endpoints,
)
from tests.apiserver.world import make_pod
from tests.controllers.manager import pod_status

SERVICE = Service(
    metadata=ObjectMeta(name="web", namespace="default", uid="s"),
    spec=ServiceSpec(selector={"app": "web"}, ports=(ServicePort(name="web", port=80, target_port="web"),)),
)


def pod(name: str = "web-0", **status: object) -> Pod:
    return replace(make_pod(name, node="node-0"), status=pod_status(**status))  # type: ignore[arg-type]


def conditions(p: Pod, publish: bool = False) -> tuple[bool, bool, bool]:
    service = replace(SERVICE, spec=replace(SERVICE.spec, publish_not_ready_addresses=publish))
    c = pod_to_endpoint(p, None, service).conditions
    return c.ready, c.serving, c.terminating


def test_a_ready_pod_being_deleted_serves_but_is_not_ready() -> None:  # 7.6 (1)
    deleted = with_meta(pod(), deletion_timestamp=Time(1))
    assert conditions(pod()) == (True, True, False)
    assert conditions(deleted) == (False, True, True)
    assert conditions(replace(deleted, status=pod_status(ready=False))) == (False, False, True)


def test_publish_not_ready_addresses_makes_ready_true_and_serving_tells_the_truth() -> None:  # 7.6 (2)
    assert conditions(pod(ready=False), publish=True) == (True, False, False)
    assert conditions(with_meta(pod(), deletion_timestamp=Time(1)), publish=True) == (True, True, True)


def test_a_pod_without_address_or_in_a_terminal_phase_is_not_listed() -> None:  # 7.6 (3, 4)
    assert should_pod_be_in_endpoints(pod(ready=False))
    assert not should_pod_be_in_endpoints(pod(ip=""))
    assert not should_pod_be_in_endpoints(pod(phase="Failed"))


def test_only_the_governing_service_gives_a_hostname() -> None:  # 7.6 (5)
    p = replace(pod(), spec=PodSpec(hostname="web-0", subdomain="web"))
    other = replace(SERVICE, metadata=ObjectMeta(name="other", namespace="default"))
    assert pod_to_endpoint(p, None, SERVICE).hostname == "web-0"
    assert pod_to_endpoint(p, None, other).hostname == ""


def test_a_named_port_that_the_pod_lacks_is_left_out() -> None:
    assert endpoint_ports(SERVICE, pod()) == ()
    numbered = replace(SERVICE, spec=replace(SERVICE.spec, ports=(ServicePort(port=80),)))
    assert endpoint_ports(numbered, pod())[0].port == 80


def test_phase_alone_is_no_trigger_but_every_update_of_a_terminating_pod_is() -> None:
    p = pod()
    other_phase = replace(p, status=replace(p.status, phase="Failed"))
    assert not pod_endpoints_changed(p, other_phase)
    assert pod_endpoints_changed(p, replace(p, status=pod_status(ready=False)))
    t = with_meta(p, deletion_timestamp=Time(1))
    assert pod_endpoints_changed(t, replace(t, status=replace(t.status, phase="Failed")))


# ---- spreading over slices --------------------------------------------------------------------------------------


def wanted(*numbers: int, ready: bool = True) -> dict[str, Endpoint]:
    return {f"web-{n}": pod_to_endpoint(pod(f"web-{n}", ip=f"10.0.0.{n}", ready=ready), None, SERVICE) for n in numbers}


def apply(slices: list[EndpointSlice], changes: Changes) -> list[EndpointSlice]:
    gone = {s.name for s in changes.delete}
    new = {s.name: s for s in changes.update}
    assert all(s.name for s in changes.update)
    assert not gone & set(new)
    after = [new.get(s.name, s) for s in slices if s.name not in gone]
    used = {s.name for s in slices}
    for s in changes.create:
        name = next(f"web-{i}" for i in range(1000) if f"web-{i}" not in used)
        used.add(name)
        after.append(with_meta(s, name=name))
    return after


def test_a_service_without_endpoints_keeps_one_empty_slice() -> None:
    created = apply([], reconcile(SERVICE, {}, []))
    assert [s.endpoints for s in created] == [()]
    assert reconcile(SERVICE, {}, created) == Changes([], [], [])


def test_the_placeholder_becomes_the_first_real_slice() -> None:
    placeholder = apply([], reconcile(SERVICE, {}, []))
    ports = endpoint_ports(replace(SERVICE, spec=replace(SERVICE.spec, ports=(ServicePort(port=80),))), pod())
    changes = reconcile(SERVICE, {ports: wanted(1)}, placeholder)
    assert (len(changes.create), len(changes.delete)) == (0, 0)
    assert [s.name for s in changes.update] == [placeholder[0].name]
    assert changes.update[0].ports == ports


def test_new_endpoints_fill_a_slice_that_changes_anyway_then_one_that_takes_all() -> None:
    slices = apply([], reconcile(SERVICE, {(): wanted(*range(7))}, [], 5))
    assert [len(s.endpoints) for s in slices] == [5, 2]
    changes = reconcile(SERVICE, {(): wanted(*range(1, 9))}, slices, 5)  # 0 gone; 7 and 8 new
    assert [len(s.endpoints) for s in apply(slices, changes)] == [5, 3]


@given(st.lists(st.sets(st.integers(0, 40)), min_size=1, max_size=6), st.integers(1, 7))
def test_slices_hold_exactly_the_desired_endpoints_and_never_too_many(history: list[set[int]], most: int) -> None:
    slices: list[EndpointSlice] = []
    for numbers in history:
        desired: Desired = {(): wanted(*sorted(numbers))} if numbers else {}
        slices = apply(slices, reconcile(SERVICE, desired, slices, most))
        held = [e.target_ref.name for s in slices for e in s.endpoints if e.target_ref]
        assert sorted(held) == sorted(wanted(*numbers))
        assert all(len(s.endpoints) <= most for s in slices)
        assert slices
        assert reconcile(SERVICE, desired, slices, most) == Changes([], [], [])


@given(st.sets(st.integers(0, 20), min_size=1), st.lists(st.integers(0, 20)), st.integers(1, 7))
def test_to_replace_single_endpoints_is_what_a_reconciliation_would_do(
    numbers: set[int], flips: list[int], most: int
) -> None:
    endpoints = wanted(*sorted(numbers))
    slices = apply([], reconcile(SERVICE, {(): endpoints}, [], most))
    replacements = []
    for n in flips:
        if n in numbers:
            old = endpoints[f"web-{n}"]
            endpoints |= wanted(n, ready=not old.conditions.ready)
            replacements.append((old, endpoints[f"web-{n}"]))
    changes = reconcile(SERVICE, {(): endpoints}, slices, most)
    assert replace_in_place(slices, replacements) == Changes((), changes.update, ())
    assert not changes.create
    assert not changes.delete


@given(st.sets(st.integers(0, 20), min_size=1), st.integers(0, 20), st.integers(1, 7))
def test_to_add_or_remove_one_endpoint_is_what_a_reconciliation_would_do(
    numbers: set[int], number: int, most: int
) -> None:
    slices = apply([], reconcile(SERVICE, {(): wanted(*sorted(numbers))}, [], most))
    endpoint = wanted(number)[f"web-{number}"]
    replacement = (endpoint, None) if number in numbers else (None, endpoint)
    left = wanted(*sorted(numbers ^ {number}))
    desired: Desired = {(): left} if left else {}
    changes = reconcile(SERVICE, desired, slices, most)
    in_place = replace_in_place(slices, [replacement], most)
    if changes.create or changes.delete or not left:
        assert in_place is None
    else:
        assert in_place is not None
        assert in_place == Changes((), tuple(changes.update), ())
