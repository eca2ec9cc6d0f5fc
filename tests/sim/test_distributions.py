import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.sim.distributions import (
    Constant,
    Empirical,
    Exponential,
    Lognormal,
    Uniform,
    Weibull,
    parse_distribution,
)
from k8sim.sim.normal import normal_quantile, normal_quantiles
from k8sim.sim.streams import uniforms
from k8sim.sim.units import DAY, HOUR, MILLISECOND, SECOND

ALL = [
    Constant(2 * SECOND),
    Uniform(SECOND, 3 * SECOND),
    Exponential(30 * DAY),
    Lognormal(2 * SECOND, 20 * SECOND),
    Weibull(0.7, 30 * DAY),
    Weibull(2.5, HOUR),
    Empirical((3, 1, 2, 2, 10**15)),
]
all_distributions = pytest.mark.parametrize("distribution", ALL, ids=lambda d: type(d).__name__)

#: What a stream can give, with its ends: odd multiples of 2**-53.
draws = st.integers(0, 2**52 - 1).map(lambda k: (2 * k + 1) * 2.0**-53) | st.sampled_from(
    [2.0**-53, 3 * 2.0**-53, 1 - 2.0**-53, 1e-300, 1e-11, 0.075, 0.925, 0.5]
)


@all_distributions
@given(u=st.lists(draws, min_size=1, max_size=40))
def test_scalar_and_vector_give_the_same_integers(distribution, u):
    assert distribution.quantiles(np.array(u)).tolist() == [distribution.quantile(x) for x in u]


@all_distributions
def test_scalar_and_vector_give_the_same_integers_for_many_draws(distribution):
    u = uniforms(42, 0, "pod", "start", np.arange(3000))
    assert distribution.quantiles(u).tolist() == [distribution.quantile(x) for x in u.tolist()]
    assert distribution.quantiles(u[::-3]).tolist() == distribution.quantiles(u).tolist()[::-3]
    assert distribution.quantiles(u.reshape(30, 100)).ravel().tolist() == distribution.quantiles(u).tolist()


@all_distributions
def test_several_laws_of_a_kind_give_what_each_gives(distribution):
    family, others = type(distribution), [Uniform(0, HOUR), Exponential(SECOND), Lognormal(1, 10)]
    laws = [law for law in [*ALL, *others] if type(law) is family]
    u = uniforms(42, 0, "pod", "start", np.arange(len(laws) * 100))
    one_by_one = [law.quantiles(part) for law, part in zip(laws, u.reshape(-1, 100), strict=True)]
    assert family.quantiles_of_several(laws, [100] * len(laws), u).tolist() == np.concatenate(one_by_one).tolist()


@all_distributions
@given(a=draws, b=draws)
def test_quantiles_are_durations_that_never_fall(distribution, a, b):
    low, high = distribution.quantile(min(a, b)), distribution.quantile(max(a, b))
    assert 0 <= low <= high < 2**63
    assert type(low) is int


@all_distributions
def test_the_mean_of_draws_is_the_mean(distribution):
    middles = (np.arange(1_000_000) + 0.5) / 1_000_000
    assert distribution.quantiles(middles).mean() / SECOND == pytest.approx(distribution.mean_s, rel=2e-3)


def test_known_quantiles():
    assert Exponential(SECOND).quantile(0.5) == round(math.log(2) * SECOND)
    assert Lognormal(2 * SECOND, 20 * SECOND).quantile(0.5) == 2 * SECOND
    assert Lognormal(2 * SECOND, 20 * SECOND).quantile(0.99) == pytest.approx(20 * SECOND, rel=1e-12)
    assert Weibull(2.0, SECOND).quantile(1 - math.exp(-1)) == pytest.approx(SECOND, rel=1e-12)
    assert Weibull(1.0, SECOND).quantile(0.9) == pytest.approx(Exponential(SECOND).quantile(0.9), abs=1)
    assert Uniform(SECOND, 3 * SECOND).quantile(0.25) == 1_500 * MILLISECOND
    assert [Empirical((3, 1, 2, 2)).quantile(u) for u in (0.01, 0.3, 0.6, 0.99)] == [1, 2, 2, 3]


def test_a_weibull_of_a_mean_has_that_mean():
    assert Weibull.from_mean(30 * DAY, 0.7).mean_s == pytest.approx(30 * 86_400)


def test_what_is_longer_than_292_years_ends_there():
    assert Exponential(2**62).quantile(1 - 2.0**-53) == 2**63 - 1024
    assert Lognormal(DAY, 3_000 * DAY).quantile(1 - 2.0**-53) == pytest.approx(2**63, rel=1e-12)
    assert Weibull(0.2, 100 * DAY).quantile(1 - 2.0**-53) == pytest.approx(2**63, rel=1e-12)


# ---- the normal distribution ----


