from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, cross_validate

from hepml_tasks.errors import MetricError
from hepml_tasks.metrics import ams, make_scorer, roc_auc


def events() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    return rng.normal(y[:, np.newaxis], 1.5, (600, 3)), y, rng.exponential(size=600)


def test_a_scorer_gives_the_metric_of_the_estimator() -> None:
    X, y, w = events()
    model = LogisticRegression().fit(X, y)
    auc = make_scorer("roc_auc")
    assert auc(model, X, y, sample_weight=w) == roc_auc(
        y, model.decision_function(X), sample_weight=w
    )
    significance = make_scorer("ams", b_reg=1.0)
    assert significance(model, X, y, sample_weight=w) == ams(
        y, model.predict(X), sample_weight=w, b_reg=1.0
    )


def test_weights_reach_the_score_by_metadata_routing_and_not_the_fit() -> None:
    X, y, w = events()
    with sklearn.config_context(enable_metadata_routing=True):
        folds = cross_validate(
            LogisticRegression().set_fit_request(sample_weight=False),
            X,
            y,
            cv=KFold(3),
            scoring={
                "auc": make_scorer("roc_auc"),
                "unweighted": make_scorer("area_under_roc_curve"),
            },
            params={"sample_weight": w},
            return_estimator=True,
        )
    for (_, test), model, auc, unweighted in zip(
        KFold(3).split(X),
        folds["estimator"],
        folds["test_auc"],
        folds["test_unweighted"],
        strict=True,
    ):
        s = model.decision_function(X[test])
        assert auc == roc_auc(y[test], s, sample_weight=w[test])
        assert unweighted == roc_auc(y[test], s)


def test_a_loss_turns_its_sign() -> None:
    X, y, _ = events()
    assert make_scorer("log_loss")(LogisticRegression().fit(X, y), X, y) < 0
    energy = 10 + np.abs(X[:, 0])
    assert make_scorer("energy_resolution")(LinearRegression().fit(X, energy), X, energy) < 0


def test_a_metric_of_tracks_is_no_scorer() -> None:
    with pytest.raises(MetricError, match="needs tracks"):
        make_scorer("trackml_score")
