from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import (
    energy_linearity,
    energy_resolution,
    interval_coverage,
    pinball_loss,
)


def test_the_resolution_of_a_normal_response_is_its_relative_width() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(10, 100, 200_000)
    measured = truth * rng.normal(0.9, 0.09, truth.size)
    assert energy_resolution(truth, measured) == pytest.approx(0.1, rel=0.01)
    assert energy_resolution(truth, 3 * measured) == pytest.approx(
        energy_resolution(truth, measured)
    )


def test_linearity_is_the_largest_shift_of_the_median() -> None:
    truth = np.linspace(1, 100, 1000)
    assert energy_linearity(truth, truth) == 0
    bent = truth * np.where(truth > 80.2, 0.93, 1.01)
    assert energy_linearity(truth, bent, bins=5) == pytest.approx(0.07)


def test_pinball_loss_equals_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, predicted, w = rng.normal(size=300), rng.normal(size=300), rng.random(300)
    for alpha in (0.1, 0.5, 0.9):
        assert pinball_loss(truth, predicted, sample_weight=w, alpha=alpha) == pytest.approx(
            mean_pinball_loss(truth, predicted, sample_weight=w, alpha=alpha)
        )


def test_coverage_includes_the_ends() -> None:
    ends = [[0, 1], [0, 1], [0, 1], [0, 1]]
    assert interval_coverage([0, 1, 0.5, 2], ends) == 0.75
    assert interval_coverage([0, 2], ends[:2], sample_weight=[3, 1]) == 0.75


def test_a_true_energy_of_zero_is_refused() -> None:
    with pytest.raises(MetricError, match="y_true has the value 0"):
        energy_resolution([0.0, 1.0], [1.0, 1.0])
