"""Admission plug-ins that are on by default (workloads 4.2, 4.5)."""

from __future__ import annotations

import pytest

from k8sim.api.core import Namespace, Node, Toleration
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.policy import PriorityClass
from k8sim.api.struct import Time, replace
from k8sim.apiserver.admission import NOT_READY, UNREACHABLE, default_admission
from k8sim.apiserver.errors import Forbidden, NotFound
from k8sim.apiserver.server import APIServer
from tests.apiserver.world import make_pod, make_server


@pytest.fixture
def server() -> APIServer:
    return make_server(admission=default_admission())


def tolerations(server: APIServer, *own: Toleration) -> dict[str, int | None]:
    pod = make_pod()
    created = server.create(replace(pod, spec=replace(pod.spec, tolerations=own)))
    return {t.key: t.toleration_seconds for t in created.spec.tolerations}


def test_a_pod_bears_a_lost_node_for_five_minutes(server: APIServer) -> None:
    assert tolerations(server) == {NOT_READY: 300, UNREACHABLE: 300}


def test_whatever_a_pod_says_about_it_itself_counts(server: APIServer) -> None:
    own = Toleration(key=UNREACHABLE, operator="Exists", effect="NoExecute", toleration_seconds=7)
    assert tolerations(server, own) == {UNREACHABLE: 7, NOT_READY: 300}


def test_a_toleration_of_everything_suppresses_both(server: APIServer) -> None:
    assert tolerations(server, Toleration(operator="Exists")) == {"": None}


def test_a_toleration_of_another_effect_suppresses_nothing(server: APIServer) -> None:
    own = Toleration(key=NOT_READY, operator="Exists", effect="NoSchedule")
    assert UNREACHABLE in tolerations(server, own)


def test_namespaces_must_exist_and_must_not_be_going(server: APIServer) -> None:
    with pytest.raises(NotFound, match='namespaces "db" not found'):
        server.create(with_meta(make_pod(), namespace="db"))
    server.preload(Namespace(metadata=ObjectMeta(name="db", deletion_timestamp=Time(1))))
    with pytest.raises(Forbidden, match="because it is being terminated"):
        server.create(with_meta(make_pod(), namespace="db"))


def test_a_new_node_is_not_ready_yet(server: APIServer) -> None:
    node = server.create(Node(metadata=ObjectMeta(name="node-0")))
    assert [(t.key, t.effect) for t in node.spec.taints] == [(NOT_READY, "NoSchedule")]


def priority_of(server: APIServer, name: str, class_name: str = "") -> int | None:
    pod = make_pod(name)
    return server.create(replace(pod, spec=replace(pod.spec, priority_class_name=class_name))).spec.priority


def test_priorities(server: APIServer) -> None:
    assert priority_of(server, "a") == 0
    server.create(PriorityClass(metadata=ObjectMeta(name="high"), value=1000))
    server.create(PriorityClass(metadata=ObjectMeta(name="usual"), value=10, global_default=True))
    server.create(PriorityClass(metadata=ObjectMeta(name="low"), value=5, global_default=True))
    assert priority_of(server, "b", "high") == 1000
    assert priority_of(server, "c") == 5
    assert priority_of(server, "d", "system-node-critical") == 2_000_001_000
    with pytest.raises(Forbidden, match="no PriorityClass with name nobody was found"):
        priority_of(server, "e", "nobody")
