from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import roc_auc_score

from hepml_tasks.metrics import (
    area_under_roc_curve,
    background_rejection,
    get_metric,
    roc_auc,
    sic,
    sic_maximum,
)
from hepml_tasks.metrics.sorting import stable_argsort


def pair_form(y: np.ndarray, s: np.ndarray, w: np.ndarray) -> float:
    signal, background = y == 1, y == 0
    above = (s[signal][:, None] > s[background]) + 0.5 * (s[signal][:, None] == s[background])
    products = w[signal][:, None] * w[background]
    return float((products * above).sum() / products.sum())


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_auc_equals_that_of_scikit_learn(decimals: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    s, w = np.round(rng.normal(y, 1), decimals), rng.exponential(size=2000)
    expected = roc_auc_score(y, s, sample_weight=w)
    assert roc_auc(y, s, sample_weight=w) == pytest.approx(expected, rel=1e-12)
    assert area_under_roc_curve(y, s) == pytest.approx(roc_auc_score(y, s), rel=1e-12)


def test_auc_is_the_pair_form_with_negative_weights() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 300)
    s = np.round(rng.normal(y, 1), 1)
    w = rng.exponential(size=300) * np.where(rng.random(300) < 0.3, -1, 1)
    w[:2] = 200
    y[:2] = 0, 1
    assert roc_auc(y, s, sample_weight=w) == pytest.approx(pair_form(y, s, w), rel=1e-10)


def test_auc_may_leave_the_unit_interval_with_negative_weights() -> None:
    assert roc_auc([1, 1, 0], [2, 0, 1], sample_weight=[2, -1, 1]) == pytest.approx(2.0)


def test_rejection_is_interpolated_in_the_signal_efficiency() -> None:
    y = np.array([1, 0, 1, 0])
    s = np.array([0.9, 0.8, 0.7, 0.1])
    assert background_rejection(y, s, signal_efficiency=0.75) == pytest.approx(2.0)
    tied = np.array([0.5, 0.5, 0.5, 0.1])
    # from (0, 0) straight to (1, 1/2)
    assert background_rejection(y, tied, signal_efficiency=0.5) == pytest.approx(4.0)
    assert background_rejection(y, tied, signal_efficiency=1.0) == pytest.approx(2.0)


def test_rejection_takes_the_largest_threshold_that_reaches_the_efficiency() -> None:
    # efficiency 0.6, then 0.4, then 1: 0.5 is reached at the first event
    y, s, w = [1, 1, 1, 0, 0], [9, 8, 6, 9.5, 7], [0.6, -0.2, 0.6, 1, 1]
    assert background_rejection(y, s, sample_weight=w, signal_efficiency=0.5) == pytest.approx(2)


def test_no_background_gives_an_infinite_rejection() -> None:
    assert background_rejection([0, 1], [0, 1], signal_efficiency=0.5) == math.inf


def test_random_scores_have_the_improvement_root_of_the_efficiency() -> None:
    rng = np.random.default_rng(2)
    y, s = rng.integers(0, 2, 400_000), rng.random(400_000)
    for efficiency in (0.3, 0.5, 0.9):
        value = sic(y, s, signal_efficiency=efficiency)
        assert value == pytest.approx(math.sqrt(efficiency), rel=0.02)
    assert sic_maximum(y, s) == pytest.approx(1.0, abs=0.1)


def test_the_floor_bounds_the_largest_improvement() -> None:
    y, s = [0] * 100 + [1] * 100, list(range(200))
    assert sic_maximum(y, s, min_background_efficiency=0.01) == pytest.approx(10.0)


def test_the_working_points_of_a_rejection_metric_are_fixed_by_its_name() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 1000)
    s = rng.normal(y, 1)
    for percent in (30, 50):
        metric = get_metric(f"background_rejection_{percent}")
        assert metric(y, s) == background_rejection(y, s, signal_efficiency=percent / 100)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        st.integers(1, 40),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.integers(0, 100),
)
def test_the_fast_order_is_the_stable_order(values: np.ndarray, seed: int) -> None:
    # long enough for the packed sort, with ties, neighbours in the last bits and both zeros
    rng = np.random.default_rng(seed)
    pool = np.concatenate([values, np.nextafter(values, 0), [0.0, -0.0, 5e-324, -5e-324]])
    many = rng.choice(pool, 3000)
    assert np.array_equal(stable_argsort(many), np.argsort(many, kind="stable"))


def test_the_fast_order_mends_numbers_that_differ_in_their_last_bits() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(50_000)
    close = 1 + rng.integers(0, 10**4, 5000) * 2.0**-52
    values[:5000] = close
    assert np.array_equal(stable_argsort(values), np.argsort(values, kind="stable"))
    everywhere = 1 + rng.integers(0, 10**6, 50_000) * 2.0**-52
    assert np.array_equal(stable_argsort(everywhere), np.argsort(everywhere, kind="stable"))
