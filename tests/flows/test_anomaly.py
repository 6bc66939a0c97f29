"""Detectors: fitted without labels, a score between 0 and 1, a selection of a chosen size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hepml_tasks.errors import FlowError
from hepml_tasks.flows import FLOWS
from hepml_tasks.flows.anomaly import AnomalyDetector
from hepml_tasks.flows.constant import Constant
from hepml_tasks.flows.cwola import MassWindow, WindowAgainstBands
from hepml_tasks.flows.description import describe, fingerprint, rebuild, seeded
from hepml_tasks.flows.reconstruction import ReconstructionError

DETECTORS = [f for f in FLOWS.values() if f.suits("anomaly-detection")]


@pytest.fixture(scope="module")
def bump() -> tuple[pd.DataFrame, np.ndarray]:
    """Return a falling mass spectrum with a bump, whose events have another shape, and labels."""
    rng = np.random.default_rng(0)
    signal = np.arange(4000) < 200
    rng.shuffle(signal)
    mass = np.where(signal, rng.normal(300, 15, 4000), 100 + rng.exponential(150, 4000))
    shape = rng.normal(np.where(signal, 2.0, 0.0), 1.0)
    return pd.DataFrame({"mass": mass, "shape": shape, "noise": rng.normal(size=4000)}), signal


@pytest.fixture
def against_bands() -> WindowAgainstBands:
    return WindowAgainstBands(
        LogisticRegression(),
        column="mass",
        low=270.0,
        high=330.0,
        band_low=200.0,
        band_high=400.0,
        features=["shape", "noise"],
    )


def test_labels_change_nothing_but_the_names_of_the_classes(bump):
    X, signal = bump
    alone = AnomalyDetector(IsolationForest(random_state=0), random_state=0).fit(X)
    told = AnomalyDetector(IsolationForest(random_state=0), random_state=0)
    told.fit(X, np.where(signal, "s", "b"))
    mixed = AnomalyDetector(IsolationForest(random_state=0), random_state=0)
    mixed.fit(X, np.random.default_rng(1).permutation(np.where(signal, "s", "b")))
    assert np.array_equal(alone.predict_proba(X), told.predict_proba(X))
    assert np.array_equal(alone.predict_proba(X), mixed.predict_proba(X))
    assert alone.predict(X).tolist() == (told.predict(X) == "s").astype(int).tolist()


def test_the_abnormal_class_may_be_any_of_the_two(bump):
    X, signal = bump
    y = np.where(signal, "anomaly", "normal")
    model = AnomalyDetector(MassWindow("mass", 270.0, 330.0), pos_label="anomaly").fit(X, y)
    inside = X["mass"].between(270, 330)
    assert (model.predict(X) == "anomaly").sum() == inside.sum()
    assert model.predict_proba(X)[inside, 0].min() > model.predict_proba(X)[~inside, 0].max()


def test_the_selection_is_where_the_score_reaches_one_half(bump):
    X, _ = bump
    model = AnomalyDetector(IsolationForest(random_state=0), contamination=0.1, random_state=0)
    model.fit(X)
    scores = model.predict_proba(X)
    assert np.array_equal(model.predict(X) == 1, scores[:, 1] >= 0.5)
    assert scores.sum(axis=1) == pytest.approx(1)
    assert (scores > 0).all()
    assert (scores < 1).all()
    # the threshold comes from events that the fits had not seen
    assert model.predict(X).mean() == pytest.approx(0.1, abs=0.02)


def test_events_without_a_difference_are_all_selected(bump):
    X, _ = bump
    model = AnomalyDetector(Constant()).fit(X)
    assert set(model.predict_proba(X).ravel()) == {0.5}
    assert model.predict(X).all()


def test_a_window_against_its_bands_finds_what_the_window_alone_does_not(bump, against_bands):
    X, signal = bump
    window = AnomalyDetector(MassWindow("mass", 270.0, 330.0)).fit(X).predict_proba(X)[:, 1]
    inside = X["mass"].between(270, 330).to_numpy()
    score = AnomalyDetector(against_bands).fit(X).predict_proba(X)[:, 1]
    assert roc_auc_score(signal[inside], window[inside]) == 0.5
    assert roc_auc_score(signal[inside], score[inside]) > 0.9
    assert score[inside].min() > score[~inside].max()


def test_the_classifier_of_a_window_sees_no_mass(bump, against_bands):
    X, _ = bump
    fitted = against_bands.set_params(features=None).fit(X)
    assert list(fitted.estimator_.feature_names_in_) == ["shape", "noise"]
    moved = X.assign(mass=X["mass"] + 1e-6)
    assert np.array_equal(fitted.score_samples(X), fitted.score_samples(moved))


def test_an_undefined_mass_is_in_no_window(bump):
    X, _ = bump
    nowhere = X.assign(mass=np.nan)
    assert MassWindow("mass", 270.0, 330.0).fit(X).score_samples(nowhere).tolist() == [0.0] * 4000


def test_what_lies_off_the_components_is_abnormal():
    rng = np.random.default_rng(0)
    line = np.outer(rng.normal(size=500), [1.0, 1.0, 0.0])
    model = ReconstructionError(n_components=1).fit(line + rng.normal(0, 0.01, (500, 3)))
    on, off = model.score_samples(np.array([[9.0, 9.0, 0.0], [1.0, 1.0, 3.0]]))
    assert on == pytest.approx(0, abs=0.01)
    assert off == pytest.approx(-3.0, rel=0.01)


@pytest.mark.parametrize("flow", DETECTORS, ids=lambda f: f.name)
def test_a_detector_is_described_and_rebuilt(flow):
    described = describe(flow.build())
    assert fingerprint(describe(rebuild(described))) == fingerprint(described)
    open_seeds = [
        n for n, v in seeded(flow.build(), 7).get_params().items() if n.endswith("random_state")
    ]
    assert all(seeded(flow.build(), 7).get_params()[n] == 7 for n in open_seeds)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"column": "masz"}, "no column 'masz'; did you mean 'mass'"),
        ({"low": 100.0}, "window 100 to 330 has to lie within its bands, which end at 200 and 400"),
        ({"features": ["shapes"]}, "no column is like 'shapes'; did you mean 'shape'"),
        ({"estimator": None}, "needs the classifier that it fits"),
        ({"low": 5000.0, "high": 5001.0, "band_high": 9999.0}, "no event has a mass in the window"),
    ],
)
def test_a_window_that_can_not_be_used_says_why(bump, against_bands, change, problem):
    with pytest.raises(FlowError, match=problem):
        against_bands.set_params(**change).fit(bump[0])


@pytest.mark.parametrize(
    ("options", "y", "problem"),
    [
        ({"estimator": None}, None, "needs the estimator that it wraps"),
        ({"contamination": 0.0}, None, "contamination=0.0 is no fraction"),
        ({}, ["a", "b", "c"], "tells 2 classes apart, got 3"),
        ({"pos_label": "z"}, ["a", "b", "b"], "pos_label='z' is no class"),
    ],
)
def test_a_detector_that_can_not_be_used_says_why(options, y, problem):
    model = AnomalyDetector(Constant()).set_params(**options)
    with pytest.raises(FlowError, match=problem):
        model.fit(np.zeros((3, 1)), y)


def test_a_window_needs_named_columns():
    with pytest.raises(FlowError, match="no column 'mass'.*DataFrame"):
        MassWindow("mass", 1.0, 2.0).fit(np.zeros((3, 1)))
