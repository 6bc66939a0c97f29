from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as reference_log_loss

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import brier_score, calibration_error, log_loss


def test_brier_score_and_log_loss_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, 400), rng.random(400), rng.exponential(size=400)
    p[:3] = 0, 1, 0.5
    assert brier_score(y, p, sample_weight=w) == pytest.approx(
        brier_score_loss(y, p, sample_weight=w), rel=1e-12
    )
    assert log_loss(y, p, sample_weight=w) == pytest.approx(
        reference_log_loss(y, p, sample_weight=w), rel=1e-12
    )


def test_a_calibrated_probability_has_no_calibration_error() -> None:
    y = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    p = np.repeat([0.25, 0.75], 4)
    assert calibration_error(y, p) == pytest.approx(0, abs=1e-15)
    assert calibration_error(y, 1 - p) == pytest.approx(0.5)
    assert calibration_error(y, np.ones(8)) == pytest.approx(0.5)


@pytest.mark.parametrize("function", [brier_score, log_loss, calibration_error])
def test_a_probability_beyond_one_is_refused(function: object) -> None:
    with pytest.raises(MetricError, match=r"y_score runs from 0\.5 to 1\.5"):
        function([0, 1], [0.5, 1.5])  # type: ignore[operator]
