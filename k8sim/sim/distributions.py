"""Distributions of durations, as quantile functions: a uniform number in, nanoseconds out.

One number (`Distribution.quantile`) and an array (`Distribution.quantiles`) give the same integers, so that
both engines agree. Python's and NumPy's +, -, *, / and sqrt do; log and exp do not always, so both forms take
NumPy's. Scenario files write a distribution as `parse_distribution` reads it.
"""

import csv
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from k8sim.sim.normal import normal_quantile, normal_quantiles
from k8sim.sim.units import MAX_DURATION, SECOND, parse_duration

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

#: Largest float that is an int64: longer durations end here.
_CAP: Final = float(2**63 - 1024)
_LOG_CAP: Final = math.log(_CAP)
_Z_99: Final = normal_quantile(0.99)


class Distribution(ABC):
    """How long something takes."""

    @abstractmethod
    def quantile(self, u: float) -> int:
        """The duration in ns that a share u of all are not longer than, for 0 < u < 1."""

    @abstractmethod
    def quantiles(self, u: Float64Array) -> Int64Array:
        """`quantile` of each number."""

    @classmethod
    def quantiles_of_several(cls, laws: Sequence[Self], counts: Sequence[int], u: Float64Array) -> Int64Array:
        """`quantiles` of the first count of the numbers by the first law, of the next by the second, and so on."""
        parts = np.split(u, np.cumsum(counts)[:-1])
        return np.concatenate([law.quantiles(part) for law, part in zip(laws, parts, strict=True)])

    @property
    @abstractmethod
    def mean_s(self) -> float:
        """The mean in seconds."""


@dataclass(frozen=True)
class Constant(Distribution):
    """Always the same."""

    ns: int

    def quantile(self, u: float) -> int:
        return self.ns

    def quantiles(self, u: Float64Array) -> Int64Array:
        return np.full(u.shape, self.ns, dtype=np.int64)

    @property
    def mean_s(self) -> float:
        return self.ns / SECOND


@dataclass(frozen=True)
class Uniform(Distribution):
    """Between two durations, each as likely as the other; the upper one excluded."""

    low_ns: int
    high_ns: int

    def __post_init__(self) -> None:
        if self.high_ns < self.low_ns:
            raise ValueError("uniform: the first duration must not be longer than the second")

    def quantile(self, u: float) -> int:
        return self.low_ns + int(u * float(self.high_ns - self.low_ns))

    def quantiles(self, u: Float64Array) -> Int64Array:
        return self.low_ns + (u * float(self.high_ns - self.low_ns)).astype(np.int64)

    @classmethod
    def quantiles_of_several(cls, laws: Sequence[Self], counts: Sequence[int], u: Float64Array) -> Int64Array:
        low = np.array([law.low_ns for law in laws]).repeat(counts)
        width = np.array([float(law.high_ns - law.low_ns) for law in laws]).repeat(counts)
        quantiles: Int64Array = low + (u * width).astype(np.int64)
        return quantiles

    @property
    def mean_s(self) -> float:
        return (self.low_ns + self.high_ns) / 2 / SECOND


@dataclass(frozen=True)
class Exponential(Distribution):
    """Without memory: the time to the next of independent events at a constant rate."""

    mean_ns: int

    def quantile(self, u: float) -> int:
        return round(min(float(np.log1p(-u)) * -float(self.mean_ns), _CAP))

    def quantiles(self, u: Float64Array) -> Int64Array:
        return _to_ns(np.log1p(-u) * -float(self.mean_ns))

    @classmethod
    def quantiles_of_several(cls, laws: Sequence[Self], counts: Sequence[int], u: Float64Array) -> Int64Array:
        return _to_ns(np.log1p(-u) * np.array([-float(law.mean_ns) for law in laws]).repeat(counts))

    @property
    def mean_s(self) -> float:
        return self.mean_ns / SECOND


