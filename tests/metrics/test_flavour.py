from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import agreement_ks, correlation_cvm, get_metric, truncated_auc


def test_agreement_equals_the_distance_of_scipy() -> None:
    rng = np.random.default_rng(0)
    y, s = rng.integers(0, 2, 1000), np.round(rng.normal(size=1000), 1)
    assert agreement_ks(y, s) == pytest.approx(ks_2samp(s[y == 1], s[y == 0]).statistic)


def test_agreement_of_weighted_samples_is_that_of_repeated_events() -> None:
    rng = np.random.default_rng(1)
    y, s, k = rng.integers(0, 2, 300), rng.normal(size=300), rng.integers(1, 4, 300)
    repeated = agreement_ks(np.repeat(y, k), np.repeat(s, k))
    assert agreement_ks(y, s, sample_weight=k) == pytest.approx(repeated)


def brute_force(s: np.ndarray, mass: np.ndarray, window: int = 200, step: int = 50) -> float:
    """Evaluate the definition with loops, equal scores spread over their ranks."""
    n = s.size
    by_mass = s[np.argsort(mass, kind="stable")]
    ordered = np.sort(s)
    low = np.searchsorted(ordered, by_mass, side="left")
    high = np.searchsorted(ordered, by_mass, side="right")
    j = np.arange(1, n + 1)
    distances = []
    for start in range(0, n - window + 1, step):
        f = np.zeros(n)
        for a, b in zip(low[start : start + window], high[start : start + window], strict=True):
            f += np.clip((j - a) / (b - a), 0, 1)
        distances.append(np.mean((j / n - f / window) ** 2))
    return float(np.mean(distances))


@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_the_fast_correlation_is_its_definition(decimals: int) -> None:
    rng = np.random.default_rng(2)
    s, mass = np.round(rng.random(600), decimals), rng.random(600)
    assert correlation_cvm(s, mass) == pytest.approx(brute_force(s, mass), abs=1e-15)


def test_the_correlation_has_its_reference_values() -> None:
    n = 1000
    assert correlation_cvm(np.arange(n), np.arange(n)) == pytest.approx(0.113334, abs=1e-12)
    values = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values.append(correlation_cvm(rng.random(n), rng.random(n)))
    # a window of 200 of 1000 has (1 − 0.2)/(6 · 200) on average without dependence, less a bit
    assert np.mean(values) == pytest.approx(8.07e-4, rel=0.25)


def test_equal_scores_are_neutral() -> None:
    assert correlation_cvm(np.ones(1000), np.arange(1000)) == pytest.approx(0, abs=1e-15)


def test_signal_does_not_count_in_the_correlation() -> None:
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], 400)
    mass = np.where(y == 1, 1.777, rng.uniform(1.6, 2.0, 800))
    s = np.where(y == 1, 0.99, rng.random(800))
    metric = get_metric("correlation_cvm")
    assert metric(y, s, mass=mass) == correlation_cvm(s[y == 0], mass[y == 0])


def test_too_few_events_for_a_window_are_refused() -> None:
    with pytest.raises(MetricError, match="fewer than a window of 200"):
        correlation_cvm([0.1, 0.2], [1, 2])


@pytest.mark.parametrize("method", ["exact", "kaggle"])
def test_a_perfect_classifier_has_a_truncated_area_of_one(method: str) -> None:
    assert truncated_auc([0, 0, 1, 1], [1, 2, 3, 4], method=method) == pytest.approx(1)  # type: ignore[arg-type]


def test_a_constant_classifier_shows_the_clipping() -> None:
    assert truncated_auc([0, 0, 1, 1], [1, 1, 1, 1], method="exact") == pytest.approx(0.7)
    assert truncated_auc([0, 0, 1, 1], [1, 1, 1, 1], method="kaggle") == pytest.approx(0.5)


def test_both_methods_agree_on_a_fine_curve() -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 50_000)
    s = rng.normal(y, 1)
    assert truncated_auc(y, s) == pytest.approx(truncated_auc(y, s, method="kaggle"), abs=1e-6)


def test_the_kaggle_method_clips_the_points_of_the_curve() -> None:
    from sklearn.metrics import auc, roc_curve

    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 200)
    s = np.round(rng.normal(y, 1))
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    edges, weights = [0, 0.2, 0.4, 0.6, 0.8, 1], [4, 3, 2, 1, 0]
    area = sum(
        w * (auc(fpr, np.minimum(tpr, high)) - auc(fpr, np.minimum(tpr, low)))
        for w, low, high in zip(weights, edges[:-1], edges[1:], strict=True)
    )
    assert truncated_auc(y, s, method="kaggle") == pytest.approx(area / 2)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(MetricError, match="method is 'other'"):
        truncated_auc([0, 1], [0, 1], method="other")  # type: ignore[arg-type]
