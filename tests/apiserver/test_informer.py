from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.core import Pod, Volume
from k8sim.api.meta import with_meta
from k8sim.api.struct import replace
from k8sim.apiserver.informer import Informer, SharedInformers
from k8sim.apiserver.settings import WatchSettings
from k8sim.apiserver.watch import Change
from k8sim.sim.units import MILLISECOND, SECOND
from tests.apiserver.world import make_pod, make_server


def test_a_cache_lags_and_then_agrees() -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    server.create(make_pod())
    assert informer.get("default", "web-0") is None
    server.sim.clock.run(SECOND)
    assert informer.get("default", "web-0") == server.get(Pod, "default", "web-0")


def test_changes_of_a_kind_arrive_in_the_order_of_their_versions() -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    versions: list[int] = []
    informer.add_handler(lambda change: versions.append(change.new.metadata.resource_version))
    pod = server.create(make_pod())
    for i in range(50):
        pod = server.update(with_meta(pod, labels={"i": str(i)}))
    server.sim.clock.run(SECOND)
    assert versions == sorted(versions)
    assert len(versions) == 51


def test_a_cut_watch_goes_stale_and_a_relist_shows_the_difference() -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    for name in ("kept", "changed", "gone", "replaced"):
        server.create(make_pod(name))
    server.sim.clock.run(SECOND)
    seen: list[tuple[str, str]] = []
    informer.add_handler(lambda change: seen.append((change.type, change.new.name)))
    seen.clear()
    informer.disconnect()
    server.update(with_meta(server.get(Pod, "default", "changed"), labels={"a": "b"}))
    server.delete(Pod, "default", "gone")
    server.delete(Pod, "default", "replaced")
    server.create(make_pod("replaced"))
    server.create(make_pod("new"))
    server.sim.clock.run(2 * SECOND)
    assert seen == []
    informer.reconnect()
    server.sim.clock.run(3 * SECOND)
    assert sorted(seen) == [
        ("ADDED", "new"), ("ADDED", "replaced"), ("DELETED", "gone"), ("DELETED", "replaced"), ("MODIFIED", "changed"),
    ]  # fmt: skip


def test_a_watch_of_one_node_sees_a_pod_from_its_binding_on() -> None:
    server = make_server()
    informer = Informer(server, Pod, "kubelet/node-0", node="node-0")
    seen: list[Change] = []
    informer.add_handler(seen.append)
    server.bind(server.create(make_pod("here")), "node-0")
    server.bind(server.create(make_pod("elsewhere")), "node-1")
    server.sim.clock.run(SECOND)
    assert [(c.type, c.new.name) for c in seen] == [("ADDED", "here")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["create", "label", "delete", "wait"])), max_size=40))
def test_an_index_always_files_what_the_cache_holds(history: list[tuple[str, str]]) -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    informer.add_index("label", lambda pod: (pod.metadata.labels.get("x", "none"),))
    for i, (name, act) in enumerate(history):
        pod = server.find(Pod, "default", name)
        if act == "create" and pod is None:
            server.create(make_pod(name))
        elif act == "label" and pod is not None:
            server.update(with_meta(pod, labels={"x": str(i % 3)}))
        elif act == "delete" and pod is not None:
            server.delete(Pod, "default", name)
        elif act == "wait":
            server.sim.clock.run(server.sim.clock.now + 2 * MILLISECOND)
        for value in ("none", "0", "1", "2"):
            filed = {p.name for p in informer.by_index("label", value)}
            assert filed == {p.name for p in informer.list() if p.metadata.labels.get("x", "none") == value}
    server.sim.clock.run(server.sim.clock.now + SECOND)
    assert {p.key: p for p in informer.list()} == {p.key: p for p in server.list(Pod)}