@dataclass(frozen=True)
class Lognormal(Distribution):
    """Skewed, as most latencies are; given by its median and its 99th percentile."""

    median_ns: int
    p99_ns: int

    def __post_init__(self) -> None:
        if self.median_ns <= 0:
            raise ValueError("lognormal: median must be positive")
        if self.p99_ns < self.median_ns:
            raise ValueError("lognormal: p99 must not be shorter than median")
        _require_finite_mean("lognormal", self._mu + self._sigma**2 / 2)

    @cached_property
    def _mu(self) -> float:
        return math.log(self.median_ns)

    @cached_property
    def _sigma(self) -> float:
        return (math.log(self.p99_ns) - self._mu) / _Z_99

    def quantile(self, u: float) -> int:
        return _exp_ns(self._mu + self._sigma * normal_quantile(u))

    def quantiles(self, u: Float64Array) -> Int64Array:
        return _exp_ns_array(self._mu + self._sigma * normal_quantiles(u))

    @classmethod
    def quantiles_of_several(cls, laws: Sequence[Self], counts: Sequence[int], u: Float64Array) -> Int64Array:
        z = normal_quantiles(u)
        z *= np.array([law._sigma for law in laws]).repeat(counts)
        z += np.array([law._mu for law in laws]).repeat(counts)
        return _exp_ns_array(z)

    @property
    def mean_s(self) -> float:
        return math.exp(self._mu + self._sigma**2 / 2) / SECOND


@dataclass(frozen=True)
class Weibull(Distribution):
    """Time to failure with a rate that falls (shape < 1: infant mortality) or grows (shape > 1: wear)."""

    shape: float
    scale_ns: int

    def __post_init__(self) -> None:
        if not (self.shape > 0 and math.isfinite(self.shape)):
            raise ValueError("weibull: shape must be a positive number")
        if self.scale_ns <= 0:
            raise ValueError("weibull: scale must be positive")
        _require_finite_mean("weibull", self._log_scale + math.lgamma(1 + 1 / self.shape))

    @classmethod
    def from_mean(cls, mean_ns: int, shape: float) -> Self:
        """The Weibull distribution of that mean."""
        if not (shape > 0 and math.isfinite(shape)):
            raise ValueError("weibull: shape must be a positive number")
        return cls(shape, round(mean_ns * math.exp(-math.lgamma(1 + 1 / shape))))

    @cached_property
    def _log_scale(self) -> float:
        return math.log(self.scale_ns)

    def quantile(self, u: float) -> int:
        return _exp_ns(self._log_scale + float(np.log(-np.log1p(-u))) / self.shape)

    def quantiles(self, u: Float64Array) -> Int64Array:
        return _exp_ns_array(self._log_scale + np.log(-np.log1p(-u)) / self.shape)

    @classmethod
    def quantiles_of_several(cls, laws: Sequence[Self], counts: Sequence[int], u: Float64Array) -> Int64Array:
        log = np.log(-np.log1p(-u))
        log /= np.array([law.shape for law in laws]).repeat(counts)
        log += np.array([law._log_scale for law in laws]).repeat(counts)
        return _exp_ns_array(log)

    @property
    def mean_s(self) -> float:
        return math.exp(self._log_scale + math.lgamma(1 + 1 / self.shape)) / SECOND


@dataclass(frozen=True)
class Empirical(Distribution):
    """One of the durations that were measured, each as likely as the other."""

    sorted_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.sorted_ns:
            raise ValueError("empirical: no durations")
        object.__setattr__(self, "sorted_ns", tuple(sorted(self.sorted_ns)))

    @cached_property
    def _array(self) -> Int64Array:
        return np.array(self.sorted_ns, dtype=np.int64)

    def quantile(self, u: float) -> int:
        return self.sorted_ns[int(u * len(self.sorted_ns))]

    def quantiles(self, u: Float64Array) -> Int64Array:
        return self._array[(u * float(len(self.sorted_ns))).astype(np.int64)]

    @property
    def mean_s(self) -> float:
        return sum(self.sorted_ns) / len(self.sorted_ns) / SECOND


def parse_distribution(shape: object, folder: Path = Path()) -> Distribution:
    """A distribution as a scenario writes it.

    ``2s``, ``{uniform: [1s, 3s]}``, ``{exponential: {mean: 30d}}``, ``{lognormal: {median: 2s, p99: 20s}}``,
    ``{weibull: {shape: 0.7, scale: 30d}}`` or ``{weibull: {shape: 0.7, mean: 30d}}``,
    ``{empirical: file.csv}`` or ``{empirical: [1s, 2s, 2s]}``. "never" is no duration: ask for it before.

    Parameters
    ----------
    shape
        What the YAML says.
    folder
        Where a relative file is looked for.

    Raises
    ------
    ValueError
        Saying what is wrong, and what was wanted.
    """
    if not isinstance(shape, Mapping):
        return Constant(_duration(shape))
    if len(shape) != 1:
        raise ValueError(f"want one distribution, such as {{exponential: {{mean: 30s}}}}, got {_keys(shape)}")
    ((name, parameters),) = shape.items()
    if name == "empirical":
        return _parse_empirical(parameters, folder)
    if not isinstance(name, str) or name not in _PARSERS:
        raise ValueError(f"unknown distribution {name!r}, want one of {', '.join(_PARSERS)}, empirical")
    return _PARSERS[name](parameters)


