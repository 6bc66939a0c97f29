"""Datasets that a server has already: compared with ours, and not uploaded again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepml_tasks.errors import ServerError, SpecError
from hepml_tasks.openml.connection import Connection, as_list, connect
from hepml_tasks.openml.registration import read_dataset
from hepml_tasks.running.task import Task
from hepml_tasks.spec import DatasetSpec
from hepml_tasks.spec.places import line_of


@dataclass(frozen=True)
class Existing:
    """A dataset that was found where the spec says, and is the same.

    Parameters
    ----------
    id : int
    md5 : str
        As the server gives it.
    rows : int, optional
        None where the server has not counted them.
    verified : bool
        Whether the spec names the checksum, so that a change there is noticed.
    """

    id: int
    md5: str
    rows: int | None
    verified: bool


def linked_id(connection: Connection, dataset: DatasetSpec) -> int | None:
    """Return the id that the spec gives a dataset on this server, or None."""
    existing = dataset.existing
    if existing is None:
        return None
    return existing.id if connect(existing.server).root == connection.root else None


def compare(connection: Connection, task: Task, dataset_id: int, path: Path) -> Existing:
    """Compare the dataset that a server has with the task's own.

    Parameters
    ----------
    connection : Connection
    task : Task
    dataset_id : int
        From `linked_id`.
    path : Path
        The task's file, for messages.

    Raises
    ------
    SpecError
        If rows, columns or checksum differ; the message names them all.
    """
    try:
        described = read_dataset(connection, dataset_id)
    except ServerError as error:
        if error.code is None:
            raise
        raise SpecError(f"{_place(path)}: {error}") from error
    rows = _rows(connection, dataset_id)
    differences = [
        *_of_rows(task, rows),
        *_of_columns(connection, task, dataset_id),
        *_of_checksum(task, described),
    ]
    if differences:
        raise SpecError(
            f"{_place(path)}: dataset {dataset_id} of {connection.root} is another:"
            f" {'; '.join(differences)}; name the right id, or leave it out to publish this one"
        )
    expected = task.spec.dataset.existing
    return Existing(
        dataset_id,
        str(described.get("oml:md5_checksum") or ""),
        rows,
        expected is not None and expected.md5 is not None,
    )


def _place(path: Path) -> str:
    line = line_of(path, ("dataset", "openml", "id"))
    return f"{path}{'' if line is None else f', line {line}'}: dataset.openml.id"


def _rows(connection: Connection, dataset_id: int) -> int | None:
    try:
        answer = connection.get(f"data/qualities/{dataset_id}")
    except ServerError as error:
        if error.code is None:
            raise
        return None
    for quality in as_list(answer["oml:data_qualities"].get("oml:quality")):
        if quality["oml:name"] == "NumberOfInstances" and quality.get("oml:value"):
            return int(float(quality["oml:value"]))
    return None


def _of_rows(task: Task, rows: int | None) -> Iterator[str]:
    if rows is not None and rows != len(task.events):
        yield f"it has {rows} rows where the task's has {len(task.events)}"


def _of_columns(connection: Connection, task: Task, dataset_id: int) -> Iterator[str]:
    answer = connection.get(f"data/features/{dataset_id}")["oml:data_features"]
    there = [str(f["oml:name"]) for f in as_list(answer.get("oml:feature"))]
    parts = task.spec.dataset.parts
    # which part a row is from is said by its number, where nobody made a column of it
    made = set() if parts is None else {parts.column}
    ours = [c for c in task.events.table.column_names if c not in made or c in there]
    if missing := [c for c in ours if c not in there]:
        yield f"it has no column {', '.join(missing[:5])}"
    if more := [c for c in there if c not in ours]:
        yield f"it has columns of its own: {', '.join(more[:5])}"


def _of_checksum(task: Task, described: dict[str, Any]) -> Iterator[str]:
    expected = task.spec.dataset.existing
    found = described.get("oml:md5_checksum")
    if expected is not None and expected.md5 is not None and found != expected.md5:
        yield f"its file has md5 {found} where {expected.md5} is expected"
