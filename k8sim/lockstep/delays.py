"""Delays of thousands of replicates, drawn ahead: a few large draws cost less than many small ones."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.campaign import LONGEST
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.streams import RoundKeys, address, round_keys, uniforms_of

Ints = npt.NDArray[np.int64]

AT_ONCE: Final = 4
"""So many delays of an address are drawn together; twice as many are held at most."""
_HELD: Final = 2 * AT_ONCE
_BLOCK: Final = 1 << 11


class DelaysOf:
    """All delays of a range of replicates, by purpose. Where one is wanted is said as row * width + column."""

    def __init__(self, seed: int, replicates: Ints) -> None:
        self._keys = round_keys(seed)
        self._replicates = replicates
        self._rings: dict[tuple[str, str], _Ring] = {}

    def draw(self, law: Distribution, kind: str, purpose: str, rows: int, at: Ints) -> Ints:
        """Return the next delay of some entities; each is there at most once.

        Parameters
        ----------
        rows
            How many entities of that kind there are; a single one has no number in its name.
        """
        if isinstance(law, Constant):
            return np.full(len(at), min(law.ns, LONGEST), dtype=np.int64)
        ring = self._rings.get((kind, purpose))
        if ring is None:
            names = [f"{kind}-{i}" for i in range(rows)] if kind != "rollout" else [kind]
            ring = self._rings[kind, purpose] = _Ring(self._keys, law, names, purpose, self._replicates)
        return ring.draw(at)

    def keep(self, columns: Ints) -> None:
        """Leave only some columns."""
        self._replicates = self._replicates[columns]
        for ring in self._rings.values():
            ring.keep(columns, self._replicates)


class _Ring:
    """Delays of one purpose: a ring of `_HELD` for each entity in each replicate, refilled by halves."""

    def __init__(self, keys: RoundKeys, law: Distribution, names: list[str], purpose: str, replicates: Ints) -> None:
        self._keys, self._law, self._replicates = keys, law, replicates.astype(np.uint64)
        words = np.array([address(name, purpose) for name in names], dtype=np.uint64)
        self._h0, self._h1 = words[:, 0].copy(), words[:, 1].copy()
        places = len(names) * len(replicates)
        self._ring = np.empty(places * _HELD, dtype=np.int64)
        self._made = np.zeros(places, dtype=np.int64)
        self._left = np.zeros(places, dtype=np.int8)  # small types: these are read everywhere, again and again
        self._end = np.zeros(places, dtype=np.int8)  # where in its ring the next delay will be put

    def draw(self, at: Ints) -> Ints:
        left = self._left[at]
        if not left.all():
            self._refill()
            left = self._left[at]
        self._left[at] = left - 1
        delays: Ints = self._ring[at * _HELD + (self._end[at] - left) % _HELD]
        return delays

    def _refill(self) -> None:
        """Make more of what there is little of: that will soon be wanted, too."""
        wanted = np.flatnonzero(self._left <= AT_ONCE)
        for first in range(0, len(wanted), _BLOCK):
            self._make(wanted[first : first + _BLOCK])

    def _make(self, at: Ints) -> None:
        row, column = np.divmod(at, len(self._replicates))
        made = self._made[at, None] + np.arange(AT_ONCE)
        address = self._h0[row, None], self._h1[row, None]
        u = uniforms_of(self._keys, self._replicates[column, None], *address, made.astype(np.uint64))
        self._ring[at[:, None] * _HELD + made % _HELD] = np.minimum(self._law.quantiles(u), LONGEST)
        self._made[at] += AT_ONCE
        self._left[at] += AT_ONCE
        self._end[at] = self._made[at] % _HELD

    def keep(self, columns: Ints, replicates: Ints) -> None:
        width = len(self._replicates)
        for name in ("_made", "_left", "_end"):
            setattr(self, name, getattr(self, name).reshape(-1, width).take(columns, axis=1).ravel())
        self._ring = self._ring.reshape(-1, width, _HELD)[:, columns].ravel()
        self._replicates = replicates.astype(np.uint64)
