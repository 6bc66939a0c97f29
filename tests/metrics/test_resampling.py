from __future__ import annotations

import math

import numpy as np
import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import poisson_weights
from hepml_tasks.metrics.resampling import event_keys, replica_chunks


def test_weights_are_poisson_with_mean_and_variance_one() -> None:
    weights = poisson_weights(0, np.arange(50_000), 40)
    assert weights.mean() == pytest.approx(1, abs=0.003)
    assert weights.var() == pytest.approx(1, abs=0.005)
    for k in range(5):
        expected = math.exp(-1) / math.factorial(k)
        assert np.mean(weights == k) == pytest.approx(expected, abs=0.0015)


def test_replicas_events_and_seeds_are_independent() -> None:
    first = poisson_weights(0, np.arange(20_000), 6).astype(float)
    second = poisson_weights(1, np.arange(20_000), 6).astype(float)
    replicas = np.corrcoef(np.vstack([first, second])) - np.eye(12)
    assert np.abs(replicas).max() < 0.035
    events = poisson_weights(0, np.arange(50), 8000).astype(float)
    assert np.abs(np.corrcoef(events.T) - np.eye(50)).max() < 0.06


def test_a_weight_depends_on_seed_event_and_replica_alone() -> None:
    ids = np.array([10**15, 3, -7, 42])
    weights = poisson_weights(5, ids, 30)
    assert np.array_equal(poisson_weights(5, ids[::-1], 30), weights[:, ::-1])
    assert np.array_equal(poisson_weights(5, ids[1:2], 30)[:, 0], weights[:, 1])
    assert np.array_equal(poisson_weights(5, ids, 7), weights[:7])
    assert np.array_equal(poisson_weights(5, ids.astype(float), 30), weights)
    assert not np.array_equal(poisson_weights(6, ids, 30), weights)


GOLDEN = [[2, 1, 0], [0, 2, 1], [2, 2, 1], [0, 0, 1], [0, 1, 3], [1, 2, 2], [3, 0, 1], [1, 1, 0]]


def test_the_weights_are_the_same_for_ever() -> None:
    # a change here makes published uncertainties irreproducible
    assert poisson_weights(0, [0, 1, 100_000], 8).tolist() == GOLDEN


def test_chunks_are_the_whole_in_pieces() -> None:
    for n in (1, 3, 1000, 200_000):
        keys = event_keys(None, n)
        chunks = list(replica_chunks(3, keys, 10))
        assert np.array_equal(np.vstack(chunks), poisson_weights(3, np.arange(n), 10))
    assert max(len(chunk) for chunk in replica_chunks(3, event_keys(None, 300_000), 10)) == 1


def test_text_may_name_events() -> None:
    ids = ["run1-7", "run1-8", "run1-7"]
    weights = poisson_weights(0, ids, 20)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert not np.array_equal(weights[:, 0], weights[:, 1])


def test_ids_that_are_neither_numbers_nor_text_are_refused() -> None:
    with pytest.raises(MetricError, match="event_id"):
        poisson_weights(0, [0.5, 1.0], 3)
    with pytest.raises(MetricError, match="event_id"):
        poisson_weights(0, [1j, 2j], 3)