@pytest.mark.parametrize(
    ("u", "z"),
    [
        (0.5, 0.0),
        (0.25, -0.6744897501960817),  # Wichura's own three checks
        (0.001, -3.090232306167813),
        (1e-20, -9.262340089798408),
        (0.975, 1.959963984540054),
        (0.99, 2.3263478740408408),
    ],
)
def test_normal_quantiles_are_the_published_ones(u, z):
    assert normal_quantile(u) == pytest.approx(z, rel=1e-14)


@given(draws)
def test_normal_quantile_agrees_with_the_standard_library(u):
    assert normal_quantile(u) == pytest.approx(statistics.NormalDist().inv_cdf(u), rel=1e-12)


@given(st.lists(draws, min_size=1, max_size=40))
def test_normal_quantiles_have_the_same_bits(u):
    assert normal_quantiles(np.array(u)).tolist() == [normal_quantile(x) for x in u]


# ---- how a scenario writes them ----


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("2s", Constant(2 * SECOND)),
        (1.5, Constant(1_500 * MILLISECOND)),
        (0, Constant(0)),
        ({"lognormal": {"median": "2s", "p99": "20s"}}, Lognormal(2 * SECOND, 20 * SECOND)),
        ({"exponential": {"mean": "30d"}}, Exponential(30 * DAY)),
        ({"uniform": ["1s", 3]}, Uniform(SECOND, 3 * SECOND)),
        ({"weibull": {"shape": 0.7, "scale": "1h"}}, Weibull(0.7, HOUR)),
        ({"weibull": {"mean": "1h", "shape": 1}}, Weibull(1.0, HOUR)),
        ({"empirical": ["2s", "1s"]}, Empirical((SECOND, 2 * SECOND))),
    ],
)
def test_parses(shape, expected):
    assert parse_distribution(shape) == expected


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("never", "invalid duration 'never'"),
        (None, "invalid duration None"),
        ([1, 2], "invalid duration"),
        ({}, "want one distribution"),
        ({"uniform": [1, 2], "exponential": {"mean": 1}}, "want one distribution.*uniform, exponential"),
        ({"gamma": {}}, "unknown distribution 'gamma', want one of uniform"),
        ({"uniform": "1s"}, "uniform: want two durations"),
        ({"uniform": [1]}, "uniform: want two durations"),
        ({"uniform": [3, 1]}, "uniform: the first duration"),
        ({"uniform": [1, "x"]}, "uniform: invalid duration 'x'"),
        ({"exponential": "30d"}, "exponential: want {mean}, got '30d'"),
        ({"exponential": {"rate": 1}}, "exponential: want {mean}, got {rate}"),
        ({"exponential": {"mean": "-1s"}}, "exponential: mean: .*negative"),
        ({"lognormal": {"median": "2s"}}, "lognormal: want {median, p99}, got {median}"),
        ({"lognormal": {"median": 0, "p99": 1}}, "median must be positive"),
        ({"lognormal": {"median": 2, "p99": 1}}, "p99 must not be shorter"),
        ({"lognormal": {"median": "1ns", "p99": "100000d"}}, "292 years"),
        ({"weibull": {"shape": 1}}, "weibull: want {shape, scale} or {shape, mean}"),
        ({"weibull": {"shape": "x", "scale": 1}}, "shape must be a positive number, got 'x'"),
        ({"weibull": {"shape": 0, "scale": 1}}, "shape must be a positive number"),
        ({"weibull": {"shape": 0, "mean": 1}}, "shape must be a positive number"),
        ({"weibull": {"shape": 0.001, "scale": 1}}, "292 years"),
        ({"weibull": {"shape": 1, "scale": 0}}, "scale must be positive"),
        ({"empirical": []}, "empirical: no durations"),
        ({"empirical": 3}, "empirical: want a CSV file or a list"),
        ({"empirical": "missing.csv"}, "empirical: cannot read"),
    ],
)
def test_refuses(shape, message):
    with pytest.raises(ValueError, match=message):
        parse_distribution(shape)


def test_reads_a_column_with_or_without_a_header(tmp_path):
    (tmp_path / "a.csv").write_text("attach time\n2s\n\n 1.5\n")
    (tmp_path / "b.csv").write_text("2s\n1500ms\n")
    expected = Empirical((1_500 * MILLISECOND, 2 * SECOND))
    assert parse_distribution({"empirical": "a.csv"}, tmp_path) == expected
    assert parse_distribution({"empirical": "b.csv"}, tmp_path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1s\nslow\n", "bad.csv:2: invalid duration 'slow'"),
        ("1s,2s\n", "bad.csv:1: want one column, got 2"),
        ("seconds\n", "has no durations"),
        ("", "has no durations"),
    ],
)
def test_refuses_other_files(tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        parse_distribution({"empirical": "bad.csv"}, tmp_path)
