"""Delays of thousands of replicates, drawn side by side.

What a step needs is drawn in one go, for NumPy's calls cost more than what they do with a few hundred numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from k8sim.lockstep.campaign import DRAWN_BY, LONGEST, Campaign
from k8sim.sim.distributions import Constant, Distribution
from k8sim.sim.splitmix import GOLDEN, purpose_word, starts, uniforms

Ints = npt.NDArray[np.int64]


class DelaysOf:
    """All delays of a range of replicates. Whose is wanted is said as row * width + column."""

    def __init__(self, campaign: Campaign, seed: int, replicates: Ints) -> None:
        self._laws: dict[str, Distribution] = {}
        self._constant: dict[str, int] = {}
        for name in DRAWN_BY:
            law = getattr(campaign, name)
            if isinstance(law, Constant):
                self._constant[name] = min(law.ns, LONGEST)
            elif law is not None:
                self._laws[name] = law
        self._width = len(replicates)
        rows = {kind: range(campaign.entities(kind)) for kind in dict.fromkeys(DRAWN_BY[name] for name in self._laws)}
        self._states = {
            kind: np.concatenate([starts(seed, replicates, f"{kind}-{i}") for i in numbers])
            for kind, numbers in rows.items()
        }
        self._occasions: dict[str, list[Ints]] = {}

    def occasion(self, kind: str, at: Ints) -> None:
        """Let some entities have a new occasion by the next draw."""
        if kind in self._states:
            self._occasions.setdefault(kind, []).append(at)

    def draw(self, wanted: Sequence[tuple[str, Ints]]) -> list[Ints | int]:
        """Return the delays by some laws of some entities, at the occasions that these have."""
        for kind, parts in self._occasions.items():
            self._states[kind][np.concatenate(parts)] += np.uint64(GOLDEN)
        self._occasions = {}
        delays: list[Ints | int] = [self._constant.get(name, 0) for name, _ in wanted]
        families: dict[type[Distribution], list[int]] = {}
        for place, (name, at) in enumerate(wanted):
            if len(at) and name in self._laws:
                families.setdefault(type(self._laws[name]), []).append(place)
        if not families:
            return delays
        places = [wanted[place] for members in families.values() for place in members]
        words = [self._states[DRAWN_BY[name]][at] + np.uint64(purpose_word(name)) for name, at in places]
        u, end = uniforms(np.concatenate(words)), 0
        for family, members in families.items():
            counts = [len(wanted[place][1]) for place in members]
            begin, end = end, end + sum(counts)
            drawn = family.quantiles_of_several([self._laws[wanted[p][0]] for p in members], counts, u[begin:end])
            np.minimum(drawn, LONGEST, out=drawn)
            for place, (low, high) in zip(members, pairwise((0, *accumulate(counts))), strict=True):
                delays[place] = drawn[low:high]
        return delays

    def keep(self, columns: Ints) -> None:
        """Leave only some columns."""
        for kind, states in self._states.items():
            self._states[kind] = states.reshape(-1, self._width).take(columns, axis=1).ravel()
        self._width = len(columns)
