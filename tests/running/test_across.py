"""Prediction across the values of a nuisance: what a flow sees, and how it is scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

import hepml_tasks as hep
from hepml_tasks.evaluation.evidence import from_folder
from hepml_tasks.evaluation.paired import compare_runs
from hepml_tasks.flows import find_flow
from hepml_tasks.metrics import ams
from hepml_tasks.running.task import Task, as_task

SEEN: list[dict[str, Any]] = []


class Listener(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # untyped bases
    """Notes what it is fitted to, and selects everything."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Listener:
        SEEN.append({"X": X, "y": y, "weight": sample_weight, "groups": groups})
        self.classes_ = np.array(["b", "s"])
        return self

    def predict(self, X: pd.DataFrame) -> Any:
        return np.full(len(X), "s")

    def predict_proba(self, X: pd.DataFrame) -> Any:
        return np.tile([0.25, 0.75], (len(X), 1))


@pytest.fixture(scope="module")
def task() -> Task:
    return hep.load_task("toy-higgs-tes", events=1000)


@pytest.fixture(scope="module")
def all_selected(task: Task, tmp_path_factory: pytest.TempPathFactory) -> hep.Run:
    SEEN.clear()
    return hep.run(Listener(), task, spool=tmp_path_factory.mktemp("spool"), n_jobs=1)


def test_a_flow_sees_the_nuisance_and_the_events_that_are_there(task: Task, all_selected: hep.Run):
    (seen,) = SEEN
    assert list(seen["X"].columns)[-1] == "tes"
    assert not {"Selected", "Label", "Weight", "EventId", "Process"} & set(seen["X"].columns)
    assert sorted(set(seen["X"]["tes"])) == [0.9, 0.95, 1.0, 1.05, 1.1]
    assert (seen["X"]["PRI_tau_pt"] > 22).all()
    assert len(seen["groups"]) == len(seen["y"]) == len(seen["X"])


def test_at_each_value_the_weights_are_at_full_luminosity_less_what_is_lost(
    task: Task, all_selected: hep.Run
):
    (seen,) = SEEN
    sums = [
        seen["weight"][(seen["X"]["tes"] == v).to_numpy() & (seen["y"] == "s")].sum()
        for v in (0.9, 1.0, 1.1)
    ]
    assert sums[0] < sums[1] < sums[2]
    # above the threshold at the largest scale is whatever the source has
    assert sums[2] == pytest.approx(692.0)


def test_an_event_is_on_one_side_of_a_split_at_all_values(task: Task):
    (split,) = task.splits
    assert task.events.group is not None
    train, test = (set(task.events.group[rows]) for rows in (split.train, split.test))
    assert not train & test
    assert len(split.test) == 5 * len(test)


def test_there_is_one_prediction_for_each_event_and_value(all_selected: hep.Run, task: Task):
    table = all_selected.predictions.to_pandas()
    event = task.events.table["EventId"].to_numpy()[table["row"]]
    assert not pd.DataFrame({"event": event, "nuisance": table["nuisance"]}).duplicated().any()
    assert table["nuisance"].value_counts().tolist() == [500] * 5


def test_an_event_that_is_not_there_is_not_selected_whatever_is_said(
    all_selected: hep.Run, task: Task
):
    rows = all_selected.predictions["row"].to_numpy()
    table = task.events.table.take(rows).to_pandas()
    expected = {}
    for value, part in table.groupby("tes"):
        signal = part["Label"] == "s"
        scale = np.where(
            signal,
            692.0 / part.loc[signal, "Weight"].sum(),
            411000.0 / part.loc[~signal, "Weight"].sum(),
        )
        weight = part["Weight"].to_numpy() * scale
        expected[f"tes = {value:g}"] = ams(signal, part["Selected"], sample_weight=weight)
    found = {k: v["ams"]["value"] for k, v in all_selected.folder.scores["partitions"].items()}
    assert found == pytest.approx(expected)
    assert all_selected.scores["ams"].value == pytest.approx(min(expected.values()))
    efficiency = all_selected.folder.scores["partitions"]["tes = 0.9"]["signal_efficiency"]
    assert efficiency["value"] < 1


def test_the_worst_value_has_an_uncertainty_of_its_own(all_selected: hep.Run):
    worst = all_selected.scores["ams"]
    assert worst.uncertainty > 0
    assert worst.interval[0] < worst.value < worst.interval[1]
    assert "of the worst value" in worst.method


def test_training_may_be_allowed_at_some_values_only(task: Task, tmp_path: Path):
    derived = task.spec.dataset.derived
    assert derived is not None
    assert derived.nuisance is not None
    limited = replace(derived, nuisance=replace(derived.nuisance, train=(0.95, 1.0, 1.05)))
    spec = replace(task.spec, dataset=replace(task.spec.dataset, derived=limited))
    SEEN.clear()
    run = hep.run(Listener(), as_task(spec), spool=tmp_path, n_jobs=1)
    assert set(SEEN[0]["X"]["tes"]) == {0.95, 1.0, 1.05}
    assert len(set(run.predictions["nuisance"].to_pylist())) == 5


def test_two_runs_are_compared_at_their_worst(task: Task, all_selected: hep.Run, tmp_path: Path):
    better = hep.run(find_flow("nominal-logistic").build(), task, spool=tmp_path, n_jobs=1)
    one, two = (from_folder(r.folder, task) for r in (better, all_selected))
    found = compare_runs("roc_auc", one, two)
    worst = [r.scores["roc_auc"].value for r in (better, all_selected)]
    assert found.difference == pytest.approx(worst[0] - worst[1])
    assert found.better == "first"
    assert 0 < found.uncertainty < found.unpaired
