"""Delays of thousands of replicates, drawn side by side.

What a step needs is drawn in one go, for NumPy's calls cost more than what they do with a few hundred numbers. An
entity of a column is at row * width + column, and its row is that of its timer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.campaign import DRAWN_BY, LONGEST, NEVER, Campaign
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.splitmix import GOLDEN, purpose_word, starts, uniforms

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_GOLDEN: Final = np.uint64(GOLDEN)


class Wanted(NamedTuple):
    """Delays by a law that some entities draw, some occasions later than those that they have."""

    law: str
    at: Ints
    later: int


class DelaysOf:
    """All delays of a range of replicates."""

    def __init__(self, campaign: Campaign, seed: int, replicates: Ints, entities: Sequence[str]) -> None:
        self._constant: dict[str, int] = {}
        self._laws: dict[str, Distribution] = {}
        for name in DRAWN_BY:
            law = getattr(campaign, name)
            if law is None:
                self._constant[name] = NEVER
            elif isinstance(law, Constant):
                self._constant[name] = min(law.ns, LONGEST)
            else:
                self._laws[name] = law
        families = list(dict.fromkeys(type(law) for law in self._laws.values()))
        self._family_of = {name: families.index(type(law)) for name, law in self._laws.items()}
        self._families = len(families)
        self._width = len(replicates)
        self._states = np.concatenate([starts(seed, replicates, name) for name in entities])
        self._occasions: list[Ints] = []

    def occasion(self, at: Ints) -> None:
        """Let some entities have a new occasion by the next draw."""
        self._occasions.append(at)

    def occasion_now(self, at: Ints) -> None:
        """Let some entities have a new occasion at once."""
        np.add.at(self._states, at, _GOLDEN)

    def draw(self, wanted: Iterable[Wanted]) -> list[Ints | int]:
        """Return what is wanted, at the occasions that the entities have."""
        if self._occasions:
            self.occasion_now(np.concatenate(self._occasions))
            self._occasions = []
        delays: list[Ints | int] = []
        families: list[list[tuple[int, Wanted]]] = [[] for _ in range(self._families)]
        for place, one in enumerate(wanted):
            delays.append(self._constant.get(one.law, 0))
            if len(one.at) and one.law in self._laws:
                families[self._family_of[one.law]].append((place, one))
        drawn = [found for members in families for found in members]
        if drawn:
            end = 0
            counts = [len(at) for _, (_, at, _) in drawn]
            ns = self._draw([one for _, one in drawn], counts)
            for (place, _), count in zip(drawn, counts, strict=True):
                delays[place] = ns[end : end + count]
                end += count
        return delays

    def _draw(self, wanted: list[Wanted], counts: list[int]) -> Ints:
        """Return what is wanted in one array; laws of a family are next to each other."""
        z = self._states[np.concatenate([at for _, at, _ in wanted])]
        z += np.array([_word(law, later) for law, _, later in wanted], dtype=np.uint64).repeat(counts)
        u, parts, begin, done = uniforms(z), [], 0, 0
        laws = [self._laws[law] for law, *_ in wanted]
        for family, members in groupby(laws, type):
            end = begin + len(list(members))
            count = sum(counts[begin:end])
            parts.append(_quantiles(family, laws[begin:end], counts[begin:end], u[done : done + count]))
            begin, done = end, done + count
        ns = np.concatenate(parts)
        return np.minimum(ns, LONGEST, out=ns)

    def keep(self, columns: Ints) -> None:
        """Leave only some columns."""
        self._states = self._states.reshape(-1, self._width).take(columns, axis=1).ravel()
        self._width = len(columns)


def _quantiles(family: type[Distribution], laws: list[Distribution], counts: list[int], u: Floats) -> Ints:
    return family.quantiles_of_several(laws, counts, u)


@lru_cache
def _word(law: str, later: int) -> int:
    return (purpose_word(law) + later * GOLDEN) % 2**64
