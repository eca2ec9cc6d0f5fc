"""Simulated experiments against closed forms, at the 99 % confidence interval. Times are in hours, one unit a second.

Everything runs through the same `Group` that applications run on; only the cluster around it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from k8sim.sim.distributions import Constant, Distribution, Exponential, Lognormal
from k8sim.sim.units import SECOND
from k8sim.workload.rules import Rules
from tests.workload.bare import Bare

pytestmark = pytest.mark.slow
Z99 = 2.576
H = SECOND  # an hour of the model is a second of the clock
INSTANT = Rules(acks="majority", election="majority")
MIRROR = Rules(acks="all", min_in_sync=1, election="in-sync")


def exponential(hours: float) -> Exponential:
    return Exponential(round(hours * H))


def agrees(samples: list[float], expected: float) -> None:
    x = np.asarray(samples)
    half = Z99 * x.std(ddof=1) / math.sqrt(len(x))
    assert abs(x.mean() - expected) <= half, f"{x.mean():.6g} +- {half:.3g}, expected {expected:.6g}"


# ---- time to the loss of all copies -----------------------------------------------------------------------------


def time_to_loss(seed: int, n: int, mttf: float, repair: Distribution, parallel: int = 0) -> float:
    """Disks die after an exponential time and are replaced at once, empty; a copy takes the repair time."""
    members = "abcdef"[:n]
    db = Bare(replace(MIRROR, copy_time=repair, parallel_copies=parallel), members, rate=1, seed=seed)
    law = exponential(mttf)
    db.up(*members)
    db.run(1e-6)  # something is written, so that there is something to lose

    def die(member: str) -> None:
        db.down(member)
        db.destroy(member, "disk-loss")
        if not db.lost:
            db.up(member)
            plan(member)

    def plan(member: str) -> None:
        db.clock.call_after(law.quantile(db.sim.streams.uniform(member, "life")), die, member)

    for member in members:
        plan(member)
    step = mttf
    while not db.lost:
        db.run(db.now + step)
    return next(t for t, _, _ in db.losses())


MTTDL = {
    "2-way, exponential": (2, None, exponential(5), 0, lambda lam, mu: (3 * lam + mu) / (2 * lam**2)),
    "3-way, one repair": (
        3, None, exponential(5), 1, lambda lam, mu: (11 * lam**2 + 4 * lam * mu + mu**2) / (6 * lam**3),
    ),
    "3-way, parallel": (
        3, None, exponential(5), 0, lambda lam, mu: (11 * lam**2 + 7 * lam * mu + 2 * mu**2) / (6 * lam**3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MTTDL)
def test_mean_time_to_data_loss(name: str) -> None:
    n, _, repair, parallel, formula = MTTDL[name]
    mttf = 20.0
    agrees([time_to_loss(s, n, mttf, repair, parallel) for s in range(400)], formula(1 / mttf, 1 / 5))


def test_mean_time_to_data_loss_with_a_constant_repair() -> None:
    """Renewal argument, any repair law: 1/(2 lam p) + 1/lam with p = 1 - E exp(-lam Y)."""
    lam, hours = 1 / 20, 5.0
    p = 1 - math.exp(-lam * hours)
    expected = 1 / (2 * lam * p) + 1 / lam
    agrees([time_to_loss(s, 2, 20.0, Constant(round(hours * H))) for s in range(400)], expected)


# ---- availability with repair -----------------------------------------------------------------------------------


def down_share(seed: int, n: int, up: Distribution, down: Distribution, horizon: float) -> tuple[float, float]:
    """Members fail and come back with their disks: (share of time without writes, outages per hour)."""
    members = "abcdef"[:n]
    db = Bare(INSTANT, members, rate=1, seed=seed)

    def toggle(member: str, is_up: bool) -> None:
        law, purpose = (up, "up") if is_up else (down, "down")
        db.clock.call_after(law.quantile(db.sim.streams.uniform(member, purpose)), flip, member, is_up)

    def flip(member: str, was_up: bool) -> None:
        if was_up:
            db.down(member, how="clean")
        else:
            db.up(member)
        toggle(member, not was_up)

    db.up(*members)
    for member in members:
        toggle(member, True)
    warm = horizon / 10
    db.run(horizon)
    state, since, lost, outages = "", 0.0, 0.0, 0
    for t, why in [*db.service(), (horizon, "")]:
        if state and t > warm:
            lost += t - max(since, warm)
        if why and not state and t > warm:
            outages += 1
        state, since = why, t
    return lost / (horizon - warm), outages / (horizon - warm)


def k_of_n(n: int, k: int, a: float) -> float:
    return 1 - sum(math.comb(n, i) * a**i * (1 - a) ** (n - i) for i in range(k, n + 1))


@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 2), (5, 3)])
def test_unavailability_of_a_majority(n: int, k: int) -> None:
    shares = [down_share(s, n, exponential(10), exponential(2), 600)[0] for s in range(60)]
    agrees(shares, k_of_n(n, k, 10 / 12))


def test_unavailability_depends_on_the_means_only() -> None:
    """Constant up times with a lognormal repair: the same availability as with exponential laws."""
    up, down = exponential(10), Lognormal(round(1.6 * H), round(6 * H))
    shares = [down_share(s, 3, up, down, 600)[0] for s in range(60)]
    agrees(shares, k_of_n(3, 2, 10 / (10 + down.mean_s)))


def test_how_often_a_majority_is_lost() -> None:
    """n C(n-1, k-1) A^k U^(n-k) / MTTF."""
    a = 10 / 12
    expected = 3 * math.comb(2, 1) * a**2 * (1 - a) / 10
    agrees([down_share(s, 3, exponential(10), exponential(2), 600)[1] for s in range(60)], expected)


# ---- what is lost -----------------------------------------------------------------------------------------------


def loss_at(seed: int, rules: Rules, members: str, act: Callable[[Bare], None], rate: float = 100) -> float:
    """Writes lost by a kill at a random moment, in a window of whole periods of all intervals in use."""
    db = Bare(rules, members, rate, seed)
    db.up(*members)
    db.at(60 + 24 * db.sim.streams.uniform("kill", "time"), act, db)
    db.run(200)
    return db.lost


def test_what_asynchronous_replication_loses_is_its_lag() -> None:
    rules = Rules(acks=1, election="any", election_delay=Constant(10 * SECOND), lag_ns=3 * SECOND)
    assert [loss_at(s, rules, "ab", lambda db: db.down("a")) for s in range(20)] == pytest.approx([300.0] * 20)


def test_an_unflushed_kill_loses_half_an_interval_on_the_average() -> None:
    rules = Rules(acks=1, election="any", empty_votes=True, flush_ns=4 * SECOND)
    agrees([loss_at(s, rules, "a", lambda db: db.down("a")) for s in range(400)], 100 * 4 / 2)


def test_a_power_loss_costs_half_of_both_intervals() -> None:
    """Synced every 8 s what had been flushed every 4 s: half of 8 s, for at a sync all has just been flushed."""
    rules = Rules(acks=1, election="any", empty_votes=True, flush_ns=4 * SECOND, sync_ns=8 * SECOND)
    agrees([loss_at(s, rules, "a", lambda db: db.down("a", how="machine lost")) for s in range(400)], 100 * 8 / 2)


def test_backups_cost_half_their_interval() -> None:
    rules = Rules(acks=1, election="any", empty_votes=True)

    def lose(seed: int) -> float:
        db = Bare(rules, "a", 100, seed)
        db.up("a")
        for i in range(1, 20):
            db.at(10 * i, db.group.back_up, 3)
        t = 60 + 100 * db.sim.streams.uniform("disk", "time")
        db.at(t, db.down, "a")
        db.at(t, db.destroy, "a")
        db.run(200)
        return db.lost

    agrees([lose(s) for s in range(400)], 100 * 10 / 2)
