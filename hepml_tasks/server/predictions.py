"""Checking a predictions file before a run is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hepml_tasks.errors import FormatError
from hepml_tasks.server.splitting import TestRows, tested_rows

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_INDEX = ("repeat", "fold", "row_id")
_SUM_TOLERANCE = 1e-3  # single precision, and files with few digits


def check_predictions(path: Path, splits: Path, labels: Sequence[str] | None) -> None:
    """Check that a file predicts every tested row exactly once, with allowed labels.

    Parameters
    ----------
    path : Path
        The predictions, ARFF with OpenML's columns.
    splits : Path
        The task's splits.
    labels : sequence of str or None
        The classes, or `None` for a regression task.

    Raises
    ------
    FormatError
        With the first fault, and the row where it is.
    """
    from hepml_tasks.formats.arff import read_arff

    try:
        table = read_arff(path).table
    except FormatError as error:
        raise FormatError(str(error).replace(str(path), "the file")) from error
    names = table.column_names
    tested = tested_rows(splits)
    index = (*_INDEX, "sample") if tested.samples > 1 else _INDEX
    for name in (*index, "prediction"):
        if names.count(name) != 1:
            raise FormatError(f"column {name!r} must be there exactly once")
    _check_rows(table, tested)
    if labels is None:
        _finite(table, "prediction")
        return
    _check_labels(table, labels)
    _check_confidences(table, labels)


def _finite(table: pa.Table, name: str) -> NDArray[np.float64]:
    import numpy as np
    import pyarrow as pa

    column = table.column(name)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise FormatError(f"column {name!r} must be numeric")
    values = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise FormatError(
            f"column {name!r} is undefined or infinite in data row {bad[0] + 1} "
            f"(and {len(bad) - 1} more)"
        )
    return values


def _integers(table: pa.Table, name: str) -> NDArray[np.int64]:
    import numpy as np

    values = _finite(table, name)
    whole = (values == np.floor(values)) & (values >= 0) & (values < 2**31)
    bad = np.flatnonzero(~whole)
    if len(bad):
        raise FormatError(f"column {name!r} must hold row numbers; data row {bad[0] + 1} does not")
    return values.astype(np.int64)


def _check_rows(table: pa.Table, tested: TestRows) -> None:
    import numpy as np

    repeat, fold, row = (_integers(table, name) for name in _INDEX)
    curve = tested.samples > 1
    sample = _integers(table, "sample") if curve else np.zeros_like(fold)

    def where(index: int) -> str:
        which = f", sample {sample[index]}" if curve else ""
        return f"row_id {row[index]} in repeat {repeat[index]}, fold {fold[index]}{which}"

    outside = np.flatnonzero(
        (fold >= tested.folds) | (sample >= tested.samples) | (row >= tested.rows)
    )
    if len(outside):
        raise FormatError(f"{where(int(outside[0]))} is not in the task's test split")
    keys = tested.key(repeat, fold, sample, row)
    order = np.argsort(keys, kind="stable")
    given = keys[order]
    twice = np.flatnonzero(np.diff(given) == 0)
    if len(twice):
        raise FormatError(f"{where(int(order[twice[0]]))} is predicted twice")
    strange = np.flatnonzero(~np.isin(given, tested.keys, assume_unique=True))
    if len(strange):
        raise FormatError(f"{where(int(order[strange[0]]))} is not in the task's test split")
    if len(given) < len(tested.keys):
        first = int(np.setdiff1d(tested.keys, given, assume_unique=True)[0])
        rest, missing_row = divmod(first, tested.rows)
        rest, missing_sample = divmod(rest, tested.samples)
        which = f", sample {missing_sample}" if curve else ""
        raise FormatError(
            f"{len(tested.keys) - len(given)} tested rows have no prediction, the first is row_id "
            f"{missing_row} in repeat {rest // tested.folds}, fold {rest % tested.folds}{which}"
        )


def _check_labels(table: pa.Table, labels: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column("prediction").cast(pa.string())
    if column.null_count:
        raise FormatError(f"column 'prediction' is undefined in {column.null_count} rows")
    unknown = sorted(set(pc.unique(column).to_pylist()) - set(labels))
    if unknown:
        raise FormatError(
            f"column 'prediction' holds {unknown[0]!r}; the task's classes are {', '.join(labels)}"
        )


def _check_confidences(table: pa.Table, labels: Sequence[str]) -> None:
    import numpy as np

    wanted = [f"confidence.{label}" for label in labels]
    given = [name for name in table.column_names if name.startswith("confidence.")]
    if not given:
        return
    if sorted(given) != sorted(wanted):
        raise FormatError(f"confidence columns must be {', '.join(wanted)}")
    total = np.zeros(table.num_rows)
    for name in wanted:
        values = _finite(table, name)
        bad = np.flatnonzero((values < -_SUM_TOLERANCE) | (values > 1 + _SUM_TOLERANCE))
        if len(bad):
            raise FormatError(
                f"column {name!r} is {values[bad[0]]} in data row {bad[0] + 1}; 0 to 1 is allowed"
            )
        total += values
    bad = np.flatnonzero(np.abs(total - 1) > _SUM_TOLERANCE)
    if len(bad):
        raise FormatError(f"confidences sum to {total[bad[0]]} in data row {bad[0] + 1}")
