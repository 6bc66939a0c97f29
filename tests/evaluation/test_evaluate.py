from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import hepml_tasks as hep
from hepml_tasks.errors import MetricError, RunError
from hepml_tasks.evaluation.evaluate import Truth, evaluate
from hepml_tasks.evaluation.predictions import check_against_splits, from_table
from hepml_tasks.flows import find_flow
from hepml_tasks.metrics import ams
from hepml_tasks.openml.predictions import render_predictions
from hepml_tasks.openml.registration import render_dataset
from hepml_tasks.spec import EvaluationSpec, to_mapping
from hepml_tasks.splits import Split, write_split_arff

SPEC = EvaluationSpec(
    task="t",
    split="s",
    target="Label",
    positive="s",
    weight="Weight",
    class_sums={"s": 100.0, "b": 1000.0},
    metrics=("ams", "roc_auc", "signal_efficiency"),
    primary="ams",
)


@pytest.fixture
def sample():
    rng = np.random.default_rng(1)
    y = np.where(rng.random(400) < 0.4, "s", "b")
    score = np.clip(rng.normal(0.4 + 0.3 * (y == "s"), 0.2), 0, 1)
    table = pa.table(
        {
            "repeat": np.zeros(400, int),
            "fold": np.arange(400) % 4,
            "row": np.arange(400),
            "prediction": np.where(score > 0.6, "s", "b"),
            "confidence.s": score,
            "confidence.b": 1 - score,
        }
    )
    return table, Truth(y, rng.uniform(0.5, 1.5, 400), np.arange(400) + 7000)


def read(table: pa.Table):
    return from_table(table, SPEC, origin="table")


def test_the_score_is_of_the_pooled_selection_at_full_luminosity(sample):
    table, truth = sample
    result = evaluate(read(table), truth, SPEC)
    signal, selected = truth.y == "s", table["confidence.s"].to_numpy() > 0.6
    weight = truth.weight * np.where(
        signal, 100 / truth.weight[signal].sum(), 1000 / truth.weight[~signal].sum()
    )
    expected = ams(signal.astype(int), selected.astype(int), sample_weight=weight)
    assert result.scores["ams"].value == pytest.approx(expected, rel=1e-12)
    assert result.scores["ams"].uncertainty > 0
    low, high = result.scores["ams"].interval
    assert low < result.scores["ams"].value < high


def test_folds_are_scored_each_at_full_luminosity_beside_the_pooled_score(sample):
    table, truth = sample
    result = evaluate(read(table), truth, SPEC)
    values = [f.value for f in result.folds["ams"]]
    assert len(values) == 4
    # were the folds not renormalised, each would be about half the pooled value
    assert 0.7 < np.mean(values) / result.scores["ams"].value < 1.5


def test_the_order_of_predictions_does_not_matter_to_a_bit(sample):
    table, truth = sample
    shuffled = table.take(np.random.default_rng(0).permutation(400))
    one, other = (evaluate(read(t), truth, SPEC).to_json() for t in (table, shuffled))
    assert one == other


def test_a_repeated_cross_validation_counts_each_event_once(sample):
    table, truth = sample
    twice = pa.concat_tables([table, table.set_column(0, "repeat", pa.array(np.ones(400, int)))])
    one, two = (evaluate(read(t), truth, SPEC).scores["roc_auc"] for t in (table, twice))
    assert two.value == pytest.approx(one.value)
    # the same events seen twice are no more certain than once
    assert two.uncertainty == pytest.approx(one.uncertainty, rel=0.25)


