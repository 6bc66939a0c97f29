"""Predictions: what a run says of each test event, from a run folder or an OpenML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import RunError, nearest
from hepml_tasks.formats.arff import read_arff
from hepml_tasks.spec import EvaluationSpec
from hepml_tasks.splits import Split

_CONFIDENCE = "confidence."


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a run says of each test event.

    Parameters
    ----------
    repeat, fold, row : ndarray of int64, shape (n_predictions,)
        Which test event of which fold: the row in the dataset.
    predicted : ndarray of str, of float64 or of int64
        The class (for a task with a selection, whether the event is selected), a regression's
        number, or the id of what the row was found to belong to.
    score : ndarray of float64, optional
        The confidence in signal, where one class of two is signal.
    """

    repeat: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    predicted: npt.NDArray[Any]
    score: npt.NDArray[np.float64] | None


def read_predictions(path: Path, spec: EvaluationSpec, *, curve: bool = False) -> Predictions:
    """Read the predictions file of a run.

    Parameters
    ----------
    path : Path
        OpenML's ARFF with ``repeat``, ``fold``, ``row_id``, ``prediction`` and, of classes,
        ``confidence.CLASS``; or the Parquet file of a task that OpenML can't carry, in the
        columns of a run folder.
    spec : EvaluationSpec
        Of the task; the confidence in its positive class is the score.
    curve : bool
        Whether the task is a learning curve, of which the end counts: the predictions by each
        fold's last sample.

    Raises
    ------
    RunError, FormatError
        Name the file and the column.
    """
    if path.suffix == ".parquet":
        from hepml_tasks.formats.flat import read_flat

        return from_table(read_flat(path, prediction_columns(spec)), spec, origin=str(path))
    table = read_arff(path).table
    if curve:
        table = _by_last_samples(table, origin=str(path))
    if "row_id" in table.column_names:
        names = ["row" if n == "row_id" else n for n in table.column_names]
        table = table.rename_columns(names)
    return from_table(table, spec, origin=str(path))


def _by_last_samples(table: pa.Table, *, origin: str) -> pa.Table:
    for column in ("repeat", "fold", "sample"):
        if column not in table.column_names:
            raise RunError(f"{origin}: column {column!r} is missing")
    keys = [_numbers(table, name, origin) for name in ("repeat", "fold")]
    sample = _numbers(table, "sample", origin)
    _, folds = np.unique(np.column_stack(keys), axis=0, return_inverse=True)
    folds = folds.reshape(-1)
    last = np.full(int(folds.max(initial=0)) + 1, -np.inf)
    np.maximum.at(last, folds, sample)
    return table.filter(pa.array(sample == last[folds]))


def prediction_columns(spec: EvaluationSpec) -> list[str]:
    """Return the columns of a run's predictions from which it is scored."""
    score = [] if spec.positive is None else [f"{_CONFIDENCE}{spec.positive}"]
    return ["repeat", "fold", "row", "prediction", *score]


def from_table(table: pa.Table, spec: EvaluationSpec, *, origin: str) -> Predictions:
    """Take predictions from a table, such as a run folder's.

    Raises
    ------
    RunError
        For a missing column, an undefined value or a score that isn't a finite number.
    """
    score = None if spec.positive is None else f"{_CONFIDENCE}{spec.positive}"
    for column in prediction_columns(spec):
        if column not in table.column_names:
            raise RunError(
                f"{origin}: column {column!r} is missing{nearest(column, table.column_names)}"
            )
    predicted: npt.NDArray[Any]
    if spec.kind.target == "number":
        predicted = _finite(table, "prediction", origin)
    elif spec.kind.target == "id":
        predicted = _whole(table, "prediction", origin)
    elif table["prediction"].null_count:
        raise RunError(f"{origin}: column 'prediction' has undefined values")
    else:
        predicted = np.asarray(table["prediction"].cast(pa.string()).to_pylist())
    return Predictions(
        repeat=_whole(table, "repeat", origin),
        fold=_whole(table, "fold", origin),
        row=_whole(table, "row", origin),
        predicted=predicted,
        score=None if score is None else _finite(table, score, origin),
    )


def _finite(table: pa.Table, name: str, origin: str) -> npt.NDArray[np.float64]:
    values = _numbers(table, name, origin)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise RunError(
            f"{origin}: column {name!r} is not a finite number in prediction {row};"
            " every event needs a score"
        )
    return values


def _whole(table: pa.Table, name: str, origin: str) -> npt.NDArray[np.int64]:
    _refuse_undefined(table, name, origin)
    try:
        # not by way of floating point: ids may have more than 15 digits
        return np.asarray(table[name].cast(pa.int64()).to_numpy(), dtype=np.int64)
    except pa.ArrowInvalid as error:
        raise RunError(f"{origin}: column {name!r} holds no whole numbers ({error})") from error


def _refuse_undefined(table: pa.Table, name: str, origin: str) -> None:
    column = table[name]
    if column.null_count:
        first = pc.index(pc.is_null(column), value=True).as_py()
        raise RunError(f"{origin}: column {name!r} is undefined in prediction {first}")


def _numbers(table: pa.Table, name: str, origin: str) -> npt.NDArray[np.float64]:
    _refuse_undefined(table, name, origin)
    column = table[name]
    try:
        result: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise RunError(f"{origin}: column {name!r} holds no numbers ({error})") from error
    return result


def check_against_splits(predictions: Predictions, splits: Sequence[Split], *, origin: str) -> None:
    """Check that every test event of every fold is predicted, once.

    Raises
    ------
    RunError
        Names the repeat, the fold and an event that is missing, foreign or there twice.
    """
    expected = {(s.repeat, s.fold): s.test for s in splits}
    keys = np.column_stack([predictions.repeat, predictions.fold])
    found = {(int(r), int(f)) for r, f in np.unique(keys, axis=0)}
    for repeat, fold in sorted(found - set(expected)):
        raise RunError(f"{origin}: repeat {repeat}, fold {fold} is not one of the task's")
    for (repeat, fold), rows in expected.items():
        here = (predictions.repeat == repeat) & (predictions.fold == fold)
        given = np.sort(predictions.row[here])
        if np.array_equal(given, np.sort(rows)) and (given[1:] > given[:-1]).all():
            continue
        where = f"{origin}: repeat {repeat}, fold {fold}"
        twice = given[1:][given[1:] == given[:-1]]
        if len(twice):
            raise RunError(f"{where}: row {twice[0]} is predicted twice")
        missing: npt.NDArray[Any] = np.setdiff1d(rows, given)
        if len(missing):
            raise RunError(
                f"{where}: {len(missing)} test events have no prediction, as row {missing[0]}"
            )
        foreign = np.setdiff1d(given, rows)
        if len(foreign):
            raise RunError(f"{where}: row {foreign[0]} is no test event of it")
