"""Undefined values where a format has none: NaN for numbers, a column of marks for the rest."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.plain import is_list
from hepml_tasks.formats.stream import SHAPE


def mark_name(name: str, taken: Collection[str]) -> str:
    """Return the name of the column that marks where another is undefined."""
    mark = f"{name}_undefined"
    while mark in taken:
        mark += "_"
    return mark


def needs_mark(kind: pa.DataType) -> bool:
    """Tell whether NaN can't say that a value of this type is undefined."""
    return not pa.types.is_floating(kind)


def columns_to_mark(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> list[str]:
    """Return the columns with undefined values that need a mark: all batches are read."""
    names = [f.name for f in schema if needs_mark(f.type) and not pa.types.is_null(f.type)]
    found: dict[str, None] = {}
    for batch in batches if names else ():
        found |= {n: None for n in names if n not in found and batch.column(n).null_count}
    return [n for n in names if n in found]


def numbers(column: pa.Array, field: pa.Field, format_: str) -> npt.NDArray[np.generic]:
    """Return a column of numbers as numpy has it, NaN or 0 where it is undefined.

    Parameters
    ----------
    column : pyarrow.Array
        Numbers or booleans, or lists of them that are all of one length.
    field : pyarrow.Field
    format_ : str
        What errors name.

    Returns
    -------
    ndarray of shape (rows,) or (rows, length)

    Raises
    ------
    FormatError
        If an integer within a list is undefined.
    """
    kind = column.type
    if not is_list(kind):
        if pa.types.is_floating(kind):
            return np.asarray(column.to_numpy(zero_copy_only=False))
        empty = pa.scalar(False if pa.types.is_boolean(kind) else 0, kind)
        return np.asarray(pc.fill_null(column, empty).to_numpy(zero_copy_only=False))
    size = kind.list_size
    filled = np.zeros((len(column), size), kind.value_type.to_pandas_dtype())
    if pa.types.is_floating(kind.value_type):
        filled[:] = np.nan
    values = pc.list_flatten(column)
    if values.null_count and not pa.types.is_floating(kind.value_type):
        raise FormatError(
            f"column {field.name!r} holds a list with an undefined {kind.value_type}, which"
            f" {format_} can't say; convert it to a floating-point number, or to Parquet"
        )
    there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    filled[there] = np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, size)
    return filled


def lists_of(values: npt.NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    """Return an array of shape (rows, …) as flat lists of one length."""
    flat = np.ascontiguousarray(values.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, kind.value_type), type=kind)


def shape_of(field: pa.Field) -> tuple[int, ...]:
    """Return the shape of a row's array: ``()`` for a number."""
    size = field.type.list_size if pa.types.is_fixed_size_list(field.type) else 1
    try:
        shape = tuple(int(n) for n in json.loads((field.metadata or {}).get(SHAPE, b"[]")))
    except (ValueError, TypeError):
        shape = ()
    if shape and int(np.prod(shape)) == size:
        return shape
    return () if size == 1 and not is_list(field.type) else (size,)
