"""Anomaly detection: nothing that tells a label reaches a flow, and all of it is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression

import hepml_tasks as hep
from hepml_tasks.errors import RunError, SpecError
from hepml_tasks.flows import FLOWS, find_flow
from hepml_tasks.flows.anomaly import AnomalyDetector
from hepml_tasks.running.fold import run_fold
from hepml_tasks.running.task import Task

TASKS = Path(__file__).resolve().parents[2] / "tasks"
SEEN: list[tuple[Any, ...]] = []


class Listener(BaseEstimator):  # type: ignore[misc] # untyped base
    """Notes all that it is given."""

    def fit(self, X: pd.DataFrame, y: Any = None, sample_weight: Any = None) -> Listener:
        SEEN.append((X, y, sample_weight))
        return self

    def predict(self, X: pd.DataFrame) -> Any:
        return np.zeros(len(X), dtype=int)

    def predict_proba(self, X: pd.DataFrame) -> Any:
        return np.full((len(X), 2), 0.5)


class OneClass(Listener):
    """Predicts as scikit-learn's outlier detectors do."""

    def predict(self, X: pd.DataFrame) -> Any:
        return np.full(len(X), -1)


@pytest.fixture(scope="module")
def hunt() -> Task:
    return hep.load_task("toy-higgs-anomaly", events=2000)


def run(task: Task, model: Any, folder: Path) -> None:
    X, y, weight = task.data()
    run_fold(
        model,
        X,
        y,
        weight,
        task.splits[0],
        class_sums=task.events.class_sums,
        positive="s",
        threads=1,
        folder=folder,
        unlabelled=True,
    )


def test_a_flow_gets_features_alone(hunt: Task, tmp_path: Path):
    SEEN.clear()
    run(hunt, Listener(), tmp_path)
    ((X, y, weight),) = SEEN
    assert y is None
    assert weight is None
    assert not {"Label", "Process", "Weight", "EventId"} & set(X.columns)
    assert len(X.columns) == 30


def test_the_order_of_events_tells_nothing(hunt: Task):
    from sklearn.metrics import roc_auc_score

    _, y, _ = hep.load_task("toy-higgs-anomaly").data()
    order = np.arange(len(y))
    assert roc_auc_score(y == "s", order) == pytest.approx(0.5, abs=0.05)
    assert (y == "s").mean() == pytest.approx(0.02)


def test_the_truth_is_in_the_predictions_and_scored(hunt: Task, tmp_path: Path):
    found = hep.run(find_flow("isolation-forest").build(), hunt, spool=tmp_path, n_jobs=1)
    table = found.predictions.to_pandas()
    assert set(table["prediction"]) == set(table["truth"]) == {"b", "s"}
    assert (table["prediction"] == "s").mean() == pytest.approx(0.02, abs=0.01)
    assert table["confidence.s"].between(0, 1).all()
    assert found.scores["area_under_roc_curve"].value > 0.6


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (LogisticRegression(), "LogisticRegression learns from labels; the task has none"),
        (IsolationForest(), "no score between 0 and 1: wrap it in .*AnomalyDetector"),
        (OneClass(), "predict of OneClass gave -1; a detector that was fitted without labels"),
    ],
)
def test_what_is_no_detector_is_refused(hunt: Task, tmp_path: Path, model: Any, problem: str):
    with pytest.raises(RunError, match=problem):
        run(hunt, model, tmp_path)


def test_a_detector_may_be_run_where_there_are_labels(tmp_path: Path):
    task = hep.load_task("toy-higgs", events=1000)
    found = hep.run(AnomalyDetector(IsolationForest()), task, spool=tmp_path, n_jobs=1)
    assert "roc_auc" in found.scores


def test_an_anomaly_task_says_which_class_is_abnormal(tmp_path: Path):
    text = (TASKS / "toy-higgs-anomaly.yaml").read_text()
    path = tmp_path / "task.yaml"
    path.write_text(text.replace("  positive: s\n", ""))
    with pytest.raises(SpecError, match="names the signal class of two"):
        hep.load_task(path)


@pytest.mark.campaign
def test_the_better_flows_win_significantly(tmp_path: Path):
    task = hep.load_task("toy-higgs-anomaly")
    found = {
        f.name: hep.run(f.build(), task, name=f.name, spool=tmp_path).scores["sic_maximum"]
        for f in FLOWS.values()
        if f.suits(task.spec.type)
    }
    order = ["cwola", "mass-window", "isolation-forest", "reconstruction", "constant"]
    assert sorted(found, key=lambda name: -found[name].value) == order
    assert found["constant"].value == 1.0
    for better, worse in (("cwola", "mass-window"), ("mass-window", "isolation-forest")):
        distance = found[better].value - found[worse].value
        assert distance > 3 * np.hypot(found[better].uncertainty, found[worse].uncertainty)
