from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from k8sim.network.hosts import Reception
from k8sim.workload.amounts import Flow, grown, share_out, time_for
from k8sim.workload.routing import rates, split

RECEPTIONS: list[Reception] = ["answers", "refuses", "hangs", "nobody"]


def met(**world: Reception) -> dict[str, Reception]:
    return dict(world)


def test_all_endpoints_answer() -> None:
    s = split([("a", "b")], {"a": "answers", "b": "answers"}.__getitem__)  # type: ignore[arg-type]
    assert s.taken == {"a": Fraction(1, 2), "b": Fraction(1, 2)}
    assert not s.failed


def test_a_view_without_addresses_is_no_endpoint() -> None:
    assert split([()], met().__getitem__).failed == {"no-endpoint": 1}


def test_each_failure_has_its_outcome() -> None:
    world = met(a="refuses", b="hangs", c="nobody", d="answers")
    s = split([("a", "b", "c", "d")], world.__getitem__)
    quarter = Fraction(1, 4)
    assert s.failed == {"refused": quarter, "unanswered": quarter, "stale-address": quarter}
    assert s.taken == {"d": quarter}


def test_a_retry_squares_the_share_of_failures() -> None:
    s = split([("a", "b", "c")], met(a="refuses", b="answers", c="answers").__getitem__, retries=1)
    assert s.failed == {"refused": Fraction(1, 9)}
    assert s.success == Fraction(8, 9)


def test_clients_with_views_of_their_own_share_the_requests() -> None:
    s = split([("a",), ("b",), ()], met(a="answers", b="nobody").__getitem__)
    third = Fraction(1, 3)
    assert (s.taken, s.failed) == ({"a": third}, {"stale-address": third, "no-endpoint": third})


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), max_size=5, unique=True).map(tuple), min_size=1, max_size=4),
    st.lists(st.sampled_from(RECEPTIONS), min_size=6, max_size=6),
    st.integers(0, 3),
    st.integers(0, 10**15),
)
def test_requests_in_are_the_sum_of_outcomes(
    legs: list[tuple[str, ...]], receptions: list[Reception], retries: int, rate: int
) -> None:
    world = dict(zip("abcdef", receptions, strict=True))
    s = split(legs, world.__getitem__, retries)
    assert s.success + sum(s.failed.values()) == 1
    taken, failed = rates(rate, s)
    assert sum(taken.values()) + sum(failed.values()) == rate
    assert all(world[address] == "answers" for address in taken)


@given(st.integers(0, 10**20), st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_parts_add_up_and_are_within_one_of_exact(amount: int, weights: list[int]) -> None:
    shares = [Fraction(w, sum(weights)) for w in weights]
    parts = share_out(amount, shares)
    assert sum(parts) == amount
    assert all(abs(p - amount * s) < 1 for p, s in zip(parts, shares, strict=True))


@given(st.lists(st.tuples(st.integers(1, 10**12), st.integers(0, 10**13)), min_size=1, max_size=6), st.data())
def test_a_flow_does_not_depend_on_who_looks(changes: list[tuple[int, int]], data: st.DataObject) -> None:
    looked, plain = Flow(0, 2**60), Flow(0, 2**60)
    now = 0
    for delay, rate in changes:
        looked.at(now + data.draw(st.integers(0, delay)))
        now += delay
        looked.change(now, rate)
        plain.change(now, rate)
    assert looked.at(now + 5) == plain.at(now + 5)
    moment = data.draw(st.integers(0, now))
    assert 0 <= plain.at(moment) <= plain.at(now)


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_after_that_time_it_has_flowed_and_before_not(amount: int, rate: int) -> None:
    t = time_for(amount, rate)
    assert grown(rate, t) >= amount
    assert t == 0 or grown(rate, t - 1) < amount
