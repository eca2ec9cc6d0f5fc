"""One metric in bounded memory: beyond the limit, the figures stay what they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.runner.series import BIN, EXACT, LogHistogram, Series
from k8sim.sim.streams import uniforms


def test_beyond_the_limit_the_figures_stay_the_same_within_what_is_said() -> None:
    x = -np.log(uniforms(1, 0, "series", "test", np.arange(EXACT + 20_000)))
    series = Series("x", {"x > 3": lambda v: v > 3})
    for first in range(0, len(x), 7_000):
        series.add(x[first : first + 7_000])
    assert not series.exact
    estimate = series.mean()
    assert estimate.value == pytest.approx(x.mean(), rel=1e-12)
    assert estimate.half_width == pytest.approx(1.96 * x.std() / math.sqrt(len(x)), rel=1e-3)
    for q in (0.01, 0.5, 0.99):
        assert series.quantile(q).value == pytest.approx(np.quantile(x, q), rel=BIN)
    assert series.event("x > 3").value == (x > 3).mean()
    with pytest.raises(ValueError, match="not kept"):
        _ = series.values


def test_memory_does_not_grow_with_the_number_of_replicates() -> None:
    series = Series("x")
    x = uniforms(1, 0, "series", "memory", np.arange(100_000))
    series.add(x)
    bins = len(series._histogram.bins())
    for _ in range(10):
        series.add(x)
    assert series.n == 1_100_000
    assert len(series._histogram.bins()) == bins
    assert series._values is None


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-6), min_size=1))
def test_every_value_lies_in_one_bin(values: list[float]) -> None:
    histogram = LogHistogram()
    histogram.add(values)
    bins = histogram.bins()
    assert sum(count for _, _, count in bins) == len(values)
    for value in values:
        assert any(
            low * (1 - 1e-9) - 1e-9 <= value <= high * (1 + 1e-9) + 1e-9
            or (low * (1 + 1e-9) <= value <= high * (1 - 1e-9))
            for low, high, _ in bins
        )


def test_values_that_are_not_defined_do_not_count() -> None:
    series = Series("x")
    series.add([1.0, math.nan, 3.0])
    assert series.mean().n == 2


def test_what_was_kept_up_to_the_limit_is_summed_up_as_if_it_never_had_been(monkeypatch: pytest.MonkeyPatch) -> None:
    x = uniforms(1, 0, "series", "limit", np.arange(1_000))
    x[::7] = math.nan
    figures = []
    for limit in (0, 500):
        monkeypatch.setattr("k8sim.runner.series.EXACT", limit)
        series = Series("x", {"x > 0.5": lambda v: v > 0.5})
        for first in range(0, len(x), 70):
            series.add(x[first : first + 70])
        assert not series.exact
        figures.append((series.mean(), series.quantile(0.9), series.event("x > 0.5"), series._histogram.bins()))
    assert figures[0] == figures[1]


def test_an_event_is_counted_where_all_values_are_kept() -> None:
    series = Series("x", {"x > 2": lambda v: v > 2})
    series.add([1.0, math.nan, 3.0])
    series.add([5.0])
    assert (series.event("x > 2").value, series.event("x > 2").n) == (2 / 3, 3)
