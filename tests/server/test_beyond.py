"""Uploads of tasks and runs that OpenML can't carry: what is wrong is told, and nothing is kept."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import requests
from pyarrow import parquet

import hepml_tasks as hep
from hepml_tasks.evaluation.truth import truth_table
from hepml_tasks.flows import find_flow
from hepml_tasks.openml import beyond
from hepml_tasks.openml.flows import publish_flow
from hepml_tasks.openml.registration import register_dataset, register_task
from hepml_tasks.running.task import Task
from hepml_tasks.spec import to_mapping

from .conftest import Wire, code_of, description

# the client leaves files of its cache to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@dataclass(frozen=True)
class Published:
    """A task on the server, and what a right upload of a run holds."""

    task: Task
    dataset_id: int
    task_id: int
    flow_id: int
    predictions: pa.Table


@pytest.fixture(scope="module")
def published(scratch: Any, tmp_path_factory: pytest.TempPathFactory) -> Published:
    task = hep.load_task("toy-tracks", events=8)
    flow = find_flow("azimuth-clusters").build()
    run = hep.run(flow, task, spool=tmp_path_factory.mktemp("spool"), n_jobs=1)
    dataset_id = register_dataset(scratch, task)
    task_id = register_task(scratch, task, dataset_id)
    columns = ["repeat", "fold", "row", "prediction"]
    flow_id = int(publish_flow(scratch, flow).flow_id)
    return Published(task, dataset_id, task_id, flow_id, run.predictions.select(columns))


@pytest.fixture(scope="module")
def scratch(server: Any) -> Any:
    from hepml_tasks.openml.connection import Connection

    return Connection(server.server, server.apikey)


@pytest.fixture
def send(wire: Wire, published: Published) -> Callable[..., requests.Response]:
    """Send a run of the task with the given predictions."""

    def post(content: bytes, name: str = "predictions.parquet") -> requests.Response:
        told = description(
            "run",
            f"<oml:task_id>{published.task_id}</oml:task_id>"
            f"<oml:flow_id>{published.flow_id}</oml:flow_id>",
        )
        return requests.post(
            f"{wire.server.pages}hepml/run",
            data={"api_key": wire.server.apikey},
            files={"description": ("description.xml", told), "predictions": (name, content)},
            timeout=60,
        )

    return post


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def nested(table: pa.Table) -> pa.Table:
    return with_column(table, "prediction", [[1]] * table.num_rows)


def row_twice(table: pa.Table) -> pa.Table:
    rows = table["row"].to_numpy().copy()
    rows[1] = rows[0]
    return with_column(table, "row", rows)


def foreign_row(table: pa.Table) -> pa.Table:
    rows = table["row"].to_numpy().copy()
    rows[0] = 10**9
    return with_column(table, "row", rows)


def undefined(table: pa.Table) -> pa.Table:
    ids = table["prediction"].to_pylist()
    return with_column(table, "prediction", [None, *ids[1:]])


def halves(table: pa.Table) -> pa.Table:
    return with_column(table, "prediction", table["prediction"].to_numpy() + 0.5)


def no_numbers(table: pa.Table) -> pa.Table:
    return with_column(table, "prediction", np.full(table.num_rows, np.nan))


def other_fold(table: pa.Table) -> pa.Table:
    return with_column(table, "fold", np.full(table.num_rows, 77))


FAULTS: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "row-twice": (row_twice, "predicted twice"),
    "row-missing": (lambda t: t.slice(1), "have no prediction"),
    "foreign-row": (foreign_row, "no prediction|no test event"),
    "other-fold": (other_fold, "not one of the task's"),
    "no-column": (lambda t: t.drop_columns(["prediction"]), "'prediction' is missing"),
    "undefined": (undefined, "undefined in prediction 0"),
    "nan": (no_numbers, "holds no whole numbers"),
    "fractions": (halves, "holds no whole numbers"),
    "nested": (nested, "neither numbers nor text"),
    "twice-the-rows": (lambda t: pa.concat_tables([t, t]), "predicted twice"),
    "nothing": (lambda t: t.slice(0, 0), "have no prediction"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_predictions_with_a_fault_are_refused_and_not_kept(send, published, wire, fault):
    change, message = FAULTS[fault]
    answer = send(written(change(published.predictions)))
    assert code_of(answer) == 209
    assert re.search(message, answer.text), answer.text
    runs = requests.get(
        f"{wire.server.pages}hepml/task/{published.task_id}/runs", timeout=60
    ).json()
    assert runs == {"runs": []}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "predictions.parquet"),
        (b"PAR1" + bytes(100) + b"PAR1", "predictions.parquet"),
        (b"PAR1\xff\xff\xff\x7f" * 20 + b"PAR1", "predictions.parquet"),
        (b"@RELATION x\n", "predictions.arff"),
    ],
)
def test_what_is_no_parquet_is_refused(send, content: bytes, name: str):
    answer = send(content, name)
    assert code_of(answer) == 209
    assert "Traceback" not in answer.text


def test_a_truncated_or_altered_file_never_breaks_the_server(send, published, wire):
    content = written(published.predictions, compression="none")
    rng = np.random.default_rng(0)
    for cut in (10, len(content) // 2, len(content) - 5):
        assert code_of(send(content[:cut])) == 209
    for _ in range(10):
        altered = bytearray(content)
        # in the footer, where the file says of itself what it holds
        altered[len(content) - 8 - int(rng.integers(1, 400))] ^= int(rng.integers(1, 256))
        answer = send(bytes(altered))
        assert answer.status_code in {200, 412}, answer.text
    assert requests.get(f"{wire.server.pages}hepml/about", timeout=60).status_code == 200


def test_a_small_file_that_grows_too_large_is_refused_before_it_is_read(tmp_path: Path):
    from hepml_tasks.errors import FormatError
    from hepml_tasks.formats.flat import read_flat

    path = tmp_path / "bomb.parquet"
    parquet.write_table(pa.table({"row": np.zeros(3_000_000, dtype=np.int64)}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(FormatError, match="24000000 bytes when decompressed; 1000000 are allowed"):
        read_flat(path, ["row"], most_bytes=1_000_000)


def test_a_run_of_such_a_task_has_a_route_of_its_own(wire, published):
    told = description(
        "run",
        f"<oml:task_id>{published.task_id}</oml:task_id>"
        f"<oml:flow_id>{published.flow_id}</oml:flow_id>",
    )
    answer = wire.post("run/", {"description": told, "predictions": ("p.arff", "@RELATION x")})
    assert code_of(answer) == 204
    assert "/hepml/run" in answer.text


def task_files(published: Published, **changed: Any) -> dict[str, tuple[str, Any]]:
    task = published.task
    spec = {**to_mapping(task.evaluation_spec()), **changed.pop("spec", {})}
    table = truth_table(task.events.table, task.evaluation_spec())
    files: dict[str, tuple[str, Any]] = {
        "spec": ("spec.json", json.dumps(spec)),
        "splits": ("splits.parquet", beyond._render_splits(task)),
        "truth": ("truth.parquet", written(table)),
    }
    return {**files, **{name: (f"{name}.parquet", value) for name, value in changed.items()}}


def create(wire: Wire, published: Published, files: dict[str, Any]) -> requests.Response:
    return requests.post(
        f"{wire.server.pages}hepml/task",
        data={"api_key": wire.server.apikey, "dataset_id": str(published.dataset_id)},
        files=files,
        timeout=60,
    )


def test_the_same_task_is_no_second_one(wire, published):
    answer = create(wire, published, task_files(published))
    assert code_of(answer) == 614
    assert f"[{published.task_id}]" in answer.text


def test_splits_that_tear_a_collision_event_are_refused(wire, published):
    rows = np.arange(len(published.task.events))
    torn = pa.table(
        {
            "type": np.where(rows % 2, "TRAIN", "TEST"),
            "rowid": rows,
            "repeat": np.zeros_like(rows),
            "fold": np.zeros_like(rows),
        }
    )
    answer = create(wire, published, task_files(published, splits=written(torn)))
    assert code_of(answer) == 615
    assert "groups whole" in answer.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spec": {"weight": "mass"}}, "'mass'"),
        ({"spec": {"metrics": ["trackml_scor"]}}, "trackml_scor"),
        ({"spec": {"type": "regression"}}, "/api/v1/xml/task"),
        ({"truth": b"nothing"}, "Parquet"),
        ({"splits": b"nothing"}, "Parquet"),
        ({"truth": written(pa.table({"event": [0], "particle_id": [1], "weight": [1.0]}))}, "rows"),
    ],
)
def test_a_task_with_a_fault_is_refused(wire, published, changed, message):
    answer = create(wire, published, task_files(published, **changed))
    assert code_of(answer) == 615
    assert message in answer.text
