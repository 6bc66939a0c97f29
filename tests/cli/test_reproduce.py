from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

import hepml_tasks as hep
from hepml_tasks.flows import find_flow
from hepml_tasks.openml.publication import publish_run
from hepml_tasks.running.folder import RunFolder, read_json, write_json, write_parquet


@pytest.fixture
def again(hepml: Any, tmp_path: Path) -> Any:
    """Reproduce a run, and return the exit code with what was told."""

    def again(*arguments: object) -> tuple[int, dict[str, Any]]:
        spool = tmp_path / "again"
        told = hepml("reproduce", *arguments, "--spool", spool, "--n-jobs", 1, "--json")
        assert told.returncode != 1, told.stderr
        return told.returncode, json.loads(told.stdout)

    return again


def test_a_run_is_reproduced_from_the_server_alone(again, connection, run_folder):
    number = publish_run(connection, run_folder).run_id
    # nothing of it is here any more
    shutil.rmtree(run_folder.path)
    code, told = again(number, "--server", connection.server)
    assert (code, told["state"], told["first"]) == (0, "identical", "")


def edit(folder: RunFolder, column: str, row: int, value: Any) -> None:
    table = folder.predictions
    values = table[column].to_pylist()
    values[row] = value
    place = table.column_names.index(column)
    path = folder.path / "predictions.parquet"
    write_parquet(path, table.set_column(place, column, pa.array(values)))


def test_one_prediction_that_was_tampered_with_is_found(again, run_folder):
    where = run_folder.predictions.slice(7, 1).to_pylist()[0]
    edit(run_folder, "confidence.s", 7, 0.123)
    code, told = again(run_folder.path)
    assert (code, told["state"]) == (4, "different")
    place = f"repeat {where['repeat']}, fold {where['fold']}, row {where['row']}"
    assert told["first"] == f"{place}: confidence.s 0.123 then, {where['confidence.s']} now"


def test_a_score_that_does_not_follow_from_its_predictions_is_found(again, run_folder):
    scores = run_folder.scores
    scores["scores"]["ams"]["value"] += 1
    write_json(run_folder.path / "scores.json", scores)
    code, told = again(run_folder.path)
    assert (code, told["state"]) == (4, "different")
    assert told["first"].startswith("ams ")


def test_another_seed_than_was_used_is_found(again, run_folder):
    path = run_folder.path / "run.json"
    # the threshold's folds are shuffled by it
    write_json(path, {**read_json(path), "seed": 5})
    code, told = again(run_folder.path)
    assert (code, told["state"]) == (4, "different")
    assert "prediction" in told["first"]


def test_another_machine_with_other_versions_may_differ_within_the_uncertainty(again, run_folder):
    record = run_folder.environment
    record["packages"]["numpy"] = "1.0.0"
    write_json(run_folder.path / "environment.json", record)
    scores = run_folder.predictions["confidence.s"].to_numpy()
    edit(run_folder, "confidence.s", 0, float(np.nextafter(scores[0], 1)))
    code, told = again(run_folder.path)
    assert (code, told["state"]) == (3, "equivalent")
    assert told["versions"]["numpy"][0] == "1.0.0"


def test_the_versions_of_a_run_can_be_installed(hepml, run_folder, tmp_path):
    path = tmp_path / "pinned.txt"
    told = hepml("reproduce", run_folder.path, "--requirements", path)
    assert told.returncode == 0, told.stderr
    packages = run_folder.environment["packages"]
    assert f"scikit-learn=={packages['scikit-learn']}\n" in path.read_text()


def test_predictions_made_elsewhere_are_told_in_one_line(hepml, few_events, run_folder, tmp_path):
    import hepml_tasks as hep

    path = tmp_path / "made.csv"
    csv.write_csv(run_folder.predictions.drop(["truth"]), path)
    run = hep.run_from_predictions(path, few_events, name="net", about="A net.", spool=tmp_path)
    told = hepml("reproduce", run.folder.path)
    assert told.returncode == 1
    assert "made elsewhere (net 1): it can't be reproduced from here" in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_class_of_an_unknown_package_is_not_imported(hepml, run_folder):
    path = run_folder.path / "run.json"
    record = read_json(path)
    record["flow"]["description"] = {"class": "antigravity.Popen", "parameters": {}}
    write_json(path, record)
    told = hepml("reproduce", run_folder.path)
    assert told.returncode == 1
    assert "import antigravity first, if you trust it" in told.stderr


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(
    ("name", "events", "flow"),
    [("toy-tracks", 8, "azimuth-clusters"), ("toy-higgs-tes", 1000, "nominal-logistic")],
)
def test_a_run_that_openml_cannot_carry_is_reproduced_from_the_server(
    again, connection, tmp_path, name, events, flow
):
    task = hep.load_task(name, events=events)
    run = hep.run(find_flow(flow).build(), task, name=flow, spool=tmp_path / "first", n_jobs=1)
    number = publish_run(connection, run.folder).run_id
    shutil.rmtree(run.folder.path)
    code, told = again(number, "--server", connection.server)
    assert (code, told["state"], told["first"]) == (0, "identical", "")
