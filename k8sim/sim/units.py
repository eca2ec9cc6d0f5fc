"""Durations: Go's notation on the outside, integer nanoseconds inside."""

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

NANOSECOND: Final = 1
MICROSECOND: Final = 1_000 * NANOSECOND
MILLISECOND: Final = 1_000 * MICROSECOND
SECOND: Final = 1_000 * MILLISECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

#: Largest duration: int64 nanoseconds as in Go, about 292 years.
MAX_DURATION: Final = 2**63 - 1

_UNITS: Final = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "µs": MICROSECOND,  # U+00B5, micro sign
    "μs": MICROSECOND,  # U+03BC, Greek letter mu
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
    "d": DAY,
}
_TERM = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>[^0-9.]*)")
_PLAIN_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def parse_duration(value: object, *, signed: bool = False) -> int:
    """Nanoseconds of a duration: "500ms", "1m30s", "7d", or a number of seconds.

    The notation is Go's ``time.ParseDuration`` with "d" (24 h) added; a number without a unit is seconds.
    Fractions are exact, and truncated below a nanosecond as Go does.

    Parameters
    ----------
    value
        What the file or the command line says; anything but a string or a number is refused.
    signed
        Accept a leading "-" or a negative number.

    Raises
    ------
    ValueError
        Not a duration, negative without `signed`, or beyond 292 years.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"invalid duration {value!r}: want a string such as 1m30s, or a number of seconds")
    if isinstance(value, str):
        ns = _parse_text(value)
    elif isinstance(value, int):
        ns = value * SECOND
    elif math.isfinite(value):
        ns = _seconds_to_ns(repr(abs(value))) * (-1 if value < 0 else 1)
    else:
        raise ValueError(f"invalid duration {value!r}: not a finite number")
    if ns < 0 and not signed:
        raise ValueError(f"invalid duration {value!r}: must not be negative")
    if abs(ns) > MAX_DURATION:
        raise ValueError(f"invalid duration {value!r}: longer than 292 years")
    return ns


def format_duration(ns: int) -> str:
    """Write nanoseconds as `parse_duration` reads them: "1m30s", "350ms", "7d".

    Go's ``Duration.String`` with days, and with parts that are zero left out ("2h", not "2h0m0s").
    """
    if ns < 0:
        return "-" + format_duration(-ns)
    if ns == 0:
        return "0s"
    if ns < SECOND:
        unit = next(unit for unit in ("ms", "µs", "ns") if ns >= _UNITS[unit])
        return _decimal(ns, _UNITS[unit]) + unit
    parts = []
    for unit in ("d", "h", "m"):
        count, ns = divmod(ns, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if ns:
        parts.append(_decimal(ns, SECOND) + "s")
    return "".join(parts)


def _decimal(ns: int, unit: int) -> str:
    whole, rest = divmod(ns, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _seconds_to_ns(number: str) -> int:
    ns = Decimal(number) * SECOND
    return int(ns.to_integral_value(ROUND_HALF_EVEN))


def _parse_text(text: str) -> int:
    sign, rest = 1, text
    if text[:1] in ("+", "-"):
        sign, rest = (-1 if text[0] == "-" else 1), text[1:]
    if _PLAIN_NUMBER.fullmatch(rest):
        return sign * _seconds_to_ns(rest)
    if not rest:
        raise ValueError(f"invalid duration {text!r}: want a duration such as 1m30s")
    total, position = 0, 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        assert term is not None  # every part of the pattern is optional
        whole, fraction, unit = term["whole"], term["fraction"] or "", term["unit"]
        if not whole and not fraction:
            raise ValueError(f"invalid duration {text!r}: want a duration such as 1m30s")
        if not unit:
            raise ValueError(f"invalid duration {text!r}: missing unit after {term[0]!r}")
        if unit not in _UNITS:
            raise ValueError(f"invalid duration {text!r}: unknown unit {unit!r} (use ns, us, ms, s, m, h or d)")
        total += int(whole or "0") * _UNITS[unit]
        total += int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
        position = term.end()
    return sign * total
