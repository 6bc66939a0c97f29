from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

import hepml_tasks as hep
from hepml_tasks.errors import OutputError, RunError
from hepml_tasks.flows import find_flow
from hepml_tasks.running.folder import RunFolder


class Counted(ClassifierMixin, BaseEstimator):
    """Scores by one column; counts its fits in a file; fails where it is told to."""

    def __init__(self, log="", fail_at=-1, score=None):
        self.log = log
        self.fail_at = fail_at
        self.score = score

    def fit(self, X, y):
        log = Path(self.log)
        fits = len(log.read_text()) if log.exists() else 0
        if fits == self.fail_at:
            raise ValueError("out of luck")
        log.write_text("x" * (fits + 1))
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        score = (
            X["DER_mass_vis"].to_numpy() / 1e4
            if self.score is None
            else np.full(len(X), self.score)
        )
        return np.column_stack([1 - score, score])

    def predict(self, X):
        return np.where(X["DER_mass_vis"] > 80, "s", "b")


@pytest.fixture
def task(small_task: Path) -> hep.Task:
    return hep.load_task(small_task)


def test_every_event_is_predicted_once_by_a_model_that_did_not_see_it(task, tmp_path):
    run = hep.run(find_flow("logistic").build(), task, spool=tmp_path / "spool")
    table = run.predictions
    assert sorted(table["row"].to_pylist()) == list(range(1500))
    truth = task.events.y[table["row"].to_numpy()]
    assert truth.tolist() == table["truth"].to_pylist()
    assert 0.6 < run.scores["roc_auc"].value < 1
    assert run.scores["ams"].uncertainty > 0


def test_the_same_seed_gives_the_same_predictions_in_one_process_or_two(task, tmp_path):
    flow = find_flow("extra-trees").build()
    one = hep.run(flow, task, spool=tmp_path / "one", n_jobs=1)
    two = hep.run(flow, task, spool=tmp_path / "two", n_jobs=2)
    other = hep.run(flow, task, spool=tmp_path / "two", n_jobs=2, seed=1)
    assert one.predictions.equals(two.predictions)
    assert not one.predictions.equals(other.predictions)
    assert one.scores == two.scores


def test_an_estimator_of_ones_own_runs_without_being_registered(task, tmp_path):
    run = hep.run(Counted(log=str(tmp_path / "log")), task, spool=tmp_path, n_jobs=1, name="mine")
    assert run.folder.description["flow"]["name"] == "mine"
    assert 0 < run.scores["roc_auc"].value < 1


def test_a_run_that_is_there_is_not_fitted_again(task, tmp_path):
    log = tmp_path / "log"
    for _ in range(2):
        hep.run(Counted(log=str(log)), task, spool=tmp_path, n_jobs=1)
    assert len(log.read_text()) == 3


def test_a_failed_fold_keeps_the_finished_ones_and_the_same_call_finishes(task, tmp_path):
    log = tmp_path / "log"
    failing = Counted(log=str(log), fail_at=2)
    with pytest.raises(
        RunError, match="the flow failed in repeat 0, fold 2: ValueError: out of luck"
    ):
        hep.run(failing, task, spool=tmp_path / "spool", n_jobs=1)
    (folder,) = (tmp_path / "spool").iterdir()
    assert sorted(p.name for p in (folder / "folds").glob("*.parquet")) == [
        "r0f0.parquet",
        "r0f1.parquet",
    ]
    assert not RunFolder(folder).is_complete
    log.write_text("x" * 9)
    run = hep.run(failing, task, spool=tmp_path / "spool", n_jobs=1)
    assert len(log.read_text()) == 10
    assert run.folder.path == folder


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused_with_the_fold(task, tmp_path, score):
    with pytest.raises(RunError, match="NaN or infinite scores for 500 events in repeat 0, fold 0"):
        hep.run(
            Counted(log=str(tmp_path / "log"), score=score), task, spool=tmp_path / "s", n_jobs=1
        )
    assert not list((tmp_path / "s").rglob("*.parquet"))


def test_a_folder_records_what_made_the_run(task, tmp_path):
    run = hep.run(LogisticRegressionOnMass(), task, spool=tmp_path, n_jobs=1, seed=5)
    record, environment = run.folder.description, run.folder.environment
    assert record["seed"] == 5
    assert record["data"]["table_sha256"] == task.events.sha256
    assert record["task"]["spec"]["name"] == "toy-small"
    assert len(record["uuid"]) == 36
    assert {"numpy", "scikit-learn", "hepml_tasks"} <= set(environment["packages"])
    assert environment["hardware"]["cores"] >= 1
    assert "commit" in environment
    assert "image" in environment
    fold = run.folder.fold_record(0, 0)
    assert fold["fit_seconds"] > 0


class LogisticRegressionOnMass(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X[["DER_mass_vis"]], y, sample_weight)

    def predict_proba(self, X):
        return super().predict_proba(X[["DER_mass_vis"]])

    def predict(self, X):
        return super().predict(X[["DER_mass_vis"]])


def test_training_weights_reach_the_fit_at_full_luminosity(task, tmp_path):
    run = hep.run(SumOfWeights(log=str(tmp_path / "log")), task, spool=tmp_path / "s", n_jobs=1)
    assert run.folder.is_complete
    for line in (tmp_path / "log").read_text().splitlines():
        signal, background = json.loads(line)
        assert signal == pytest.approx(692.0)
        assert background == pytest.approx(411000.0)


