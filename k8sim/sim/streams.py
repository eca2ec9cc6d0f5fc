r"""Chance has names: every random number is addressed, none depends on the order of the draws.

A draw is a pure function of (seed, replicate, entity, purpose, occurrence): Philox 4x32-10, a counter-based
generator, with the seed as its key and the address as its counter. So a pod that is added changes no other
draw, two variants of a scenario see the same chance where they are alike, and the SimPy engine (one draw at
a time) and the lock-step engine (a NumPy array of replicates) see the same numbers.

    key     = [low word of seed, high word of seed]
    counter = [occurrence, replicate, h0, h1]      h0, h1 = blake2b-64(entity + "\0" + purpose)

Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC'11 (Random123).
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]

_WORD: Final = 0xFFFFFFFF
_MULTIPLIER_0: Final = 0xD2511F53
_MULTIPLIER_1: Final = 0xCD9E8D57
_WEYL_0: Final = 0x9E3779B9  # golden ratio
_WEYL_1: Final = 0xBB67AE85  # sqrt(3) - 1
_ROUNDS: Final = 10
_ULP: Final = 2.0**-53

# Most streams give a handful of numbers, which Python ints yield sooner than NumPy starts up.
_SCALAR_DRAWS: Final = 8
_FIRST_BLOCK: Final = 64
_LAST_BLOCK: Final = 4096
_BLOCK_GROWTH: Final = 4


def philox4x32(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]:
    """Philox 4x32-10 of one counter (four 32-bit words) under one key (two)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0 = c0 * _MULTIPLIER_0
        p1 = c2 * _MULTIPLIER_1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _WORD, (p0 >> 32) ^ c3 ^ k1, p0 & _WORD
        k0 = (k0 + _WEYL_0) & _WORD
        k1 = (k1 + _WEYL_1) & _WORD
    return c0, c1, c2, c3


