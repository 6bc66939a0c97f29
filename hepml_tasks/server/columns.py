"""What a dataset's file says about itself: its columns and its qualities."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column of a dataset: OpenML's data type, its labels, and how many values are undefined."""

    name: str
    type: str
    values: tuple[str, ...]
    missing: int


@dataclass(frozen=True)
class Contents:
    """A dataset's columns, in order, its qualities, and whether its rows are sparse."""

    columns: tuple[Column, ...]
    qualities: dict[str, float]
    sparse: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)


def describe(path: Path, targets: Collection[str]) -> Contents:
    """Read an ARFF file and count what OpenML's qualities count.

    Parameters
    ----------
    path : Path
    targets : collection of str
        The default target's name (or names); class counts are of the first nominal one.

    Raises
    ------
    DataError
        If the file is not ARFF.
    """
    from hepml_tasks.formats.arff import read_arff

    file = read_arff(path)
    table = file.table
    columns = tuple(
        Column(a.name, a.type, tuple(a.values or ()), table.column(i).null_count)
        for i, a in enumerate(file.attributes)
    )
    missing = sum(column.missing for column in columns)
    numeric = sum(column.type == "numeric" for column in columns)
    symbolic = sum(column.type == "nominal" for column in columns)
    rows = table.num_rows
    incomplete = _rows_with_nulls(table) if missing else 0
    qualities: dict[str, float] = {
        "NumberOfInstances": rows,
        "NumberOfFeatures": len(columns),
        "NumberOfClasses": 0,
        "NumberOfMissingValues": missing,
        "NumberOfInstancesWithMissingValues": incomplete,
        "NumberOfNumericFeatures": numeric,
        "NumberOfSymbolicFeatures": symbolic,
    }
    if rows:
        qualities["PercentageOfInstancesWithMissingValues"] = 100 * incomplete / rows
        qualities["PercentageOfMissingValues"] = 100 * missing / (rows * len(columns))
        qualities["Dimensionality"] = len(columns) / rows
    qualities |= _classes(table, columns, targets)
    return Contents(columns, qualities, file.sparse)


def _rows_with_nulls(table: Any) -> int:
    import pyarrow.compute as pc

    any_null = None
    for column in table.columns:
        if column.null_count:
            here = pc.is_null(column)
            any_null = here if any_null is None else pc.or_(any_null, here)
    return 0 if any_null is None else int(pc.sum(any_null).as_py() or 0)


def _classes(table: Any, columns: tuple[Column, ...], targets: Collection[str]) -> dict[str, float]:
    import pyarrow.compute as pc

    for index, column in enumerate(columns):
        if column.name in targets and column.type == "nominal":
            counted = pc.value_counts(table.column(index).combine_chunks().drop_null())
            sizes = dict.fromkeys(column.values, 0)
            for entry in counted.to_pylist():
                sizes[str(entry["values"])] = entry["counts"]
            largest, smallest = max(sizes.values(), default=0), min(sizes.values(), default=0)
            return {
                "NumberOfClasses": len(sizes),
                "MajorityClassSize": largest,
                "MinorityClassSize": smallest,
                "MajorityClassPercentage": 100 * largest / max(table.num_rows, 1),
                "MinorityClassPercentage": 100 * smallest / max(table.num_rows, 1),
            }
    return {}
