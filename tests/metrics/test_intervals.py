from __future__ import annotations

import math

import numpy as np
import pytest

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import interval_score
from hepml_tasks.metrics.intervals import score_of_coverage


@pytest.mark.parametrize(
    ("coverage", "expected"),
    [(0.683, 0.5091603444469299), (0.60, -4.641393496131815), (0.76, -3.057364353008849)],
)
def test_the_score_has_its_reference_values(coverage: float, expected: float) -> None:
    assert score_of_coverage(0.6, coverage, 1000) == pytest.approx(expected, rel=1e-12)


def test_the_score_of_arrays_counts_covered_truths() -> None:
    truth = np.ones(1000)
    low = np.where(np.arange(1000) < 683, 0.5, 1.1)
    value = interval_score(truth, np.column_stack([low, low + 0.6]))
    assert value == pytest.approx(0.5091603444469299)


def test_no_width_at_all_is_finite() -> None:
    assert math.isfinite(interval_score([1.0], [[1.0, 1.0]]))


def test_an_interval_upside_down_is_refused() -> None:
    with pytest.raises(MetricError, match="1 intervals whose upper end is below"):
        interval_score([1.0], [[2.0, 1.0]])
    with pytest.raises(MetricError, match="y_pred has 1 columns"):
        interval_score([1.0], [2.0])