def test_handlers_of_other_than_the_status_hear_of_no_change_of_the_status_alone() -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    all_told: list[Change] = []
    told: list[Change] = []
    informer.add_handler(all_told.append)
    informer.add_handler(told.append, of_status=False)
    pod = server.create(make_pod())
    server.patch_status(Pod, *pod.key, lambda p: replace(p, status=replace(p.status, phase="Running")))
    server.patch(Pod, *pod.key, lambda p: with_meta(p, labels={"a": "b"}))
    server.sim.clock.run(SECOND)
    assert [(change.type, change.of_status) for change in all_told] == [
        ("ADDED", False),
        ("MODIFIED", True),
        ("MODIFIED", False),
    ]
    assert told == [change for change in all_told if not change.of_status]


def test_handlers_of_the_end_hear_of_no_status_in_whose_course_the_pod_goes_on() -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    all_told: list[Change] = []
    told: list[Change] = []
    informer.add_handler(all_told.append)
    informer.add_handler(told.append, of_status="end")
    pod = server.create(make_pod(node="node-0"))
    for phase, message in (("Running", ""), ("Running", "well"), ("Running", "tired"), ("Failed", ""), ("Failed", "x")):
        pod = server.update_status(replace(pod, status=replace(pod.status, phase=phase, message=message)))
    server.sim.clock.run(SECOND)
    assert len(all_told) == 6
    assert told == [all_told[0], all_told[1], all_told[4], all_told[5]]


def test_handlers_of_volumes_hear_of_no_pod_that_has_none() -> None:
    server = make_server()
    server.create(make_pod("bare-before"))
    server.create(_with_volume(make_pod("before")))
    informer = Informer(server, Pod, "test")
    told: list[tuple[str, str]] = []
    informer.add_handler(lambda change: told.append((change.type, change.new.name)), volumes_only=True)
    server.create(make_pod("bare"))
    server.create(_with_volume(make_pod("with-volume")))
    for name in ("bare", "with-volume"):
        server.patch_status(Pod, "default", name, lambda p: replace(p, status=replace(p.status, phase="Running")))
        server.delete(Pod, "default", name)
    server.sim.clock.run(SECOND)
    assert told[0] == ("ADDED", "before")
    assert [name for _, name in told[1:]] == ["with-volume"] * (len(told) - 1)
    assert {type_ for type_, _ in told[1:]} == {"ADDED", "MODIFIED", "DELETED"}


def _with_volume(pod: Pod) -> Pod:
    return replace(pod, spec=replace(pod.spec, volumes=(Volume(name="data"),)))


def test_a_handler_that_is_added_late_hears_of_the_next_change() -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    informer.add_handler(lambda change: None)
    server.create(make_pod("first"))
    server.sim.clock.run(SECOND)
    told: list[str] = []
    informer.add_handler(lambda change: told.append(change.new.name), replay=False)
    server.create(make_pod("second"))
    server.sim.clock.run(2 * SECOND)
    assert told == ["second"]


def test_a_cache_whose_status_nobody_looks_at_has_the_newest_spec_and_labels() -> None:
    server = make_server()
    informers = SharedInformers(server, "test")
    informer = informers.of(Pod, status=False)
    pod = server.create(make_pod())
    server.sim.clock.run(SECOND)
    server.patch_status(Pod, *pod.key, lambda p: replace(p, status=replace(p.status, phase="Running")))
    server.sim.clock.run(2 * SECOND)
    assert informer.find(pod.key) == pod
    server.patch(Pod, *pod.key, lambda p: with_meta(p, labels={"a": "b"}))
    server.sim.clock.run(3 * SECOND)
    assert informer.find(pod.key) == server.get(Pod, *pod.key)
    assert informers.of(Pod) is informer
    assert informer.has_status


def watched(settings: WatchSettings) -> tuple[Informer[Pod], list[tuple[int, Change]]]:
    """An informer that has seen 40 pods come and change and half of them go, and what its handler was told when."""
    server = make_server(watches=settings)
    informer = Informer(server, Pod, "test")
    told: list[tuple[int, Change]] = []
    informer.add_handler(lambda change: told.append((server.sim.clock.now, change)))
    for i in range(40):
        pod = server.create(make_pod(f"web-{i}"))
        server.update(with_meta(pod, labels={"i": str(i)}))
        if i % 2:
            server.delete(Pod, "default", pod.name)
    server.sim.clock.run(10 * SECOND)
    assert {p.key: p for p in informer.list()} == {p.key: p for p in server.list(Pod)}
    return informer, told


