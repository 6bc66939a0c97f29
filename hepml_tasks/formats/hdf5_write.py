"""HDF5 as it is written here: a dataset a column, compressed where it can be.

Types, roles and what else the format has no place for stand in the root's attribute ``hepml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hepml_tasks.errors import FormatError
from hepml_tasks.formats.marks import mark_name, needs_mark, numbers, shape_of
from hepml_tasks.formats.notes import note_of
from hepml_tasks.formats.plain import check_names, is_list, plain_type
from hepml_tasks.formats.spool import longest_texts, rereadable
from hepml_tasks.formats.stream import TableStream, columns_of, grouped, rows_at_once

NOTE = "hepml"
_CHUNK_BYTES = 16_000_000
_LONG_TEXT = 256


def write_stream(stream: TableStream, path: Path, *, name: str = "table") -> None:
    """Write an HDF5 file with a dataset a column.

    An undefined number is NaN where it is a floating-point one. Another column with undefined
    values has a dataset beside it, ``NAME_undefined``, that is true where it is. Types and roles
    stand in the attribute ``hepml`` of the root.

    Parameters
    ----------
    stream : TableStream
    path : Path
    name : str
        Not needed here.

    Raises
    ------
    FormatError
        For columns that no dataset can hold.
    """
    del name
    schema = stream.schema
    check_names(schema.names, path.name)
    types = {f.name: _dataset_type(f) for f in schema}
    texts = [n for n, t in types.items() if h5py.check_string_dtype(t) is not None]
    with rereadable(stream, path, needed=bool(texts)) as again:
        # text of one length is found at once and compressed, which text of any length isn't
        for column, length in longest_texts(again.batches, texts).items():
            if length <= _LONG_TEXT:
                types[column] = h5py.string_dtype("utf-8", max(length, 1))
        with h5py.File(path, "w", track_order=True, rdcc_nbytes=1 << 16) as file:
            _write(file, again, types)


def _write(file: Any, stream: TableStream, types: Mapping[str, Any]) -> None:
    schema = stream.schema
    marks: dict[str, str] = {}
    chunk = rows_at_once(schema)
    for field in schema:
        _make(file, field.name, types[field.name], shape_of(field), chunk)
    rows = 0
    for table in grouped(stream, _CHUNK_BYTES):
        for field, column in columns_of(table):
            if column.null_count and needs_mark(field.type) and not pa.types.is_null(field.type):
                if field.name not in marks:
                    marks[field.name] = mark_name(field.name, [*schema.names, *marks.values()])
                    _make(file, marks[field.name], np.dtype(bool), (), chunk)
                undefined = column.is_null().to_numpy(zero_copy_only=False)
                _append(file[marks[field.name]], rows, undefined)
            _append(file[field.name], rows, _values(column, field, types[field.name]))
        rows += table.num_rows
    for mark in marks.values():
        file[mark].resize(rows, axis=0)
    file.attrs[NOTE] = note_of(
        schema,
        undefined=marks,
        columns=schema.names,
        lists=[f.name for f in schema if is_list(f.type) and f.type.list_size == 1],
    )


def _dataset_type(field: pa.Field) -> Any:
    if "/" in field.name or field.name == "." or "\0" in field.name:
        raise FormatError(f"column {field.name!r}: '/' stands between groups in HDF5; rename it")
    if pa.types.is_fixed_size_list(field.type) and field.type.list_size:
        kind = plain_type(pa.field(field.name, field.type.value_type), "HDF5")
        if pa.types.is_string(kind):
            raise FormatError(
                f"column {field.name!r} of type {field.type} has no place in HDF5; convert to"
                " Parquet"
            )
        return np.dtype(kind.to_pandas_dtype())
    kind = plain_type(field, "HDF5")
    if pa.types.is_string(kind):
        return h5py.string_dtype("utf-8")
    return np.dtype(kind.to_pandas_dtype())


def _make(file: Any, name: str, dtype: Any, shape: tuple[int, ...], chunk: int) -> None:
    text = h5py.check_string_dtype(dtype)
    # text of any length stands outside of the chunks, where compression doesn't reach it
    packed: dict[str, Any] = (
        {} if text is not None and text.length is None else {"compression": 1, "shuffle": True}
    )
    file.create_dataset(
        name,
        shape=(0, *shape),
        maxshape=(None, *shape),
        dtype=dtype,
        chunks=(chunk, *shape),
        **packed,
    )


def _append(dataset: Any, start: int, values: Any) -> None:
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values


def _values(column: pa.Array, field: pa.Field, dtype: Any) -> Any:
    if is_list(field.type):
        return numbers(column, field, "HDF5").reshape(-1, *shape_of(field))
    kind = plain_type(field, "HDF5")
    column = column.cast(kind)
    if pa.types.is_string(kind):
        texts = pc.fill_null(column, "")
        if pc.any(pc.match_substring(texts, "\0")).as_py():
            raise FormatError(
                f"column {field.name!r} holds text with a zero byte, which HDF5 ends a text with"
            )
        if dtype.kind == "S":
            return np.array(texts.cast(pa.binary()).to_pylist(), dtype=dtype)
        return np.array(texts.to_pylist(), dtype=object)
    return numbers(column, field, "HDF5").reshape(-1, *shape_of(field))
