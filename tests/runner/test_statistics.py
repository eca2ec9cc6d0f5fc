from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.runner.statistics import mean, paired_difference, probability, quantile
from k8sim.sim.streams import uniforms


def test_wilsons_published_example() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 15 of 148 gives 0.0624 to 0.1605."""
    first, second = probability(81, 263), probability(15, 148)
    assert (round(first.low, 4), round(first.high, 4)) == (0.2553, 0.3662)
    assert (round(second.low, 4), round(second.high, 4)) == (0.0624, 0.1605)


def test_no_event_gives_an_upper_bound_about_three_over_n() -> None:
    none = probability(0, 1000)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.05 ** (1 / 1000))
    assert none.high == pytest.approx(3 / 1000, rel=0.01)
    assert probability(1000, 1000).low == pytest.approx(1 - none.high)


@given(st.integers(1, 10_000), st.data())
def test_a_probability_lies_in_its_interval(n: int, data: st.DataObject) -> None:
    estimate = probability(data.draw(st.integers(0, n)), n)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def _coverage(skewed: bool) -> float:
    covered = 0
    for i in range(200):
        u = uniforms(7, i, "sample", "coverage", np.arange(60))
        x = -np.log(u) if skewed else u * 2
        estimate = mean(x, f"metric {i}")
        covered += estimate.low <= 1.0 <= estimate.high
    return covered / 200


@pytest.mark.parametrize("skewed", [False, True])
def test_the_interval_of_a_mean_covers_it_as_often_as_it_says(skewed: bool) -> None:
    """The true mean is 1; 95 % of 200 samples within three standard errors."""
    assert abs(_coverage(skewed) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 200)


def test_an_estimate_is_the_same_wherever_it_is_made() -> None:
    x = [0.0, 0.0, 3.5, 0.0, 12.0, 1.0]
    assert mean(x, "db.downtime_s") == mean(list(x), "db.downtime_s")
    assert mean(x, "db.downtime_s") != mean(x, "db.other")


def test_constants_single_values_and_gaps() -> None:
    assert mean([2.0, 2.0, math.nan, 2.0], "m").method == "constant"
    assert mean([2.0, 2.0, math.nan, 2.0], "m").n == 3
    assert mean([5.0], "m").high == math.inf
    assert math.isnan(mean([math.nan], "m").value)


def test_a_median_has_the_known_ranks() -> None:
    """n = 100: ranks 40 and 61 for 95 % (Conover 1999)."""
    estimate = quantile(np.arange(1, 101), 0.5)
    assert (estimate.low, estimate.value, estimate.high) == (40.0, 50.5, 61.0)
    assert quantile([1.0, 2.0], 0.99).high == math.inf


def test_pairing_shows_what_common_random_numbers_save() -> None:
    shared = -np.log(uniforms(3, 0, "a", "shared", np.arange(500)))
    own = uniforms(3, 0, "a", "own", np.arange(500))
    difference = paired_difference(shared, shared + 0.1 * own, "d")
    assert difference.estimate.value == pytest.approx(0.05, abs=0.01)
    assert difference.variance_reduction > 100
    apart = paired_difference(shared, -np.log(own), "d")
    assert apart.variance_reduction == pytest.approx(1.0, abs=0.25)


def test_only_equal_numbers_of_replicates_can_be_paired() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference([1.0], [1.0, 2.0], "d")


def test_one_outage_in_twenty_runs_bounds_nothing_from_above() -> None:
    """A third of the resamples have no outage at all: the data do not say how bad the mean may be."""
    estimate = mean([0.0] * 19 + [16.0], "db.downtime_s")
    assert estimate.value == 0.8
    assert estimate.high == math.inf
    assert estimate.low < 0.8
