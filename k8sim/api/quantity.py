"""Kubernetes quantities ("500m", "16Gi", 1e3): exact integers, rounded up.

Source: staging/src/k8s.io/apimachinery/pkg/api/resource/{quantity,suffix}.go.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Final

_SPLIT = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)

_WRONG_FORMAT: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_MAX: Final = 2**63 - 1  # the API server caps what is larger
_MAX_EXPONENT: Final = 99  # beyond it the number is capped or rounds to one step anyway


def parse_quantity(q: str | float) -> int:
    """Base units (bytes, cores, pieces) of a quantity, rounded up away from zero as ``Quantity.Value``.

    Raises
    ------
    ValueError
        With the API server's words.
    """
    return _scaled(q, 1)


def parse_milli(q: str | float) -> int:
    """Thousandths of a base unit, rounded up away from zero as ``Quantity.MilliValue``."""
    return _scaled(q, 1000)


def format_quantity(value: int, *, binary: bool = False) -> str:
    """Canonical form of a number of base units: no fraction, the largest suffix that keeps it exact.

    Parameters
    ----------
    value
        Base units.
    binary
        Powers of 1024 ("16Gi") rather than of 1000 ("16G").
    """
    step, suffixes = (1024, tuple(_BINARY)) if binary else (1000, ("k", "M", "G", "T", "P", "E"))
    suffix = ""
    for larger in suffixes:
        if value == 0 or value % step:
            break
        value, suffix = value // step, larger
    return f"{value}{suffix}"


def format_milli(milli: int) -> str:
    """Canonical form of thousandths: "250m", "1500m", "2"."""
    return f"{milli}m" if milli % 1000 else format_quantity(milli // 1000)


# Typed, because True == 1 == 1.0 and only one of them may be refused.
@lru_cache(maxsize=65536, typed=True)
def _scaled(q: str | float, scale: int) -> int:
    amount = _exact(q)
    magnitude = min(abs(amount), Fraction(_MAX)) * scale
    rounded = -(-magnitude.numerator // magnitude.denominator)
    return rounded if amount >= 0 else -rounded


def _exact(q: str | float) -> Fraction:
    if isinstance(q, bool) or not isinstance(q, str | int | float):
        raise ValueError(_WRONG_FORMAT)
    # A YAML number reaches the API server as JSON text, and is parsed like a string.
    split = _SPLIT.fullmatch(q if isinstance(q, str) else repr(q))
    if split is None:
        raise ValueError(_WRONG_FORMAT)
    number, suffix = split.groups()
    if not _NUMBER.fullmatch(number):
        raise ValueError("unable to parse numeric part of quantity")
    amount = Fraction(number)
    if suffix in _DECIMAL:
        return amount * _power_of_ten(_DECIMAL[suffix])
    if suffix in _BINARY:
        return amount * (1 << _BINARY[suffix])
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None:
        raise ValueError("unable to parse quantity's suffix")
    power = max(-_MAX_EXPONENT, min(_MAX_EXPONENT, int(exponent[1])))
    return amount * _power_of_ten(power)


def _power_of_ten(power: int) -> Fraction:
    step = Fraction(10) if power >= 0 else Fraction(1, 10)
    return Fraction(step ** abs(power))