class SumOfWeights(Counted):
    def fit(self, X, y, sample_weight=None):
        sums = [float(sample_weight[y == c].sum()) for c in ("s", "b")]
        with Path(self.log).open("a") as log:
            log.write(json.dumps(sums) + "\n")
        self.classes_ = np.unique(y)
        return self


def test_a_signal_class_that_sorts_first_is_still_the_signal(small_task, tmp_path):
    text = small_task.read_text().replace("positive: s", "positive: b")
    small_task.write_text(text.replace("{s: 692.0, b: 411000.0}", "{s: 411000.0, b: 692.0}"))
    task = hep.load_task(small_task)
    run = hep.run(find_flow("logistic").build(), task, spool=tmp_path / "spool")
    assert run.scores["roc_auc"].value > 0.6


def test_interrupted_in_a_fit_it_ends_soon_and_keeps_finished_folds(small_task, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    environment = {**os.environ, "SLOW": "60"}
    command = [sys.executable, str(script), str(small_task), str(tmp_path / "spool")]
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    end = time.monotonic() + 120
    while not list((tmp_path / "spool").rglob("*.parquet")):
        assert time.monotonic() < end
        time.sleep(0.1)
    # Ctrl-C reaches every process of the terminal's group
    os.killpg(process.pid, signal.SIGINT)
    start = time.monotonic()
    process.wait(timeout=30)
    assert time.monotonic() - start < 10
    assert process.returncode != 0
    (kept,) = (tmp_path / "spool").rglob("*.parquet")
    before = kept.stat().st_mtime_ns
    subprocess.run(command, env={**environment, "SLOW": "0"}, check=True)
    assert kept.stat().st_mtime_ns == before
    (scores,) = (tmp_path / "spool").rglob("scores.json")
    assert json.loads(scores.read_text())["n_rows"] == 1500


SLOW = """
import os, sys, time
from pathlib import Path
import numpy as np
import hepml_tasks as hep
from sklearn.dummy import DummyClassifier

class Slow(DummyClassifier):
    def fit(self, X, y, sample_weight=None):
        if list((Path(sys.argv[2])).rglob("*.parquet")):
            time.sleep(float(os.environ["SLOW"]))
        return super().fit(X, y, sample_weight)

if __name__ == "__main__":
    task = hep.load_task(sys.argv[1])
    hep.run(Slow(), task, spool=Path(sys.argv[2]), n_jobs=1)
"""


def test_a_spool_below_a_file_is_an_error_that_names_it(task, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/spool/.*can't be written .*--spool"):
        hep.run(LogisticRegressionOnMass(), task, spool=tmp_path / "file" / "spool", n_jobs=1)


def test_no_weight_or_identifier_is_among_what_a_model_sees(task, tmp_path):
    seen = tmp_path / "seen"
    hep.run(Looking(log=str(seen)), task, spool=tmp_path / "s", n_jobs=1)
    columns = set(seen.read_text().split())
    assert columns == set(task.events.features)
    assert not columns & {"Weight", "EventId", "Label", "Process"}


class Looking(Counted):
    def fit(self, X, y):
        Path(self.log).write_text(" ".join(X.columns))
        self.classes_ = np.unique(y)
        return self


def test_fold_files_are_plain_parquet(task, tmp_path):
    run = hep.run(LogisticRegressionOnMass(), task, spool=tmp_path, n_jobs=1)
    table = parquet.read_table(run.folder.fold_path(0, 1))
    assert table.column_names == [
        "repeat",
        "fold",
        "row",
        "truth",
        "prediction",
        "confidence.b",
        "confidence.s",
    ]


class Threads(Counted):
    """Writes down how many threads each library of the process may use in a fit."""

    def fit(self, X, y):
        import xgboost  # noqa: F401 - loaded, so that its threads are counted
        from threadpoolctl import threadpool_info

        counts = [pool["num_threads"] for pool in threadpool_info()]
        with Path(self.log).open("a") as log:
            log.write(f"{os.getpid()} {max(counts)}\n")
        self.classes_ = np.unique(y)
        return self


@pytest.fixture
def _by_value():
    """Let other processes have the estimators of this module, which they can't import."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Dying(Counted):
    def fit(self, X, y):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("_by_value")
def test_a_process_that_is_killed_is_told_in_one_line(task, tmp_path):
    with pytest.raises(RunError, match="a process of the run died .*--n-jobs 1"):
        hep.run(Dying(log=str(tmp_path / "log")), task, spool=tmp_path / "s", n_jobs=2)


@pytest.mark.usefixtures("_by_value")
def test_processes_and_their_threads_together_are_no_more_than_the_cores(task, tmp_path):
    import joblib

    cores = joblib.cpu_count()
    for processes in {1, cores}:
        log = tmp_path / f"log{processes}"
        hep.run(Threads(log=str(log)), task, spool=tmp_path / "s", n_jobs=processes)
        lines = [line.split() for line in log.read_text().splitlines()]
        assert len(lines) == 3
        used = min(processes, 3)
        assert len({pid for pid, _ in lines}) <= used
        assert max(int(threads) for _, threads in lines) * used <= max(cores, used)
