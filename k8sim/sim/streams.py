r"""Chance has names: every random number is addressed, none depends on the order of the draws.

A draw is a pure function of (seed, replicate, entity, purpose, occurrence): Philox 4x32-10, a counter-based
generator, with the seed as its key and the address as its counter. So a pod that is added changes no other
draw, two variants of a scenario see the same chance where they are alike, and the SimPy engine (one draw at
a time) and the lock-step engine (a NumPy array of replicates) see the same numbers.

    key     = [low word of seed, high word of seed]
    counter = [occurrence, replicate, h0, h1]      h0, h1 = blake2b-64(entity + "\0" + purpose)

Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC'11 (Random123).
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]
RoundKeys = tuple[tuple[int, int], ...]
Name = tuple[str, str]

_WORD: Final = 0xFFFFFFFF
_MULTIPLIER_0: Final = 0xD2511F53
_MULTIPLIER_1: Final = 0xCD9E8D57
_WEYL_0: Final = 0x9E3779B9  # golden ratio
_WEYL_1: Final = 0xBB67AE85  # sqrt(3) - 1
_ROUNDS: Final = 10
_ULP: Final = 2.0**-53

# Most streams give one number or a handful. Four cost hardly more than one; those that go on have growing blocks.
_BLOCKS: Final = (4, 16, 32, 64, 128, 256)
_REMEMBERED: Final = 1 << 14
"""Numbers that a replicate gets from NumPy, drawn ahead; a cluster that takes more spends its time elsewhere."""
_FEW: Final = 16
"""Numbers that are better drawn when they are asked for: a pass of NumPy costs as much as some ten blocks."""
_NOWHERE: Final = (0, 0)
_LANE: Final = 64

# NumPy takes arrays without dimensions as they are; numbers it would convert in every call.
_MULTIPLIER_0_ARRAY: Final = np.array(_MULTIPLIER_0, dtype=np.uint64)
_MULTIPLIER_1_ARRAY: Final = np.array(_MULTIPLIER_1, dtype=np.uint64)
_WORD_ARRAY: Final = np.array(_WORD, dtype=np.uint64)
_HALF: Final = np.array(32, dtype=np.uint64)


@lru_cache(maxsize=2)
def round_keys(seed: int) -> RoundKeys:
    """The key of each round of Philox 4x32-10."""
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed must be at least 0 and below 2**64, got {seed}")
    k0, k1 = seed & _WORD, seed >> 32
    return tuple(((k0 + i * _WEYL_0) & _WORD, (k1 + i * _WEYL_1) & _WORD) for i in range(_ROUNDS))


def philox4x32(c0: int, c1: int, c2: int, c3: int, keys: RoundKeys) -> tuple[int, int, int, int]:
    """Philox 4x32-10 of one counter of four 32-bit words."""
    for k0, k1 in keys:
        p0 = c0 * _MULTIPLIER_0
        p1 = c2 * _MULTIPLIER_1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _WORD, (p0 >> 32) ^ c3 ^ k1, p0 & _WORD
    return c0, c1, c2, c3


class Lanes:
    """`philox4x32` of n successive counters side by side in one Python int, each in a lane of 64 bits.

    A product of two 32-bit words fits its lane, so an operation on long ints is n operations on words. For up to a few
    hundred numbers that is several times as fast as NumPy, whose calls cost more than what they do.
    """

    __slots__ = ("_keys", "_n", "_ones", "_unpack", "_upwards", "_words")

    def __init__(self, keys: RoundKeys, n: int) -> None:
        self._n = n
        self._ones = ones = sum(1 << _LANE * i for i in range(n))
        self._words = ones * _WORD
        self._upwards = sum(i << _LANE * i for i in range(n))
        self._keys = tuple((k0 * ones, k1 * ones) for k0, k1 in keys)
        self._unpack = struct.Struct(f"<{n}Q").unpack

    def uniforms(self, first: int, replicate: int, h0: int, h1: int) -> list[float]:
        """The numbers of occurrences first .. first + n - 1."""
        ones, words = self._ones, self._words
        c0, c1 = first * ones + self._upwards, replicate * ones
        c2, c3 = h0 * ones, h1 * ones
        for k0, k1 in self._keys:
            p0 = c0 * _MULTIPLIER_0
            p1 = c2 * _MULTIPLIER_1
            c0, c1, c2, c3 = (p1 >> 32) & words ^ c1 ^ k0, p1 & words, (p0 >> 32) & words ^ c3 ^ k1, p0 & words
        bits = c0 << 21 | c1 >> 11 & words | ones
        return [number * _ULP for number in self._unpack(bits.to_bytes(8 * self._n, "little"))]


@lru_cache(maxsize=2 * len(_BLOCKS))
def _lanes(seed: int, n: int) -> Lanes:
    return Lanes(round_keys(seed), n)


class Ahead:
    """What is drawn ahead for the replicates under one seed.

    The replicates of a scenario have streams of the same names, and take about as many numbers from each. So what any
    of them has taken is drawn for the next ones in one pass of NumPy: 0.1 us a number, against 0.5 to 2 us in blocks.
    Who asks, and in which order, changes no number.
    """

    __slots__ = ("_addresses", "_before", "_keys", "_lock", "_occurrences", "_places", "_taken", "_total")

    def __init__(self, seed: int) -> None:
        self._keys = round_keys(seed)
        self._lock = threading.Lock()  # an executor of threads, such as a Dask worker, runs replicates side by side
        self._before: dict[Name, Stream] = {}
        self._taken: dict[Name, int] = {}
        self._total = 0
        self._places: dict[Name, tuple[int, int]] = {}
        self._addresses: UInt64Array = np.empty((2, 0), dtype=np.uint64)
        self._occurrences: UInt64Array = np.empty(0, dtype=np.uint64)

    def of(self, replicate: int, streams: dict[Name, Stream]) -> tuple[Mapping[Name, tuple[int, int]], list[float]]:
        """What is drawn for a replicate: where each stream's numbers begin and end, and all numbers.

        The replicate's streams, as they will be, tell later what it has taken.
        """
        with self._lock:
            before, self._before = self._before, streams
            if self._learn(before):
                self._plan()
            places, occurrences, (h0, h1) = self._places, self._occurrences, self._addresses
        if len(occurrences) < _FEW:
            return {}, []
        return places, _uniforms(self._keys, occurrences, np.uint64(replicate), h0, h1).tolist()

    def _learn(self, streams: dict[Name, Stream]) -> bool:
        """Take in what a replicate has taken; tell whether that was more than any before."""
        total = self._total
        for name, stream in streams.copy().items():  # its thread may be adding to them: a copy is made in one go
            taken = stream.before + stream.at
            more = taken - self._taken.get(name, 0)
            if more > 0 and self._total + more <= _REMEMBERED:
                self._taken[name] = taken
                self._total += more
        return self._total > total

    def _plan(self) -> None:
        """Lay out what is drawn from now on."""
        counts = np.array(list(self._taken.values()))
        ends = np.cumsum(counts)
        begins = ends - counts
        self._places = dict(zip(self._taken, zip(begins.tolist(), ends.tolist(), strict=True), strict=True))
        addresses = np.array([address(*name) for name in self._taken], dtype=np.uint64)
        self._addresses = addresses.T.repeat(counts, axis=1)
        self._occurrences = (np.arange(ends[-1]) - begins.repeat(counts)).astype(np.uint64)


_ahead = lru_cache(maxsize=2)(Ahead)


@lru_cache(maxsize=2)
def _arrays(keys: RoundKeys) -> list[tuple[UInt64Array, UInt64Array]]:
    return [(np.array(k0, dtype=np.uint64), np.array(k1, dtype=np.uint64)) for k0, k1 in keys]


def philox4x32_array(even: UInt64Array, odd: UInt64Array, keys: RoundKeys) -> None:
    """`philox4x32` of n counters, in place: words 0 and 2 are one (2, n) array, words 1 and 3 another.

    The words are 32-bit, held in uint64 so that a product fits. NumPy is at its quickest with whole arrays and single
    numbers: a number for each row would cost more than what is done with it.
    """
    product = np.empty_like(even)
    (c0, c2), (p1, p0) = even, product
    all_even, all_odd, all_product = even.reshape(-1), odd.reshape(-1), product.reshape(-1)
    for k0, k1 in _arrays(keys):
        np.multiply(c0, _MULTIPLIER_0_ARRAY, p0)
        np.multiply(c2, _MULTIPLIER_1_ARRAY, p1)
        np.right_shift(all_product, _HALF, all_even)
        all_even ^= all_odd
        c0 ^= k0
        c2 ^= k1
        np.bitwise_and(all_product, _WORD_ARRAY, all_odd)


@lru_cache(maxsize=1 << 16)  # the replicates of a scenario have the same names
def address(entity: str, purpose: str) -> tuple[int, int]:
    """The two counter words that stand for a name: the same on every machine, unlike ``hash()``."""
    digest = hashlib.blake2b(f"{entity}\0{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def uniforms(
    seed: int, replicates: npt.ArrayLike, entity: str, purpose: str, occurrences: npt.ArrayLike
) -> Float64Array:
    """`Streams.uniform_at` of many replicates and occurrences at once (the two broadcast)."""
    h0, h1 = address(entity, purpose)
    return _uniforms(round_keys(seed), _words(occurrences), _words(replicates), h0, h1)


class Stream(msgspec.Struct, eq=False, gc=False):
    """The draws of one address, in order.

    Attributes
    ----------
    numbers
        What is drawn ahead, for many streams or for this one.
    at, end
        Where the next number is, and where those of the stream end.
    before
        How many numbers were drawn before the first of ``numbers``: it takes the index to the occurrence.
    """

    seed: int
    replicate: int
    name: Name
    numbers: list[float]
    at: int
    end: int
    before: int
    blocks: int = 0

    def uniform(self) -> float:
        """The next number, in the open interval (0, 1)."""
        at = self.at
        if at < self.end:
            self.at = at + 1
            return self.numbers[at]
        return self._begin_block()

    def uniform_at(self, occurrence: int) -> float:
        """The number of that occurrence (from 0); changes nothing."""
        if not 0 <= occurrence <= _WORD:
            raise ValueError(f"occurrence must be at least 0 and below 2**32, got {occurrence}")
        r0, r1, _, _ = philox4x32(occurrence, self.replicate, *address(*self.name), round_keys(self.seed))
        return ((r0 << 21 | r1 >> 11) | 1) * _ULP

    @property
    def occurrence(self) -> int:
        """Occurrence of the next draw, which is how many were drawn."""
        return self.before + self.at

    def _begin_block(self) -> float:
        """Draw a block, larger than the one before, and return its first number."""
        n = _BLOCKS[min(self.blocks, len(_BLOCKS) - 1)]
        self.before = self.occurrence
        self.numbers = _lanes(self.seed, n).uniforms(self.before, self.replicate, *address(*self.name))
        self.at, self.end = 1, n
        self.blocks += 1
        return self.numbers[0]


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
        if not 0 <= replicate <= _WORD:
            raise ValueError(f"replicate must be at least 0 and below 2**32, got {replicate}")
        self.seed = seed
        self.replicate = replicate
        self._streams: dict[Name, Stream] = {}
        self._places, self._ahead = _ahead(seed).of(replicate, self._streams)

    def stream(self, entity: str, purpose: str) -> Stream:
        """The stream of that address: always the same handle, so draws through it count for all."""
        name = (entity, purpose)
        stream = self._streams.get(name)
        if stream is None:
            begin, end = self._places.get(name, _NOWHERE)
            stream = Stream(self.seed, self.replicate, name, self._ahead, begin, end, -begin)
            self._streams[name] = stream
        return stream

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


def _words(values: npt.ArrayLike) -> UInt64Array:
    array = np.asarray(values)
    if array.size and (array.min() < 0 or array.max() > _WORD):
        raise ValueError("replicates and occurrences must be at least 0 and below 2**32")
    return array.astype(np.uint64)


def _uniforms(
    keys: RoundKeys,
    occurrence: UInt64Array,
    replicate: UInt64Array | np.uint64,
    h0: UInt64Array | int,
    h1: UInt64Array | int,
) -> Float64Array:
    shape = np.broadcast(occurrence, replicate).shape
    even = np.empty((2, *shape), dtype=np.uint64)
    odd = np.empty((2, *shape), dtype=np.uint64)
    even[0], odd[0], even[1], odd[1] = occurrence, replicate, h0, h1
    philox4x32_array(even.reshape(2, -1), odd.reshape(2, -1), keys)
    # 53 of 64 bits; the last one set keeps 0 and 1 out, and the numbers symmetric about 1/2.
    high, low = even[0], odd[0]
    high <<= np.uint64(21)
    low >>= np.uint64(11)
    high |= low
    high |= np.uint64(1)
    numbers: Float64Array = high.astype(np.float64)
    numbers *= _ULP
    return numbers
