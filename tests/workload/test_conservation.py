"""Laws that hold whatever happens: nothing acknowledged disappears without an entry, nothing is acknowledged twice."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.workload.rules import Rules
from tests.workload.bare import Bare, seconds

MEMBERS = "abc"

RULES = st.builds(
    Rules,
    acks=st.sampled_from(["majority", "all", 1, 2]),
    min_in_sync=st.sampled_from([1, 2]),
    election=st.sampled_from(["majority", "in-sync", "any"]),
    election_delay=st.sampled_from([seconds(0), seconds(3)]),
    handover=st.sampled_from([None, seconds(0)]),
    keeps_role=st.booleans(),
    empty_votes=st.booleans(),
    unclean=st.booleans(),
    unclean_delay_ns=st.sampled_from([0, 5 * 10**9]),
    detect_ns=st.sampled_from([0, 4 * 10**9]),
    lag_ns=st.sampled_from([0, 2 * 10**9]),
    flush_ns=st.sampled_from([0, 10**9]),
    sync_ns=st.sampled_from([0, 5 * 10**9]),
    dataset_bytes=st.sampled_from([0, 10**6]),
    bandwidth=st.sampled_from([0, 150 * 1024]),
    parallel_copies=st.sampled_from([0, 1]),
    retained=st.sampled_from([0, 500 * 10**9]),
    rewind=st.booleans(),
    isolated=st.sampled_from(["steps-down", "goes-on"]),
    reads=st.sampled_from(["leader", "any"]),
)
LOOSE = RULES.map(lambda rules: replace(rules, acks=1, election="any", empty_votes=True))
"""Those that lose writes and find them again, and let two write."""
ENDS = ["clean", "killed", "machine lost", "fenced"]
OPERATION = st.one_of(
    st.tuples(st.just("up"), st.sampled_from(MEMBERS)),
    st.tuples(st.sampled_from(ENDS), st.sampled_from(MEMBERS)),
    st.tuples(st.just("destroy"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("second"), st.sampled_from(MEMBERS)),
    st.tuples(st.just("cut"), st.sampled_from([*MEMBERS, "ab", "bc"])),
    st.tuples(st.just("heal"), st.sampled_from([*MEMBERS, "ab", "bc"])),
    st.tuples(st.just("back up"), st.just("")),
    st.tuples(st.just("restore"), st.sampled_from(MEMBERS)),
)
PAUSE = st.integers(0, 15_000).map(lambda ms: ms / 1000)


def check(db: Bare) -> None:
    group = db.group
    assert group.acknowledged() == group.position() + group.divergent() + group.lost
    assert 0 <= group.acknowledged() <= group.service.offered()
    assert group.lost >= 0
    if group.leader is None:
        left = max((group.history.common(c, group.path) for c in group.extant()), default=0)
        assert left == group.path.offset
    else:
        for replica in group.replicas.values():
            assert replica.trajectory.at(group.now) <= group.position() or replica.state == "behind"
    rows = {d["cause"] for *_, d in db.rows("Application", "Lost")}
    assert bool(rows) == (sum(w for _, w, _ in db.losses()) > 0)


def act(db: Bare, what: str, member: str) -> None:
    if what == "up" and member not in db.processes:
        db.up(member)
    elif what in ENDS:
        db.down(member, how=what)  # type: ignore[arg-type]
    elif what == "destroy":
        db.destroy(member)
    elif what == "second" and member in db.processes:
        old = db.processes[member]
        db.up(member, place=f"{member}2")
        db.clock.call_after(7 * 10**9, db.group.down, old, "killed", -1)
    elif what == "cut":
        db.cut(*member)
    elif what == "heal":
        db.heal(*member)
    elif what == "back up":
        db.group.back_up(3)
    elif what == "restore":
        db.group.restore(member, -1)


@settings(max_examples=300, deadline=None)
@given(st.one_of(RULES, LOOSE), st.lists(st.tuples(PAUSE, OPERATION), min_size=10, max_size=25))
def test_acknowledged_is_surviving_plus_lost_at_every_instant(
    rules: Rules, episode: list[tuple[float, tuple[str, str]]]
) -> None:
    db = Bare(rules)
    db.up(*MEMBERS)
    t = 1.0
    for pause, (what, member) in episode:
        t = round(t + pause, 3)
        db.run(t)
        check(db)
        act(db, what, member)
        check(db)
    db.run(t + 100)
    check(db)


@settings(max_examples=150, deadline=None)
@given(RULES, st.lists(st.tuples(PAUSE, st.sampled_from(["up", "clean"]), st.sampled_from(MEMBERS)), max_size=25))
def test_without_a_fault_nothing_is_lost(rules: Rules, episode: list[tuple[float, str, str]]) -> None:
    """Processes stop in time and come back to their disks: a majority, or a list of those in sync, loses nothing."""
    pair = ("majority", "majority") if rules.election == "majority" else ("all", "in-sync")
    db = Bare(replace(rules, acks=pair[0], election=pair[1], unclean=False))  # type: ignore[arg-type]
    db.up(*MEMBERS)
    t = 1.0
    for pause, what, member in episode:
        t = round(t + pause, 3)
        db.run(t)
        act(db, what, member)
    db.run(t + 100)
    assert db.lost == 0
    assert not db.rows("Member", "Diverged")


@settings(max_examples=100, deadline=None)
@given(
    RULES,
    st.lists(
        st.tuples(PAUSE, st.sampled_from(["up", "killed", "machine lost"]), st.sampled_from(MEMBERS)), max_size=25
    ),
)
def test_a_majority_that_syncs_before_it_acknowledges_survives_any_kill(
    rules: Rules, episode: list[tuple[float, str, str]]
) -> None:
    safe = replace(rules, acks="majority", election="majority", flush_ns=0, sync_ns=0, lag_ns=0, empty_votes=False)
    db = Bare(safe)
    db.up(*MEMBERS)
    t = 1.0
    for pause, what, member in episode:
        t = round(t + pause, 3)
        db.run(t)
        act(db, what, member)
    db.run(t + 100)
    assert db.lost == 0