def philox4x32_array(
    counter: Sequence[UInt64Array], key: Sequence[int]
) -> tuple[UInt64Array, UInt64Array, UInt64Array, UInt64Array]:
    """`philox4x32` of arrays of counters: 32-bit words, held in uint64 so that a product fits."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    multiplier_0, multiplier_1 = np.uint64(_MULTIPLIER_0), np.uint64(_MULTIPLIER_1)
    word, half = np.uint64(_WORD), np.uint64(32)
    for _ in range(_ROUNDS):
        p0 = c0 * multiplier_0
        p1 = c2 * multiplier_1
        c0 = (p1 >> half) ^ c1 ^ np.uint64(k0)
        c2 = (p0 >> half) ^ c3 ^ np.uint64(k1)
        c1 = p1 & word
        c3 = p0 & word
        k0 = (k0 + _WEYL_0) & _WORD
        k1 = (k1 + _WEYL_1) & _WORD
    return c0, c1, c2, c3


def address(entity: str, purpose: str) -> tuple[int, int]:
    """The two counter words that stand for a name: the same on every machine, unlike ``hash()``."""
    digest = hashlib.blake2b(f"{entity}\0{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def uniforms(
    seed: int, replicates: npt.ArrayLike, entity: str, purpose: str, occurrences: npt.ArrayLike
) -> Float64Array:
    """`Streams.uniform_at` of many replicates and occurrences at once (the two broadcast)."""
    h0, h1 = address(entity, purpose)
    return _uniforms(_key(seed), _words(occurrences), _words(replicates), h0, h1)


class Stream:
    """The draws of one address, in order. A handle for hot loops."""

    __slots__ = ("_block", "_buffer", "_h0", "_h1", "_key", "_next", "_replicate")

    def __init__(self, key: tuple[int, int], replicate: int, h0: int, h1: int) -> None:
        self._key = key
        self._replicate = replicate
        self._h0 = h0
        self._h1 = h1
        self._next = 0  # first occurrence that was never buffered
        self._block = _FIRST_BLOCK
        self._buffer: list[float] = []  # drawn ahead, next one last

    def uniform(self) -> float:
        """The next number, in the open interval (0, 1)."""
        buffer = self._buffer
        return buffer.pop() if buffer else self._draw()

    def uniform_at(self, occurrence: int) -> float:
        """The number of that occurrence (from 0); changes nothing."""
        counter = (_word("occurrence", occurrence), self._replicate, self._h0, self._h1)
        r0, r1, _, _ = philox4x32(counter, self._key)
        return ((r0 << 21 | r1 >> 11) | 1) * _ULP

    @property
    def occurrence(self) -> int:
        """Occurrence of the next draw, which is how many were drawn."""
        return self._next - len(self._buffer)

    def _draw(self) -> float:
        first = self._next
        if first < _SCALAR_DRAWS:
            self._next = first + 1
            return self.uniform_at(first)
        self._next = first + self._block
        self._block = min(self._block * _BLOCK_GROWTH, _LAST_BLOCK)
        # Downwards, so that the next one is popped off the end.
        occurrences = np.arange(self._next - 1, first - 1, -1, dtype=np.uint64)
        replicate = np.uint64(self._replicate)
        self._buffer = _uniforms(self._key, occurrences, replicate, self._h0, self._h1).tolist()
        return self._buffer.pop()


class Streams:
    """All draws of one replicate.

    Parameters
    ----------
    seed
        0 <= seed < 2**64.
    replicate
        0 <= replicate < 2**32.
    """

    def __init__(self, seed: int, replicate: int = 0) -> None:
        self.seed = seed
        self.replicate = _word("replicate", replicate)
        self._key = _key(seed)
        self._streams: dict[tuple[str, str], Stream] = {}

    def stream(self, entity: str, purpose: str) -> Stream:
        """The stream of that address: always the same handle, so draws through it count for all."""
        try:
            return self._streams[entity, purpose]
        except KeyError:
            h0, h1 = address(entity, purpose)
            made = self._streams[entity, purpose] = Stream(self._key, self.replicate, h0, h1)
            return made

    def uniform(self, entity: str, purpose: str) -> float:
        """The next number of that address, in the open interval (0, 1)."""
        return self.stream(entity, purpose).uniform()

    def uniform_at(self, entity: str, purpose: str, occurrence: int) -> float:
        """The number of that occurrence (from 0); changes nothing."""
        return self.stream(entity, purpose).uniform_at(occurrence)

    def jitter_ns(self, entity: str, purpose: str, d_ns: int, factor: float) -> int:
        """Between d and d*(1+factor): ``wait.Jitter``, which takes a factor of 0 or less to mean 1.

        Source: staging/src/k8s.io/apimachinery/pkg/util/wait/backoff.go.
        """
        if factor <= 0.0:
            factor = 1.0
        return d_ns + int(self.stream(entity, purpose).uniform() * factor * float(d_ns))

    def uniform_ns(self, entity: str, purpose: str, low_ns: int, high_ns: int) -> int:
        """A duration with low <= it < high (low when both are the same)."""
        if high_ns < low_ns:
            raise ValueError(f"empty interval: {low_ns} ns to {high_ns} ns")
        return low_ns + int(self.stream(entity, purpose).uniform() * (high_ns - low_ns))

    def choice(self, entity: str, purpose: str, n: int) -> int:
        """An index 0..n-1."""
        if n < 1:
            raise ValueError(f"cannot choose one of {n}")
        return int(self.stream(entity, purpose).uniform() * n)


def _key(seed: int) -> tuple[int, int]:
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be at least 0 and below 2**64, got {seed}")
    return seed & _WORD, seed >> 32


def _word(name: str, value: int) -> int:
    if not 0 <= value <= _WORD:
        raise ValueError(f"{name} must be at least 0 and below 2**32, got {value}")
    return value


def _words(values: npt.ArrayLike) -> UInt64Array:
    array = np.asarray(values)
    if array.size and (array.min() < 0 or array.max() > _WORD):
        raise ValueError("replicates and occurrences must be at least 0 and below 2**32")
    return array.astype(np.uint64)


def _uniforms(
    key: tuple[int, int], occurrence: UInt64Array, replicate: UInt64Array | np.uint64, h0: int, h1: int
) -> Float64Array:
    occurrence, replicates = np.broadcast_arrays(occurrence, replicate)
    counter = (occurrence, replicates, np.full_like(occurrence, h0), np.full_like(occurrence, h1))
    r0, r1, _, _ = philox4x32_array(counter, key)
    # 53 of 64 bits; the last one set keeps 0 and 1 out, and the numbers symmetric about 1/2.
    bits = (r0 << np.uint64(21)) | (r1 >> np.uint64(11)) | np.uint64(1)
    return bits.astype(np.float64) * _ULP
