"""What a flow makes of a nuisance: nothing, an average, or a feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from hepml_tasks.errors import FlowError
from hepml_tasks.flows import FLOWS
from hepml_tasks.flows.description import describe, fingerprint, rebuild
from hepml_tasks.flows.nuisance import NuisanceClassifier

SEEN: list[tuple[pd.DataFrame, np.ndarray]] = []


class Listener(LogisticRegression):
    """Notes what it is fitted to."""

    def fit(self, X, y, sample_weight=None):
        SEEN.append((X, sample_weight))
        return super().fit(X, y, sample_weight)


@pytest.fixture
def shifted() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return 600 events at three values, their labels and their numbers."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(600) % 2, 3)
    value = np.repeat([0.9, 1.0, 1.1], 600)
    pt = np.tile(rng.normal(50 + 10 * y[:600], 5), 3) * value
    return pd.DataFrame({"pt": pt, "tes": value}), y, np.tile(np.arange(600), 3)


def fitted(use: str, X, y, event) -> tuple[NuisanceClassifier, pd.DataFrame, np.ndarray]:
    SEEN.clear()
    model = NuisanceClassifier(Listener(), column="tes", use=use, random_state=0)
    model.fit(X, y, sample_weight=np.arange(len(X)) + 1.0, groups=event)
    ((seen, weight),) = SEEN
    return model, seen, weight


def test_one_that_ignores_a_nuisance_is_trained_at_the_nominal_value_alone(shifted):
    X, y, event = shifted
    model, seen, weight = fitted("ignore", X, y, event)
    assert list(seen.columns) == ["pt"]
    assert seen["pt"].tolist() == X.loc[X["tes"] == 1.0, "pt"].tolist()
    assert weight.tolist() == (np.arange(600, 1200) + 1.0).tolist()
    moved = X.assign(tes=7.0)
    assert np.array_equal(model.predict_proba(X), model.predict_proba(moved))


@pytest.mark.parametrize(("use", "columns"), [("augment", ["pt"]), ("feature", ["pt", "tes"])])
def test_each_event_is_trained_with_once_at_some_value(shifted, use, columns):
    X, y, event = shifted
    _, seen, weight = fitted(use, X, y, event)
    assert list(seen.columns) == columns
    assert len(seen) == 600
    rows = weight.astype(int) - 1
    assert sorted(event[rows]) == list(range(600))
    shares = pd.Series(X["tes"].to_numpy()[rows]).value_counts(normalize=True)
    assert shares.to_numpy() == pytest.approx(1 / 3, abs=0.06)


def test_an_event_that_is_not_there_at_its_value_takes_no_part(shifted):
    X, y, event = shifted
    there = ~((X["tes"] == 0.9) & (event < 300)).to_numpy()
    _, seen, _ = fitted("feature", X[there], y[there], event[there])
    assert 450 < len(seen) < 550


def test_one_that_uses_a_nuisance_answers_by_its_value(shifted):
    X, y, event = shifted
    model, _, _ = fitted("feature", X, y, event)
    up, down = (model.predict_proba(X.assign(tes=v))[:, 1].mean() for v in (1.1, 0.9))
    # the same momentum is less like signal where all momenta are scaled up
    assert up < down


@pytest.mark.parametrize(
    "flow", [f for f in FLOWS.values() if f.suits("across-nuisance")], ids=lambda f: f.name
)
def test_a_flow_is_described_and_rebuilt(flow):
    described = describe(flow.build())
    assert fingerprint(describe(rebuild(described))) == fingerprint(described)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"column": "tess"}, "no column 'tess'; did you mean 'tes'"),
        ({"use": "guess"}, "use='guess' is unknown; use one of ignore, augment, feature"),
        ({"nominal": 2.0}, "no training event has a tes of 2"),
        ({"estimator": None}, "needs the classifier that it wraps"),
    ],
)
def test_what_can_not_be_used_says_why(shifted, change, problem):
    X, y, _ = shifted
    model = NuisanceClassifier(LogisticRegression(), column="tes").set_params(**change)
    with pytest.raises(FlowError, match=problem):
        model.fit(X, y)
