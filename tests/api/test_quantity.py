import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.api.quantity import format_milli, format_quantity, parse_milli, parse_quantity


@pytest.mark.parametrize(
    ("q", "value", "milli"),
    [
        ("4", 4, 4_000),
        (4, 4, 4_000),
        ("500m", 1, 500),
        ("0.5", 1, 500),
        (0.5, 1, 500),
        (".5", 1, 500),
        ("1.", 1, 1_000),
        ("+1", 1, 1_000),
        ("16Gi", 16 * 2**30, 16_000 * 2**30),
        ("1.5Gi", 3 * 2**29, 1_500 * 2**30),
        ("100k", 100_000, 100_000_000),
        ("12e6", 12_000_000, 12_000_000_000),
        ("12E6", 12_000_000, 12_000_000_000),
        ("1E", 10**18, 10**21),
        ("1e+3", 1_000, 1_000_000),
        ("1500e-3", 2, 1_500),
        (1e3, 1_000, 1_000_000),
        (1e22, 2**63 - 1, (2**63 - 1) * 1_000),
        (128974848, 128974848, 128974848_000),
        ("1n", 1, 1),
        ("1u", 1, 1),
        ("100.1m", 1, 101),
        ("0", 0, 0),
        ("-1.5", -2, -1_500),
        ("100Ei", 2**63 - 1, (2**63 - 1) * 1_000),
        ("1e999999999999", 2**63 - 1, (2**63 - 1) * 1_000),
        ("0e999999999999", 0, 0),
    ],
)
def test_parses_exactly_and_rounds_up(q, value, milli):
    assert parse_quantity(q) == value
    assert parse_milli(q) == milli


@pytest.mark.parametrize(
    ("q", "message"),
    [
        ("", "must match the regular expression"),
        ("abc", "must match the regular expression"),
        ("1 Gi", "must match the regular expression"),
        ("1GB", "must match the regular expression"),
        ("1Gi\n", "must match the regular expression"),
        ("1..5", "numeric part"),
        (".", "numeric part"),
        ("1K", "must match the regular expression|suffix"),
        ("1ki", "suffix"),
        ("1e", "suffix"),
        ("1mm", "suffix"),
        ("1e3k", "must match the regular expression"),
        ("٣", "must match the regular expression"),
        (True, "must match the regular expression"),
        (None, "must match the regular expression"),
        (float("nan"), "must match the regular expression"),
    ],
)
def test_refuses_in_the_words_of_the_api_server(q, message):
    with pytest.raises(ValueError, match=message):
        parse_quantity(q)


def test_a_truth_value_is_refused_after_the_same_number_was_read():
    assert parse_quantity(1) == 1
    with pytest.raises(ValueError):
        parse_quantity(True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_quantity(16 * 2**30, binary=True), "16Gi"),
        (format_quantity(3 * 2**29, binary=True), "1536Mi"),
        (format_quantity(1000, binary=True), "1000"),
        (format_quantity(1_500_000), "1500k"),
        (format_quantity(0), "0"),
        (format_milli(500), "500m"),
        (format_milli(2_000), "2"),
        (format_milli(2_000_000), "2k"),
    ],
)
def test_formats_canonically(text, expected):
    assert text == expected


@given(st.integers(-(2**62), 2**62), st.booleans())
def test_what_is_written_is_read_back(value, binary):
    assert parse_quantity(format_quantity(value, binary=binary)) == value
    assert parse_milli(format_milli(value)) == value
