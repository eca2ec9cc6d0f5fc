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
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]
RoundKeys = tuple[tuple[int, int], ...]

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
"""Replicates whose first blocks are drawn together: 1.4 us for each, against 10 us for one alone."""
_REMEMBERED: Final = 1 << 12
"""Streams under a seed for which that is done, some 8 MB; a cluster that has more of them spends its time elsewhere."""
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
    hundred numbers that is several times as fast as NumPy, whose calls cost more than what they do. The same counters
    of successive replicates can lie abreast, one replicate after the other.
    """

    __slots__ = ("_downwards", "_keys", "_n", "_ones", "_onwards", "_unpack", "_words")

    def __init__(self, keys: RoundKeys, n: int, abreast: int = 1) -> None:
        self._n = total = n * abreast
        self._ones = ones = sum(1 << _LANE * i for i in range(total))
        self._words = ones * _WORD
        self._downwards = sum((n - 1 - i % n) << _LANE * i for i in range(total))
        self._onwards = sum(i // n << _LANE * i for i in range(total))
        self._keys = tuple((k0 * ones, k1 * ones) for k0, k1 in keys)
        self._unpack = struct.Struct(f"<{total}Q").unpack

    def uniforms(self, first: int, replicate: int, h0: int, h1: int) -> list[float]:
        """The numbers of occurrences first .. first + n - 1, the last one first; of that replicate, then the next."""
        ones, words = self._ones, self._words
        c0, c1 = first * ones + self._downwards, replicate * ones + self._onwards
        c2, c3 = h0 * ones, h1 * ones
        for k0, k1 in self._keys:
            p0 = c0 * _MULTIPLIER_0
            p1 = c2 * _MULTIPLIER_1
            c0, c1, c2, c3 = (p1 >> 32) & words ^ c1 ^ k0, p1 & words, (p0 >> 32) & words ^ c3 ^ k1, p0 & words
        bits = c0 << 21 | c1 >> 11 & words | ones
        return [number * _ULP for number in self._unpack(bits.to_bytes(8 * self._n, "little"))]


class Blocks:
    """Draws under one seed, in blocks.

    The replicates of a scenario have streams of the same names. So from the second replicate on that asks for a stream,
    its first block is drawn for several replicates at once. Who asks, and in which order, changes no number.
    """

    __slots__ = ("_firsts", "_lanes", "keys")

    def __init__(self, seed: int) -> None:
        self.keys = round_keys(seed)
        self._lanes: dict[tuple[int, int], Lanes] = {}
        self._firsts: dict[tuple[int, int], tuple[int, list[float]]] = {}

    def first(self, replicate: int, h0: int, h1: int) -> list[float]:
        """The first block of a stream, the next number last."""
        n = _BLOCKS[0]
        since, drawn = self._firsts.get((h0, h1), (replicate, []))
        place = (replicate - since) * n
        if not 0 <= place < len(drawn):
            if since == replicate or replicate > _WORD - _ABREAST:
                if len(self._firsts) < _REMEMBERED:
                    self._firsts[h0, h1] = replicate, []
                return self._wide(n).uniforms(0, replicate, h0, h1)
            place, drawn = 0, self._wide(n, _ABREAST).uniforms(0, replicate, h0, h1)
            self._firsts[h0, h1] = replicate, drawn
        return drawn[place : place + n]

    def later(self, number: int, first: int, replicate: int, h0: int, h1: int) -> list[float]:
        """Another block, which begins at an occurrence; blocks grow with their number."""
        return self._wide(_BLOCKS[min(number, len(_BLOCKS) - 1)]).uniforms(first, replicate, h0, h1)

    def _wide(self, n: int, abreast: int = 1) -> Lanes:
        try:
            return self._lanes[n, abreast]
        except KeyError:
            lanes = self._lanes[n, abreast] = Lanes(self.keys, n, abreast)
            return lanes


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


def uniforms_of(
    keys: RoundKeys, replicates: UInt64Array, h0: UInt64Array, h1: UInt64Array, occurrences: UInt64Array
) -> Float64Array:
    """`uniforms` in which each number has an `address` of its own; the arrays, of 32-bit words, broadcast."""
    return _uniforms(keys, occurrences, replicates, h0, h1)


class Stream:
    """The draws of one address, in order. ``ahead`` holds what is drawn ahead, next one last, for hot loops."""

    __slots__ = ("_blocks", "_drawn", "_h0", "_h1", "_next", "_replicate", "ahead")

    def __init__(self, blocks: Blocks, replicate: int, h0: int, h1: int) -> None:
        self._blocks = blocks
        self._replicate = replicate
        self._h0 = h0
        self._h1 = h1
        self._next = 0  # first occurrence that was never buffered
        self._drawn = 0  # how many blocks were
        self.ahead: list[float] = []

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
        if self._drawn:
            self.ahead = self._blocks.later(self._drawn, self._next, self._replicate, self._h0, self._h1)
        else:
            self.ahead = self._blocks.first(self._replicate, self._h0, self._h1)
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
        self._streams: dict[tuple[str, str], Stream] = {}

    def stream(self, entity: str, purpose: str) -> Stream:
        """The stream of that address: always the same handle, so draws through it count for all."""
        try:
            return self._streams[entity, purpose]
        except KeyError:
            h0, h1 = address(entity, purpose)
            made = self._streams[entity, purpose] = Stream(self._blocks, self.replicate, h0, h1)
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
