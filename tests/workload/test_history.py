from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k8sim.workload.amounts import UNIT
from k8sim.workload.history import EMPTY, Content, History
from k8sim.workload.trajectory import Trajectory

S = 10**9


def test_a_branch_shares_what_was_there_when_it_began() -> None:
    h = History()
    b1 = h.fork(Content(0, 90))
    assert h.common(Content(0, 100), Content(b1, 95)) == 90
    assert h.common(Content(0, 50), Content(b1, 95)) == 50
    b2 = h.fork(Content(b1, 93))
    b3 = h.fork(Content(0, 100))
    assert h.common(Content(b2, 200), Content(b3, 300)) == 90
    assert h.common(Content(b2, 200), Content(b1, 95)) == 93
    assert h.common(EMPTY, Content(b2, 7)) == 0


def test_a_content_is_named_after_its_last_write() -> None:
    h = History()
    b1 = h.fork(Content(0, 90))
    b2 = h.fork(Content(b1, 90))
    assert h.normal(Content(b2, 90)) == Content(0, 90)
    assert h.normal(Content(b2, 91)) == Content(b2, 91)


Tree = tuple[History, list[Content], list[list[tuple[int, int]]]]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Branches with the writes of every content written out: (branch on which it was made, number)."""
    h, writes = History(), [[(0, i) for i in range(draw(st.integers(0, 6)))]]
    for _ in range(draw(st.integers(0, 6))):
        parent = draw(st.integers(0, len(writes) - 1))
        cut = draw(st.integers(0, len(writes[parent])))
        branch = h.fork(Content(parent, cut))
        writes.append(writes[parent][:cut] + [(branch, i) for i in range(draw(st.integers(0, 5)))])
    contents = [(b, draw(st.integers(0, len(writes[b])))) for b in range(len(writes)) for _ in range(2)]
    return h, [Content(*c) for c in contents], [writes[b][:o] for b, o in contents]


@given(trees())
def test_common_is_the_common_prefix_of_the_writes(tree: Tree) -> None:
    h, contents, writes = tree
    for a, wa in zip(contents, writes, strict=True):
        assert h.common(h.normal(a), a) == a.offset
        for b, wb in zip(contents, writes, strict=True):
            same = next((i for i, (x, y) in enumerate(zip(wa, wb, strict=False)) if x != y), min(len(wa), len(wb)))
            assert h.common(a, b) == same


def test_a_follower_is_where_the_leader_was() -> None:
    leader = Trajectory(0, 0, memory_ns=10 * S)
    leader.write(0, 10 * UNIT)
    follower = Trajectory(0, 0)
    follower.follow(0, leader, lag_ns=2 * S)
    assert follower.at(5 * S) == leader.at(3 * S) == 30 * UNIT
    leader.write(6 * S, 0)
    assert follower.at(7 * S) == 50 * UNIT
    assert follower.at(9 * S) == 60 * UNIT


def test_who_falls_back_to_a_longer_lag_keeps_what_he_has() -> None:
    leader = Trajectory(0, 0, memory_ns=10 * S)
    leader.write(0, UNIT)
    follower = Trajectory(0, 0)
    follower.follow(0, leader)
    follower.follow(5 * S, leader, lag_ns=3 * S)
    assert [follower.at(t * S) // UNIT for t in (5, 6, 8, 9)] == [5, 5, 5, 6]


@given(
    rates=st.lists(st.integers(0, 50), min_size=1, max_size=4),
    behind=st.integers(0, 1000),
    gain=st.integers(1, 100),
    lag=st.integers(0, 8),
)
def test_when_a_copy_has_caught_up(rates: list[int], behind: int, gain: int, lag: int) -> None:
    leader = Trajectory(0, 1000 * UNIT, memory_ns=100 * S)
    for i, rate in enumerate(rates):
        leader.write(i * 3 * S, rate * UNIT)
    now = (len(rates) * 3 - 1) * S
    start = max(0, leader.at(now) - behind * UNIT)
    met = leader.caught_up_at(now, start, gain * UNIT, lag * S)
    copy = Trajectory(now, start)
    copy.follow(now, leader, lag * S, gain * UNIT)
    if met is None:
        assert gain <= rates[-1]
    else:
        assert abs(copy.at(met + 1) - max(start, leader.at(met + 1 - lag * S))) <= gain + 50
        if met > now + 1:
            assert copy.at(met - 2) < leader.at(met - 2 - lag * S)
