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
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]
RoundKeys = tuple[tuple[int, int], ...]
Address = tuple[int, int]

_WORD: Final = 0xFFFFFFFF
_MULTIPLIER_0: Final = 0xD2511F53
_MULTIPLIER_1: Final = 0xCD9E8D57
_WEYL_0: Final = 0x9E3779B9  # golden ratio
_WEYL_1: Final = 0xBB67AE85  # sqrt(3) - 1
_ROUNDS: Final = 10
_ULP: Final = 2.0**-53

# Most streams give one number or a handful. Four cost hardly more than one; those that go on have growing blocks.
_BLOCKS: Final = (4, 16, 32, 64, 128, 256)
_ABREAST: Final = 16
"""Replicates for which NumPy draws at once what earlier ones have taken: 0.1 us a number, against 0.5 to 2 us alone."""
_REMEMBERED: Final = 1 << 14
"""Numbers a replicate for which that is done, 2 MB; a cluster that takes more spends its time elsewhere."""
_LANE: Final = 64


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

    __slots__ = ("_downwards", "_keys", "_n", "_ones", "_unpack", "_words")

    def __init__(self, keys: RoundKeys, n: int) -> None:
        self._n = n
        self._ones = ones = sum(1 << _LANE * i for i in range(n))
        self._words = ones * _WORD
        self._downwards = sum((n - 1 - i) << _LANE * i for i in range(n))
        self._keys = tuple((k0 * ones, k1 * ones) for k0, k1 in keys)
        self._unpack = struct.Struct(f"<{n}Q").unpack

    def uniforms(self, first: int, replicate: int, h0: int, h1: int) -> list[float]:
        """The numbers of occurrences first .. first + n - 1, the last one first."""
        ones, words = self._ones, self._words
        c0, c1 = first * ones + self._downwards, replicate * ones
        c2, c3 = h0 * ones, h1 * ones
        for k0, k1 in self._keys:
            p0 = c0 * _MULTIPLIER_0
            p1 = c2 * _MULTIPLIER_1
            c0, c1, c2, c3 = (p1 >> 32) & words ^ c1 ^ k0, p1 & words, (p0 >> 32) & words ^ c3 ^ k1, p0 & words
        bits = c0 << 21 | c1 >> 11 & words | ones
        return [number * _ULP for number in self._unpack(bits.to_bytes(8 * self._n, "little"))]


class Blocks:
    """Draws under one seed, in blocks.

    The replicates of a scenario have streams of the same names, and take about as many numbers from each. So what the
    replicates before have drawn block by block is drawn for several replicates at once, all streams in one pass. Who
    asks, and in which order, changes no number.
    """

    __slots__ = ("_ahead", "_lanes", "_places", "_since", "_wanted", "_wanted_total", "keys")

    def __init__(self, seed: int) -> None:
        self.keys = round_keys(seed)
        self._lanes: dict[int, Lanes] = {}
        self._wanted: dict[Address, int] = {}
        self._wanted_total = 0
        self._since = 0
        self._places: dict[Address, slice] = {}
        self._ahead: Float64Array = np.empty((0, 0))

    def ahead(self, replicate: int) -> tuple[Mapping[Address, slice], list[float]]:
        """What is drawn ahead for a replicate: where each stream's numbers are, the next one last, and all numbers."""
        replicates, drawn = self._ahead.shape
        if not 0 <= replicate - self._since < replicates or 4 * self._wanted_total > 5 * drawn:
            if not self._wanted or replicate > _WORD - _ABREAST:
                return {}, []
            self._draw_ahead(replicate)
        return self._places, self._ahead[replicate - self._since].tolist()

    def _draw_ahead(self, replicate: int) -> None:
        counts = np.array(list(self._wanted.values()))
        ends = np.cumsum(counts)
        h0, h1 = np.array(list(self._wanted), dtype=np.uint64).repeat(counts, axis=0).T
        occurrences = (ends.repeat(counts) - 1 - np.arange(ends[-1])).astype(np.uint64)
        replicates = np.arange(replicate, replicate + _ABREAST, dtype=np.uint64)[:, None]
        self._since = replicate
        self._places = dict(zip(self._wanted, map(slice, (ends - counts).tolist(), ends.tolist()), strict=True))
        self._ahead = uniforms_of(self.keys, replicates, h0, h1, occurrences)

    def block(self, number: int, first: int, replicate: int, h0: int, h1: int) -> list[float]:
        """A block that begins at an occurrence, the next number last; blocks grow with their number."""
        n = _BLOCKS[min(number, len(_BLOCKS) - 1)]
        more = first + n - self._wanted.get((h0, h1), 0)
        if more > 0 and self._wanted_total + more <= _REMEMBERED:
            self._wanted[h0, h1] = first + n
            self._wanted_total += more
        lanes = self._lanes.get(n)
        if lanes is None:
            lanes = self._lanes[n] = Lanes(self.keys, n)
        return lanes.uniforms(first, replicate, h0, h1)


