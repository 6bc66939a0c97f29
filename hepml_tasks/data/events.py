"""Events: a dataset's table, taken apart by the roles of its columns."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.data.checksum import table_sha256
from hepml_tasks.data.table import load_with_sha256
from hepml_tasks.errors import ColumnError, DataError, nearest
from hepml_tasks.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd

WITHHELD = ""
"""What stands for a class that only a server knows; its weight is NaN."""


@dataclass(frozen=True, eq=False)
class Across:
    """At which value of a nuisance a row is, and whether the event is there.

    Parameters
    ----------
    value : ndarray of float64, shape (n_rows,)
    selected : ndarray of bool, shape (n_rows,)
    """

    value: npt.NDArray[np.float64]
    selected: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Events:
    """A task's events.

    Parameters
    ----------
    table : pyarrow.Table
        All columns.
    features : tuple of str
        The columns that a model may see, in the table's order.
    y : ndarray of shape (n_events,)
        The class, as text, `WITHHELD` where only a server knows it; the number that a regression
        predicts; the id of the particle that left a hit, as int64.
    weight : ndarray of shape (n_events,), optional
        The physical weight; NaN where it is withheld with the class.
    event_id : ndarray of shape (n_events,)
        The event's number; the row's where the data have none.
    class_sums : mapping of str to float
        Each class's sum of weights at full luminosity; empty where there are no classes.
    group : ndarray of int64, shape (n_events,), optional
        Which rows belong together: equal numbers, from 0 in ascending order of the column.
    across : Across, optional
        Where the rows are the same events at several values of a nuisance.
    """

    table: pa.Table
    features: tuple[str, ...]
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float64] | None
    event_id: npt.NDArray[np.int64]
    class_sums: Mapping[str, float]
    group: npt.NDArray[np.int64] | None = None
    across: Across | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def sha256(self) -> str:
        """A checksum of the table's content."""
        return table_sha256(self.table)

    def frame(self) -> pd.DataFrame:
        """Return the features as float64, NaN where undefined: what a model sees."""
        import pandas as pd

        # one block, filled once: a frame made of columns copies them all into one
        block = np.empty((len(self.features), len(self)))
        for values, name in zip(block, self.features, strict=True):
            values[:] = self.table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return pd.DataFrame(block.T, columns=list(self.features), copy=False)


def load_events(spec: TaskSpec, *, progress: bool = False) -> Events:
    """Load a task's dataset and check it against the roles that the spec gives its columns.

    Parameters
    ----------
    spec : TaskSpec
    progress : bool

    Returns
    -------
    Events

    Raises
    ------
    ColumnError
        For a column that the spec names and the data lack: the message names the nearest.
    DataError
        For undefined labels or weights, infinite values, or other classes than the task's type
        has.
    """
    table, sha256 = load_with_sha256(spec.dataset, progress=progress)
    events = take_apart(table, spec)
    if sha256 is not None:
        vars(events)["sha256"] = sha256
    return events


def take_apart(table: pa.Table, spec: TaskSpec) -> Events:
    """Take a table apart by the roles of its columns, as `load_events` does."""
    roles, name = spec.roles, spec.dataset.name
    for column, role in roles.named().items():
        if column not in table.column_names:
            raise ColumnError(
                f"dataset {name} has no column {column!r}, which task {spec.name} names as"
                f" {role}{nearest(column, table.column_names)}"
            )
    features = roles.features_among(table.column_names)
    across = _across(table, spec)
    for pattern in roles.features:
        if not fnmatch.filter(features, pattern):
            raise ColumnError(
                f"dataset {name} has no column like {pattern!r}, which task {spec.name} names as"
                f" features{nearest(pattern, table.column_names)}"
            )
    for column in features:
        _check_numbers(table[column], column, name)
    withheld = spec.private is not None
    if table[roles.target].null_count and not withheld:
        raise DataError(f"dataset {name}: column {roles.target!r} (target) has undefined values")
    weight = None
    if roles.weight is not None:
        column = table[roles.weight]
        _check_numbers(column, roles.weight, name, nulls=withheld)
        weight = column.to_numpy().astype(np.float64)
    if roles.event_id is not None:
        event_id = table[roles.event_id].to_numpy().astype(np.int64)
    else:
        event_id = np.arange(table.num_rows, dtype=np.int64)
    group = None if roles.group is None else _groups(table[roles.group], roles.group, name)
    if spec.kind.target != "class":
        target = _numbers(table[roles.target], roles.target, name, whole=spec.kind.target == "id")
        return Events(table, features, target, weight, event_id, {}, group)
    labels, found = _classes(table, spec)
    values = np.ones(len(labels)) if weight is None else weight
    copies = 1 if across is None else len(np.unique(across.value))
    sums = spec.class_sums or {c: float(values[labels == c].sum()) / copies for c in found}
    if set(sums) != set(found):
        raise DataError(
            f"dataset {name}: classes are {', '.join(found)}, class_sums of task {spec.name}"
            f" names {', '.join(sorted(sums))}"
        )
    if roles.nuisance is not None:
        # it is for the flow to say what it makes of it
        features = (*features, roles.nuisance)
    return Events(table, features, labels, weight, event_id, dict(sums), group, across)


