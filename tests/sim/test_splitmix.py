"""SplitMix64: its published numbers, and the same numbers one by one and side by side."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from k8sim.sim.splitmix import GOLDEN, Occasions, mix, purpose_word, starts, uniforms
from k8sim.sim.streams import address, philox4x32, round_keys


def test_the_published_numbers() -> None:
    """What splitmix64.c (prng.di.unimi.it) gives for the seed 1234567."""
    assert [mix((1234567 + n * GOLDEN) % 2**64) for n in range(1, 6)] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ]  # fmt: skip


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 10), st.integers(0, 40))
def test_side_by_side_as_one_by_one(seed: int, first: int, occasion: int) -> None:
    replicates = np.arange(first, first + 9)
    states = starts(seed, replicates, "pod-1") + np.uint64(occasion * GOLDEN % 2**64)
    drawn = {purpose: uniforms(states + np.uint64(purpose_word(purpose))) for purpose in ("start", "stop")}
    for place, replicate in enumerate(replicates.tolist()):
        one = Occasions(seed, replicate, "pod-1")
        for _ in range(occasion):
            one.next()
        assert [one.uniform(purpose) for purpose in drawn] == [numbers[place] for numbers in drawn.values()]


def test_an_entity_starts_from_a_philox_block_of_its_name() -> None:
    assert len({int(starts(seed, [r], name)[0]) for seed in (0, 1) for r in (0, 1) for name in ("pod-0", "pod-1")}) == 8
    words = philox4x32(0, 3, *address("node-0", "occasions"), round_keys(7))
    assert int(starts(7, [3], "node-0")[0]) == words[0] << 32 | words[1]


def test_numbers_are_uniform_and_independent() -> None:
    """Chi-square of 64 bins; correlations between entities, purposes, occasions and neighbours; about 5 sigma."""
    n = 100_000
    names = [(entity, purpose) for entity in ("pod-0", "pod-1") for purpose in ("start", "stop")]
    draws = np.array(
        [
            uniforms(starts(1, np.arange(n), entity) + np.uint64((purpose_word(purpose) + occasion * GOLDEN) % 2**64))
            for occasion in range(4)
            for entity, purpose in names
        ]
    )
    counts = np.array([np.bincount((row * 64).astype(int), minlength=64) for row in draws])
    chi_square = ((counts - n / 64) ** 2 / (n / 64)).sum(axis=1)
    assert np.all(np.abs(chi_square - 63) < 5 * np.sqrt(2 * 63))
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 5 / np.sqrt(n)
    assert all(abs(np.corrcoef(row[:-1], row[1:])[0, 1]) < 5 / np.sqrt(n) for row in draws)
