from __future__ import annotations

from pathlib import Path
from typing import Any

import arff
import numpy as np
import pyarrow as pa
import pytest
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

import hepml_tasks as hep
from hepml_tasks.errors import FormatError
from hepml_tasks.openml.predictions import render_predictions
from hepml_tasks.openml.publication import publish_run
from hepml_tasks.running.folder import RunFolder, write_parquet

# the client leaves files of its cache to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


def body(text: bytes) -> bytes:
    return text[text.index(b"@RELATION") :]


def test_the_file_is_the_stock_clients_byte_for_byte(connection, client, small_task, tmp_path):
    model = make_pipeline(SimpleImputer(), GaussianNB())
    run = hep.run(model, hep.load_task(small_task), spool=tmp_path / "spool", n_jobs=1)
    number = publish_run(connection, run.folder).task_id
    theirs = client.runs.run_model_on_task(
        model, client.tasks.get_task(number), avoid_duplicate_runs=False, upload_flow=False
    )
    written = arff.dumps(theirs._generate_arff_dict()).encode()
    assert body(written) == render_predictions(run.folder, number)


def written_by_liac(table: pa.Table, names: dict[str, str], kinds: dict[str, Any]) -> bytes:
    """Write columns as the client's library does."""
    columns = {name: table[column].to_pylist() for name, column in names.items()}
    if "row_id" in names and "correct" in names:
        columns["sample"] = [0] * table.num_rows
    order = [n for n in ("repeat", "fold", "sample", "row_id") if n in columns]
    order += [n for n in names if n not in order]
    return arff.dumps(
        {
            "relation": "openml_task_7_predictions",
            "attributes": [(n, kinds.get(n, "NUMERIC")) for n in order],
            "data": list(zip(*(columns[n] for n in order), strict=True)),
        }
    ).encode()


def folder_with(tmp_path: Path, columns: dict[str, Any]) -> RunFolder:
    rows = len(columns["prediction"])
    where = {"repeat": np.zeros(rows, int), "fold": np.zeros(rows, int), "row": np.arange(rows)}
    write_parquet(tmp_path / "predictions.parquet", pa.table({**where, **columns}))
    return RunFolder(tmp_path)


def test_any_class_name_and_any_number_is_written_as_the_clients_library_does(tmp_path):
    classes = ["W + jets", "it's", "50%", "plain", "a,b"]
    scores = [1.0, 0.0, 1e-300, 1e-5, 1 / 3]
    told = {f"confidence.{c}": pa.array(scores[i:] + scores[:i]) for i, c in enumerate(classes)}
    folder = folder_with(tmp_path, {"truth": classes, "prediction": classes[::-1], **told})
    names = {"repeat": "repeat", "fold": "fold", "row_id": "row", "prediction": "prediction"}
    names |= {"correct": "truth"} | {c: c for c in told}
    kinds = {"prediction": classes, "correct": classes}
    assert render_predictions(folder, 7) == written_by_liac(folder.predictions, names, kinds)


def test_a_regressions_numbers_are_written_as_the_clients_library_does(tmp_path):
    truth, found = [125.0, 1e22, -0.0, 5e-324], [0.1, 1e16, 123456789.123, 1 / 3]
    folder = folder_with(tmp_path, {"truth": truth, "prediction": found})
    names = {"repeat": "repeat", "fold": "fold", "row_id": "row"}
    names |= {"prediction": "prediction", "truth": "truth"}
    assert render_predictions(folder, 7) == written_by_liac(folder.predictions, names, {})


def test_any_finite_number_is_written_as_python_writes_it(tmp_path):
    rng = np.random.default_rng(1)
    bits = np.frombuffer(rng.bytes(8 * 20_000), dtype=np.float64)
    usual = [
        rng.uniform(size=20_000),
        rng.normal(0, 1e3, 20_000).round(2),
        10 ** rng.uniform(-6, 18, 20_000),
    ]
    found = np.concatenate([bits[np.isfinite(bits)], *usual])
    folder = folder_with(tmp_path, {"truth": found, "prediction": found})
    lines = render_predictions(folder).decode().partition("@DATA\n")[2].splitlines()
    assert [line.split(",")[3] for line in lines] == list(map(repr, found.tolist()))


def test_a_truth_that_only_the_server_knows_is_undefined(tmp_path):
    truth = pa.array([None, "s"], pa.string())
    scores = {"confidence.b": [0.5, 0.25], "confidence.s": [0.5, 0.75]}
    folder = folder_with(tmp_path, {"truth": truth, "prediction": ["b", "s"], **scores})
    assert render_predictions(folder).endswith(b"0,0,0,0,b,?,0.5,0.5\n0,0,0,1,s,s,0.25,0.75\n")


def test_a_class_name_that_openml_cannot_take_is_told(tmp_path):
    scores = {"confidence.µ": [0.5], "confidence.e": [0.5]}
    folder = folder_with(tmp_path, {"truth": ["µ"], "prediction": ["e"], **scores})
    with pytest.raises(FormatError, match="class 'µ' is not plain ASCII"):
        render_predictions(folder)
