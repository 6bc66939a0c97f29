from __future__ import annotations

import numpy as np
import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import classifier_auc, classifier_jsd, separation_power
from hepml_tasks.metrics.showers import histogram_separation, separation_bias


def test_identical_histograms_have_no_separation_and_disjoint_ones_all() -> None:
    assert histogram_separation([1, 2, 3], [2, 4, 6]) == 0
    assert histogram_separation([1, 2, 0, 0], [0, 0, 3, 0]) == 1
    assert histogram_separation([1, 1], [3, 1]) == pytest.approx(0.5 * (1 / 20 + 1 / 12))


def test_separation_bins_the_feature_over_the_range_of_both_samples() -> None:
    y, x = [1, 1, 0, 0], [0.0, 1.0, 2.0, 3.0]
    assert separation_power(y, x, bins=2) == 1
    assert separation_power(y, x, bins=1) == 0
    both = np.column_stack([x, [0.0, 3.0, 0.0, 3.0]])
    assert separation_power(y, both, bins=2) == pytest.approx(0.5)


def test_the_bias_of_finite_samples_is_as_stated_and_can_be_subtracted() -> None:
    plain, corrected = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y, x = np.repeat([0, 1], [2000, 3000]), rng.random(5000)
        plain.append(separation_power(y, x, bins=20, limits=(0, 1)))
        corrected.append(separation_power(y, x, bins=20, limits=(0, 1), subtract_bias=True))
    assert np.mean(plain) == pytest.approx(separation_bias(20, 2000, 3000), rel=0.15)
    assert abs(np.mean(corrected)) < 0.15 * np.mean(plain)


def test_a_classifier_that_knows_nothing_has_half_and_zero() -> None:
    y, s = [0, 1] * 50, [0.3] * 100
    assert classifier_auc(y, s) == 0.5
    assert classifier_jsd(y, s) == pytest.approx(0, abs=1e-12)


def test_a_classifier_that_knows_all_has_one() -> None:
    y, s = [0] * 30 + [1] * 70, np.arange(100)
    assert classifier_auc(y, s) == 1
    assert classifier_jsd(y, s) == pytest.approx(1)


def test_the_divergence_is_that_of_the_densities() -> None:
    # two values; the classifier's score is the value: JSD of (0.8, 0.2) and (0.3, 0.7), in bits
    y, s = np.repeat([1, 0], 100), np.repeat([0, 1, 0, 1], [80, 20, 30, 70])
    p, q = np.array([0.8, 0.2]), np.array([0.3, 0.7])
    m = (p + q) / 2
    expected = 0.5 * (p * np.log2(p / m)).sum() + 0.5 * (q * np.log2(q / m)).sum()
    assert classifier_jsd(y, -s) == pytest.approx(expected)


def test_negative_weights_are_refused_with_their_reason() -> None:
    with pytest.raises(MetricError, match=r"sample_weight has 1 negative .* isotonic"):
        classifier_jsd([0, 1, 1], [0, 1, 1], sample_weight=[1, 2, -1])
