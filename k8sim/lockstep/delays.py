"""Delays of thousands of replicates, drawn side by side.

What a step needs is drawn in one go, for NumPy's calls cost more than what they do with a few hundred numbers. An
entity of a column is at row * width + column, and its row is that of its timer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.campaign import DRAWN_BY, LONGEST, NEVER, Campaign
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.splitmix import GOLDEN, purpose_word, starts, uniforms

Ints = npt.NDArray[np.int64]


class Wanted(NamedTuple):
    """Delays by a law that some entities draw, some occasions later than the ones that they have."""

    law: str
    at: Ints
    later: int


class DelaysOf:
    """All delays of a range of replicates."""

    def __init__(self, campaign: Campaign, seed: int, replicates: Ints, entities: Sequence[str]) -> None:
        self._laws: dict[str, Distribution] = {}
        self._constant: dict[str, int] = {}
        for name in DRAWN_BY:
            law = getattr(campaign, name)
            if law is None:
                self._constant[name] = NEVER
            elif isinstance(law, Constant):
                self._constant[name] = min(law.ns, LONGEST)
            else:
                self._laws[name] = law
        families: list[type[Distribution]] = list(dict.fromkeys(type(law) for law in self._laws.values()))
        self._family = {name: families.index(type(law)) for name, law in self._laws.items()}
        self._width = len(replicates)
        self._states = np.concatenate([np.empty(0, np.uint64), *(starts(seed, replicates, name) for name in entities)])
        self._occasions: list[Ints] = []

    def occasion(self, at: Ints) -> None:
        """Let some entities have a new occasion by the next draw."""
        self._occasions.append(at)

    def occasion_now(self, at: Ints) -> None:
        """Let some entities have a new occasion at once."""
        self._states[at] += np.uint64(GOLDEN)

    def draw(self, wanted: Sequence[Wanted]) -> list[Ints | int]:
        """Return what is wanted, at the occasions that the entities have."""
        if self._occasions:
            self.occasion_now(np.concatenate(self._occasions))
            self._occasions = []
        delays: list[Ints | int] = [self._constant.get(law, 0) for law, *_ in wanted]
        drawn = [place for place, (law, at, _) in enumerate(wanted) if len(at) and law in self._laws]
        if not drawn:
            return delays
        drawn.sort(key=lambda place: self._family[wanted[place].law])
        counts = [len(wanted[place].at) for place in drawn]
        edges = (0, *accumulate(counts))
        z = self._states[np.concatenate([wanted[place].at for place in drawn])]
        z += np.array([_word(wanted[place]) for place in drawn]).repeat(counts)
        u = uniforms(z)
        laws = [self._laws[wanted[place].law] for place in drawn]
        ns = np.empty(len(u), dtype=np.int64)
        begin = 0
        for family in dict.fromkeys(type(law) for law in laws):
            n = sum(type(law) is family for law in laws)
            part = slice(edges[begin], edges[begin + n])
            ns[part] = family.quantiles_of_several(laws[begin : begin + n], counts[begin : begin + n], u[part])
            begin += n
        np.minimum(ns, LONGEST, out=ns)
        for place, (low, high) in zip(drawn, pairwise(edges), strict=True):
            delays[place] = ns[low:high]
        return delays

    def keep(self, columns: Ints) -> None:
        """Leave only some columns."""
        self._states = self._states.reshape(-1, self._width).take(columns, axis=1).ravel()
        self._width = len(columns)


def _word(wanted: Wanted) -> np.uint64:
    return np.uint64((purpose_word(wanted.law) + wanted.later * GOLDEN) % 2**64)
