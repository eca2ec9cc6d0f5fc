import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sim.sim.streams import Lanes, Streams, address, philox4x32, philox4x32_array, round_keys, uniforms

# Random123, tests/kat_vectors, "philox4x32 10": counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]

seeds = st.integers(0, 2**64 - 1)
words = st.integers(0, 2**32 - 1)
names = st.text(max_size=20)


def hex_words(text):
    return tuple(int(word, 16) for word in text.split())


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_philox_gives_the_published_vectors(counter, key, result):
    k0, k1 = hex_words(key)
    keys = round_keys(k1 << 32 | k0)
    assert philox4x32(*hex_words(counter), keys) == hex_words(result)
    c0, c1, c2, c3 = hex_words(counter)
    even, odd = np.array([[c0], [c2]], dtype=np.uint64), np.array([[c1], [c3]], dtype=np.uint64)
    philox4x32_array(even, odd, keys)
    assert (even[0, 0], odd[0, 0], even[1, 0], odd[1, 0]) == hex_words(result)


def test_numbers_never_change():
    """A change of these numbers changes every published result: it needs a new major version."""
    assert address("web-0", "image-pull") == (1423880309, 2181196338)
    assert Streams(42, 7).uniform("web-0", "image-pull") == 0.9297375462047718
    assert Streams(42, 7).uniform_at("web-0", "image-pull", 1000) == 0.6422670990850449


@given(seeds, words, names, names, st.lists(words, min_size=1, max_size=5))
def test_scalar_and_vector_give_the_same_bits(seed, replicate, entity, purpose, occurrences):
    vector = uniforms(seed, replicate, entity, purpose, np.array(occurrences))
    streams = Streams(seed, replicate)
    assert vector.tolist() == [streams.uniform_at(entity, purpose, occurrence) for occurrence in occurrences]


def test_replicates_and_occurrences_broadcast():
    grid = uniforms(1, np.arange(3)[:, None], "pod", "start", np.arange(4))
    assert grid.tolist() == [[Streams(1, r).uniform_at("pod", "start", k) for k in range(4)] for r in range(3)]


def test_drawing_ahead_in_blocks_changes_nothing():
    streams = Streams(3, 5)
    drawn = [streams.uniform("node-0", "crash") for _ in range(6000)]
    assert drawn == uniforms(3, 5, "node-0", "crash", np.arange(6000)).tolist()
    assert streams.stream("node-0", "crash").occurrence == 6000


@given(seeds, st.lists(st.integers(0, 40) | st.integers(2**32 - 20, 2**32 - 1), max_size=30))
def test_no_replicate_sees_which_others_have_drawn(seed, replicates):
    """What one has taken is drawn ahead for the next: in whichever order these come, or come again."""
    for replicate in replicates:
        drawn = [Streams(seed, replicate).uniform("pod", "start") for _ in range(2)]
        assert drawn == [philox_uniform(seed, replicate)] * 2


def philox_uniform(seed, replicate):
    return float(uniforms(seed, replicate, "pod", "start", 0))


@pytest.mark.parametrize("remembered", [1 << 14, 30, 4, 0])
def test_what_earlier_replicates_have_drawn_is_drawn_ahead_and_the_same(monkeypatch, remembered):
    """However many numbers a replicate takes, the ones before took, or are remembered."""
    monkeypatch.setattr("k8sim.sim.streams._REMEMBERED", remembered)
    monkeypatch.setattr("k8sim.sim.streams._FEW", min(remembered, 1))
    seed = 10**9 + remembered
    for replicate, count in ((3, 5), (4, 1), (5, 60), (6, 5), (7, 200), (30, 90), (3, 90)):
        streams = Streams(seed, replicate)
        for pod in ("web-0", "web-1", f"of {replicate} alone"):
            drawn = [streams.uniform(pod, "start") for _ in range(count)]
            assert drawn == uniforms(seed, replicate, pod, "start", np.arange(count)).tolist()
            assert streams.stream(pod, "start").occurrence == count


def test_the_next_replicates_need_no_draw_of_their_own(monkeypatch):
    streams = Streams(77, 0)
    for pod in range(100):
        streams.uniform(f"web-{pod}", "start")
    streams = Streams(77, 1)
    monkeypatch.setattr(Lanes, "uniforms", None)
    assert streams.uniform("web-99", "start") == streams.uniform_at("web-99", "start", 0)


