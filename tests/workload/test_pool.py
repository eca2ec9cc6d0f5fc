"""The closed form of a connection pool against its differential equations, stepped."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sim.workload.pool import Pool


def make(lifetime: float, pause: float, missing: float, at: list[float], reach: list[float]) -> Pool:
    pool = Pool(missing + sum(at), lifetime, pause, missing)
    pool.at = {str(i): n for i, n in enumerate(at)}
    pool.see({str(i): q for i, q in enumerate(reach)})
    return pool


SCENES = given(
    lifetime=st.sampled_from([2.0, 10.0, 300.0, math.inf]),
    pause=st.sampled_from([0.5, 1.0, 2.0]),
    missing=st.floats(0, 50),
    at=st.lists(st.floats(0, 50), min_size=3, max_size=3),
    weights=st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(lambda w: sum(w) > 0),
)


def chances(weights: list[int]) -> list[float]:
    return [w / sum(weights) for w in weights[:3]]


@settings(max_examples=50, deadline=None)
@SCENES
def test_the_closed_form_solves_the_equations(
    lifetime: float, pause: float, missing: float, at: list[float], weights: list[int]
) -> None:
    q = chances(weights)
    pool = make(lifetime, pause, missing, at, q)
    n, u, gone, dt, p = list(at), missing, 0.0, 1e-3, sum(q)
    total = u + sum(n)
    spent = [0.0, 0.0, 0.0]
    for _ in range(3000):  # Heun's method

        def slope(u: float, n: list[float]) -> tuple[float, list[float]]:
            churn = (total - u) / lifetime + u / pause
            return (1 - p) * (total - u) / lifetime - p * u / pause, [
                a * churn - b / lifetime for a, b in zip(q, n, strict=True)
            ]

        du, dn = slope(u, n)
        du2, dn2 = slope(u + dt * du, [x + dt * d for x, d in zip(n, dn, strict=True)])
        gone += dt * (u + dt * (du + du2) / 4)
        u += dt * (du + du2) / 2
        spent = [s + dt * (x + dt * (d + e) / 4) for s, x, d, e in zip(spent, n, dn, dn2, strict=True)]
        n = [x + dt * (d + e) / 2 for x, d, e in zip(n, dn, dn2, strict=True)]
    assert [pool.connection_time(str(i), 3.0) for i in range(3)] == pytest.approx(spent, rel=1e-4, abs=1e-4)
    assert pool.missing_time(3.0) == pytest.approx(gone, rel=1e-4, abs=1e-4)
    pool.advance(3.0)
    assert pool.missing == pytest.approx(u, rel=1e-4, abs=1e-4)
    assert [pool.at.get(str(i), 0.0) for i in range(3)] == pytest.approx(n, rel=1e-4, abs=1e-4)


@settings(max_examples=50, deadline=None)
@SCENES
def test_no_connection_is_lost_or_made_and_halves_make_a_whole(
    lifetime: float, pause: float, missing: float, at: list[float], weights: list[int]
) -> None:
    once, twice = (make(lifetime, pause, missing, at, chances(weights)) for _ in range(2))
    once.advance(7.0)
    twice.advance(2.5)
    twice.advance(4.5)
    assert once.missing + sum(once.at.values()) == pytest.approx(once.count)
    assert twice.missing == pytest.approx(once.missing, abs=1e-9)
    assert twice.at == pytest.approx(once.at, abs=1e-9)


def test_connections_to_a_removed_endpoint_only_end_with_their_lifetime() -> None:
    pool = make(100.0, 1.0, 0.0, [50.0, 50.0], [0.0, 1.0])
    pool.advance(100.0)
    assert pool.at["0"] == pytest.approx(50 / math.e)


def test_cut_connections_are_opened_anew_at_once_where_the_client_sees_somebody() -> None:
    pool = make(math.inf, 1.0, 0.0, [50.0, 50.0], [0.0, 0.5])
    pool.reopen(pool.lose("0"))
    assert (pool.at["1"], pool.missing) == (75.0, 25.0)
    pool.advance(2.0)
    assert pool.missing == pytest.approx(25 * math.exp(-1.0))
