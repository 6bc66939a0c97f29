from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv

import hepml_tasks as hep
from hepml_tasks.data.checksum import checksum_of
from hepml_tasks.errors import SpecError, UnknownNameError


def test_data_are_features_labels_and_physical_weights(small_task: Path):
    X, y, w = hep.load_task(small_task).data()
    assert X.shape == (1500, 30)
    assert set(y) == {"b", "s"}
    assert w[y == "s"].sum() == pytest.approx(692.0)


def test_a_split_is_chosen_by_name(small_task: Path):
    task = hep.load_task(small_task, split="holdout")
    assert len(task.splits) == 1
    with pytest.raises(
        UnknownNameError,
        match="no split of task toy-small is called 'hold-out'; did you mean 'holdout'",
    ):
        hep.load_task(small_task, split="hold-out")


def test_a_simulated_task_takes_another_number_of_events(small_task: Path, real_task_file: Path):
    assert len(hep.load_task(small_task, events=700).events) == 700
    with pytest.raises(SpecError, match="its number of events is fixed"):
        hep.load_task(real_task_file, events=700)


@pytest.fixture
def official(small_task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a task with a file and an official split, made of toy events."""
    table = hep.load_task(small_task).events.table
    marks = np.array(["t", "b", "v", "u"])[np.arange(1500) % 4]
    table = table.append_column("KaggleSet", [marks.tolist()])
    path = tmp_path / "official.csv"
    csv.write_csv(table, path)
    text = small_task.read_text()
    head, _, tail = text.partition("  simulator:")
    text = head + (
        f"  files: [{{name: official.csv, checksum: '{checksum_of(path, 'md5')}'}}]\n"
        + tail.partition("\n")[2]
    )
    text = text.replace("event_id: EventId", "event_id: EventId\n  split: KaggleSet")
    text = text.replace(
        "splits:\n",
        "splits:\n  - {name: official, kind: official, train: [t], test: [b, v],"
        " partitions: {public: [b], private: [v]}}\n",
    )
    task = tmp_path / "official.yaml"
    task.write_text(text)
    monkeypatch.setenv("HEPML_MIRRORS", str(tmp_path))
    return task


def test_an_official_split_is_one_fit_with_a_score_for_each_partition(official, tmp_path):
    from hepml_tasks.flows import find_flow

    task = hep.load_task(official)
    (split,) = task.splits
    assert len(split.train) == 375
    assert len(split.test) == 750
    run = hep.run(find_flow("logistic").build(), task, spool=tmp_path / "spool")
    parts = run.folder.scores["partitions"]
    assert parts["public"]["ams"]["n"] == 375
    assert parts["private"]["ams"]["n"] == 375
    assert parts["public"]["roc_auc"]["value"] != parts["private"]["roc_auc"]["value"]