def test_replicates_side_by_side_in_threads_see_what_is_theirs():
    """A worker of Dask may have several threads; a switch may come at any moment, and here comes often."""

    def wrong(first):
        found = []
        for replicate in range(first, first + 30):
            streams = Streams(78, replicate)
            for i in range(200 + replicate % 150):
                stream = streams.stream(f"web-{(7 * i + replicate) % 500}", "start")
                drawn = [stream.uniform() for _ in range(1 + (replicate + i) % 4)]
                if drawn[-1] != stream.uniform_at(stream.occurrence - 1):
                    found.append((replicate, stream.name))
        return found

    def look_away(*_):
        """A collector that runs Python's code, as here, lets threads switch wherever an object is made."""
        return sum(range(300))

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-5)
    gc.callbacks.append(look_away)
    gc.set_threshold(20)
    try:
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(wrong, (0, 1000, 2000))) == [[], [], []]
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(look_away)
        sys.setswitchinterval(interval)


@given(seeds, st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=60))
def test_a_new_entity_changes_no_other_stream(seed, order):
    """However draws of several addresses interleave, each address sees its own sequence."""
    streams = Streams(seed)
    seen = {}
    for entity, purpose in order:
        seen.setdefault((entity, purpose), []).append(streams.uniform(entity, purpose))
    for (entity, purpose), drawn in seen.items():
        alone = Streams(seed)
        assert drawn == [alone.uniform(entity, purpose) for _ in drawn]


def test_handle_and_name_share_one_sequence():
    streams = Streams(1)
    handle = streams.stream("pod", "start")
    drawn = [handle.uniform(), streams.uniform("pod", "start"), handle.uniform()]
    assert drawn == [streams.uniform_at("pod", "start", occurrence) for occurrence in range(3)]


def test_looking_at_an_occurrence_takes_nothing():
    streams = Streams(1)
    streams.uniform_at("pod", "start", 5)
    assert streams.uniform("pod", "start") == streams.uniform_at("pod", "start", 0)


def test_every_part_of_the_address_matters():
    numbers = [
        Streams(1).uniform("a", "b"),
        Streams(2).uniform("a", "b"),
        Streams(1 + 2**32).uniform("a", "b"),
        Streams(1, 1).uniform("a", "b"),
        Streams(1).uniform("a", "c"),
        Streams(1).uniform("ab", ""),
        Streams(1).uniform("", "ab"),
        Streams(1).uniform_at("a", "b", 1),
    ]
    assert len(set(numbers)) == len(numbers)


def test_extreme_bits_stay_inside_the_open_interval(monkeypatch):
    for word, number in ((0, 2.0**-53), (2**32 - 1, 1 - 2.0**-53)):
        monkeypatch.setattr("k8sim.sim.streams.philox4x32", lambda *_, w=word: (w, w, w, w))
        assert Streams(0).uniform_at("", "", 0) == number
        fill = lambda even, odd, _, w=word: (even.fill(w), odd.fill(w))  # noqa: E731
        monkeypatch.setattr("k8sim.sim.streams.philox4x32_array", fill)
        assert uniforms(0, [0], "", "", 0).tolist() == [number]


def test_numbers_are_uniform():
    numbers = uniforms(42, np.arange(200)[:, None], "pod", "start", np.arange(500)).ravel()
    counts = np.bincount((numbers * 100).astype(int), minlength=100)
    chi_squared = float(((counts - 1000.0) ** 2 / 1000.0).sum())
    assert 60 < chi_squared < 150  # 99 degrees of freedom
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.01


@given(seeds, st.integers(0, 10**15), st.floats(0.01, 5))
def test_jitter_stays_between_d_and_its_factor(seed, d, factor):
    assert d <= Streams(seed).jitter_ns("pod", "resync", d, factor) <= d + int(factor * d) + 1


def test_jitter_takes_no_factor_to_mean_one():
    assert Streams(1).jitter_ns("a", "b", 10**9, 0.0) == Streams(1).jitter_ns("a", "b", 10**9, 1.0)


@given(seeds, st.integers(-(10**15), 10**15), st.integers(0, 10**15))
def test_uniform_ns_stays_inside(seed, low, width):
    drawn = Streams(seed).uniform_ns("a", "b", low, low + width)
    assert low <= drawn < low + width or drawn == low


def test_choice_reaches_every_index():
    streams = Streams(1)
    assert {streams.choice("a", "b", 3) for _ in range(100)} == {0, 1, 2}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Streams(-1),
        lambda: Streams(2**64),
        lambda: Streams(0, -1),
        lambda: Streams(0, 2**32),
        lambda: Streams(0).uniform_at("a", "b", 2**32),
        lambda: Streams(0).choice("a", "b", 0),
        lambda: Streams(0).uniform_ns("a", "b", 2, 1),
        lambda: uniforms(0, [0, 2**32], "a", "b", 0),
        lambda: uniforms(0, 0, "a", "b", -1),
    ],
)
def test_refuses_addresses_that_do_not_exist(wrong):
    with pytest.raises(ValueError):
        wrong()
