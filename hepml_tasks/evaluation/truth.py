"""What is true of a dataset's events, from the events of a task or from an OpenML dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hepml_tasks.errors import ColumnError, DataError, nearest
from hepml_tasks.evaluation.evaluate import Truth
from hepml_tasks.formats.arff import read_arff
from hepml_tasks.spec import EvaluationSpec
from hepml_tasks.spec.kinds import Target

_TYPES: dict[Target, pa.DataType] = {
    "class": pa.string(),
    "number": pa.float64(),
    "id": pa.int64(),
}


def read_truth(path: Path, spec: EvaluationSpec) -> Truth:
    """Read the labels, weights and event ids of an OpenML dataset, or of a truth table.

    Parameters
    ----------
    path : Path
        The dataset's ARFF file, or the Parquet file of what `truth_table` gives.
    spec : EvaluationSpec
        Names the columns.

    Raises
    ------
    ColumnError, DataError, FormatError
        Name the file and the column.
    """
    if path.suffix == ".parquet":
        from hepml_tasks.formats.flat import read_flat

        return truth_from_table(read_flat(path, truth_columns(spec)), spec, origin=str(path))
    return truth_from_table(read_arff(path).table, spec, origin=str(path))


def truth_columns(spec: EvaluationSpec) -> list[str]:
    """Return the columns of a dataset that say what is true of its rows."""
    partition = None if spec.partitions is None else spec.partitions.column
    events = (spec.target, spec.weight, spec.event_id, spec.group, partition)
    named = (*events, spec.nuisance, spec.selected)
    return list(dict.fromkeys(name for name in named if name is not None))


def truth_table(table: pa.Table, spec: EvaluationSpec) -> pa.Table:
    """Return what a server keeps of the truth of a task that OpenML can't carry.

    Parameters
    ----------
    table : pyarrow.Table
        The dataset's.
    spec : EvaluationSpec

    Returns
    -------
    pyarrow.Table
        A row for each row of the dataset, in its order, with the columns of `truth_columns`:
        `truth_from_table` reads the same from both.
    """
    return table.select(truth_columns(spec)).replace_schema_metadata(None)


def truth_from_table(table: pa.Table, spec: EvaluationSpec, *, origin: str) -> Truth:
    """Take the truth from a table with all of the dataset's columns."""
    weight = None if spec.weight is None else _column(table, spec.weight, origin, pa.float64())
    if spec.group is not None:
        # any numbers will do, as long as they are the same wherever they are made
        event_id = _column(table, spec.group, origin, pa.int64())
    elif spec.event_id is None:
        event_id = np.arange(table.num_rows, dtype=np.int64)
    else:
        event_id = _column(table, spec.event_id, origin, pa.int64())
    partition = None
    if spec.partitions is not None:
        partition = _column(table, spec.partitions.column, origin, pa.string()).astype(str)
    y = _column(table, spec.target, origin, _TYPES[spec.kind.target])
    if spec.kind.target == "class":
        y = y.astype(str)
    nuisance = selected = None
    if spec.nuisance is not None:
        nuisance = _column(table, spec.nuisance, origin, pa.float64())
    if spec.selected is not None:
        selected = _column(table, spec.selected, origin, pa.bool_())
    return Truth(
        y=y,
        weight=weight,
        event_id=event_id,
        partition=partition,
        nuisance=nuisance,
        selected=selected,
    )


def _column(table: pa.Table, name: str, origin: str, kind: pa.DataType) -> Any:
    if name not in table.column_names:
        raise ColumnError(f"{origin}: no column {name!r}{nearest(name, table.column_names)}")
    column = table[name]
    if column.null_count:
        raise DataError(
            f"{origin}: column {name!r} has {column.null_count} undefined values; where labels are"
            " withheld only the server that has them scores"
        )
    try:
        return column.cast(kind).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise DataError(f"{origin}: column {name!r}: {str(error).splitlines()[0]}") from error
