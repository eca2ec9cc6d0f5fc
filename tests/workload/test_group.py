"""What becomes of writes in the situations that people argue about, with exact numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k8sim.workload.rules import Rules
from tests.workload.bare import Bare, seconds

RAFT = Rules(election_delay=seconds(2))
ASYNC = Rules(
    acks=1, election="any", election_delay=seconds(20), keeps_role=True, empty_votes=True, reads="any", lag_ns=3 * 10**9
)
SINGLE = Rules(acks=1, election="any", empty_votes=True)
KAFKA = Rules(acks="all", min_in_sync=2, election="in-sync", election_delay=seconds(1), detect_ns=6 * 10**9)


# ---- quorum -----------------------------------------------------------------------------------------------------


def test_a_majority_elects_after_the_delay_and_then_writes_are_acknowledged() -> None:
    db = Bare(RAFT)
    db.at(1, db.up, "a")
    db.at(5, db.up, "b")
    db.run(17)
    assert db.service() == [
        (0, "no majority: 0 of 3 members, 2 needed"),
        (1, "no majority: 1 of 3 members, 2 needed"),
        (5, "no leader"),
        (7, ""),
    ]
    assert db.acknowledged == pytest.approx(1000)
    assert db.leader == "a"


def test_a_follower_that_dies_costs_nothing_and_a_leader_an_election() -> None:
    db = Bare(RAFT)
    db.up("a", "b", "c")
    db.at(10, db.down, "c")
    db.at(20, db.down, "a")
    db.at(20, db.up, "c")
    db.run(30)
    assert db.service()[-3:] == [(20, "no majority: 1 of 3 members, 2 needed"), (20, "no leader"), (22, "")]
    assert db.leader == "b"
    assert db.lost == 0
    assert db.acknowledged == pytest.approx(100 * (18 + 8))


def test_a_quorum_of_two_stops_with_one_and_loses_nothing() -> None:
    db = Bare(RAFT)
    db.up("a", "b", "c")
    db.at(10, db.down, "b", "c")
    db.at(70, db.up, "b")
    db.run(80)
    assert [t for t, why in db.service() if why == ""] == [2, 70]
    assert db.lost == 0


def test_a_member_that_is_behind_does_not_help_until_it_has_caught_up() -> None:
    """10 s of 100 writes/s at 1 KiB are 1000 KiB; at 200 KiB/s while 100 KiB/s keep coming this takes 10 s."""
    db = Bare(replace(RAFT, bandwidth=200 * 1024))
    db.up("a", "b", "c")
    db.at(10, db.down, "c")
    db.at(20, db.up, "c")
    db.at(25, db.down, "b")
    db.run(60)
    assert [(t, d["writes"]) for t, *_, d in db.rows("Member", "CatchingUp")] == [(20, 1000)]
    # from 25 on nothing is written: 500 writes are missing still, which take 2.5 s
    assert db.service()[-2:] == [(25, "1 of 3 in sync, 2 needed, the others are behind"), (pytest.approx(27.5), "")]
    assert db.lost == 0


def test_two_lost_disks_leave_no_majority_with_data_for_ever() -> None:
    db = Bare(replace(RAFT, dataset_bytes=1))
    db.up("a", "b", "c")
    db.at(10, db.down, "b", "c")
    db.at(11, db.destroy, "b")
    db.at(11, db.destroy, "c")
    db.at(12, db.down, "a")
    db.at(20, db.up, "a", "b", "c")
    db.run(1000)
    assert db.service()[-1][1] == "no majority: 1 of 3 members with data, 2 needed"
    assert db.lost == 0


def test_where_the_empty_may_vote_they_can_outvote_the_one_with_data() -> None:
    db = Bare(replace(RAFT, empty_votes=True))
    db.up("a", "b", "c")
    db.at(10, db.down, "a", "b", "c")
    db.at(11, db.destroy, "b")
    db.at(11, db.destroy, "c")
    db.at(20, db.up, "b", "c")
    db.at(30, db.up, "a")
    db.run(40)
    assert db.losses() == [(22, pytest.approx(800), "empty-majority")]
    assert [d["writes"] for *_, d in db.rows("Member", "Diverged")] == [pytest.approx(800)]


# ---- one primary, replicas behind it ----------------------------------------------------------------------------


def test_failover_loses_what_the_lag_was() -> None:
    db = Bare(ASYNC)
    db.up("a", "b", "c")
    db.at(100, db.down, "a")
    db.run(200)
    assert db.losses() == [(120, pytest.approx(300), "failover")]
    assert db.leader == "b"
    assert db.acknowledged == pytest.approx(100 * 180)


def test_a_primary_that_is_back_in_time_keeps_its_role_and_its_writes() -> None:
    db = Bare(ASYNC)
    db.up("a", "b", "c")
    db.at(100, db.down, "a")
    db.at(119, db.up, "a")
    db.run(200)
    assert db.lost == 0
    assert db.leader == "a"


def test_an_empty_primary_that_is_back_in_time_empties_its_replicas() -> None:
    db = Bare(ASYNC)
    db.up("a", "b", "c")
    db.at(100, db.down, "a")
    db.at(101, db.destroy, "a")
    db.at(114, db.up, "a")
    db.run(200)
    (gone, tail), (_, rest) = [(t, w) for t, w, _ in db.losses()], db.losses()[1][:2]
    assert [cause for *_, cause in db.losses()] == ["volume-gone", "empty-primary"]
    assert gone == (101, pytest.approx(300))
    assert rest == pytest.approx(100 * 97)
    assert tail[0] == 114
    assert db.lost + 100 * 86 == pytest.approx(db.acknowledged)


def test_a_tail_that_was_given_up_comes_back_with_the_copy_that_has_it() -> None:
    """The old primary returns after the failover, before it is cut back, because the new one is gone, too."""
    db = Bare(replace(ASYNC, keeps_role=False))
    db.up("a", "b")
    db.at(100, db.down, "a")
    db.at(130, db.down, "b")
    db.at(131, db.up, "a")
    db.run(200)
    lost = [(t, pytest.approx(w)) for t, w, _ in db.losses()]
    assert lost == [(120, 300), (151, 1000)]
    assert [(t, d["writes"]) for t, *_, d in db.rows("Application", "Found")] == [(151, pytest.approx(300))]
    assert db.lost == pytest.approx(1000)


def test_a_semi_synchronous_copy_has_everything() -> None:
    db = Bare(replace(ASYNC, acks=2))
    db.up("a", "b", "c")
    db.at(100, db.down, "a")
    db.run(200)
    assert db.lost == 0
    assert db.leader == "b"


# ---- all that are in sync ---------------------------------------------------------------------------------------


def test_a_dead_member_of_the_list_holds_writes_up_until_it_is_noticed() -> None:
    db = Bare(KAFKA)
    db.up("a", "b", "c")
    db.at(50, db.down, "c")
    db.run(100)
    assert db.service()[-2:] == [(50, "waits for c, which does not answer"), (56, "")]


def test_one_that_stops_cleanly_leaves_the_list_at_once() -> None:
    db = Bare(KAFKA)
    db.up("a", "b", "c")
    db.at(50, lambda: db.down("c", how="clean"))
    db.run(100)
    assert [t for t, why in db.service() if t >= 50] == []


def test_below_the_minimum_writes_are_refused() -> None:
    db = Bare(replace(KAFKA, bandwidth=102400))
    db.up("a", "b", "c")
    db.at(50, lambda: db.down("c", how="clean"))
    db.at(60, lambda: db.down("b", how="clean"))
    db.run(100)
    assert db.service()[-1] == (60, "1 in sync, at least 2 needed")


def test_only_one_that_was_in_sync_is_elected_and_the_last_of_the_list_is_waited_for() -> None:
    db = Bare(replace(KAFKA, min_in_sync=1, bandwidth=150 * 1024))
    db.up("a", "b")
    db.at(50, lambda: db.down("b", how="clean"))
    db.at(60, db.down, "a")
    db.at(61, db.up, "b")
    db.at(100, db.up, "a")
    db.run(150)
    assert db.service()[-3:] == [(60, "no copy that was in sync is there"), (100, "no leader"), (101, "")]
    assert db.lost == 0


def test_an_unclean_election_gives_up_what_the_other_had_not_got() -> None:
    db = Bare(replace(KAFKA, min_in_sync=1, unclean=True, unclean_delay_ns=10 * 10**9))
    db.up("a", "b")
    db.at(50, lambda: db.down("b", how="clean"))
    db.at(60, db.down, "a")
    db.at(61, db.up, "b")
    db.run(150)
    assert db.losses() == [(70, pytest.approx(1000), "failover")]


# ---- layers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "lost", "cause"),
    [("clean", 0, ""), ("killed", 70, "unflushed"), ("machine lost", 270, "unsynced")],
)
def test_what_each_end_costs(how: str, lost: float, cause: str) -> None:
    """Flushed every 1 s, synced every 5 s; the end comes 12.7 s after the start."""
    db = Bare(replace(SINGLE, flush_ns=10**9, sync_ns=5 * 10**9), "a")
    db.up("a")
    db.at(12.7, lambda: db.down("a", how=how))  # type: ignore[arg-type]
    db.run(20)
    assert db.lost == pytest.approx(lost)
    assert [c for *_, c in db.losses()] == ([cause] if lost else [])


def test_a_machine_that_is_lost_soon_after_a_kill_takes_the_kernels_cache_with_it() -> None:
    db = Bare(replace(SINGLE, flush_ns=10**9, sync_ns=5 * 10**9), "a")
    db.up("a")
    db.at(12.7, db.down, "a")
    db.at(20, db.group.machine_lost, "node-a", -1)
    db.run(60)
    assert db.losses() == [(12.7, pytest.approx(70), "unflushed"), (20, pytest.approx(200), "unsynced")]


def test_the_kernel_writes_by_itself_in_the_end() -> None:
    db = Bare(replace(SINGLE, flush_ns=10**9, sync_ns=5 * 10**9), "a")
    db.up("a")
    db.at(12.7, db.down, "a")
    db.at(43, db.group.machine_lost, "node-a", -1)
    db.run(60)
    assert db.lost == pytest.approx(70)


def test_a_replica_has_what_the_killed_leader_had_not_flushed() -> None:
    db = Bare(replace(RAFT, flush_ns=10**9, sync_ns=10**9))
    db.up("a", "b", "c")
    db.at(12.7, db.down, "a")
    db.run(20)
    assert db.lost == 0
    assert db.leader == "b"


def test_all_killed_at_once_lose_what_none_had_flushed() -> None:
    db = Bare(replace(RAFT, flush_ns=10**9))
    db.up("a", "b", "c")
    db.at(12.7, db.down, "a", "b", "c")
    db.run(20)
    assert db.losses() == [(12.7, pytest.approx(70), "unflushed")]


# ---- full copies ------------------------------------------------------------------------------------------------


def test_a_full_copy_takes_the_data_over_the_bandwidth_and_then_what_was_written_meanwhile() -> None:
    rules = replace(RAFT, dataset_bytes=100 * 2**20, bandwidth=2**20)
    db = Bare(rules)
    db.up("a", "b", "c")
    db.at(50, db.down, "c")
    db.at(50, db.destroy, "c")
    db.at(60, db.up, "c")
    db.run(400)
    member = [(t, event) for t, _, event, _ in db.rows("Member") if t >= 60]
    # 100 s for the copy; 10 000 writes were made meanwhile, 1024 a s are gained on 100 a s
    caught_up = 160 + 10000 / (1024 - 100)
    assert member == [
        (60, "Copying"), (160, "Copied"), (160, "CatchingUp"), (pytest.approx(caught_up), "InSync"),
    ]  # fmt: skip


def test_one_after_the_other_if_only_one_copy_may_run() -> None:
    rules = replace(RAFT, acks=1, election="any", copy_time=seconds(30), parallel_copies=1)
    db = Bare(rules)
    db.up("a", "b", "c")
    db.run(50)
    for name in "bc":
        db.down(name)
        db.destroy(name)
        db.up(name)
    db.run(200)
    assert [t for t, *_ in db.rows("Member", "InSync") if t >= 50] == [80, 110]


def test_a_copy_is_nothing_until_it_is_complete() -> None:
    db = Bare(replace(SINGLE, empty_votes=False, copy_time=seconds(30)), "ab")
    db.up("a", "b")
    db.at(50, db.down, "b")
    db.at(50, db.destroy, "b")
    db.at(50, db.up, "b")
    db.at(79, db.down, "a")
    db.at(79, db.destroy, "a")
    db.run(100)
    assert db.losses() == [(79, pytest.approx(7900), "all-copies-gone")]


def test_a_copy_that_was_away_longer_than_writes_are_kept_is_made_in_full() -> None:
    db = Bare(replace(RAFT, dataset_bytes=2**20, bandwidth=2**20, retained=500 * 10**9))
    db.up("a", "b", "c")
    db.at(50, db.down, "b")
    db.at(50, db.down, "c")
    db.at(50, db.up, "c")
    db.at(60, db.up, "b")
    db.run(80)
    assert [(t, name) for t, name, *_ in db.rows("Member", "Copying")] == [(60, "b")]


# ---- two of one identity ----------------------------------------------------------------------------------------


def test_two_writers_of_one_identity_diverge_until_one_ends() -> None:
    db = Bare(SINGLE, "a")
    db.up("a", node="old", place="nfs")
    db.run(100)
    first = db.processes["a"]
    db.up("a", node="new", place="nfs")
    assert db.leader == "a"
    db.run(160)
    assert db.group.divergent() / 10**9 == pytest.approx(3000)
    db.group.down(first, "killed", -1)
    assert db.losses() == [(160, pytest.approx(3000), "two-writers")]
    assert db.acknowledged == pytest.approx(16000)


# ---- backups ----------------------------------------------------------------------------------------------------


def test_a_restored_backup_is_as_old_as_it_is() -> None:
    db = Bare(SINGLE, "a")
    db.up("a")
    db.at(60, db.group.back_up, 3)
    db.at(90, db.down, "a")
    db.at(90, db.destroy, "a")
    db.at(100, db.up, "a")
    db.at(130, db.group.restore, "a", -1)
    db.run(200)
    assert db.losses() == [(90, pytest.approx(3000), "volume-gone")]
    assert db.service()[-1] == (130, "")
    assert db.acknowledged == pytest.approx(9000 + 7000)


def test_a_volume_restored_from_a_snapshot_gives_up_what_came_later() -> None:
    db = Bare(SINGLE, "a")
    db.up("a")
    db.run(60)
    assert db.group.leader is not None
    cut = db.group.leader.content(db.clock.now)
    db.run(100)
    db.down("a", how="clean")
    db.up("a", place="restored", origin="restored", content=cut)
    assert db.losses() == [(100, pytest.approx(4000), "old-snapshot")]
