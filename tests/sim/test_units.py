import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.sim.units import (
    DAY,
    HOUR,
    MAX_DURATION,
    MICROSECOND,
    MILLISECOND,
    MINUTE,
    SECOND,
    format_duration,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 500 * MILLISECOND),
        ("1m30s", 90 * SECOND),
        ("2h", 2 * HOUR),
        ("1.5s", 1_500 * MILLISECOND),
        ("1.5h", 90 * MINUTE),
        (".5s", 500 * MILLISECOND),
        ("1.s", SECOND),
        ("100us", 100 * MICROSECOND),
        ("100µs", 100 * MICROSECOND),
        ("100μs", 100 * MICROSECOND),
        ("3ns", 3),
        ("7d", 7 * DAY),
        ("1d12h", 36 * HOUR),
        ("1h0m0s", HOUR),
        ("+5s", 5 * SECOND),
        ("30", 30 * SECOND),
        ("0.1", 100 * MILLISECOND),
        ("0.3s", 300 * MILLISECOND),
        ("1.9999999999s", 1_999_999_999),  # Go truncates
        (20, 20 * SECOND),
        (0.35, 350 * MILLISECOND),
        (1e-9, 1),
    ],
)
def test_parses(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "want a duration"),
        ("s", "want a duration"),
        (".s", "want a duration"),
        ("-", "want a duration"),
        ("1h30", "missing unit after '30'"),
        ("5 s", "unknown unit ' s'"),
        ("5sec", "unknown unit 'sec'"),
        ("1.2.3s", "missing unit"),
        ("٣s", "want a duration"),
        ("never", "want a duration"),
        ("-1s", "negative"),
        (-1, "negative"),
        (-0.5, "negative"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (1e300, "292 years"),
        ("1e999", "292 years"),
        ("1e99999999", "unknown unit"),
        ("3000000h", "292 years"),
        (True, "want a string"),
        (None, "want a string"),
        (["1s"], "want a string"),
    ],
)
def test_refuses(text, message):
    with pytest.raises(ValueError, match=message):
        parse_duration(text)


def test_signed():
    assert parse_duration("-1s", signed=True) == -SECOND
    assert parse_duration(-0.5, signed=True) == -500 * MILLISECOND


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (350 * MILLISECOND, "350ms"),
        (1_500 * MILLISECOND, "1.5s"),
        (90 * SECOND, "1m30s"),
        (2 * HOUR, "2h"),
        (HOUR + 5 * SECOND, "1h5s"),
        (7 * DAY, "7d"),
        (MINUTE + 1, "1m0.000000001s"),
        (-SECOND, "-1s"),
    ],
)
def test_formats(ns, text):
    assert format_duration(ns) == text


@given(st.integers(-MAX_DURATION, MAX_DURATION))
def test_what_is_written_is_read_back(ns):
    assert parse_duration(format_duration(ns), signed=True) == ns
