from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hepml_tasks.errors import FlowError
from hepml_tasks.flows.weighted import WeightedClassifier, balanced
from hepml_tasks.metrics import ams


@pytest.fixture
def events():
    rng = np.random.default_rng(0)
    signal = np.arange(2000) % 2
    X = pd.DataFrame({"a": rng.normal(signal, 1.0), "b": rng.normal(0, 1, 2000)})
    weight = np.where(signal, 0.02, 1.0) * rng.uniform(0.5, 1.5, 2000)
    return X, np.where(signal, "s", "b"), weight


def recording(log: list):
    class Recorder(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            log.append((np.asarray(X), np.asarray(y), np.asarray(sample_weight)))
            return super().fit(X, y, sample_weight)

    return Recorder


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=4, max_size=20),
    share=st.integers(1, 3),
)
def test_balanced_weights_give_both_classes_half_and_mean_one(weights, share):
    signal = (np.arange(len(weights)) % (share + 1) == 0).astype(np.int64)
    result = balanced(signal, np.array(weights))
    assert result.mean() == pytest.approx(1)
    assert result[signal == 1].sum() == pytest.approx(result[signal == 0].sum())


def test_a_class_without_weight_is_refused():
    with pytest.raises(FlowError, match="class 1 sums to 0"):
        balanced(np.array([0, 1]), np.array([1.0, 0.0]))


def test_the_fit_sees_balanced_weights_and_the_threshold_physical_ones(events):
    X, y, weight = events
    log: list = []
    model = WeightedClassifier(recording(log)(), random_state=0).fit(X, y, weight)
    *inner, (_, signal, fitted) = log
    assert len(inner) == 3
    assert fitted[signal == 1].sum() == pytest.approx(fitted[signal == 0].sum())
    selected = model.predict(X) == "s"
    chosen = ams(y == "s", selected, sample_weight=weight)
    half = ams(y == "s", model.predict_proba(X)[:, 1] >= 0.5, sample_weight=weight)
    assert chosen > half


def test_no_threshold_is_chosen_on_scores_of_events_that_were_fitted(events):
    X, y, weight = events
    log: list = []
    WeightedClassifier(recording(log)(), random_state=0).fit(X, y, weight)
    *inner, final = log
    assert len(final[0]) == len(X)
    # every fit for the threshold leaves a third of the training events out, another each time
    assert [len(fit[0]) for fit in inner] == [1333, 1333, 1334]


def test_the_last_step_of_a_pipeline_gets_the_weights(events):
    X, y, weight = events
    plain = WeightedClassifier(make_pipeline(StandardScaler(), LogisticRegression()))
    assert not np.allclose(
        plain.fit(X, y, weight).predict_proba(X), plain.fit(X, y).predict_proba(X)
    )


def test_another_class_can_be_the_signal(events):
    X, y, weight = events
    renamed = np.where(y == "s", "alpha", "beta")
    model = WeightedClassifier(LogisticRegression(), pos_label="alpha", random_state=0)
    usual = WeightedClassifier(LogisticRegression(), random_state=0).fit(X, y, weight)
    model.fit(X, renamed, weight)
    assert model.threshold_ == usual.threshold_
    assert np.array_equal(model.predict(X) == "alpha", usual.predict(X) == "s")
    assert np.allclose(model.predict_proba(X)[:, 0], usual.predict_proba(X)[:, 1])


def test_scores_that_are_all_equal_select_every_event(events):
    from sklearn.dummy import DummyClassifier

    X, y, weight = events
    model = WeightedClassifier(DummyClassifier(strategy="prior"), random_state=0)
    assert set(model.fit(X, y, weight).predict(X)) == {"s"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"balance": "clases"}, "balance='clases' is unknown; use one of classes, none"),
        ({"threshold_rule": "best"}, "threshold_rule='best' is unknown"),
        ({"pos_label": "x"}, "pos_label='x' is no class; they are b, s"),
        ({"estimator": None}, "needs the estimator that it wraps"),
    ],
)
def test_an_option_without_meaning_is_named(events, options, problem):
    X, y, weight = events
    with pytest.raises(FlowError, match=problem):
        WeightedClassifier(**{"estimator": LogisticRegression(), **options}).fit(X, y, weight)
