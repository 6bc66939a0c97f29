from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

import hepml_tasks as hep
from hepml_tasks.errors import RunError
from hepml_tasks.flows import find_flow
from hepml_tasks.formats.stream import stream_of
from hepml_tasks.formats.tables import write_table
from hepml_tasks.openml.predictions import render_predictions
from hepml_tasks.running.folder import RunFolder

MAKER = {"name": "another-net", "about": "A network in another framework, by hand."}


@pytest.fixture
def adopt(few_events: Any, tmp_path: Path) -> Any:
    def adopt(table: pa.Table | Path, **maker: str) -> hep.Run:
        path = table
        if isinstance(table, pa.Table):
            path = tmp_path / "made.parquet"
            parquet.write_table(table, path)
        return hep.run_from_predictions(
            path, few_events, **{**MAKER, **maker}, spool=tmp_path / "elsewhere"
        )

    return adopt


@pytest.fixture
def table(finished_run: Path) -> pa.Table:
    return RunFolder(finished_run).predictions


def test_predictions_of_another_program_are_scored_as_a_run_of_ours(adopt, table, finished_run):
    run = adopt(table.drop(["truth", "repeat", "fold"]))
    assert run.folder.scores == RunFolder(finished_run).scores
    assert run.folder.made_elsewhere
    assert run.predictions.equals(table)


@pytest.mark.parametrize("ending", [".csv", ".arff", ".h5", ".root", ".csv.gz"])
def test_the_same_predictions_are_the_same_run_in_any_format_and_order(
    adopt, table, tmp_path, ending
):
    path = tmp_path / f"scores{ending}"
    shuffled = table.drop(["truth"]).take(np.random.default_rng(1).permutation(table.num_rows))
    write_table(stream_of(shuffled), path)
    one, other = adopt(table), adopt(path)
    assert other.folder.path == one.folder.path
    assert other.folder.description["uuid"] == one.folder.description["uuid"]


def test_the_predictions_file_of_openml_is_one_of_these_tables(adopt, finished_run, tmp_path):
    path = tmp_path / "predictions.arff"
    path.write_bytes(render_predictions(RunFolder(finished_run)))
    assert adopt(path).folder.scores == RunFolder(finished_run).scores


def test_an_event_may_be_named_by_the_datasets_own_number(adopt, table, few_events):
    numbers = pa.array(few_events.events.event_id[table["row"].to_numpy()])
    run = adopt(table.drop(["row", "truth"]).append_column("EventId", numbers))
    assert run.predictions.equals(table)


def test_one_score_of_two_classes_tells_the_other(adopt, table):
    run = adopt(table.drop(["confidence.b"]))
    assert np.allclose(run.predictions["confidence.b"], table["confidence.b"])


def test_another_name_description_or_score_is_another_run(adopt, table):
    other = table.set_column(
        table.column_names.index("confidence.s"),
        "confidence.s",
        pa.array(table["confidence.s"].to_numpy() * 0.5),
    )
    runs = [adopt(table), adopt(table, name="b"), adopt(table, about="c"), adopt(other)]
    assert len({r.folder.description["uuid"] for r in runs}) == 4


def edited(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    values = table[column].to_pylist()
    values[row] = value
    return table.set_column(table.column_names.index(column), column, pa.array(values))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.slice(1), r"made.parquet: repeat 0, fold 0: 1 test events have no.*once"),
        (lambda t: pa.concat_tables([t, t.slice(4, 1)]), r"fold 0: row \d+ is predicted twice"),
        (lambda t: edited(t, "row", 3, 5_000), r"fold 0: .*as row \d+"),
        (lambda t: edited(t.drop(["fold"]), "row", 3, 5_000), r"'row': 5000 in prediction 3 is no"),
        (lambda t: edited(t, "fold", 3, 9), r"repeat 0, fold 9 is not one of the task's"),
        (lambda t: edited(t, "confidence.s", 3, np.nan), r"'confidence.s' is undefined in.* 3"),
        (lambda t: edited(t, "confidence.b", 3, np.inf), r"'confidence.b' is not a finite.*n 3"),
        (lambda t: edited(t, "confidence.s", 3, None), r"'confidence.s' is undefined in.* 3"),
        (lambda t: edited(t, "prediction", 3, "S"), r"'prediction': 'S' in prediction 3.*mean 's'"),
        (lambda t: edited(t, "prediction", 3, None), r"column 'prediction' has undefined values"),
        (lambda t: t.drop(["prediction"]), r"column 'prediction' is missing"),
        (lambda t: t.drop(["row"]), r"column 'row' or 'EventId' is missing"),
        (lambda t: t.drop(["confidence.s", "confidence.b"]), r"'confidence.b' is missing"),
        (lambda t: t.append_column("scroe", t["fold"]), r"column 'scroe' is none.*rename it"),
        (
            lambda t: t.append_column("row_id", t["row"]),
            r"column 'row' is there twice",
        ),
        (
            lambda t: t.set_column(3, "truth", t["truth"].take(np.arange(len(t))[::-1])),
            r"'truth': [bs] in prediction \d+, where the dataset has [bs] in row \d+",
        ),
    ],
)
def test_a_table_that_is_not_the_tasks_is_refused_in_one_line(adopt, table, change, problem):
    with pytest.raises(RunError, match=problem) as caught:
        adopt(change(table))
    assert "made.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("maker", "problem"),
    [
        ({"name": "a b"}, "flow name 'a b'"),
        ({"about": " "}, "its description is empty"),
        ({"about": "für"}, "holds 'ü'"),
        ({"version": ""}, "flow version ''"),
    ],
)
def test_what_openml_would_refuse_is_refused_here(adopt, table, maker, problem):
    with pytest.raises(RunError, match=problem):
        adopt(table, **maker)


@pytest.mark.parametrize(
    ("name", "flow"), [("toy-higgs-process", "logistic"), ("toy-higgs-mass", "ridge")]
)
def test_several_classes_and_regressions_are_adopted_too(name, flow, tmp_path):
    task = hep.load_task(name, events=600)
    ours = hep.run(find_flow(flow).build(), task, spool=tmp_path, n_jobs=1)
    path = tmp_path / "scores.csv"
    pd.DataFrame(ours.predictions.drop(["truth"]).to_pandas()).to_csv(path, index=False)
    run = hep.run_from_predictions(path, task, **MAKER, spool=tmp_path)
    assert run.folder.scores == ours.folder.scores


@pytest.mark.parametrize(
    ("name", "events", "flow"),
    [
        ("toy-tracks", 8, "azimuth-clusters"),
        ("toy-higgs-tes", 1000, "nominal-logistic"),
        ("toy-higgs-anomaly", 1000, "mass-window"),
        ("toy-higgs-mass", 1000, "ridge"),
    ],
)
def test_predictions_for_each_type_of_task_are_scored_as_a_run_of_ours(
    tmp_path: Path, name: str, events: int, flow: str
):
    task = hep.load_task(name, events=events)
    run = hep.run(find_flow(flow).build(), task, name=flow, spool=tmp_path / "ours", n_jobs=1)
    path = tmp_path / "made.parquet"
    parquet.write_table(run.predictions.drop(["truth"]), path)
    made = hep.run_from_predictions(path, task, **MAKER, spool=tmp_path / "elsewhere")
    assert made.folder.scores == run.folder.scores
    assert made.predictions.equals(run.predictions)
