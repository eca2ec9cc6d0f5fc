"""workloads.md 7.2-7.6 and node.md 9.7 as far as pure functions decide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import ServicePort
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from k8sim.network.control import (
    Name,
    candidates,
    next_sync,
    service_records,
    service_variables,
    usable_endpoints,
)
from k8sim.sim.units import MILLISECOND, SECOND
from tests.network.world import make_endpoint, make_service, make_slice


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("db", Name("", "db", "shop")),
        ("db-0.db", Name("db-0", "db", "shop")),
        ("db-0.db.prod", Name("db-0", "db", "prod")),
        ("db-0.db.prod.svc", Name("db-0", "db", "prod")),
        ("db-0.db.prod.svc.cluster.local", Name("db-0", "db", "prod")),
        ("db.prod.svc.cluster.local.", Name("", "db", "prod")),
    ],
)
def test_forms_of_a_name(text: str, meaning: Name) -> None:
    assert candidates(text, "shop")[0] == meaning


def test_two_labels_may_also_be_a_service_of_another_namespace() -> None:
    assert candidates("db.prod", "shop") == [Name("db", "prod", "shop"), Name("", "db", "prod")]


def test_headless_service_has_its_ready_endpoints_and_their_names() -> None:
    slice_ = make_slice("db", make_endpoint("db-0", "10.0.0.1"), make_endpoint("db-1", "10.0.0.2", ready=False))
    assert service_records(make_service("db", headless=True), [slice_]) == {
        Name("", "db", "default"): ("10.0.0.1",),
        Name("db-0", "db", "default"): ("10.0.0.1",),
    }


def test_a_terminating_peer_has_no_name() -> None:
    going = make_endpoint("db-0", "10.0.0.1", ready=False, serving=True, terminating=True)
    assert service_records(make_service("db", headless=True), [make_slice("db", going)]) == {}


def test_a_service_with_an_address_answers_with_it_even_without_endpoints() -> None:
    records = service_records(make_service("web"), [])
    assert records == {Name("", "web", "default"): ("service:default/web",)}


def test_host_names_exist_only_where_the_slice_has_them() -> None:
    slice_ = make_slice("other", make_endpoint("db-0", "10.0.0.1", host=False))
    records = service_records(make_service("other", headless=True), [slice_])
    assert list(records) == [Name("", "other", "default")]


def test_the_dying_endpoint_serves_when_no_other_is_ready() -> None:
    dying = make_endpoint("web-0", "10.0.0.1", ready=False, serving=True, terminating=True)
    young = make_endpoint("web-1", "10.0.0.2", ready=False, serving=False)
    assert usable_endpoints([dying, young]) == (dying,)
    ready = make_endpoint("web-1", "10.0.0.2")
    assert usable_endpoints([dying, ready]) == (ready,)
    assert usable_endpoints([young]) == ()


def test_local_policy_takes_the_same_two_steps_among_the_nodes_own() -> None:
    here = replace(make_endpoint("a", "1", ready=False, serving=True, terminating=True), node_name="node-1")
    there = make_endpoint("b", "2")
    assert usable_endpoints([here, there], "node-1", local=True) == (here,)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=6))
def test_usable_endpoints_are_ready_or_serve_while_they_end(flags: list[tuple[bool, bool, bool]]) -> None:
    endpoints = [make_endpoint(f"p-{i}", f"{i}", *flag) for i, flag in enumerate(flags)]
    usable = usable_endpoints(endpoints)
    ready = [e for e in endpoints if e.conditions.ready]
    assert list(usable) == ready or (
        not ready and all(e.conditions.serving and e.conditions.terminating for e in usable)
    )


def test_an_idle_proxy_syncs_at_once_and_then_a_second_after_the_end() -> None:
    assert next_sync(7 * SECOND, None, SECOND) == 7 * SECOND
    assert next_sync(7 * SECOND, 5 * SECOND, SECOND) == 7 * SECOND
    end = 7 * SECOND + 20 * MILLISECOND
    assert next_sync(7 * SECOND + 300 * MILLISECOND, end, SECOND) == end + SECOND


def test_variables_of_services_with_an_address_in_the_own_namespace() -> None:
    web = make_service("web-api")
    web = replace(web, spec=replace(web.spec, cluster_ip="10.96.0.7", ports=(ServicePort(name="http", port=8080),)))
    other = with_meta(make_service("far"), namespace="elsewhere")
    variables = service_variables([web, make_service("db", headless=True), other], "default")
    assert variables["WEB_API_SERVICE_HOST"] == "10.96.0.7"
    assert variables["WEB_API_SERVICE_PORT"] == variables["WEB_API_SERVICE_PORT_HTTP"] == "8080"
    assert variables["WEB_API_PORT_8080_TCP_ADDR"] == "10.96.0.7"
    assert not any(name.startswith(("DB_", "FAR_")) for name in variables)


def test_without_service_links_only_kubernetes_is_left() -> None:
    variables = service_variables([make_service("web")], "default", service_links=False)
    assert sorted(variables) == ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"]
