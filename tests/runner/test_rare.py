"""Importance sampling against closed forms, down to 1e-12; and estimates that must be refused."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from k8sim.lockstep.copies import CopyGroup, simulate
from k8sim.lockstep.hazards import hazard
from k8sim.runner.rare import Gate, Untrustworthy, loss_probability, mttdl
from k8sim.sim.distributions import Constant, Distribution, Exponential, Lognormal, Uniform, Weibull
from k8sim.sim.units import HOUR, SECOND

YEAR_S = 8760 * 3600.0


def exponential(mean_h: float) -> Exponential:
    return Exponential(round(mean_h * HOUR))


def exact_mttdl(copies: int, tolerates: int, life_h: float, rebuild_h: float, crews: int | None = None) -> float:
    """First passage of the birth-death chain without subtractions: h_i = 1/f_i + (r_i/f_i) h_(i-1)."""
    h = total = 0.0
    for missing in range(tolerates + 1):
        fail = (copies - missing) / life_h
        repair = min(missing, crews or missing) / rebuild_h
        h = 1 / fail + repair / fail * h
        total += h
    return total


def exact_loss(copies: int, tolerates: int, life_h: float, rebuild_h: float, horizon_h: float) -> float:
    """P(loss by the horizon) of the chain by uniformisation: sums of positive terms only."""
    n = tolerates + 2
    rates = np.zeros((n, n))
    for m in range(n - 1):
        rates[m, m + 1] = (copies - m) / life_h
        if m:
            rates[m, m - 1] = m / rebuild_h
    top = rates.sum(axis=1).max() * 1.01
    step = rates / top + np.diag(1 - rates.sum(axis=1) / top)
    state, loss, mean = np.eye(n)[0], 0.0, top * horizon_h
    for k in range(int(mean + 12 * math.sqrt(mean) + 60)):
        loss += math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) * state[-1]
        state = state @ step
    return loss


def z_of(group: CopyGroup, horizon_s: float, exact: float, seeds: int = 12, n: int = 20_000) -> npt.NDArray[np.float64]:
    """Return the error of the estimate, in standard errors, for several seeds."""
    found = []
    for seed in range(seeds):
        gate = Gate()
        gate.add(simulate(group, group.thetas(0.3, horizon_s), horizon_s, seed, np.arange(n)))
        estimate = gate.estimate()
        found.append((estimate.value - exact) / (estimate.half_width / 1.96))
    return np.array(found)


@pytest.mark.parametrize(
    ("group", "horizon_h", "published"),
    [
        (CopyGroup(3, 2, exponential(1e5), exponential(10)), 720, 2.1142666e-10),
        (CopyGroup(3, 2, exponential(1e5), exponential(10)), 8760, 2.6225826e-9),
        (CopyGroup(3, 2, exponential(3e4), exponential(10)), 8760, None),  # 1e-7
        (CopyGroup(2, 1, exponential(1e6), exponential(1)), 8760, None),  # 1e-8
        (CopyGroup(5, 2, exponential(1e5), exponential(5)), 8760, None),
    ],
)
def test_probabilities_of_one_in_a_million_and_less_are_unbiased(
    group: CopyGroup, horizon_h: float, published: float | None
) -> None:
    life, rebuild = group.life.mean_s / 3600, group.rebuild.mean_s / 3600
    exact = exact_loss(group.copies, group.tolerates, life, rebuild, horizon_h)
    assert exact < 1e-6
    if published is not None:
        assert exact == pytest.approx(published, rel=1e-5)
    z = z_of(group, horizon_h * 3600, exact)
    assert abs(z.mean()) < 4 / math.sqrt(len(z))
    assert 0.4 < z.std() < 1.8


def test_ten_per_cent_of_one_in_ten_million_a_year() -> None:
    group = CopyGroup(3, 2, exponential(3e4), exponential(10))
    exact = exact_loss(3, 2, 3e4, 10, 8760)
    estimate, gate = loss_probability(group, YEAR_S, relative_error=0.1)
    assert 1e-8 < exact < 1e-6
    assert estimate.half_width <= 0.1 * estimate.value
    assert estimate.value == pytest.approx(exact, rel=0.2)
    assert abs(gate.mean_ratio - 1) < 4 * gate.ratio_error


@pytest.mark.parametrize(
    ("life", "rebuild"),
    [
        (Weibull(1.12, 300 * HOUR), Uniform(2 * HOUR, 14 * HOUR)),
        (Weibull(0.7, 300 * HOUR), Constant(8 * HOUR)),
        (Lognormal(60 * HOUR, 600 * HOUR), exponential(8)),
        (Uniform(0, 300 * HOUR), exponential(8)),
    ],
)
def test_for_any_law_the_weighted_mean_is_that_of_the_true_law(life: Distribution, rebuild: Distribution) -> None:
    """Where losses are common enough to be counted."""
    group = CopyGroup(3, 2, life, rebuild)
    horizon = 240 * 3600.0
    scale = 1 if isinstance(life, Weibull) else 20  # bisection is slow, and these laws lose data often
    true, biased = Gate(), Gate()
    true.add(simulate(group, [1.0, 1.0, 1.0], horizon, 1, np.arange(200_000 // scale)))
    biased.add(simulate(group, [1.5, 3.0, 3.0], horizon, 2, np.arange(40_000 // scale)))
    assert true.losses > 50
    assert true.mean_ratio == 1.0
    expected, found = true.sum_x / true.n, biased.sum_x / biased.n
    error = math.hypot(math.sqrt(expected / true.n), math.sqrt(biased.sum_x2 / biased.n) / math.sqrt(biased.n))
    assert abs(found - expected) < 4 * error
    assert abs(biased.mean_ratio - 1) < 4 * biased.ratio_error


@pytest.mark.parametrize(
    ("group", "published_h"),
    [
        (CopyGroup(2, 1, exponential(1000), exponential(24)), 22333.333),
        (CopyGroup(2, 1, exponential(1000), Constant(24 * HOUR)), 22084.333),
        (CopyGroup(3, 2, exponential(1000), exponential(24)), 629148.15),
        (CopyGroup(3, 2, exponential(1000), exponential(24), crews=1), 318962.96),
        (CopyGroup(5, 4, exponential(1000), exponential(24), crews=1), None),
        (CopyGroup(8, 2, exponential(461386), exponential(12)), 463598060.0 * 8760),
        (CopyGroup(8, 2, exponential(461386), exponential(12), crews=1), 231817120.0 * 8760),
    ],
)
def test_mean_times_to_loss(group: CopyGroup, published_h: float | None) -> None:
    if published_h is None:
        published_h = exact_mttdl(5, 4, 1000, 24, crews=1)
    estimate = mttdl(group, replicates=40_000)
    error = estimate.half_width / 1.96
    assert abs(estimate.value - published_h * 3600) < 4 * error
    assert error < 0.1 * estimate.value


def test_a_degenerate_sample_is_refused() -> None:
    """Ten years of copies that fail often: the ratios degenerate, and the estimate would be wrong with confidence."""
    group = CopyGroup(3, 2, exponential(2000), exponential(10))
    with pytest.raises(Untrustworthy, match="mean likelihood ratio"):
        loss_probability(group, 10 * YEAR_S, replicates=20_000)


def test_too_few_losses_are_refused() -> None:
    gate = Gate()
    group = CopyGroup(3, 2, exponential(1e5), exponential(10))
    gate.add(simulate(group, [1.0, 1.0, 1.0], YEAR_S, 0, np.arange(1000)))
    with pytest.raises(Untrustworthy, match="only 0 effective losses"):
        gate.estimate()


def test_lives_with_a_memory_have_no_cycles() -> None:
    with pytest.raises(Untrustworthy, match="cycles are not alike"):
        mttdl(CopyGroup(3, 2, Weibull(1.2, HOUR), exponential(1)))


def test_a_bias_near_the_rebuild_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="explodes"):
        loss_probability(CopyGroup(2, 1, exponential(10), exponential(1)), YEAR_S, bias=0.9)


def test_what_a_group_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot lose"):
        CopyGroup(3, 3, exponential(1), exponential(1))
    with pytest.raises(ValueError, match="no density"):
        hazard(Constant(SECOND))


def test_any_split_into_chunks_gives_the_same_replicates() -> None:
    group = CopyGroup(4, 2, Weibull(1.3, 300 * HOUR), exponential(8), crews=1)
    thetas = group.thetas(0.3, YEAR_S)
    whole = simulate(group, thetas, YEAR_S, 3, np.arange(60))
    parts = [simulate(group, thetas, YEAR_S, 3, np.arange(i, min(i + 7, 60))) for i in range(0, 60, 7)]
    for name in ("lost", "end_s", "log_weight", "failures"):
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(p, name) for p in parts]))
