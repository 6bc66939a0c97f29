"""Draws that stay the same, from the distributions they are named after."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hepml_tasks.data.simulators.stream import Resonance, Stream

SIZE = 100_000


@pytest.fixture
def stream() -> Stream:
    return Stream(7, (1, 2), SIZE)


def test_words_never_change() -> None:
    # As written by NumPy 2.4; its compatibility policy fixes them for good.
    assert [hex(word) for word in Stream(1, (1, 0, 0), 2).words()] == [
        "0xe686049e634ab0eb",
        "0x1ad1e76e19183f52",
    ]


def test_streams_of_other_keys_and_seeds_differ() -> None:
    words = {
        int(Stream(seed, key, 1).words()[0])
        for seed in range(5)
        for key in [(0,), (1, 0, 0), (1, 0, 1), (1, 1, 0)]
    }
    assert len(words) == 20


@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (lambda s: s.uniform(2.0, 5.0), stats.uniform(2, 3)),
        (lambda s: s.azimuth(), stats.uniform(-np.pi, 2 * np.pi)),
        (lambda s: s.exponential(40.0), stats.expon(0, 40)),
        (lambda s: s.normal(1.0, 2.0), stats.norm(1, 2)),
        (lambda s: s.normal(2.2, 0.8, 3.0), stats.truncnorm(-6.5, 1.0, 2.2, 0.8)),
    ],
)
def test_draws_follow_their_distribution(stream: Stream, draw, distribution) -> None:
    assert stats.kstest(draw(stream), distribution.cdf).pvalue > 0.001


def test_masses_follow_a_breit_wigner_between_its_limits(stream: Stream) -> None:
    mass = stream.mass(Resonance(91.19, 2.495, 60.0, 130.0))
    assert 60.0 < mass.min() < 61.0
    assert 129.0 < mass.max() < 130.0
    cauchy = stats.cauchy(91.19, 2.495 / 2)
    low, high = cauchy.cdf([60.0, 130.0])
    assert stats.kstest(mass, lambda m: (cauchy.cdf(m) - low) / (high - low)).pvalue > 0.001


def test_no_width_is_a_sharp_value_and_takes_its_word_all_the_same() -> None:
    one, other = Stream(1, (1,), 3), Stream(1, (1,), 3)
    assert set(one.mass(Resonance(125.0, 0.0, 125.0, 125.0))) == {125.0}
    assert set(one.normal(5.0, 0.0)) == {5.0}
    other.words()
    other.words()
    np.testing.assert_array_equal(one.words(), other.words())


def test_uniform_never_reaches_an_end() -> None:
    stream = Stream(1, (1,), 4)
    for word, expected in ((0, 0.0), (2**64 - 1, 1.0)):
        stream.words = lambda word=word: np.full(4, word, dtype=np.uint64)
        values = stream.uniform()
        assert 0 < values[0] < 1
        assert values[0] == pytest.approx(expected)
        assert math.isfinite(stream.exponential(1.0)[0])
        assert math.isfinite(stream.normal(0.0, 1.0)[0])
