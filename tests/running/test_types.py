"""Tasks of every type: classes, more than two of them, numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import KFold

import hepml_tasks as hep
from hepml_tasks.errors import DataError, RunError, SpecError
from hepml_tasks.flows import find_flow
from hepml_tasks.running.task import Task

TASKS = Path(__file__).resolve().parents[2] / "tasks"


@pytest.fixture(scope="module")
def processes() -> Task:
    return hep.load_task("toy-higgs-process", events=2000)


@pytest.fixture(scope="module")
def masses() -> Task:
    return hep.load_task("toy-higgs-mass", events=2000)


def test_four_processes_are_told_apart_better_than_by_chance(processes: Task, tmp_path: Path):
    run = hep.run(find_flow("hist-gradient-boosting").build(), processes, spool=tmp_path, n_jobs=1)
    assert run.scores["balanced_accuracy"].value > 0.6
    confidences = [c for c in run.predictions.column_names if c.startswith("confidence.")]
    assert confidences == ["confidence.H", "confidence.T", "confidence.W", "confidence.Z"]
    total = sum(run.predictions[c].to_numpy() for c in confidences)
    assert total == pytest.approx(1.0)
    floor = hep.run(find_flow("prior").build(), processes, spool=tmp_path, n_jobs=1)
    assert floor.scores["balanced_accuracy"].value == pytest.approx(0.25)


def test_a_mass_is_estimated_better_than_by_the_mean(masses: Task, tmp_path: Path):
    run = hep.run(find_flow("ridge").build(), masses, spool=tmp_path, n_jobs=1)
    floor = hep.run(find_flow("mean").build(), masses, spool=tmp_path, n_jobs=1)
    assert run.scores["root_mean_squared_error"].value < 24
    assert 29 < floor.scores["root_mean_squared_error"].value < 34
    assert run.predictions["prediction"].type == "double"
    assert "truth" in run.predictions.column_names


def test_every_row_of_a_regression_is_tested_once_in_scikit_learns_folds(masses: Task):
    theirs = KFold(4, shuffle=True, random_state=0).split(np.zeros((2000, 1)))
    for split, (train, test) in zip(masses.splits, theirs, strict=True):
        assert np.array_equal(split.train, train)
        assert np.array_equal(split.test, test)


def test_a_model_of_the_other_kind_is_refused(processes: Task, masses: Task, tmp_path: Path):
    with pytest.raises(RunError, match="DummyClassifier is a classifier; the task is a regress"):
        hep.run(DummyClassifier(), masses, spool=tmp_path, n_jobs=1)
    with pytest.raises(RunError, match="DummyRegressor is a regressor; the task has classes"):
        hep.run(DummyRegressor(), processes, spool=tmp_path, n_jobs=1)


@pytest.mark.parametrize(
    ("task", "change", "problem"),
    [
        ("toy-higgs", ("  positive: s\n", ""), "positive names the signal class of two"),
        ("toy-higgs-mass", ("  target: Mass", "  target: Mass\n  positive: s"), "has no meaning"),
        ("toy-higgs-mass", ("metrics:", "class_sums: {s: 1.0}\nmetrics:"), "has no classes"),
    ],
)
def test_a_file_that_contradicts_its_type_is_refused(
    tmp_path: Path, task: str, change: tuple[str, str], problem: str
):
    text = (TASKS / f"{task}.yaml").read_text()
    assert change[0] in text
    path = tmp_path / "task.yaml"
    path.write_text(text.replace(*change))
    with pytest.raises(SpecError, match=problem):
        hep.load_task(path)


def test_two_classes_are_too_few_where_several_are_promised(tmp_path: Path):
    text = (TASKS / "toy-higgs-process.yaml").read_text()
    text = text.replace("target: Process", "target: Label").replace(
        "class_sums: {H: 692.0, Z: 46000.0, W: 357000.0, T: 8000.0}", ""
    )
    path = tmp_path / "task.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match="holds b, s; .* needs three classes or more"):
        _ = hep.load_task(path, events=200).events