_blocks = lru_cache(maxsize=2)(Blocks)


def philox4x32_array(even: UInt64Array, odd: UInt64Array, keys: RoundKeys) -> tuple[UInt64Array, UInt64Array]:
    """`philox4x32` of n counters: words 0 and 2 as one (2, n) array, words 1 and 3 as another.

    The words are 32-bit, held in uint64 so that a product fits. In pairs, a round takes half the NumPy calls.
    """
    multipliers = np.array([[_MULTIPLIER_0], [_MULTIPLIER_1]], dtype=np.uint64)
    word, half = np.uint64(_WORD), np.uint64(32)
    even, odd, product = even.copy(), odd.copy(), np.empty_like(even)
    for key in np.array(keys, dtype=np.uint64)[:, :, None]:
        np.multiply(even, multipliers, out=product)
        np.right_shift(product[::-1], half, out=even)
        even ^= odd
        even ^= key
        np.bitwise_and(product[::-1], word, out=odd)
    return even, odd


@lru_cache(maxsize=1 << 16)  # the replicates of a scenario have the same names
def address(entity: str, purpose: str) -> Address:
    """The two counter words that stand for a name: the same on every machine, unlike ``hash()``."""
    digest = hashlib.blake2b(f"{entity}\0{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def uniforms(
    seed: int, replicates: npt.ArrayLike, entity: str, purpose: str, occurrences: npt.ArrayLike
) -> Float64Array:
    """`Streams.uniform_at` of many replicates and occurrences at once (the two broadcast)."""
    h0, h1 = address(entity, purpose)
    return _uniforms(round_keys(seed), _words(occurrences), _words(replicates), h0, h1)


def uniforms_of(
    keys: RoundKeys, replicates: UInt64Array, h0: UInt64Array, h1: UInt64Array, occurrences: UInt64Array
) -> Float64Array:
    """`uniforms` in which each number has an `address` of its own; the arrays, of 32-bit words, broadcast."""
    return _uniforms(keys, occurrences, replicates, h0, h1)


class Stream:
    """The draws of one address, in order. ``ahead`` holds what is drawn ahead, next one last, for hot loops."""

    __slots__ = ("_blocks", "_drawn", "_h0", "_h1", "_next", "_replicate", "ahead")

    def __init__(self, blocks: Blocks, replicate: int, h0: int, h1: int, ahead: list[float]) -> None:
        self._blocks = blocks
        self._replicate = replicate
        self._h0 = h0
        self._h1 = h1
        self._next = len(ahead)  # first occurrence that was never buffered
        self._drawn = 0  # how many blocks were drawn since
        self.ahead = ahead

    def uniform(self) -> float:
        """The next number, in the open interval (0, 1)."""
        ahead = self.ahead
        return ahead.pop() if ahead else self._draw()

    def uniform_at(self, occurrence: int) -> float:
        """The number of that occurrence (from 0); changes nothing."""
        if not 0 <= occurrence <= _WORD:
            raise ValueError(f"occurrence must be at least 0 and below 2**32, got {occurrence}")
        r0, r1, _, _ = philox4x32(occurrence, self._replicate, self._h0, self._h1, self._blocks.keys)
        return ((r0 << 21 | r1 >> 11) | 1) * _ULP

    @property
    def occurrence(self) -> int:
        """Occurrence of the next draw, which is how many were drawn."""
        return self._next - len(self.ahead)

    def _draw(self) -> float:
        self.ahead = self._blocks.block(self._drawn, self._next, self._replicate, self._h0, self._h1)
        self._drawn += 1
        self._next += len(self.ahead)
        return self.ahead.pop()


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
        self._blocks = _blocks(seed)
        self._places, self._ahead = self._blocks.ahead(replicate)
        self._streams: dict[tuple[str, str], Stream] = {}

    def stream(self, entity: str, purpose: str) -> Stream:
        """The stream of that address: always the same handle, so draws through it count for all."""
        stream = self._streams.get((entity, purpose))
        if stream is None:
            at = address(entity, purpose)
            place = self._places.get(at)
            ahead = [] if place is None else self._ahead[place]
            stream = self._streams[entity, purpose] = Stream(self._blocks, self.replicate, *at, ahead)
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
    shape = np.broadcast_shapes(occurrence.shape, replicate.shape)
    even = np.empty((2, *shape), dtype=np.uint64)
    odd = np.empty((2, *shape), dtype=np.uint64)
    even[0], odd[0], even[1], odd[1] = occurrence, replicate, h0, h1
    flat = (2, -1)
    even, odd = philox4x32_array(even.reshape(flat), odd.reshape(flat), keys)
    # 53 of 64 bits; the last one set keeps 0 and 1 out, and the numbers symmetric about 1/2.
    bits = (even[0] << np.uint64(21)) | (odd[0] >> np.uint64(11)) | np.uint64(1)
    numbers: Float64Array = bits.astype(np.float64).reshape(shape)
    numbers *= _ULP
    return numbers
