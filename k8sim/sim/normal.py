"""Quantiles of the standard normal distribution: one number or an array, the same bits.

Wichura (1988): "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics
37(3), 477-484, routine PPND16: about 16 digits. Only the logarithm is not exact arithmetic or correctly
rounded, so both forms ask NumPy for it: ``math.log`` may differ in the last bit.
"""

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
_Number = TypeVar("_Number", float, Float64Array)

_CENTRE_HALF_WIDTH: Final = 0.425
_TAIL_SPLIT: Final = 5.0

# Numerator and denominator of each rational approximation, highest power first.
_CENTRE: Final = (
    (
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ),
)
_TAIL: Final = (
    (
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ),
)
_FAR_TAIL: Final = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ),
)


# NumPy takes arrays without dimensions as they are; numbers it would convert in every call.
_CENTRE_ARRAYS, _TAIL_ARRAYS, _FAR_TAIL_ARRAYS = (
    tuple(tuple(np.array(coefficient) for coefficient in polynomial) for polynomial in polynomials)
    for polynomials in (_CENTRE, _TAIL, _FAR_TAIL)
)


def normal_quantile(u: float) -> float:
    """The z with P(Z <= z) = u, for 0 < u < 1."""
    q = u - 0.5
    if abs(q) <= _CENTRE_HALF_WIDTH:
        return q * _ratio(_CENTRE, 0.180625 - q * q)
    r = _distance(u)
    z = _ratio(_TAIL, r - 1.6) if r <= _TAIL_SPLIT else _ratio(_FAR_TAIL, r - 5.0)
    return -z if q < 0.0 else z


def normal_quantiles(u: Float64Array) -> Float64Array:
    """`normal_quantile` of each number."""
    q = u - 0.5
    z = _ratio(_CENTRE_ARRAYS, 0.180625 - q * q)  # finite for all; those outside the centre are written anew
    z *= q
    outside = (np.abs(q) > _CENTRE_HALF_WIDTH).nonzero()
    u_outside = u[outside]
    r = np.sqrt(-np.log(np.minimum(u_outside, 1.0 - u_outside)))
    z_outside = _ratio(_TAIL_ARRAYS, r - 1.6)
    far = np.flatnonzero(r > _TAIL_SPLIT)
    if len(far):
        z_outside[far] = _ratio(_FAR_TAIL_ARRAYS, r[far] - 5.0)
    z[outside] = np.copysign(z_outside, q[outside])
    return z


def _distance(u: float) -> float:
    return float(np.sqrt(-np.log(min(u, 1.0 - u))))


def _ratio(polynomials: tuple[tuple[_Number, ...], ...], r: _Number) -> _Number:
    numerator, denominator = polynomials
    return _polynomial(numerator, r) / _polynomial(denominator, r)


def _polynomial(coefficients: tuple[_Number, ...], r: _Number) -> _Number:
    value = r * coefficients[0]
    value += coefficients[1]
    for coefficient in coefficients[2:]:
        value *= r  # in place, if it is an array
        value += coefficient
    return value