def _parse_uniform(parameters: object) -> Distribution:
    if not isinstance(parameters, list | tuple) or len(parameters) != 2:
        raise ValueError(f"uniform: want two durations, such as [1s, 3s], got {parameters!r}")
    low, high = (_duration(value, "uniform") for value in parameters)
    return Uniform(low, high)


def _parse_exponential(parameters: object) -> Distribution:
    fields = _fields("exponential", parameters, ["mean"])
    return Exponential(_duration(fields["mean"], "exponential: mean"))


def _parse_lognormal(parameters: object) -> Distribution:
    fields = _fields("lognormal", parameters, ["median", "p99"])
    median, p99 = (_duration(fields[field], f"lognormal: {field}") for field in ("median", "p99"))
    return Lognormal(median, p99)


def _parse_weibull(parameters: object) -> Distribution:
    fields = _fields("weibull", parameters, ["shape", "scale"], ["shape", "mean"])
    shape = fields["shape"]
    if isinstance(shape, bool) or not isinstance(shape, int | float):
        raise ValueError(f"weibull: shape must be a positive number, got {shape!r}")
    if "mean" in fields:
        return Weibull.from_mean(_duration(fields["mean"], "weibull: mean"), float(shape))
    return Weibull(float(shape), _duration(fields["scale"], "weibull: scale"))


def _parse_empirical(parameters: object, folder: Path) -> Distribution:
    if isinstance(parameters, list | tuple):
        return Empirical(tuple(_duration(value, "empirical") for value in parameters))
    if isinstance(parameters, str):
        return Empirical(_read_durations(folder / parameters))
    raise ValueError(f"empirical: want a CSV file or a list of durations, got {parameters!r}")


_PARSERS: Final[dict[str, Callable[[object], Distribution]]] = {
    "uniform": _parse_uniform,
    "exponential": _parse_exponential,
    "lognormal": _parse_lognormal,
    "weibull": _parse_weibull,
}


def _read_durations(path: Path) -> tuple[int, ...]:
    """Read one column of durations; a first row that is none is taken for a header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"empirical: cannot read {path}: {error}") from error
    durations = []
    rows = [(number, row) for number, row in enumerate(csv.reader(text.splitlines()), 1) if row]
    for index, (number, row) in enumerate(rows):
        if len(row) != 1:
            raise ValueError(f"empirical: {path}:{number}: want one column, got {len(row)}")
        try:
            durations.append(parse_duration(row[0].strip()))
        except ValueError as error:
            if index > 0:
                raise ValueError(f"empirical: {path}:{number}: {error}") from error
    if not durations:
        raise ValueError(f"empirical: {path} has no durations")
    return tuple(durations)


def _fields(name: str, parameters: object, *wanted: Sequence[str]) -> Mapping[str, object]:
    forms = " or ".join("{" + ", ".join(fields) + "}" for fields in wanted)
    if not isinstance(parameters, Mapping):
        raise ValueError(f"{name}: want {forms}, got {parameters!r}")
    if not any(set(parameters) == set(fields) for fields in wanted):
        raise ValueError(f"{name}: want {forms}, got {_keys(parameters)}")
    return parameters


def _keys(mapping: Mapping[object, object]) -> str:
    return "{" + ", ".join(str(key) for key in mapping) + "}"


def _duration(value: object, where: str = "") -> int:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from None


def _require_finite_mean(name: str, log_mean_ns: float) -> None:
    if log_mean_ns > math.log(MAX_DURATION):
        raise ValueError(f"{name}: the mean is longer than 292 years")


def _to_ns(ns: Float64Array) -> Int64Array:
    whole = np.minimum(ns, _CAP)
    return np.rint(whole, whole).astype(np.int64)


def _exp_ns(log_ns: float) -> int:
    return round(min(float(np.exp(min(log_ns, _LOG_CAP))), _CAP))


def _exp_ns_array(log_ns: Float64Array) -> Int64Array:
    return _to_ns(np.exp(np.minimum(log_ns, _LOG_CAP)))
