from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import (
    background_efficiency,
    predictive_accuracy,
    purity,
    signal_efficiency,
)


def test_efficiencies_and_purity_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, selected = rng.integers(0, 2, 500), rng.integers(0, 2, 500)
    w = rng.exponential(size=500)
    assert signal_efficiency(y, selected, sample_weight=w) == pytest.approx(
        recall_score(y, selected, sample_weight=w)
    )
    assert background_efficiency(y, selected, sample_weight=w) == pytest.approx(
        recall_score(1 - y, selected, sample_weight=w)
    )
    assert purity(y, selected, sample_weight=w) == pytest.approx(
        precision_score(y, selected, sample_weight=w)
    )


@pytest.mark.parametrize("classes", [[0, 1], ["b", "s"], [1, 2, 7], ["a", "b", "c"]])
def test_accuracy_takes_classes_of_any_kind(classes: list[object]) -> None:
    rng = np.random.default_rng(0)
    y, predicted = rng.choice(classes, 300), rng.choice(classes, 300)
    assert predictive_accuracy(y, predicted) == accuracy_score(y, predicted)


def test_an_empty_selection_has_no_purity() -> None:
    with pytest.raises(MetricError, match="y_pred selects events of total weight 0"):
        purity([0, 1], [0, 0])


@pytest.mark.parametrize("selection", [[0, 0.5], [1, 2], ["s", "b"]])
def test_a_selection_is_zero_or_one(selection: list[object]) -> None:
    with pytest.raises(MetricError, match="y_pred"):
        signal_efficiency([0, 1], selection)
