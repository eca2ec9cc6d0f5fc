"""The garbage collector (workloads 5.3, 5.5): decisions, the graph, and the whole in a small world."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.apps import StatefulSet
from k8sim.api.core import PersistentVolumeClaim, Pod
from k8sim.api.meta import Object, ObjectMeta, OwnerReference, controller_ref, with_meta
from k8sim.api.struct import Time, replace
from k8sim.controllers.garbagecollector.control import (
    Delete,
    Keep,
    References,
    StripReferences,
    attempt_to_delete_item,
    owner_state,
)
from k8sim.controllers.garbagecollector.controller import GarbageCollector
from k8sim.controllers.garbagecollector.graph import FOREGROUND, ORPHAN, OwnerGraph
from tests.apiserver.world import make_pod
from tests.controllers.manager import Manager

# ---- decisions --------------------------------------------------------------------------------------------------


def ref(uid: str, kind: str = "StatefulSet", block: bool = True) -> OwnerReference:
    return OwnerReference(
        api_version="apps/v1", kind=kind, name=uid, uid=uid, controller=True, block_owner_deletion=block
    )


OWNED = make_pod(owner_references=(ref("a"), ref("b")))
A, B = (ref("a"),), (ref("b"),)


@pytest.mark.parametrize(
    ("references", "has_dependents", "decision"),
    [
        (References(A + B, (), ()), False, Keep()),
        (References(A, B, ()), False, StripReferences(frozenset("b"))),  # 5.5 (12)
        (References(A, (), B), True, StripReferences(frozenset("b"))),
        (References((), A + B, ()), True, Delete("Background")),
        (References((), A, B), False, Delete("Background")),
        (References((), A, B), True, Delete("Foreground")),
    ],
)
def test_an_object_goes_when_no_owner_is_left(references: References, has_dependents: bool, decision: object) -> None:
    assert attempt_to_delete_item(OWNED, references, has_dependents) == decision


def test_an_object_without_owners_is_never_collected() -> None:
    assert attempt_to_delete_item(make_pod(), References((), (), ()), True) == Keep()


@pytest.mark.parametrize(("finalizer", "propagation"), [(ORPHAN, "Orphan"), (FOREGROUND, "Foreground")])
def test_a_finalizer_that_is_there_decides_the_propagation(finalizer: str, propagation: str) -> None:
    obj = with_meta(OWNED, finalizers=(finalizer,))
    assert attempt_to_delete_item(obj, References((), A, ()), False) == Delete(propagation)  # type: ignore[arg-type]


def test_ownership_is_by_uid() -> None:
    owner = StatefulSet(metadata=ObjectMeta(name="web", uid="new"))
    assert owner_state(owner, "new") == "solid"
    assert owner_state(owner, "old") == "dangling"
    assert owner_state(None, "old") == "dangling"
    waiting = with_meta(owner, deletion_timestamp=Time(1), finalizers=(FOREGROUND,))
    assert owner_state(waiting, "new") == "waiting"


# ---- the graph --------------------------------------------------------------------------------------------------


def owned(name: str, *owners: str) -> Object:
    return make_pod(name, uid=name, owner_references=tuple(ref(o) for o in owners))


@given(st.permutations(["a", "b", "c", "d"]), st.permutations(["a", "b", "c", "d"]))
def test_the_order_in_which_objects_arrive_does_not_matter(arrive: list[str], leave: list[str]) -> None:
    objects = {"a": owned("a"), "b": owned("b", "a"), "c": owned("c", "a", "b"), "d": owned("d", "x")}
    graph = OwnerGraph()
    for name in arrive:
        graph.observe(objects[name])
    assert {u: sorted(n.dependents) for u, n in graph.nodes.items()} == {
        "a": ["b", "c"], "b": ["c"], "c": [], "d": [], "x": ["d"],
    }  # fmt: skip
    for name in leave:
        asked = {uid for _, uid in graph.forget(name)}
        assert asked <= set(graph.nodes)
    assert set(graph.nodes) == {"x"}
    assert not graph.nodes["x"].dependents


def test_an_owner_that_nobody_has_seen_is_looked_at() -> None:
    graph = OwnerGraph()
    assert graph.observe(owned("d", "x")) == [("delete", "x")]
    assert not graph.nodes["x"].observed
    assert graph.forget("x") == [("delete", "d")]
    assert "x" in graph.absent


# ---- the whole --------------------------------------------------------------------------------------------------


def world(*names: str) -> tuple[Manager, StatefulSet]:
    m = Manager(GarbageCollector)
    web = m.server.create(StatefulSet(metadata=ObjectMeta(name="web", namespace="default")))
    for name in names:
        m.add_pod(make_pod(name, node="node-0", grace=10, owner_references=(controller_ref(web),)))
    return m, web


def kubelet(m: Manager, name: str, t: float) -> None:
    m.at(t, m.server.delete, Pod, "default", name, grace_period_seconds=0)


def test_background_all_pods_are_deleted_gracefully_and_at_once() -> None:  # 5.5 (8)
    m, _ = world("web-0", "web-1", "web-2")
    m.at(5, m.server.delete, StatefulSet, "default", "web")
    m.run(7)
    gone = m.events("Pod", event="Terminating")
    assert sorted(e[1] for e in gone) == ["web-0", "web-1", "web-2"]
    assert all(5 < e[0] < 5.2 and e[3]["grace"] == 10 for e in gone)


def test_foreground_the_owner_goes_after_its_pods() -> None:  # 5.5 (9)
    m, _ = world("web-0", "web-1")
    m.at(5, m.server.delete, StatefulSet, "default", "web", propagation="Foreground")
    m.run(7)
    assert len(m.events("Pod", event="Terminating")) == 2
    kubelet(m, "web-0", 8)
    m.run(10)
    assert m.server.find(StatefulSet, "default", "web") is not None
    kubelet(m, "web-1", 11)
    m.run(12)
    assert m.server.find(StatefulSet, "default", "web") is None


def test_orphan_pods_keep_their_uid_and_lose_the_reference() -> None:  # 5.5 (10)
    m, _ = world("web-0", "web-1")
    before = {p.name: p.uid for p in m.server.list(Pod)}
    m.at(5, m.server.delete, StatefulSet, "default", "web", propagation="Orphan")
    m.run(7)
    assert m.server.find(StatefulSet, "default", "web") is None
    assert {p.name: p.uid for p in m.server.list(Pod)} == before
    assert all(not p.metadata.owner_references and not p.deleting for p in m.server.list(Pod))


def test_a_reference_to_an_owner_that_is_already_gone_is_found_when_it_is_seen() -> None:  # 5.5 (11)
    m, _ = world("web-0")
    pod = m.server.get(Pod, "default", "web-0")
    claim = PersistentVolumeClaim(
        metadata=ObjectMeta(name="data", namespace="default", owner_references=(controller_ref(pod),))
    )
    m.server.create(claim)
    m.server.delete(Pod, "default", "web-0", grace_period_seconds=0)
    m.at(5, m.server.create, with_meta(claim, name="late"))
    m.run(4)
    assert m.server.find(PersistentVolumeClaim, "default", "data") is None
    m.run(7)
    assert m.server.find(PersistentVolumeClaim, "default", "late") is None


def test_a_new_owner_of_the_same_name_does_not_keep_old_pods() -> None:
    m, web = world("web-0")
    m.server.delete(StatefulSet, "default", "web")
    m.server.create(replace(web, metadata=ObjectMeta(name="web", namespace="default")))
    m.run(3)
    assert m.server.get(Pod, "default", "web-0").deleting


def test_with_another_owner_left_only_the_reference_goes() -> None:  # 5.5 (12)
    m, web = world()
    other = m.server.create(StatefulSet(metadata=ObjectMeta(name="other", namespace="default")))
    pod = m.server.create(
        make_pod(owner_references=(controller_ref(web), replace(controller_ref(other), controller=None)))
    )
    m.at(2, m.server.delete, StatefulSet, "default", "web")
    m.run(4)
    left = m.server.get(Pod, "default", pod.name)
    assert not left.deleting
    assert [r.name for r in left.metadata.owner_references] == ["other"]


def test_owners_in_a_circle_deleted_in_the_foreground_go() -> None:
    m, web = world()
    other = m.server.create(
        StatefulSet(metadata=ObjectMeta(name="other", namespace="default", owner_references=(controller_ref(web),)))
    )
    m.server.patch(StatefulSet, "default", "web", lambda s: with_meta(s, owner_references=(controller_ref(other),)))
    m.at(2, m.server.delete, StatefulSet, "default", "web", propagation="Foreground")
    m.run(30)
    assert m.server.list(StatefulSet) == []
