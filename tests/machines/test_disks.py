"""Content as positions: storage.md 9.1, and laws of conservation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k8sim.machines.content import Disk, Holder, View, hidden_from
from k8sim.machines.disks import Storage
from k8sim.machines.losses import LOSS_PATHS
from k8sim.sim.clock import Clock
from k8sim.sim.latencies import Latencies
from k8sim.sim.simulation import Simulation
from k8sim.sim.streams import Streams
from k8sim.sim.trace import Trace

LOSSES = {"Destroyed", "CacheLost", "SnapshotDestroyed"}


def make_storage() -> Storage:
    streams = Streams(1)
    return Storage(Simulation(Clock(), streams, Latencies(streams), Trace(), {}))


def rows(storage: Storage, event: str) -> list[dict[str, object]]:
    return [dict(r.detail) for r in storage.sim.trace if r.kind == "Volume" and r.event == event]


def test_what_was_written_is_safe_only_when_synced() -> None:
    storage = make_storage()
    storage.make(Disk("d", size=1000))
    storage.write("d", 100, "n")
    storage.sync("d", "n")
    storage.write("d", 30, "n")
    storage.power_lost("n")
    assert storage.disk("d").durable == storage.disk("d").written == 100
    (lost,) = rows(storage, "CacheLost")
    assert (lost["path"], lost["position"], lost["amount"]) == ("L2", 100, 30)


def test_two_writers_each_lose_their_own() -> None:
    storage = make_storage()
    storage.write("d", 10, "a")
    storage.write("d", 10, "b")
    storage.sync("d", "b")
    storage.power_lost("a")
    assert storage.disk("d").durable == 20
    assert rows(storage, "CacheLost") == []


def test_a_writer_that_is_behind_takes_nothing_back_when_it_syncs() -> None:
    storage = make_storage()
    storage.write("d", 10, "a")
    storage.write("d", 10, "b")
    storage.sync("d", "b")
    storage.sync("d", "a")
    assert storage.disk("d").durable == 20


def test_a_full_volume_takes_no_more() -> None:
    storage = make_storage()
    storage.make(Disk("d", size=100))
    assert storage.write("d", 80, "n") == 80
    assert storage.write("d", 80, "n") == 100
    assert rows(storage, "Full") == [{"path": "L36", "size": 100, "amount": 60}]


def test_a_restored_volume_begins_with_the_snapshots_prefix() -> None:
    storage = make_storage()
    storage.make(Disk("old", driver="x"))
    storage.write("old", 100, "n")
    storage.sync("old", "n")
    snapshot = storage.cut("s", "old", 0)
    storage.write("old", 50, "n")
    storage.sync("old", "n")
    new = storage.make(Disk("new", driver="x", born_from=snapshot.content))
    assert rows(storage, "Behind")[-1]["behind"] == 50
    assert new.content == (("old", 100), ("new", 0))
    storage.destroy("old", "L10")
    assert storage.surviving("old") == 100
    storage.delete_snapshot("s", "L31")
    assert storage.surviving("old") == 100, "the restored volume has it"


def test_a_volume_taken_from_under_a_mount() -> None:
    storage = make_storage()
    storage.attach("d", "n")
    storage.mount("d", Holder("n", "pod"))
    storage.write("d", 10, "n")
    storage.detach("d", "n")
    assert rows(storage, "PulledAway") == [{"path": "L21", "node": "n", "fenced": True}]
    assert rows(storage, "CacheLost")[0]["path"] == "L21"


def test_a_volume_let_go_before_it_is_detached() -> None:
    storage = make_storage()
    storage.attach("d", "n")
    storage.mount("d", Holder("n", "pod"))
    storage.write("d", 10, "n")
    storage.unmount("d", "n", "pod")
    storage.sync("d", "n")
    storage.detach("d", "n")
    assert not LOSSES & {r.event for r in storage.sim.trace}
    assert storage.surviving("d") == 10


def test_what_a_pod_sees_of_a_volume() -> None:
    whole, one, other = View(), View(("a/b",)), View(("c",))
    assert hidden_from(whole, one) == hidden_from(one, one) == hidden_from(View(("a",)), one) == []
    assert hidden_from(one, whole) == [""]
    assert hidden_from(other, one) == ["a/b"]
    assert hidden_from(View(covered=("conf",)), whole) == ["conf"]
    assert hidden_from(whole, View(covered=("conf",))) == []


def test_a_device_is_formatted_only_if_there_is_no_file_system() -> None:
    storage = make_storage()
    storage.write("d", 10, "n")
    storage.sync("d", "n")
    storage.cut("s", "d", 0)
    assert storage.mount_filesystem("d", "xfs") == ""
    (gone,) = rows(storage, "Destroyed")
    assert (gone["path"], gone["amount"]) == ("L41", 0), "the snapshot has it"
    storage.write("d", 7, "n")
    assert "xfs" in storage.mount_filesystem("d", "ext4")
    assert storage.mount_filesystem("d", "") == ""
    assert rows(storage, "Destroyed") == [gone]
    assert storage.surviving("d") == 10, "what is written now is another line"


def test_volumes_of_a_pool_fill_it_together() -> None:
    storage = make_storage()
    storage.limit_pool("p", 100)
    for name in "ab":
        storage.make(Disk(name, size=60, bounded=False, pool="p"))
    assert storage.write("a", 80, "n") == 80, "more than its size"
    assert storage.write("b", 30, "n") == 20
    storage.destroy("a", "L10")
    assert storage.write("b", 30, "n") == 50


def test_a_byte_is_counted_for_what_took_its_last_copy() -> None:
    storage = make_storage()
    storage.make(Disk("d", driver="x"))
    storage.write("d", 10, "n")
    storage.sync("d", "n")
    storage.cut("s", "d", 0)
    storage.write("d", 5, "n")
    storage.destroy("d", "L10")
    storage.delete_snapshot("s", "L31")
    assert [r["amount"] for e in ("Destroyed", "SnapshotDestroyed") for r in rows(storage, e)] == [5, 10]


def test_every_path_of_the_table_is_there_once() -> None:
    assert list(LOSS_PATHS) == [f"L{i}" for i in range(1, 43)]


actions = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "sync", "cut", "clone", "attach", "detach", "mount", "unmount", "power", "destroy", "drop"]
        ),
        st.integers(0, 2),
        st.integers(0, 1),
    ),
    max_size=40,
)


def act(storage: Storage, what: str, number: int, node: str, i: int) -> None:
    name = f"d{number}"
    match what:
        case "write":
            storage.write(name, 7, node)
        case "sync":
            storage.sync(name, node)
        case "cut":
            storage.cut(f"s{i}", name, 0)
        case "clone":
            storage.make(Disk(f"c{i}", driver="x", born_from=storage.disk(name).content))
        case "attach":
            storage.attach(name, node)
        case "detach":
            storage.detach(name, node)
        case "mount":
            storage.mount(name, Holder(node, "p"))
        case "unmount":
            storage.unmount(name, node, "p")
        case "power":
            storage.power_lost(node)
        case "destroy":
            storage.destroy(name, "L10")
        case "drop":
            for snapshot in list(storage.snapshots):
                storage.delete_snapshot(snapshot, "L31")


@given(actions)
def test_content_is_lost_only_where_a_row_says_so(history: list[tuple[str, int, int]]) -> None:
    storage = make_storage()
    for i in range(3):
        storage.make(Disk(f"d{i}", driver="x"))
    for i, (what, number, node) in enumerate(history):
        before = {line: storage.surviving(line) for line in storage.disks}
        cached = {line: d.written for line, d in storage.disks.items()}
        begun = len(storage.sim.trace)
        act(storage, what, number, f"n{node}", i)
        told = {r.event for r in list(storage.sim.trace)[begun:]}
        shrunk = any(storage.surviving(line) < reach for line, reach in before.items())
        forgot = any(storage.disk(line).written < reach for line, reach in cached.items())
        if shrunk:
            assert told & {"Destroyed", "SnapshotDestroyed"}
        if forgot:
            assert "CacheLost" in told


@given(actions)
def test_without_faults_nothing_is_ever_lost(history: list[tuple[str, int, int]]) -> None:
    storage = make_storage()
    for i, (what, number, node) in enumerate(history):
        if what not in ("power", "destroy", "drop", "detach"):
            act(storage, what, number, f"n{node}", i)
    assert not LOSSES & {r.event for r in storage.sim.trace}
    for disk in list(storage.disks.values()):
        for writer in list(disk.writers):
            storage.sync(disk.name, writer)
        assert storage.surviving(disk.name) == disk.written