def test_accuracy_over_more_than_two_classes_compares_the_classes_themselves(sample):
    table, _ = sample
    labels = np.arange(400) % 3
    three = Truth(np.array(["b", "c", "s"])[labels], None, np.arange(400))
    guess = np.array(["b", "c", "s"])[np.where(np.arange(400) < 100, labels, (labels + 1) % 3)]
    table = table.set_column(3, "prediction", pa.array(guess))
    spec = replace(SPEC, weight=None, class_sums=None, metrics=("predictive_accuracy",))
    assert evaluate(read(table), three, spec).scores["predictive_accuracy"].value == 0.25
    with pytest.raises(MetricError, match="'ams' is for two classes; the dataset has 3"):
        evaluate(read(table), three, spec, metrics=["ams"])


@pytest.fixture
def numbers():
    rng = np.random.default_rng(2)
    y = rng.uniform(60, 180, 300)
    predicted = y + rng.normal(0, 10, 300)
    columns = {"repeat": np.zeros(300, int), "fold": np.arange(300) % 3, "row": np.arange(300)}
    table = pa.table({**columns, "prediction": predicted, "truth": y})
    spec = EvaluationSpec(
        task="m",
        split="s",
        target="Mass",
        type="regression",
        metrics=("root_mean_squared_error", "mean_absolute_error"),
        primary="root_mean_squared_error",
    )
    truth = Truth(y, rng.uniform(0.5, 1.5, 300), np.arange(300))
    return from_table(table, spec, origin="table"), truth, spec


def test_a_regression_is_scored_by_its_numbers_and_their_weights(numbers):
    predictions, truth, spec = numbers
    result = evaluate(predictions, truth, spec)
    miss = predictions.predicted - truth.y
    expected = np.sqrt(np.average(miss**2, weights=truth.weight))
    assert result.scores["root_mean_squared_error"].value == pytest.approx(expected, rel=1e-12)
    assert 0 < result.scores["mean_absolute_error"].uncertainty < 2
    assert [f.fold for f in result.folds["mean_absolute_error"]] == [0, 1, 2]


def test_a_metric_of_classes_is_refused_for_a_regression(numbers):
    with pytest.raises(MetricError, match="'ams' needs selection, which predictions of a number"):
        evaluate(*numbers, metrics=["ams"])


def test_a_number_that_is_none_is_refused(numbers):
    _, _, spec = numbers
    columns = {"repeat": [0, 0], "fold": [0, 0], "row": [0, 1], "prediction": [1.0, np.nan]}
    with pytest.raises(RunError, match="'prediction' is not a finite number in prediction 1"):
        from_table(pa.table(columns), spec, origin="table")


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ("correlation_cvm", "needs mass for each event beside the predictions"),
        ("energy_resolution", "needs regression, which predictions of a class don't have"),
    ],
)
def test_a_metric_that_predictions_are_not_enough_for_is_refused(sample, metric, problem):
    table, truth = sample
    with pytest.raises(MetricError, match=problem):
        evaluate(read(table), truth, SPEC, metrics=[metric])


def test_an_event_that_the_dataset_has_not_is_refused(sample):
    table, truth = sample
    short = Truth(truth.y[:300], truth.weight[:300], truth.event_id[:300])
    with pytest.raises(RunError, match="row 300 is predicted, but the dataset has 300 rows"):
        evaluate(read(table), short, SPEC)


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("confidence.s", float("nan"), "'confidence.s' is not a finite number in prediction 0"),
        ("confidence.s", float("inf"), "'confidence.s' is not a finite number in prediction 0"),
        ("confidence.s", None, "'confidence.s' is undefined in prediction 0"),
        ("prediction", None, "'prediction' has undefined"),
        ("row", None, "'row' is undefined in prediction 0"),
    ],
)
def test_predictions_that_say_nothing_are_refused(sample, column, value, problem):
    table, _ = sample
    values = [value, *table[column].to_pylist()[1:]]
    broken = table.set_column(table.column_names.index(column), column, pa.array(values))
    with pytest.raises(RunError, match=problem):
        read(broken)


