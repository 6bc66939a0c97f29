"""Predictions that were made elsewhere, by any framework, become a run of their task."""

from __future__ import annotations

import hashlib
import json
import re
import uuid as uuids
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.events import WITHHELD
from hepml_tasks.errors import RunError, nearest
from hepml_tasks.evaluation.predictions import Predictions, check_against_splits, from_table
from hepml_tasks.evaluation.runs import score_run
from hepml_tasks.formats.tables import read_table
from hepml_tasks.running.environment import environment
from hepml_tasks.running.folder import (
    RunFolder,
    open_folder,
    run_key,
    write_json,
    write_predictions,
)
from hepml_tasks.running.task import Task
from hepml_tasks.spec import TableSpec, to_mapping

_CONFIDENCE = "confidence."
_NAMES = {"row_id": "row", "correct": "truth"}
"""What OpenML calls our columns."""
_NAMESPACE = uuids.UUID("6d1f6f0e-55c5-4f0c-8f7c-0f6f5a5c2a51")
_ONCE = "; the table needs each test event of each fold once (`hepml_tasks.load_task(…).splits`)"


@dataclass(frozen=True)
class Maker:
    """What made the predictions, for people: it is not run here.

    Parameters
    ----------
    name : str
        What the flow is called: letters, digits and ``_-.()``.
    about : str
        How the predictions were made, in ASCII.
    version : str
        Of the flow, as its makers count.

    Raises
    ------
    RunError
        For what OpenML doesn't take.
    """

    name: str
    about: str
    version: str = "1"

    def __post_init__(self) -> None:
        for field, text in (("name", self.name), ("version", self.version)):
            if not re.fullmatch(r"[A-Za-z0-9_\-.()]{1,64}", text):
                raise RunError(
                    f"flow {field} {text!r}: take letters, digits and _-.(), 64 at most, as OpenML"
                    " keeps it"
                )
        if not self.about.strip():
            raise RunError(
                f"flow {self.name}: its description is empty; say how the predictions were made"
            )
        if not self.about.isascii():
            strange = next(c for c in self.about if not c.isascii())
            raise RunError(
                f"flow {self.name}: its description holds {strange!r}; OpenML takes plain ASCII"
            )

    @property
    def fingerprint(self) -> str:
        """Twelve digits that are equal for equal names, versions and descriptions."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def adopt_predictions(path: Path, task: Task, maker: Maker, *, spool: Path) -> RunFolder:
    """Make a run of a table of predictions: checked against the split, kept, scored.

    Parameters
    ----------
    path : Path
        CSV, Parquet, ARFF, HDF5 or ROOT, with ``row`` (the row in the dataset, from 0) or the
        dataset's event id, ``prediction`` and, of classes, ``confidence.CLASS`` for each; of two
        classes one is enough. ``repeat`` and ``fold`` where a row alone doesn't tell them. The
        columns ``truth`` and ``nuisance`` are compared with the task's.
    task : Task
    maker : Maker
    spool : Path

    Returns
    -------
    RunFolder
        Complete. The same predictions by the same maker are the same run, whatever the format of
        the file and wherever it is read.

    Raises
    ------
    RunError
        Names the file, the column and the event that is missing, there twice, foreign, undefined
        or of an unknown class.
    DataError
        If the file can't be read.
    """
    table = _checked(read_table(path, TableSpec()), task, str(path))
    head: dict[str, Any] = {
        "task": {
            "name": task.spec.name,
            "split": task.split.name,
            "spec": to_mapping(task.spec),
            "evaluation": to_mapping(task.evaluation_spec()),
        },
        "flow": {"fingerprint": maker.fingerprint, **asdict(maker)},
        "seed": None,
        "data": {
            "table_sha256": task.events.sha256,
            "files": {f.name: f.checksum for f in task.spec.dataset.root.files},
        },
        "elsewhere": {"predictions_sha256": table_sha256(table)},
    }
    key = run_key(head)
    # the same predictions have the same name everywhere: a server that has them keeps one run
    head["uuid"] = str(uuids.uuid5(_NAMESPACE, json.dumps(head, sort_keys=True)))
    head["elsewhere"] |= {"file": path.name}
    folder = open_folder(
        spool, f"{task.spec.name}--{task.split.name}--{maker.name}--elsewhere--{key}", head
    )
    if not folder.is_complete:
        write_json(folder.path / "environment.json", environment())
        write_predictions(folder, table)
        score_run(folder, task)
    return folder


def _checked(table: pa.Table, task: Task, origin: str) -> pa.Table:
    """Return a table of predictions as the runner would have written it."""
    spec = task.evaluation_spec()
    classes = sorted(task.events.class_sums)
    table = _named(table, task, classes, origin)
    table = _placed(table, task, origin)
    table = _with_all_scores(table, classes, origin)
    if classes:
        _check_labels(table["prediction"], "prediction", classes, origin)
    found = from_table(table, spec, origin=origin)
    scores = {f"{_CONFIDENCE}{c}": _finite(table[f"{_CONFIDENCE}{c}"], c, origin) for c in classes}
    try:
        check_against_splits(found, task.splits, origin=origin)
    except RunError as error:
        raise RunError(f"{error}{_ONCE}") from None
    order = _order(found, task)
    y = task.events.y
    truth = y[found.row[order]]
    _compare(table, "truth", truth, order, origin)
    across = task.events.across
    value = {} if across is None else {"nuisance": across.value[found.row[order]]}
    for name, values in value.items():
        _compare(table, name, values, order, origin)
    return pa.table(
        {
            "repeat": found.repeat[order],
            "fold": found.fold[order],
            "row": found.row[order],
            **value,
            "truth": pa.array(truth, mask=truth == WITHHELD if classes else None),
            "prediction": found.predicted[order],
            **{name: values[order] for name, values in scores.items()},
        }
    )


def _named(table: pa.Table, task: Task, classes: list[str], origin: str) -> pa.Table:
    """Give the columns our names, and refuse those that mean nothing here."""
    names = [_NAMES.get(n, n) for n in table.column_names]
    # where an event has several rows, its id names none of them
    event_id = None if task.spec.roles.group else task.spec.roles.event_id
    allowed = {"repeat", "fold", "sample", "row", "prediction", "truth"}
    allowed |= {f"{_CONFIDENCE}{c}" for c in classes} | ({event_id} if event_id else set())
    allowed |= set() if task.events.across is None else {"nuisance"}
    for name in names:
        if name not in allowed:
            raise RunError(
                f"{origin}: column {name!r} is none of a table of predictions of task"
                f" {task.name}{nearest(name, allowed)}; leave it out or rename it"
            )
        if names.count(name) > 1:
            raise RunError(f"{origin}: column {name!r} is there twice; keep one")
    if "prediction" not in names:
        raise RunError(
            f"{origin}: column 'prediction' is missing{nearest('prediction', names)}; it says the"
            " class, or the number, that is predicted"
        )
    table = table.rename_columns(names)
    if "row" not in names and event_id in names:
        row = pc.index_in(table[event_id].cast(pa.int64()), pa.array(task.events.event_id))
        if row.null_count:
            strange = table[event_id].filter(pc.is_null(row))[0]
            raise RunError(
                f"{origin}: column {event_id!r}: the task has no event {strange}; take the"
                f" dataset's own numbers, or a column 'row'"
            )
        table = table.append_column("row", row.cast(pa.int64()))
    if "row" not in table.column_names:
        also = f" or {event_id!r}" if event_id else ""
        raise RunError(
            f"{origin}: column 'row'{also} is missing; it says which event of the dataset a"
            " prediction is of, from 0"
        )
    return table


def _placed(table: pa.Table, task: Task, origin: str) -> pa.Table:
    """Fill in repeat and fold where the row alone tells them."""
    rows = table.num_rows
    if "repeat" not in table.column_names:
        table = table.append_column("repeat", pa.array(np.zeros(rows, dtype=np.int64)))
    if "fold" not in table.column_names:
        fold = np.full(len(task.events), -1, dtype=np.int64)
        for split in (s for s in task.splits if s.repeat == 0):
            fold[split.test] = split.fold
        row = table["row"].cast(pa.float64()).to_numpy()
        foreign = ~((row >= 0) & (row < len(fold)))
        foreign[~foreign] = fold[row[~foreign].astype(np.int64)] < 0
        if foreign.any():
            first = int(np.flatnonzero(foreign)[0])
            raise RunError(
                f"{origin}: column 'row': {table['row'][first]} in prediction {first} is no test"
                f" event of task {task.name}{_ONCE}"
            )
        table = table.append_column("fold", pa.array(fold[row.astype(np.int64)]))
    return table


def _with_all_scores(table: pa.Table, classes: list[str], origin: str) -> pa.Table:
    names = [f"{_CONFIDENCE}{c}" for c in classes]
    missing = [n for n in names if n not in table.column_names]
    if len(names) == 2 and len(missing) == 1:
        (given,) = set(names) - set(missing)
        rest = pc.subtract(1.0, table[given].cast(pa.float64()))
        return table.append_column(missing[0], rest)
    if missing:
        raise RunError(
            f"{origin}: column {missing[0]!r} is missing{nearest(missing[0], table.column_names)};"
            " give the score of each class"
        )
    return table


def _check_labels(column: pa.ChunkedArray, name: str, classes: list[str], origin: str) -> None:
    texts = column.cast(pa.string())
    known = pc.is_in(texts, pa.array(classes))
    strange = texts.filter(pc.invert(known)).drop_null()
    if len(strange):
        label = strange[0].as_py()
        where = pc.index(texts, label).as_py()
        raise RunError(
            f"{origin}: column {name!r}: {label!r} in prediction {where} is no class of the"
            f" task{nearest(label, classes)}"
        )


def _finite(column: pa.ChunkedArray, label: str, origin: str) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise RunError(
            f"{origin}: column '{_CONFIDENCE}{label}' is not a finite number in prediction"
            f" {bad[0]}; every event needs a score"
        )
    return values


def _order(found: Predictions, task: Task) -> npt.NDArray[np.int64]:
    """Return in what order the predictions are those of the splits, one after the other."""
    wanted = np.concatenate([s.test for s in task.splits])
    place = np.concatenate([np.full(len(s.test), i) for i, s in enumerate(task.splits)])
    number = {(s.repeat, s.fold): i for i, s in enumerate(task.splits)}
    where = np.array([number[key] for key in zip(found.repeat, found.fold, strict=True)])
    order = np.empty(len(wanted), dtype=np.int64)
    order[np.lexsort((wanted, place))] = np.lexsort((found.row, where))
    return order


def _compare(
    table: pa.Table,
    name: str,
    truth: npt.NDArray[Any],
    order: npt.NDArray[np.int64],
    origin: str,
) -> None:
    """Refuse a column that tells of an event what the dataset doesn't."""
    if name not in table.column_names:
        return
    number = np.issubdtype(truth.dtype, np.number)
    told = table[name].cast(pa.float64() if number else pa.string())
    given = told.to_numpy(zero_copy_only=False)[order]
    known = np.ones(len(truth), dtype=bool) if number else truth != WITHHELD
    same = np.isclose(given.astype(float), truth) if number else given == truth
    wrong = np.flatnonzero(known & ~same)
    if len(wrong):
        first = order[wrong[0]]
        raise RunError(
            f"{origin}: column {name!r}: {given[wrong[0]]} in prediction {first}, where the dataset"
            f" has {truth[wrong[0]]} in row {table['row'][int(first)]}; rows count from 0 in the"
            " dataset's own order"
        )
