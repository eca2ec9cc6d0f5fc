"""Deletion of a namespace with all that is in it."""

from __future__ import annotations

import pytest

from k8sim.api.core import ConfigMap, Namespace, Pod
from k8sim.api.meta import ObjectMeta, with_meta
from k8sim.api.struct import replace
from k8sim.apiserver.admission import default_admission
from k8sim.apiserver.errors import Forbidden
from k8sim.controllers.namespace.control import estimate_graceful_termination_seconds
from k8sim.controllers.namespace.controller import NamespaceController
from k8sim.sim.units import SECOND
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager, pod_status


def world() -> Manager:
    m = Manager(NamespaceController, admission=default_admission())
    m.server.create(Namespace(metadata=ObjectMeta(name="db")))
    m.server.create(ConfigMap(metadata=ObjectMeta(name="settings", namespace="db")))
    m.add_pod(with_meta(make_pod(node="node-0", grace=20), namespace="db"))
    m.at(10, m.server.delete, Namespace, "", "db")
    return m


def test_pods_go_first_and_the_namespace_last() -> None:
    m = world()
    m.run(10.5)
    namespace = m.server.get(Namespace, "", "db")
    assert namespace.status.phase == "Terminating"
    with pytest.raises(Forbidden, match="being terminated"):
        m.server.create(ConfigMap(metadata=ObjectMeta(name="late", namespace="db")))
    m.run(17)
    (pod,) = m.server.list(Pod, "db")
    assert pod.deleting  # 5 s after the namespace's deletion
    assert m.server.list(ConfigMap, "db")
    m.at(18, m.server.delete, Pod, "db", "web-0", grace_period_seconds=0)
    m.run(25)
    assert m.server.list(ConfigMap, "db")  # it comes back after half of the grace period and a second
    m.run(27)
    assert m.server.list(ConfigMap, "db") == []
    assert m.server.find(Namespace, "", "db") is None


def test_an_empty_namespace_takes_five_seconds() -> None:
    m = Manager(NamespaceController)
    m.server.create(Namespace(metadata=ObjectMeta(name="db")))
    m.at(10, m.server.delete, Namespace, "", "db")
    m.run(14.9)
    assert m.server.find(Namespace, "", "db") is not None
    m.run(15.2)
    assert m.server.find(Namespace, "", "db") is None


def test_some_namespaces_are_for_ever() -> None:
    with pytest.raises(Forbidden, match="may not be deleted"):
        Manager().server.delete(Namespace, "", "default")


def test_the_estimate_is_the_longest_grace_period_until_it_is_over() -> None:
    pods = [make_pod("a", grace=10), make_pod("b", grace=40), replace(make_pod("c", grace=90), status=pod_status())]
    pods[2] = replace(pods[2], status=pod_status(phase="Failed"))
    assert estimate_graceful_termination_seconds(pods, 0, 39 * SECOND) == 40
    assert estimate_graceful_termination_seconds(pods, 0, 40 * SECOND) == 0