def test_a_missing_confidence_is_answered_with_the_nearest(sample):
    table, _ = sample
    with pytest.raises(RunError, match=r"'confidence.s' is missing; did you mean 'confidence.S'"):
        read(table.rename_columns([c.replace(".s", ".S") for c in table.column_names]))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([0, 1, 2, 2], "row 2 is predicted twice"),
        ([0, 1, 2], "1 test events have no prediction, as row 3"),
        ([0, 1, 2, 3, 9], "row 9 is no test event of it"),
    ],
)
def test_predictions_must_be_of_the_test_events_each_once(sample, rows, problem):
    table, _ = sample
    part = table.take(rows).set_column(1, "fold", pa.array([0] * len(rows)))
    split = Split(0, 0, np.arange(10, 20), np.arange(4))
    with pytest.raises(RunError, match=problem):
        check_against_splits(read(part), [split], origin="p")


def test_a_fold_that_the_task_has_not_is_refused(sample):
    table, _ = sample
    with pytest.raises(RunError, match="repeat 0, fold 1 is not one of the task's"):
        check_against_splits(read(table), [Split(0, 0, np.arange(0), np.arange(400))], origin="p")


@pytest.fixture
def uploaded(small_task: Path, tmp_path: Path):
    """Return a job with the files of an uploaded run, and the run that they came from."""
    task = hep.load_task(small_task)
    run = hep.run(find_flow("logistic").build(), task, spool=tmp_path / "spool")
    (tmp_path / "predictions.arff").write_bytes(render_predictions(run.folder))
    (tmp_path / "dataset.arff").write_bytes(render_dataset(task))
    write_split_arff(tmp_path / "splits.arff", task.splits)
    files = {k: str(tmp_path / f"{k}.arff") for k in ("predictions", "dataset", "splits")}
    return {**files, "spec": to_mapping(task.evaluation_spec())}, run


def evaluator(*jobs: dict) -> list[dict]:
    """Ask the evaluator, a process of its own that gets nothing but the jobs."""
    done = subprocess.run(
        [sys.executable, "-m", "hepml_tasks.evaluation"],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_evaluator_gives_the_very_scores_of_the_run_folder(uploaded):
    job, run = uploaded
    (answer,) = evaluator({**job, "job": 3})
    assert answer["job"] == 3
    assert answer["scores"] == run.folder.scores["scores"]
    assert answer["folds"] == run.folder.scores["folds"]


def test_one_corrupted_prediction_changes_the_evaluators_scores(uploaded, tmp_path: Path):
    job, run = uploaded
    path = tmp_path / "predictions.arff"
    head, _, body = path.read_text().partition("@DATA\n")
    rows = body.splitlines()
    # a background event that was rejected is now claimed as the surest of all signal
    index = next(i for i, row in enumerate(rows) if ",b,b," in row)
    # repeat, fold, sample, row_id, prediction, correct, confidence of b and of s
    parts = rows[index].split(",")
    rows[index] = ",".join([*parts[:4], "s", "b", "0.0", "1.0"])
    path.write_text(head + "@DATA\n" + "\n".join(rows) + "\n")
    (answer,) = evaluator(job)
    before = run.folder.scores["scores"]
    assert answer["scores"]["ams"]["value"] != before["ams"]["value"]
    assert answer["scores"]["roc_auc"]["value"] < before["roc_auc"]["value"]


def test_the_evaluator_answers_a_bad_job_with_one_line_and_goes_on(uploaded, tmp_path: Path):
    job, _ = uploaded
    broken = tmp_path / "broken.arff"
    broken.write_text("no arff")
    bad, good = evaluator({**job, "predictions": str(broken)}, job)
    assert "broken.arff, line 1" in bad["error"]
    assert "\n" not in bad["error"]
    assert good["n_rows"] == 1500


def test_the_spec_of_a_task_names_what_the_evaluator_needs(small_task: Path):
    spec = hep.load_task(small_task).evaluation_spec()
    assert spec.class_sums == {"s": 692.0, "b": 411000.0}
    assert replace(spec, task="x") != spec
