from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.workload.losses import CAUSES, cause_of_path, cause_of_promotion
from k8sim.workload.rules import (
    Rules,
    Standing,
    best,
    candidates,
    majority,
    synchronous,
    why_not_readable,
    why_not_writable,
)

RAFT = Rules()
KAFKA = Rules(acks="all", min_in_sync=2, election="in-sync")
ASYNC = Rules(acks=1, election="any", reads="any")


def up(name: str, **how: object) -> Standing:
    return Standing(name, there=True, in_sync=True, listed=True, **how)  # type: ignore[arg-type]


def down(name: str, **how: object) -> Standing:
    return Standing(name, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_majority(n: int, needed: int) -> None:
    assert majority(n) == needed


def test_two_of_three_elect_the_one_with_the_newest_write() -> None:
    standings = [up("a", last=(1, 90)), up("b", last=(2, 80)), down("c")]
    fit, why = candidates(RAFT, standings, virgin=False)
    assert not why
    assert best(fit, "abc") == "b"


def test_the_first_wins_among_equals() -> None:
    assert best([up("b", last=(1, 9)), up("a", last=(1, 9))], ["a", "b"]) == "a"


def test_one_of_three_elects_nobody() -> None:
    assert candidates(RAFT, [up("a"), down("b"), down("c")], False) == ([], "no majority: 1 of 3 members, 2 needed")


def test_members_that_lost_their_data_do_not_make_a_majority_unless_they_vote() -> None:
    standings = [up("a"), up("b", empty=True), up("c", empty=True)]
    assert candidates(RAFT, standings, False)[1] == "no majority: 1 of 3 members with data, 2 needed"
    assert len(candidates(Rules(empty_votes=True), standings, False)[0]) == 3
    assert len(candidates(RAFT, standings, virgin=True)[0]) == 3


def test_only_who_was_in_sync_may_lead_where_that_is_the_rule() -> None:
    behind = Standing("b", there=True)
    assert candidates(KAFKA, [down("a", listed=True), behind], False)[0] == []
    assert candidates(ASYNC, [down("a"), behind], False)[0] == [behind]


def test_a_majority_in_sync_acknowledges() -> None:
    behind = Standing("b", there=True)
    assert why_not_writable(RAFT, [up("a"), up("b"), down("c")], "a") == ""
    assert why_not_writable(RAFT, [up("a"), behind, down("c")], "a").endswith("the others are behind")
    assert why_not_writable(RAFT, [up("a"), up("b"), up("c")], None) == "no leader"


def test_all_in_sync_acknowledge_and_a_dead_one_holds_them_up_while_it_is_listed() -> None:
    dead = down("c", listed=True)
    assert "waits for c" in why_not_writable(KAFKA, [up("a"), up("b"), dead], "a")
    assert why_not_writable(KAFKA, [up("a"), up("b"), down("c")], "a") == ""
    assert why_not_writable(KAFKA, [up("a"), down("b"), down("c")], "a") == "1 in sync, at least 2 needed"


def test_reads_of_any_copy_need_no_leader() -> None:
    assert why_not_readable(ASYNC, [down("a"), up("b")], None) == ""
    assert why_not_readable(RAFT, [down("a"), up("b"), up("c")], None) == "no leader"
    assert why_not_readable(RAFT, [up("a"), down("b"), down("c")], "a").startswith("no majority")


def test_who_has_a_write_when_it_is_acknowledged() -> None:
    assert synchronous(ASYNC, ["b", "c"]) == set()
    assert synchronous(Rules(acks=2), ["b", "c"]) == {"b"}
    assert synchronous(RAFT, ["b", "c"]) == {"b", "c"}


members = st.builds(
    Standing,
    name=st.just(""),
    there=st.booleans(),
    in_sync=st.booleans(),
    listed=st.booleans(),
    empty=st.booleans(),
    partial=st.booleans(),
    last=st.tuples(st.integers(0, 3), st.integers(0, 9)),
)


@given(st.lists(members, min_size=1, max_size=5), st.data())
def test_more_members_in_sync_never_hurt_a_majority(standings: list[Standing], data: st.DataObject) -> None:
    named = [Standing(str(i), s.there, s.in_sync, s.listed) for i, s in enumerate(standings)]
    leader = data.draw(st.sampled_from([s.name for s in named if s.there] or [None]))
    if why_not_writable(RAFT, named, leader) == "":
        better = data.draw(st.integers(0, len(named) - 1))
        named[better] = up(str(better))
        assert why_not_writable(RAFT, named, leader) == ""


def test_causes() -> None:
    for path in ("L1", "L2", "L3", "L4", "L10", "L21", "disk-loss"):
        for copies in (1, 3):
            assert cause_of_path(path, copies) in CAUSES
    assert cause_of_path("L1", 3) == "unflushed"
    assert cause_of_path("L10", 1) == "volume-gone"
    assert cause_of_path("L10", 3) == "all-copies-gone"
    assert cause_of_promotion("new", True, True) == "empty-primary"
    assert cause_of_promotion("restored", False, True) == "old-snapshot"
    assert cause_of_promotion("", False, False) == "failover"
