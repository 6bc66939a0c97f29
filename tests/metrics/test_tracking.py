from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import get_metric, score, trackml_score


def test_the_reference_event_has_its_score() -> None:
    value = trackml_score(
        [1, 1, 2, 2, 2, 2], [1, 1, 1, 2, 2, 2], sample_weight=[0.1, 0.2, 0.1, 0.2, 0.2, 0.2]
    )
    assert value == pytest.approx(0.9, rel=1e-12)


@pytest.mark.parametrize(
    ("tracks", "particles", "expected"),
    [
        ([1, 1, 2, 2], [5, 5, 5, 5], 0.0),
        ([1, 1, 1, 1], [5, 5, 5, 6], 0.75),
        ([1, 1, 2, 2, 2, 2], [5, 5, 5, 5, 5, 5], 4 / 6),
        ([1, 1, 1, 1], [5, 5, 6, 6], 0.0),
        ([9, 8, 7], [5, 6, 7], 1.0),
        ([3], [4], 1.0),
    ],
    ids=["exactly half", "merged 3+1", "split 2/4", "merged 2+2", "single hits", "one hit"],
)
def test_both_majorities_are_strict(
    tracks: list[int], particles: list[int], expected: float
) -> None:
    assert trackml_score(tracks, particles) == pytest.approx(expected)


def test_a_particle_split_two_to_four_among_two_scores_zero() -> None:
    # the page's "2/4 split": each track has two hits of either particle
    assert trackml_score([1, 1, 2, 2, 1, 1, 2, 2], [5, 5, 5, 5, 6, 6, 6, 6]) == 0


def loop(tracks: np.ndarray, particles: np.ndarray, w: np.ndarray) -> float:
    total = 0.0
    for t in np.unique(tracks):
        mine = tracks == t
        for p in np.unique(particles[mine]):
            both = mine & (particles == p)
            if 2 * both.sum() > mine.sum() and 2 * both.sum() > (particles == p).sum():
                total += w[both].sum()
    return total / w.sum()


def test_the_score_is_that_of_a_loop_and_ids_repeat_between_events() -> None:
    rng = np.random.default_rng(0)
    event = np.arange(600) % 3
    particle = rng.integers(0, 12, 600)
    track = np.where(rng.random(600) < 0.7, particle, rng.integers(0, 12, 600))
    w = rng.random(600)
    expected = np.mean(
        [loop(track[event == e], particle[event == e], w[event == e]) for e in range(3)]
    )
    value = trackml_score(track, particle, sample_weight=w, event_id=event)
    assert value == pytest.approx(expected, rel=1e-12)
    words = np.array(["a", "b", "c"])[event]
    assert trackml_score(track, particle, sample_weight=w, event_id=words) == value


def test_the_event_is_the_resampling_unit() -> None:
    rng = np.random.default_rng(0)
    event, particle = np.repeat(np.arange(50), 30), np.tile(np.arange(30) // 3, 50)
    track = np.where(rng.random(1500) < 0.8, particle, rng.integers(0, 10, 1500))
    result = score("trackml_score", particle, y_pred=track, event_id=event, replicas=400)
    per_event = [trackml_score(track[event == e], particle[event == e]) for e in range(50)]
    assert result.n == 50
    expected = np.std(per_event, ddof=1) / np.sqrt(50)
    assert result.uncertainty == pytest.approx(expected, rel=0.1)


def test_one_event_has_no_spread() -> None:
    result = score("trackml_score", [1, 1, 2], y_pred=[1, 1, 2])
    assert result.value == 1
    assert result.as_dict()["uncertainty"] is None
    assert "one resampling unit" in result.method


def test_an_event_without_weight_is_named() -> None:
    with pytest.raises(MetricError, match="in event 8"):
        trackml_score([1, 1], [1, 1], sample_weight=[1, 0], event_id=[7, 8])


def test_the_true_tracks_of_a_real_event_score_one(real_data: Path) -> None:
    with gzip.open(real_data / "trackml" / "event000000001-truth.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    particle = np.array([int(row["particle_id"]) for row in rows])
    weight = np.array([float(row["weight"]) for row in rows])
    assert len(rows) == 5527
    assert weight.sum() == pytest.approx(0.0513, abs=5e-4)
    assert get_metric("trackml_score")(particle, particle, sample_weight=weight) == pytest.approx(1)
    assert trackml_score(np.zeros(5527), particle, sample_weight=weight) == 0