def test_changes_may_be_late_and_keep_their_order() -> None:
    told = watched(WatchSettings(late_share=0.5, late_by_ns=SECOND))[1]
    versions = [change.new.metadata.resource_version for _, change in told]
    assert versions == sorted(versions)
    assert SECOND / 2 < told[-1][0] < SECOND + 10 * MILLISECOND


def test_changes_may_be_repeated() -> None:
    told = watched(WatchSettings(repeated_share=1))[1]
    again = [change for _, change in told if change.old is change.new]
    assert {c.new.name for c in again} >= {f"web-{i}" for i in range(0, 40, 2)}


def test_a_watch_that_ends_after_every_change_comes_to_the_same_cache() -> None:
    watched(WatchSettings(broken_share=1, late_share=0.5, repeated_share=0.5))


def test_an_index_shows_the_newest_version_whatever_has_changed() -> None:
    """A change of the status refiles nothing; one of spec or labels does."""
    server = make_server()
    informer = Informer(server, Pod, "test")
    informer.add_index("app", lambda pod: (pod.metadata.labels.get("app", ""),))
    pod = server.create(make_pod(labels={"app": "a"}))
    server.sim.clock.run(SECOND)
    server.patch_status(Pod, *pod.key, lambda p: replace(p, status=replace(p.status, phase="Running")))
    server.sim.clock.run(2 * SECOND)
    assert [p.status.phase for p in informer.by_index("app", "a")] == ["Running"]
    server.patch(Pod, *pod.key, lambda p: with_meta(p, labels={"app": "b"}))
    server.sim.clock.run(3 * SECOND)
    assert not informer.by_index("app", "a")
    assert [p.name for p in informer.by_index("app", "b")] == ["web-0"]


def test_a_handler_that_asks_for_metadata_and_spec_is_told_of_them_and_not_of_the_status() -> None:
    server = make_server()
    informer = Informer(server, Pod, "test")
    told: list[Change] = []
    informer.add_handler(told.append, of_status=False)
    pod = server.create(make_pod())
    server.patch_status(Pod, *pod.key, lambda p: replace(p, status=replace(p.status, phase="Running")))
    server.patch(Pod, *pod.key, lambda p: with_meta(p, labels={"app": "b"}))
    server.patch(Pod, *pod.key, lambda p: with_meta(p, finalizers=("example.com/hold",)))
    server.patch(Pod, *pod.key, lambda p: replace(p, spec=replace(p.spec, priority=7)))
    server.bind(pod, "node-1")
    server.delete(Pod, *pod.key)
    server.delete(Pod, *pod.key, grace_period_seconds=0)
    server.patch(Pod, *pod.key, lambda p: with_meta(p, finalizers=()))
    server.sim.clock.run(SECOND)
    assert [change.type for change in told] == ["ADDED", *["MODIFIED"] * 6, "DELETED"]
    assert {c.new.metadata.resource_version for c in told} == {2, 4, 5, 6, 7, 8, 9, 10}


def gap_between_end_and_removal(seed: int) -> int:
    """Force a pod's deletion and tell how long after the sight of its end that of its removal comes."""
    server = make_server(seed=seed)
    informer = Informer(server, Pod, "test")
    told: list[tuple[int, Change]] = []
    informer.add_handler(lambda change: told.append((server.sim.clock.now, change)))
    server.create(make_pod("web-0", node="node-0"))
    server.sim.clock.run(SECOND)
    server.delete(Pod, "default", "web-0", grace_period_seconds=0)
    server.sim.clock.run(2 * SECOND)
    (ends, first), (gone, last) = told[1:]
    assert (first.type, first.new.deleting, last.type) == ("MODIFIED", True, "DELETED")
    return gone - ends


def test_a_watch_shows_that_a_pod_ends_at_once_before_it_shows_that_it_is_gone() -> None:
    gaps = [gap_between_end_and_removal(seed) for seed in range(20)]
    assert sum(gap > 0 for gap in gaps) >= 18