def _across(table: pa.Table, spec: TaskSpec) -> Across | None:
    roles, name = spec.roles, spec.dataset.name
    if roles.nuisance is None:
        return None
    _check_numbers(table[roles.nuisance], roles.nuisance, name, nulls=False)
    value = table[roles.nuisance].cast(pa.float64()).to_numpy()
    if roles.selected is None:
        return Across(value, np.ones(len(value), dtype=np.bool_))
    column = table[roles.selected]
    if not pa.types.is_boolean(column.type) or column.null_count:
        raise DataError(
            f"dataset {name}: column {roles.selected!r} (selected) is {column.type} with"
            f" {column.null_count} undefined values; it is true or false for each row"
        )
    return Across(value, column.to_numpy(zero_copy_only=False).astype(np.bool_))


def _numbers(column: pa.ChunkedArray, name: str, dataset: str, *, whole: bool) -> npt.NDArray[Any]:
    """Return a target of numbers as float64, or one of ids as int64."""
    if not whole:
        _check_numbers(column, name, dataset)
        return np.asarray(column.cast(pa.float64()).to_numpy())
    # ids may have more digits than a float64
    if not pa.types.is_integer(column.type):
        raise DataError(f"dataset {dataset}: column {name!r} is {column.type}, not whole numbers")
    return np.asarray(column.cast(pa.int64()).to_numpy())


def _groups(column: pa.ChunkedArray, name: str, dataset: str) -> npt.NDArray[np.int64]:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise DataError(
            f"dataset {dataset}: column {name!r} (group) is {column.type} with {column.null_count}"
            " undefined values; a group is a whole number"
        )
    values = column.to_numpy()
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)


def _classes(table: pa.Table, spec: TaskSpec) -> tuple[npt.NDArray[np.str_], list[str]]:
    """Return the class of each event, and the sorted classes."""
    target = spec.roles.target
    # each class once, and a number an event: a text an event costs more than the file's reading
    told = table[target].cast(pa.string())
    withheld = told.null_count > 0
    coded = pc.dictionary_encode(pc.fill_null(told, WITHHELD).combine_chunks())
    classes = np.asarray(coded.dictionary.to_pylist(), dtype=np.str_)
    found = sorted(c for c in classes.tolist() if not withheld or c != WITHHELD)
    holds = f"dataset {spec.dataset.name}: column {target!r} holds {', '.join(found)[:60]};"
    if spec.kind.several:
        if len(found) < 3:
            raise DataError(f"{holds} task {spec.name} needs three classes or more")
    elif len(found) != 2 or spec.roles.positive not in found:
        raise DataError(
            f"{holds} task {spec.name} needs two classes, one of them {spec.roles.positive!r}"
        )
    return classes[coded.indices.to_numpy()], found


def _check_numbers(column: pa.ChunkedArray, name: str, dataset: str, *, nulls: bool = True) -> None:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise DataError(f"dataset {dataset}: column {name!r} is {column.type}, not a number")
    bad = pc.sum(pc.invert(pc.is_finite(column.cast(pa.float64())))).as_py() or 0
    if bad:
        raise DataError(f"dataset {dataset}: column {name!r} has {bad} NaN or infinite values")
    if not nulls and column.null_count:
        raise DataError(f"dataset {dataset}: column {name!r} has undefined values")
