"""Tasks that OpenML can't carry, on a server of this package: at its own routes, in Parquet.

OpenML knows classification and regression. Of another task it gets the manifest of the dataset; the
task itself, with its splits and what is true of each row, goes to ``/hepml/task``, and runs with
their predictions to ``/hepml/run``. What is one of these tasks is said by `TaskKind.openml`.
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from hepml_tasks.data.manifest import manifest
from hepml_tasks.evaluation.predictions import prediction_columns
from hepml_tasks.evaluation.truth import truth_table
from hepml_tasks.openml.connection import Connection, Files
from hepml_tasks.running.folder import RunFolder
from hepml_tasks.running.task import Task
from hepml_tasks.spec import EvaluationSpec, to_mapping
from hepml_tasks.splits import write_split_parquet


def is_beyond(spec: EvaluationSpec) -> bool:
    """Whether OpenML can't carry a task."""
    return spec.kind.openml is None


def refusal(connection: Connection, task: Task) -> str | None:
    """Say why a server can't have a task, or None if it can."""
    if task.spec.kind.openml is not None or connection.is_ours():
        return None
    return (
        f"task {task.name} is of type {task.spec.type}, which OpenML can't carry: on"
        f" {connection.root} there can be the manifest of its dataset and no task; register it on a"
        " server of hepml_tasks"
    )


def dataset_table(task: Task) -> pa.Table:
    """Return the table of a task's dataset as OpenML gets it: all of it, or its manifest."""
    if task.spec.kind.openml is not None:
        return task.events.table
    return manifest(task.events, task.spec)


def create_task(connection: Connection, task: Task, dataset_id: int) -> int:
    """Create a task, and return its id; where there is an equal one, that one's.

    Parameters
    ----------
    connection : Connection
        Of a server of this package.
    task : Task
    dataset_id : int
        Of the manifest.
    """
    spec = task.evaluation_spec()
    files: Files = {
        "dataset_id": ("dataset_id.txt", str(dataset_id)),
        "spec": ("spec.json", json.dumps(to_mapping(spec))),
        "splits": ("splits.parquet", _render_splits(task)),
        "truth": ("truth.parquet", render(truth_table(task.events.table, spec))),
    }
    return int(connection.post_json("task", files=files)["task_id"])


def post_run(connection: Connection, files: Files) -> int:
    """Send a run, and return its id; a run that the server has already is not kept twice."""
    return int(connection.post_json("run", files=files)["run_id"])


def render_predictions(folder: RunFolder, spec: EvaluationSpec) -> bytes:
    """Return a run's predictions as the Parquet file that a server of this package keeps."""
    return render(folder.predictions.select(prediction_columns(spec)))


def render(table: pa.Table) -> bytes:
    """Return a table as Parquet."""
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def describe_task(connection: Connection, task_id: int) -> dict[str, Any]:
    """Return what a server of this package tells of a task: spec, dataset, tags, files."""
    return connection.get_json(f"task/{task_id}")


def _render_splits(task: Task) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "splits.parquet"
        write_split_parquet(path, task.splits)
        return path.read_bytes()
