"""Cumulative hazards of lifetime laws, and their inverses: what importance sampling of failures needs.

A lifetime with distribution F has the cumulative hazard H(t) = -log(1 - F(t)), and H of a lifetime is exponential with
mean 1 whatever F is. So a failure clock is a *budget* drawn from Exp(1) that is used up at the rate of the hazard; a
hazard multiplied by theta uses it up theta times as fast. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from k8sim.sim.distributions import Distribution, Exponential, Lognormal, Uniform, Weibull
from k8sim.sim.units import SECOND

Floats = npt.NDArray[np.float64]
_BISECTIONS = 60
_MOST = 700.0
"""A budget larger than this is never drawn: exp(-700) is the smallest number there is."""


@dataclass(frozen=True)
class Hazard:
    """A cumulative hazard and its inverse, both on arrays."""

    of: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    memoryless: bool
    mean_s: float


def hazard(law: Distribution) -> Hazard:
    """Return the cumulative hazard of a law.

    Closed for exponential and Weibull laws; any other law with a density by bisection of its quantile function.

    Raises
    ------
    ValueError
        A law without a density (constant, empirical) has no hazard that could be scaled.
    """
    if isinstance(law, Exponential):
        mean = law.mean_ns / SECOND
        return Hazard(lambda t: t / mean, lambda h: h * mean, True, mean)
    if isinstance(law, Weibull):
        scale, shape = law.scale_ns / SECOND, law.shape
        return Hazard(
            lambda t: np.power(t / scale, shape), lambda h: scale * np.power(h, 1 / shape), shape == 1.0, law.mean_s
        )
    if isinstance(law, Lognormal | Uniform):

        def inverse(h: Floats) -> Floats:
            u = np.clip(-np.expm1(-np.minimum(h, _MOST)), 2.0**-60, 1 - 2.0**-53)
            return law.quantiles(u) / SECOND

        return Hazard(lambda t: _bisected(inverse, t), inverse, False, law.mean_s)
    raise ValueError(f"{type(law).__name__.lower()} lifetimes have no density, so their hazard cannot be scaled")


def _bisected(inverse: Callable[[Floats], Floats], t: Floats) -> Floats:
    """Return h with inverse(h) = t."""
    low, high = np.zeros_like(t), np.full_like(t, _MOST)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = inverse(middle) > t
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    return (low + high) / 2
