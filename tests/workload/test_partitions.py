"""Members that do not reach each other: who leads on which side, who still acknowledges, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from k8sim.workload.presets import PRESETS
from k8sim.workload.rules import Rules
from tests.workload.bare import Bare, seconds

RAFT = Rules(acks="majority", election="majority", election_delay=seconds(2))
ASYNC = Rules(acks=1, election="any", election_delay=seconds(10), lag_ns=10**9, isolated="goes-on")
FENCED = replace(ASYNC, isolated="steps-down")


def running(rules: Rules, members: str = "abc", until: float = 100) -> Bare:
    db = Bare(rules, members)
    db.up(*members)
    db.run(until)
    return db


def leaders(db: Bare) -> list[tuple[float, str]]:
    return [(t, d["member"]) for t, _, _, d in db.rows("Application", "Leader")]


def two_leaders(db: Bare) -> list[tuple[float, str]]:
    return [(t, event) for t, _, event, _ in db.rows("Application", "TwoLeaders", "OneLeader")]


# ---- a majority -------------------------------------------------------------------------------------------------


def test_the_majority_elects_without_a_leader_that_is_cut_off_and_nothing_is_lost() -> None:
    db = running(RAFT)
    db.cut("a")
    db.run(101)
    assert db.group.service.why_closed == "the leader is cut off"
    acknowledged = db.acknowledged
    db.run(103)
    assert leaders(db)[-1] == (102, "b")
    assert db.acknowledged == pytest.approx(acknowledged + 100)
    db.heal("a")
    db.run(110)
    assert db.leader == "b"
    assert db.group.replicas["a"].state == "in-sync"
    assert (db.lost, two_leaders(db), db.rows("Member", "Diverged")) == (0, [], [])


def test_a_follower_that_is_cut_off_costs_nothing_and_catches_up() -> None:
    db = running(replace(RAFT, bandwidth=200 * 1024))
    db.cut("c")
    db.run(110)
    assert db.group.service.why_closed == ""
    db.heal("c")
    db.run(120)
    behind = [(t, d["writes"]) for t, name, _, d in db.rows("Member", "CatchingUp") if name == "c" and t > 50]
    assert behind == [(110, pytest.approx(1000))]
    assert leaders(db) == [(2, "a")]
    assert db.lost == 0


def test_without_a_majority_on_any_side_nobody_acknowledges_and_the_leader_stays() -> None:
    db = running(RAFT)
    acknowledged = db.acknowledged
    for member in "abc":
        db.cut(member)
    db.run(200)
    assert db.acknowledged == acknowledged
    for member in "abc":
        db.heal(member)
    db.run(210)
    assert leaders(db) == [(2, "a")]
    assert db.group.service.why_closed == ""


def test_a_majority_behind_a_cut_serves_only_the_clients_that_are_with_it() -> None:
    db = running(RAFT)
    db.cut("b", "c")
    db.run(103)
    assert db.leader == "b"
    assert db.group.service.why_closed == "the leader is cut off"
    acknowledged = db.acknowledged
    db.run(113)
    assert db.acknowledged == pytest.approx(acknowledged + 10 * 50)
    db.heal("b", "c")
    db.run(130)
    assert (db.lost, db.group.service.why_closed) == (0, "")


# ---- split brain ------------------------------------------------------------------------------------------------


def test_a_primary_that_goes_on_behind_a_cut_is_a_second_leader_and_its_writes_are_lost_at_the_heal() -> None:
    """Half of the clients are with it: 50 writes a second from the cut on, and before that what the lag was."""
    db = running(ASYNC)
    db.cut("a")
    db.run(130)
    assert leaders(db)[-1] == (110, "b")
    assert two_leaders(db) == [(110, "TwoLeaders")]
    assert db.lost == 0  # until they have met, both have what they acknowledged
    assert db.group.divergent() / 1e9 == pytest.approx(100 * 1 + 50 * 30)
    db.heal("a")
    db.run(140)
    assert db.losses() == [(130, pytest.approx(100 * 1 + 50 * 30), "split-brain")]
    assert two_leaders(db)[-1] == (130, "OneLeader")
    ((_, name, _, detail),) = db.rows("Member", "Diverged")
    assert (name, detail["writes"]) == ("a", pytest.approx(1600))
    assert db.group.replicas["a"].state == "in-sync"


def test_near_miss_the_network_is_mended_before_anybody_else_is_elected() -> None:
    db = running(ASYNC)
    db.cut("a")
    db.run(109)
    db.heal("a")
    db.run(130)
    assert [who for _, who in leaders(db)] == ["a"]
    assert (db.lost, two_leaders(db)) == (0, [])


def test_a_primary_that_steps_down_loses_what_it_took_in_until_then_and_there_are_never_two() -> None:
    db = running(FENCED)
    db.cut("a")
    db.run(130)
    assert db.losses() == [(110, pytest.approx(100 * 1 + 50 * 10), "failover")]
    db.heal("a")
    db.run(140)
    assert two_leaders(db) == []
    assert db.lost == pytest.approx(600)


def test_a_second_leader_that_is_killed_behind_the_cut() -> None:
    db = running(ASYNC)
    db.cut("a")
    db.run(120)
    db.down("a")
    assert db.losses() == [(120, pytest.approx(100 + 50 * 20), "split-brain")]
    db.up("a")
    db.run(130)
    assert db.leader == "b"
    db.heal("a")
    db.run(140)
    assert db.group.replicas["a"].state == "in-sync"


def test_if_the_successor_is_gone_when_they_meet_the_given_up_writes_are_found() -> None:
    db = running(ASYNC)
    db.cut("a")
    db.run(120)
    db.down("b", "c", how="machine lost")
    db.destroy("b")
    db.destroy("c")
    db.heal("a")
    db.run(140)
    assert db.leader == "a"
    found = db.rows("Application", "Found")
    assert sum(d["writes"] for *_, d in found) == pytest.approx(100 + 50 * 20)


@pytest.mark.parametrize("acks", [2, "all"])
def test_who_must_have_another_copy_acknowledges_nothing_alone(acks: int | str) -> None:
    """The half of the clients that are with it is refused, and nothing is lost: two leaders do no harm."""
    rules = replace(ASYNC, acks=acks, election="in-sync" if acks == "all" else "any")  # type: ignore[arg-type]
    db = running(rules)
    acknowledged = db.acknowledged
    db.cut("a")
    db.run(109)
    assert db.acknowledged == acknowledged
    db.run(130)
    db.heal("a")
    db.run(140)
    assert (db.lost, two_leaders(db)) == (0, [])


def test_two_of_three_semi_synchronous_copies_behind_a_cut_do_harm() -> None:
    db = running(replace(ASYNC, acks=2, lag_ns=0), "abc")
    db.cut("a", "b")
    db.run(120)
    db.heal("a", "b")
    assert db.losses() == [(120, pytest.approx(50 * 20), "split-brain")]


def test_a_follower_behind_a_cut_holds_up_those_who_wait_for_all_until_it_is_struck_off() -> None:
    db = running(replace(ASYNC, acks="all", election="in-sync", detect_ns=9 * 10**9))
    db.cut("c")
    db.run(120)
    assert [(round(t), bool(why)) for t, why in db.service() if t >= 100] == [(100, True), (109, False)]
    db.heal("c")
    db.run(130)
    assert db.group.replicas["c"].state == "in-sync"


def test_presets_say_what_their_leaders_do() -> None:
    assert PRESETS["primary-replica"].rules.isolated == "steps-down"  # Patroni: no lease, no primary
    assert PRESETS["sentinel"].rules.isolated == "goes-on"
