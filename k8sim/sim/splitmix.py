r"""SplitMix64: draws by entity, occasion and purpose, at a tenth of what an address for each of them costs.

`k8sim.sim.streams` addresses every draw, at the price of ten rounds of Philox. Here only an entity of a replicate has
an address, of which one Philox block makes the 64 bits that it starts from. Whenever something happens to it, it has a
new occasion, at which it can draw one number for each purpose. An entity that is added still changes no other draw,
variants still see the same chance, and an entity draws the same alone and side by side with thousands of others.

    start                = first two words of Philox at counter [0, replicate, h0, h1]
    draw at occasion n   = mix(start + n * golden ratio + h)        n = 0, 1, 2, ...
    h0, h1 and h         = blake2b-64 of the entity's name and of the purpose

Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA'14; mix is Stafford's variant 13.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from k8sim.sim.streams import address, philox4x32, philox4x32_array, round_keys

UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]

GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX_0: Final = 0xBF58476D1CE4E5B9
_MIX_1: Final = 0x94D049BB133111EB
_MASK: Final = 2**64 - 1
_ULP: Final = 2.0**-53

# NumPy takes arrays without dimensions as they are; numbers it would convert in every call.
_ARRAY_MIX_0, _ARRAY_MIX_1, _30, _27, _31, _11, _1 = (
    np.array(number, dtype=np.uint64) for number in (_MIX_0, _MIX_1, 30, 27, 31, 11, 1)
)


def mix(z: int) -> int:
    """Turn 64 bits into 64 others, each of which depends on all."""
    z = ((z ^ z >> 30) * _MIX_0) & _MASK
    z = ((z ^ z >> 27) * _MIX_1) & _MASK
    return z ^ z >> 31


@lru_cache
def purpose_word(purpose: str) -> int:
    """The 64 bits that stand for a purpose."""
    h0, h1 = address("", purpose)
    return h0 << 32 | h1


class Occasions:
    """The draws of one entity in one replicate."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, replicate: int, entity: str) -> None:
        r0, r1, _, _ = philox4x32(0, replicate, *address(entity, "occasions"), round_keys(seed))
        self._state = r0 << 32 | r1

    def next(self) -> None:
        """Begin a new occasion."""
        self._state = (self._state + GOLDEN) & _MASK

    def uniform(self, purpose: str) -> float:
        """The number for a purpose, in the open interval (0, 1); the same until the next occasion."""
        return (mix((self._state + purpose_word(purpose)) & _MASK) >> 11 | 1) * _ULP


def starts(seed: int, replicates: npt.ArrayLike, entity: str) -> UInt64Array:
    """Return the state of an entity at its first occasion in each replicate; an occasion later it is `GOLDEN` more."""
    numbers = np.asarray(replicates, dtype=np.uint64)
    h0, h1 = address(entity, "occasions")
    even, odd = np.zeros((2, len(numbers)), dtype=np.uint64), np.empty((2, len(numbers)), dtype=np.uint64)
    odd[0], even[1], odd[1] = numbers, h0, h1
    philox4x32_array(even, odd, round_keys(seed))
    start: UInt64Array = even[0] << np.uint64(32) | odd[0]
    return start


def uniforms(z: UInt64Array) -> Float64Array:
    """Return `Occasions.uniform` for sums of states and words of purposes, which are overwritten."""
    shifted = z >> _30
    z ^= shifted
    z *= _ARRAY_MIX_0
    np.right_shift(z, _27, shifted)
    z ^= shifted
    z *= _ARRAY_MIX_1
    np.right_shift(z, _31, shifted)
    z ^= shifted
    z >>= _11
    z |= _1
    numbers = z.astype(np.float64)
    numbers *= _ULP
    return numbers
